/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/queue.h - ended spans on their way from the workers to the export thread, as
 * the bytes that leave in the end.
 *
 *   worker: span --push--> its writer's chunk --take--> export thread: a batch
 *                                   ^                        |
 *                                   +--------release---------+
 *
 * A span is written into its worker's chunk of bytes as it ends, while it lies in that core's
 * caches, and its memory is the worker's again at once. The export thread only joins chunks, so
 * that it holds up nobody who shares its core. Many writers, one consumer at a time.
 *
 * The caps, one of spans and one of their bytes, count every span from span_queue_push() until
 * span_queue_settle(): those that wait and those in a batch that is being sent or waits for its
 * retry. A producer never waits: its writer's mutex is held by the consumer only to unhook chunks.
 */
#ifndef OTEL_OTLP_QUEUE_H
#define OTEL_OTLP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signal/span.h"

struct span_queue;
struct span_writer;

#define SPAN_QUEUE_BYTES_MAX ((size_t)64 * 1024 * 1024) /* the cap unless one is configured */
#define SPAN_CHUNK_SPANS 64u                            /* in a chunk at most */
#define SPAN_CHUNK_BYTES 65536u /* of a chunk's spans; one span alone may be larger */

/* Spans as elements of ScopeSpans.spans (span_wire.h), one after the other. */
struct span_chunk {
    struct span_chunk *next; /* for whoever has it */
    uint32_t n;              /* spans */
    uint32_t len;            /* bytes of them */
    /* What they lack by their limits, together and the first that lacks any. */
    uint64_t attributes_dropped, events_dropped;
    uint32_t first_attributes_dropped, first_events_dropped;
    struct span_writer *_writer;
    uint32_t _size;
    uint8_t bytes[];
};

/**
 * @param max              spans, at least 1
 * @param bytes_max        bytes of them
 * @param batch_max        spans of a batch: a chunk has a fraction of them, so that batches come
 *                         out full
 * @param batch_bytes_max  bytes of a batch, likewise
 * @return [own] NULL: out of memory
 */
struct span_queue *span_queue_create(size_t max, size_t bytes_max, size_t batch_max,
                                     size_t batch_bytes_max);
/**
 * The consumer of another queue is this one's, too: span_queue_wait_any() and span_queue_wake() of
 * one of them are of both. The other one outlives it. Threads: before there is a consumer
 */
void span_queue_join(struct span_queue *queue, struct span_queue *other);
/** Free the queue, its writers and what waits in it. No other thread may use it. Takes NULL. */
void span_queue_destroy(struct span_queue *queue);

/**
 * A way in. Each thread that pushes much should have its own; its spans leave in their order.
 * @return [queue's] until its end. NULL: out of memory
 * Threads: [any]
 */
struct span_writer *span_queue_writer(struct span_queue *queue);

enum span_queue_result { SPAN_QUEUE_OK = 0, SPAN_QUEUE_FULL, SPAN_QUEUE_NOMEM, SPAN_QUEUE_WAIT };

/**
 * Hand over a request's ended spans: all of them or, on FULL, none; on NOMEM the first may be in.
 * They lie beside each other in one chunk, if it may have as many spans.
 * @param spans  [borrow] linked by `next`, at least one
 * @param ret_n  how many were not taken, set on each return
 * Threads: [any]
 */
enum span_queue_result span_queue_push(struct span_writer *writer, const struct span *spans,
                                       size_t *ret_n);

/**
 * The same for whoever can wait: WAIT, and no loss, where there will be room once others have been
 * settled. Threads: [any]
 */
enum span_queue_result span_queue_offer(struct span_writer *writer, const struct span *spans,
                                        size_t *ret_n);

/**
 * What is not a span, as an element that the caller writes: n log records, or data points.
 * @param bound  bytes that put() writes at most
 * @param put    called at once or not at all, with the writer's lock held
 * @return OK; FULL; NOMEM: then they are counted here
 * Threads: [any]
 */
typedef size_t span_queue_put_fn(const void *arg, uint8_t *p);
enum span_queue_result span_queue_put(struct span_writer *writer, size_t n, size_t bound,
                                      span_queue_put_fn *put, const void *arg);

/** From now on, or not any more: nothing is taken by span_queue_put(). Threads: [any] */
void span_queue_shut(struct span_queue *queue, bool shut);
bool span_queue_is_shut(const struct span_queue *queue);

/**
 * How many spans can still be pushed, as far as their number counts. Threads: [any]; a hint where
 * others push.
 */
size_t span_queue_room(struct span_queue *queue);

/**
 * Take chunks until they have `max` spans or bytes_max bytes; the first is taken whatever its
 * size. Their spans still count against the cap.
 * @return [give] a list linked by `next`, each with a span at least; NULL if none waits
 * Threads: consumer
 */
struct span_chunk *span_queue_take(struct span_queue *queue, size_t max, size_t bytes_max,
                                   size_t *ret_n);

/** Give chunks back to their writers. @param chunks [own] a list. Threads: [any] */
void span_queue_release(struct span_chunk *chunks);

/** Spans taken earlier are exported or given up: their places are free. Threads: [any] */
void span_queue_settle(struct span_queue *queue, size_t n, size_t bytes);

/**
 * Whether what waits is to leave, however few spans that are: they have the bytes of a batch, or a
 * quarter of all, or they are all that fit but one: what is to come may be two. Threads: [any]
 */
bool span_queue_is_heavy(struct span_queue *queue);
/**
 * Wait until at least `want` spans wait or these are heavy, span_queue_wake() is called, or the
 * deadline passes.
 * @param want              SIZE_MAX: whatever waits is not waited for
 * @param deadline_mono_ns  INT64_MAX: none
 * @return the number that wait
 * Threads: consumer
 */
size_t span_queue_wait(struct span_queue *queue, size_t want, int64_t deadline_mono_ns);
/* What a consumer of several queues waits for in one of them. */
struct span_queue_want {
    struct span_queue *queue;
    size_t n; /* as `want` above */
};
/** The same for queues that were joined: until one of them has enough. @param n  at least 1 */
void span_queue_wait_any(const struct span_queue_want *wants, size_t n, int64_t deadline_mono_ns);
/**
 * The consumer that waits is to go on for fewer spans.
 * @return false: it does not wait, or not yet, and what it will wait for is not changed
 * Threads: [any], in one order with those in which it decides what to wait for
 */
bool span_queue_want_less(struct span_queue *queue, size_t want);
/** How many spans wait. Threads: [any] */
size_t span_queue_waiting(struct span_queue *queue);
/** Make span_queue_wait() return now, once. Threads: [any] */
void span_queue_wake(struct span_queue *queue);

/** Numbers for logs and metrics. Threads: [any]; each for itself is right. */
struct span_queue_stats {
    size_t waiting, in_flight, max; /* spans */
    size_t bytes, bytes_max;        /* of those that wait and those in flight */
    uint64_t pushed;
    uint64_t dropped;            /* for want of room */
    uint64_t refused, no_memory; /* of span_queue_put(): while it was shut; for want of memory */
};
void span_queue_get_stats(struct span_queue *queue, struct span_queue_stats *ret);

#endif
