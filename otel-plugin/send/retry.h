/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/retry.h - when to send a batch again, and when to give it up. Pure: time and
 * random numbers are handed in.
 *
 * The n-th wait is drawn between initial * 1.5^n and 1.5 times that, both at most as `max` allows:
 * with 5 s and 30 s the waits lie in 5..7.5, 7.5..11.3, 11.3..16.9, 16.9..25.3, then 20..30 s.
 */
#ifndef OTEL_SEND_RETRY_H
#define OTEL_SEND_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_conf {
    int64_t initial_ns, max_ns; /* 0 < initial <= max */
    int64_t give_up_ns;         /* after the first attempt */
};

/* The state of one batch. */
struct retry {
    int64_t first_ns; /* when it was first sent */
    int64_t upper_ns; /* bound of the next wait */
};

/** Start: the batch is sent for the first time now. */
void retry_begin(struct retry *retry, const struct retry_conf *conf, int64_t now_ns);

/**
 * An attempt has failed.
 *
 * @param min_wait_ns  what the collector asked for, 0 if it did not
 * @param random       evenly spread
 * @param ret_wait_ns  how long to wait; the last wait is cut so that the last attempt falls on
 *                     give_up
 * @return false: give the batch up
 */
bool retry_next(struct retry *retry, const struct retry_conf *conf, int64_t now_ns,
                int64_t min_wait_ns, uint32_t random, int64_t *ret_wait_ns);

#endif
