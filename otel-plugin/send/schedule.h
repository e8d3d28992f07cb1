/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/schedule.h - which batch leaves next, and when. Pure: time and random numbers
 * are handed in, one thread.
 *
 * A batch whose request failed is parked until its retry is due; meanwhile others leave. What may
 * leave follows from three things: how many requests are under way, how many have failed one after
 * the other, and whether the collector has asked for a pause.
 *
 *   failures in a row   requests at once   what leaves
 *   0                   concurrency        what is parked and due, oldest first; then new batches
 *   1                   1                  the same
 *   2 and more: down    1                  the same, but new ones only until SCHEDULE_DOWN_MAX
 *                                          batches are parked: so many are tried in turn, lest one
 *                                          that the collector cannot take stands for all
 *
 * When the collector is back, what is parked is due at once (once for each batch). While it has
 * asked for a pause nothing leaves at all.
 *
 * Waits: the first is drawn between 100 ms and 1 s, the n-th of those that follow between
 * initial * 1.5^n and 1.5 times that, both at most as `max` allows: with 5 s and 30 s they lie in
 * 5..7.5, 7.5..11.3, 11.3..16.9, 16.9..25.3, then 20..30 s.
 */
#ifndef OTEL_SEND_SCHEDULE_H
#define OTEL_SEND_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otlp/batch.h"

#define SCHEDULE_DOWN_MAX 4u

struct schedule_conf {
    unsigned concurrency;       /* requests under way at once, at least 1 */
    int64_t initial_ns, max_ns; /* 0 < initial <= max */
    int64_t give_up_ns;         /* after a batch's first attempt */
};

/* Zero-initialised but for conf. */
struct schedule {
    struct schedule_conf conf;
    unsigned in_flight; /* requests under way */
    size_t parked_batches;
    size_t parked_spans;
    struct batch *_parked; /* [own] the oldest first */
    uint32_t _failures;    /* in a row */
    int64_t _not_before_ns;
    bool _hurry;
};

/** The parked batch to send now. @return [give: schedule_end()] NULL: none */
struct batch *schedule_take(struct schedule *schedule, int64_t now_ns);

/** Whether a new batch may be sent now, if nothing parked is to. */
bool schedule_takes_new(const struct schedule *schedule, int64_t now_ns);
/** Send a new batch. @param batch  [borrow until schedule_end()] */
void schedule_begin(struct schedule *schedule, struct batch *batch, int64_t now_ns);

enum schedule_end {
    SCHEDULE_DONE,    /* [give] the collector has answered for it */
    SCHEDULE_PARKED,  /* it is the schedule's until schedule_take() */
    SCHEDULE_GAVE_UP, /* [give] its time is over */
};

/** The request of a batch has been answered for good, well or not: the collector is there. */
void schedule_answered(struct schedule *schedule, int64_t now_ns);

/**
 * The request of a batch has failed and may be repeated.
 * @param pause_ns     what the collector asked for, 0 if it did not
 * @param random       evenly spread
 * @param ret_wait_ns  PARKED: until it is sent again, at least
 */
enum schedule_end schedule_failed(struct schedule *schedule, struct batch *batch, int64_t now_ns,
                                  int64_t pause_ns, uint32_t random, int64_t *ret_wait_ns);

/**
 * When to look again, apart from a request's end. @param new_ns  when a new batch will be ready;
 * INT64_MAX: nothing waits
 */
int64_t schedule_next_ns(const struct schedule *schedule, int64_t now_ns, int64_t new_ns);

/** Until when the collector has asked for a pause: nothing leaves before. May be in the past. */
static inline int64_t schedule_pause_end_ns(const struct schedule *schedule)
{
    return schedule->_not_before_ns;
}

/** The end is near: what is parked is due, and later waits are short. */
void schedule_hurry(struct schedule *schedule, int64_t now_ns);

/** Take whatever is parked, at the end. @return [give] a list linked by `next` */
struct batch *schedule_drop(struct schedule *schedule);

#endif
