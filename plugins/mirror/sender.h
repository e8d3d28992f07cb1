/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/mirror/sender.h - the thread that repeats requests at the second origin: takes jobs from
 * the queue, has libcurl send as many at once as it may, throws their answers away and counts them.
 */
#ifndef MIRROR_SENDER_H
#define MIRROR_SENDER_H

#include <stdint.h>

#include "mirror/conf.h"
#include "mirror/counters.h"
#include "mirror/job.h"

struct mirror_sender;

/* What the sender tells whoever started it, on its own thread. */
struct mirror_sender_events {
    void *arg;
    /* A request has its answer, so many seconds after it was begun. */
    void (*answered)(void *arg, double seconds);
    /* The second origin does not answer any more (why: a text, [borrow]), or answers again (NULL).
     */
    void (*state)(void *arg, const char *why);
};

/**
 * @param conf, queue, counters  outlive the sender
 * @param reterr                 [borrow] why, on failure
 * Threads: [main].
 */
struct mirror_sender *mirror_sender_start(const struct mirror_conf *conf,
                                          struct mirror_queue *queue,
                                          struct mirror_counters *counters,
                                          const struct mirror_sender_events *events, char *reterr,
                                          size_t reterr_size);
/** A job was pushed. Threads: [any], until stop. */
void mirror_sender_wake(struct mirror_sender *sender);
/** Requests that are under way. Threads: [any]. */
uint64_t mirror_sender_in_flight(const struct mirror_sender *sender);
/** Wait until nothing waits or is under way, or until then; nothing is pushed meanwhile. [main] */
void mirror_sender_drain(struct mirror_sender *sender, int64_t deadline_mono_ns);
/** End the thread; what was not sent or answered is counted. [main] */
void mirror_sender_stop(struct mirror_sender *sender);

#endif
