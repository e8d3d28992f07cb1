/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/queue/queue.h - ended spans on their way from the workers to the export thread.
 *
 * Many producers, one consumer at a time. The cap counts every span from span_queue_push() until
 * span_queue_settle(): those that wait and those in a batch that is being sent or retried. A
 * producer never waits: a short mutex around a list splice is all that it takes.
 */
#ifndef OTEL_QUEUE_QUEUE_H
#define OTEL_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span/span.h"

struct span_queue;

/** @return [own] NULL: out of memory. @param max spans, at least 1 */
struct span_queue *span_queue_create(size_t max);
/** Free the queue and what waits in it. No other thread may use it. Takes NULL. */
void span_queue_destroy(struct span_queue *queue);

/**
 * Hand over a list of ended spans, linked by `next`.
 * @param spans  [own] also those that do not fit: they are freed and counted as dropped, and so is
 *               a span whose parent is the first of them
 * @return the number dropped
 * Threads: [any]
 */
size_t span_queue_push(struct span_queue *queue, struct span *spans);

/** How many spans can still be pushed. Threads: [any]; a hint where others push. */
size_t span_queue_room(struct span_queue *queue);

/**
 * Take up to max spans in the order of arrival; they still count against the cap. A span whose
 * parent is the next one of the same push stays for the next time, if it is not the only one.
 * @return [give] a list linked by `next`, NULL if none waits
 * Threads: consumer
 */
struct span *span_queue_take(struct span_queue *queue, size_t max, size_t *ret_n);

/** Spans taken earlier are exported or given up: their places are free. Threads: [any] */
void span_queue_settle(struct span_queue *queue, size_t n);

/**
 * Wait until at least `want` spans wait, span_queue_wake() is called, or the deadline passes.
 * @param deadline_mono_ns  INT64_MAX: none
 * @return the number that wait
 * Threads: consumer
 */
size_t span_queue_wait(struct span_queue *queue, size_t want, int64_t deadline_mono_ns);
/** Make span_queue_wait() return now, once. Threads: [any] */
void span_queue_wake(struct span_queue *queue);

/** Numbers for logs and metrics. Threads: [any] */
struct span_queue_stats {
    size_t waiting, in_flight, max;
    uint64_t pushed, dropped;
};
void span_queue_get_stats(struct span_queue *queue, struct span_queue_stats *ret);

#endif
