/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/queue_rig.h - spans for the queue between the workers and the export thread, and
 * what comes out of it. The linker leads malloc(3) and free(3) of what is linked here to us
 * (--wrap, see CMakeLists.txt).
 */
#ifndef TEST_QUEUE_RIG_H
#define TEST_QUEUE_RIG_H

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chunks.h"
#include "otlp/queue.h"
#include "otlp/span_wire.h"

#define BATCH_BYTES 4000000u
#define IDLE_MAX 32u /* as queue.c has it */

static bool malloc_fails;
static size_t n_freed;

void *__real_malloc(size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void __wrap_free(void *p);

void *__wrap_malloc(size_t size)
{
    return malloc_fails ? NULL : __real_malloc(size);
}

void __wrap_free(void *p)
{
    n_freed += p != NULL;
    __real_free(p);
}

static inline struct span *make(uint8_t number)
{
    struct trace_context context = {.span_id = {number}, .flags = 1};
    struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);

    cr_assert_not_null(span);
    span_end(span, 2);
    return span;
}

/* A list of the spans from..to. */
static inline struct span *make_list(uint8_t from, uint8_t to)
{
    struct span *head = NULL;

    for (int n = to; n >= from; n--) {
        struct span *span = make((uint8_t)n);

        span->next = head;
        head = span;
    }
    return head;
}

/* A span with a text of n bytes, so that its place in a chunk is a little more. */
static inline struct span *make_big(uint8_t number, size_t n)
{
    static char text[SPAN_VALUE_MAX];
    struct span *span = make(number);

    memset(text, 'x', sizeof text);
    for (char key = '!'; n > 0; key++) {
        const size_t part = n < sizeof text ? n : sizeof text;

        span_set_str(span, &key, 1, text, part);
        n -= part;
    }
    return span;
}

static inline struct span_queue *make_queue(size_t max, size_t batch_max, size_t bytes_max)
{
    struct span_queue *queue = span_queue_create(max, SPAN_QUEUE_BYTES_MAX, batch_max, bytes_max);

    cr_assert_not_null(queue);
    return queue;
}

static inline struct span_writer *make_writer(struct span_queue *queue)
{
    struct span_writer *writer = span_queue_writer(queue);

    cr_assert_not_null(writer);
    return writer;
}

static inline void push(struct span_writer *writer, struct span *spans)
{
    cr_assert_eq(chunks_push(writer, spans), SPAN_QUEUE_OK);
}

/* Push in vain for want of room; the counts tell that nothing is in. */
static inline void expect_full(struct span_writer *writer, struct span *spans, size_t n)
{
    size_t dropped;

    cr_assert_eq(span_queue_push(writer, spans, &dropped), SPAN_QUEUE_FULL);
    cr_assert_eq(dropped, n, "dropped %zu, wanted all %zu", dropped, n);
    chunks_destroy_spans(spans);
}

/* The chunks have the spans from..to in this order. */
static inline void expect_spans(const struct span_chunk *chunks, int from, int to)
{
    chunks_msg *msg = chunks_unpack(chunks);

    cr_assert_not_null(msg, "valid, with as many spans as they say");
    cr_assert_eq(msg->n_spans, (size_t)(to - from + 1), "%zu spans, wanted %d", msg->n_spans,
                 to - from + 1);
    for (int number = from; number <= to; number++)
        cr_assert_eq(msg->spans[number - from]->span_id.data[0], number, "got %u, wanted %d",
                     msg->spans[number - from]->span_id.data[0], number);
    chunks_free_unpacked(msg);
}

/* Take up to max, and expect the spans from..to in this order. Their places stay taken. */
static inline void expect_taken(struct span_queue *queue, size_t max, int from, int to)
{
    size_t n;
    struct span_chunk *chunks = span_queue_take(queue, max, SIZE_MAX, &n);

    cr_assert_eq(n, (size_t)(to - from + 1), "took %zu, wanted %d", n, to - from + 1);
    expect_spans(chunks, from, to);
    span_queue_release(chunks);
}

static inline void expect_nothing(struct span_queue *queue)
{
    size_t n = 7;

    cr_assert_null(span_queue_take(queue, 100, SIZE_MAX, &n));
    cr_assert_eq(n, 0);
}

static inline struct span_queue_stats stats_of(struct span_queue *queue)
{
    struct span_queue_stats stats;

    span_queue_get_stats(queue, &stats);
    return stats;
}

static inline int64_t mono_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#endif
