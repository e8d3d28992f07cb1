/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_queue.c - the queue between the workers and the export thread. The linker
 * leads malloc(3) and free(3) of what is linked here to us (--wrap, see CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chunks.h"
#include "otlp/queue.h"
#include "otlp/span_wire.h"

TestSuite(queue, .timeout = 60);

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

static struct span *make(uint8_t number)
{
    struct trace_context context = {.span_id = {number}, .flags = 1};
    struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);

    cr_assert_not_null(span);
    span_end(span, 2);
    return span;
}

/* A list of the spans from..to. */
static struct span *make_list(uint8_t from, uint8_t to)
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
static struct span *make_big(uint8_t number, size_t n)
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

static struct span_queue *make_queue(size_t max, size_t batch_max, size_t bytes_max)
{
    struct span_queue *queue = span_queue_create(max, SPAN_QUEUE_BYTES_MAX, batch_max, bytes_max);

    cr_assert_not_null(queue);
    return queue;
}

static struct span_writer *make_writer(struct span_queue *queue)
{
    struct span_writer *writer = span_queue_writer(queue);

    cr_assert_not_null(writer);
    return writer;
}

static void push(struct span_writer *writer, struct span *spans)
{
    cr_assert_eq(chunks_push(writer, spans), SPAN_QUEUE_OK);
}

/* Push in vain for want of room; the counts tell that nothing is in. */
static void expect_full(struct span_writer *writer, struct span *spans, size_t n)
{
    size_t dropped;

    cr_assert_eq(span_queue_push(writer, spans, &dropped), SPAN_QUEUE_FULL);
    cr_assert_eq(dropped, n, "dropped %zu, wanted all %zu", dropped, n);
    chunks_destroy_spans(spans);
}

/* The chunks have the spans from..to in this order. */
static void expect_spans(const struct span_chunk *chunks, int from, int to)
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
static void expect_taken(struct span_queue *queue, size_t max, int from, int to)
{
    size_t n;
    struct span_chunk *chunks = span_queue_take(queue, max, SIZE_MAX, &n);

    cr_assert_eq(n, (size_t)(to - from + 1), "took %zu, wanted %d", n, to - from + 1);
    expect_spans(chunks, from, to);
    span_queue_release(chunks);
}

static void expect_nothing(struct span_queue *queue)
{
    size_t n = 7;

    cr_assert_null(span_queue_take(queue, 100, SIZE_MAX, &n));
    cr_assert_eq(n, 0);
}

static struct span_queue_stats stats_of(struct span_queue *queue)
{
    struct span_queue_stats stats;

    span_queue_get_stats(queue, &stats);
    return stats;
}

static int64_t mono_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- order, cap, counts -------------------------------------------------------------------- */

Test(queue, keeps_the_order_of_arrival)
{
    struct span_queue *queue = make_queue(10, 2, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);

    push(writer, make_list(1, 3)); /* more than a chunk has: 1, 2 and 3 */
    push(writer, make(4));         /* behind 3 */
    expect_taken(queue, 2, 1, 2);
    push(writer, make_list(5, 6));
    expect_taken(queue, 100, 3, 6);
    expect_nothing(queue);
    push(writer, make(7));
    expect_taken(queue, 1, 7, 7);
    span_queue_destroy(queue);
}

Test(queue, counts_what_is_in_flight_against_the_cap)
{
    struct span_queue *queue = make_queue(4, 3, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span_queue_stats stats;

    push(writer, make_list(1, 3));
    cr_assert_eq(span_queue_room(queue), 1);
    expect_taken(queue, 3, 1, 3);
    cr_assert_eq(span_queue_room(queue), 1, "taken spans hold their places");
    expect_full(writer, make_list(4, 5), 2);
    push(writer, make(6));
    stats = stats_of(queue);
    cr_assert_eq(stats.waiting, 1);
    cr_assert_eq(stats.in_flight, 3);
    cr_assert_eq(stats.max, 4);
    cr_assert_eq(stats.pushed, 4);
    cr_assert_eq(stats.dropped, 2);
    span_queue_settle(queue, 3, 0);
    cr_assert_eq(stats_of(queue).in_flight, 0);
    cr_assert_eq(span_queue_room(queue), 3);
    push(writer, make_list(7, 9));
    expect_taken(queue, 1, 6, 6);
    expect_taken(queue, 100, 7, 9);
    cr_assert_eq(span_queue_room(queue), 0);
    span_queue_settle(queue, 4, 0);
    cr_assert_eq(span_queue_room(queue), 4);
    span_queue_destroy(queue);
}

Test(queue, drops_a_request_whole_where_it_does_not_fit)
{
    struct span_queue *queue = make_queue(3, 3, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue), *other = make_writer(queue);

    push(writer, make_list(1, 2));
    expect_full(writer, make_list(3, 4), 2);
    expect_full(other, make_list(5, 6), 2);
    expect_full(writer, make_list(7, 10), 4);
    cr_assert_eq(stats_of(queue).dropped, 8);
    cr_assert_eq(stats_of(queue).pushed, 2);
    cr_assert_eq(span_queue_room(queue), 1, "what was dropped has no place");
    push(writer, make(3));
    expect_full(other, make(4), 1);
    expect_taken(queue, 10, 1, 3);
    expect_full(other, make(4), 1);
    span_queue_settle(queue, 3, 0);
    push(other, make_list(4, 6));
    expect_taken(queue, 10, 4, 6);
    span_queue_destroy(queue);
}

/* 3.2: exactly so many bytes, and one less. */
Test(queue, is_bounded_in_bytes)
{
    const struct span *one = make(1);
    const size_t size = span_wire_size(one);
    struct span_queue *queue;
    struct span_writer *writer;
    size_t len;

    for (int less = 0; less <= 1; less++) {
        queue = span_queue_create(100, 2 * size - (size_t)less, 100, BATCH_BYTES);
        writer = make_writer(queue);
        if (less)
            expect_full(writer, make_list(1, 2), 2);
        else
            push(writer, make_list(1, 2));
        cr_assert_eq(stats_of(queue).pushed, less ? 0 : 2);
        cr_assert_eq(stats_of(queue).dropped, less ? 2 : 0);
        cr_assert_eq(stats_of(queue).bytes == 0, less, "what was dropped has no bytes");
        span_queue_destroy(queue);
    }

    /* Bytes are those that were written, not their bound, and are free again when settled. */
    queue = span_queue_create(100, 4 * size, 100, BATCH_BYTES);
    writer = make_writer(queue);
    push(writer, make(1));
    len = stats_of(queue).bytes;
    cr_assert_eq(len, size);
    push(writer, make(2));
    expect_taken(queue, 100, 1, 2);
    cr_assert_eq(stats_of(queue).bytes, 2 * len, "in flight they count");
    span_queue_settle(queue, 2, 2 * len);
    cr_assert_eq(stats_of(queue).bytes, 0);
    cr_assert_eq(stats_of(queue).bytes_max, 4 * size);
    span_queue_destroy(queue);
    span_destroy((struct span *)(uintptr_t)one);
}

/* A span of nearly all the bytes there are finds its place, whatever is in it. */
Test(queue, has_room_for_what_a_span_takes)
{
    enum { MAX = 400000 };
    static char texts[SPAN_VALUE_MAX / 2];
    struct span_queue *queue = span_queue_create(100, MAX, 100, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);

    push(writer, make_big(1, MAX - 40000));
    cr_assert_gt(stats_of(queue).bytes, MAX - 40000);
    expect_full(writer, make_big(2, 40000), 1);
    span_queue_destroy(queue);

    queue = span_queue_create(100, MAX, 100, BATCH_BYTES);
    writer = make_writer(queue);
    for (size_t n = 0; n <= 200; n++) { /* lists: span_wire_put() compares with span_wire_size() */
        struct span *span = make((uint8_t)n);

        for (int i = 0; i < 100; i++)
            span_add_str(span, "list", 4, texts, n);
        span_add_str(span, "another", 7, texts, n * 64);
        push(writer, span);
        expect_taken(queue, 1, (uint8_t)n, (uint8_t)n);
        span_queue_settle(queue, 1, stats_of(queue).bytes);
    }
    span_queue_destroy(queue);
}

Test(queue, destroy_frees_what_waits_and_what_is_idle)
{
    struct span_queue *queue = make_queue(100, 1, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);

    push(make_writer(queue), make_list(1, 5));
    push(writer, make_list(1, 5));
    push(writer, make_big(6, 160000));
    expect_taken(queue, 2, 1, 2);
    span_queue_destroy(queue); /* LeakSanitizer checks */
    span_queue_destroy(NULL);
}

Test(queue, has_nothing_without_a_writer)
{
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES);

    expect_nothing(queue);
    cr_assert_eq(span_queue_wait(queue, 1, 0), 0);
    cr_assert_eq(span_queue_wait(queue, 1, -1), 0);
    cr_assert_eq(stats_of(queue).pushed, 0);
    cr_assert_eq(span_queue_room(queue), 10);
    span_queue_release(NULL);
    span_queue_settle(queue, 0, 0);
    span_queue_destroy(queue);
}

/* The spans are the pusher's again at once; nothing of them is looked at later. */
Test(queue, only_borrows_spans)
{
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make_list(1, 2);
    size_t dropped = 7;

    cr_assert_eq(span_queue_push(writer, list, &dropped), SPAN_QUEUE_OK);
    cr_assert_eq(dropped, 0);
    memset(list->context.span_id, 0xff, sizeof list->context.span_id);
    cr_assert_not_null(list->next);
    cr_assert_null(list->next->next);
    chunks_destroy_spans(list);
    expect_taken(queue, 10, 1, 2);
    span_queue_destroy(queue);
}

/* ---- waiting ------------------------------------------------------------------------------- */

Test(queue, wait_returns_at_once_when_enough_wait)
{
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES);

    push(make_writer(queue), make_list(1, 2));
    push(make_writer(queue), make_list(3, 5));
    cr_assert_eq(span_queue_wait(queue, 5, INT64_MAX), 5);
    cr_assert_eq(span_queue_wait(queue, 0, INT64_MAX), 5);
    span_queue_destroy(queue);
}

Test(queue, wait_ends_at_its_deadline)
{
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES);
    const int64_t deadline = mono_now() + 20 * 1000000;

    push(make_writer(queue), make(1));
    cr_assert_eq(span_queue_wait(queue, 2, 0), 1, "a deadline in the past");
    cr_assert_eq(span_queue_wait(queue, 2, -1), 1, "or before all time");
    cr_assert_eq(span_queue_wait(queue, 2, deadline), 1);
    cr_assert_geq(mono_now(), deadline);
    span_queue_destroy(queue);
}

Test(queue, a_wake_ends_one_wait)
{
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES);

    span_queue_wake(queue);
    cr_assert_eq(span_queue_wait(queue, 1, INT64_MAX), 0, "woken before it waited");
    cr_assert_eq(span_queue_wait(queue, 1, mono_now() + 1000000), 0, "once only");
    span_queue_destroy(queue);
}

static void *push_later(void *arg)
{
    struct span_writer *writer = arg;

    for (uint8_t n = 1; n <= 3; n++)
        (void)chunks_push(writer, make(n));
    return NULL;
}

static void *wake_later(void *arg)
{
    span_queue_wake(arg);
    return NULL;
}

Test(queue, wait_sees_what_another_thread_pushes)
{
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES);
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, push_later, make_writer(queue)), 0);
    cr_assert_eq(span_queue_wait(queue, 3, INT64_MAX), 3);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    expect_taken(queue, 10, 1, 3);
    cr_assert_eq(pthread_create(&thread, NULL, wake_later, queue), 0);
    cr_assert_eq(span_queue_wait(queue, SIZE_MAX, INT64_MAX), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    span_queue_destroy(queue);
}

/* The consumer may sleep through all of them but the one that makes the number full. */
Test(queue, the_push_that_makes_the_number_full_wakes)
{
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    pthread_t thread;

    for (int round = 0; round < 2000; round++) {
        cr_assert_eq(pthread_create(&thread, NULL, push_later, writer), 0);
        cr_assert_eq(span_queue_wait(queue, 3, INT64_MAX), 3); /* or the test's limit ends it */
        cr_assert_eq(pthread_join(thread, NULL), 0);
        expect_taken(queue, 10, 1, 3);
        span_queue_settle(queue, 3, 0);
    }
    span_queue_destroy(queue);
}

/* ---- few spans that fill it ----------------------------------------------------------------- */

static void expect_heavy(struct span_queue *queue, bool heavy)
{
    cr_expect_eq(span_queue_is_heavy(queue), heavy);
    if (heavy) /* or the test's limit ends it */
        (void)span_queue_wait(queue, 100, INT64_MAX);
    cr_expect_eq(stats_of(queue).dropped, 0);
}

Test(queue, a_quarter_of_its_bytes_is_waited_for)
{
    enum { MAX = 400000 };
    struct span_queue *queue = span_queue_create(100, MAX, 100, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    size_t n;

    expect_heavy(queue, false);
    for (uint8_t i = 1; i <= 3; i++) {
        push(writer, make_big(i, 33000));
        expect_heavy(queue, false);
    }
    push(writer, make_big(4, 1000));
    expect_heavy(queue, true);
    span_queue_release(span_queue_take(queue, 4, SIZE_MAX, &n));
    cr_assert_eq(n, 4);
    expect_heavy(queue, false); /* what is in flight does not wait */
    for (uint8_t i = 5; i <= 8; i++)
        push(writer, make_big(i, 33000));
    expect_heavy(queue, true);
    span_queue_destroy(queue);
}

Test(queue, a_batch_s_bytes_are_waited_for)
{
    struct span_queue *queue = make_queue(100, 100, 100000);
    struct span_writer *writer = make_writer(queue);

    push(writer, make_big(1, 99000));
    expect_heavy(queue, false);
    push(writer, make_big(2, 1000));
    expect_heavy(queue, true);
    span_queue_destroy(queue);
}

Test(queue, the_last_place_but_one_is_waited_for)
{
    struct span_queue *queue = make_queue(5, 100, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);

    push(writer, make_list(1, 2));
    expect_heavy(queue, false);
    push(writer, make_list(3, 4));
    expect_heavy(queue, true);
    span_queue_destroy(queue);
}

static void *push_big_later(void *arg)
{
    struct span_writer *writer = arg;

    for (uint8_t n = 1; n <= 3; n++)
        (void)chunks_push(writer, make_big(n, 40000));
    return NULL;
}

/* The consumer may sleep through all of them but the one that makes the bytes full. */
Test(queue, the_push_that_makes_the_bytes_full_wakes)
{
    struct span_queue *queue = span_queue_create(100, 400000, 100, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    pthread_t thread;

    for (int round = 0; round < 200; round++) {
        cr_assert_eq(pthread_create(&thread, NULL, push_big_later, writer), 0);
        /* Its bytes are there before it is counted. Else the test's limit ends it. */
        while (span_queue_wait(queue, 100, INT64_MAX) < 3)
            continue;
        cr_assert_eq(span_queue_waiting(queue), 3);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        expect_taken(queue, 10, 1, 3);
        span_queue_settle(queue, 3, stats_of(queue).bytes);
    }
    cr_expect_eq(stats_of(queue).dropped, 0);
    span_queue_destroy(queue);
}

/* 3.2: whoever can wait loses nothing but what never finds room. */
Test(queue, an_offer_waits_for_room)
{
    struct span_queue *queue = span_queue_create(2, 100000, 100, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *small = make(1), *big = make_big(2, 90000), *too_big = make_big(3, 100000);
    struct span *three = make_list(1, 3);
    size_t n, bytes;

    cr_expect_eq(span_queue_offer(writer, small, &n), SPAN_QUEUE_OK);
    cr_expect_eq(span_queue_offer(writer, big, &n), SPAN_QUEUE_OK);
    cr_expect_eq(span_queue_offer(writer, small, &n), SPAN_QUEUE_WAIT, "no place");
    cr_expect_eq(stats_of(queue).dropped, 0);
    bytes = stats_of(queue).bytes;
    span_queue_release(span_queue_take(queue, 2, SIZE_MAX, &n));
    cr_expect_eq(span_queue_offer(writer, small, &n), SPAN_QUEUE_WAIT, "in flight");
    span_queue_settle(queue, 2, bytes);
    cr_expect_eq(span_queue_offer(writer, big, &n), SPAN_QUEUE_OK);
    cr_expect_eq(span_queue_offer(writer, big, &n), SPAN_QUEUE_WAIT, "no bytes");
    cr_expect_eq(stats_of(queue).dropped, 0);
    cr_expect_eq(span_queue_offer(writer, too_big, &n), SPAN_QUEUE_FULL);
    cr_expect_eq(span_queue_offer(writer, three, &n), SPAN_QUEUE_FULL);
    cr_expect_eq(stats_of(queue).dropped, 4);
    chunks_destroy_spans(three);
    span_destroy(small);
    span_destroy(big);
    span_destroy(too_big);
    span_queue_destroy(queue);
}

/* ---- what lies together -------------------------------------------------------------------- */

Test(queue, a_request_s_spans_are_taken_together)
{
    struct span_queue *queue = make_queue(100, 3, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);

    push(writer, make_list(1, 2));
    push(writer, make_list(3, 4)); /* one of them would fit the first chunk */
    push(writer, make_list(5, 6));
    expect_taken(queue, 3, 1, 2);
    expect_taken(queue, 2, 3, 4);
    cr_assert_eq(stats_of(queue).waiting, 2);
    cr_assert_eq(stats_of(queue).in_flight, 4);
    span_queue_settle(queue, 4, 0);
    expect_taken(queue, 1, 5, 6);
    span_queue_settle(queue, 2, 0);
    span_queue_destroy(queue);
}

Test(queue, batches_of_one_part_them)
{
    struct span_queue *queue = make_queue(100, 1, BATCH_BYTES);

    push(make_writer(queue), make_list(1, 2));
    expect_taken(queue, 1, 1, 1);
    expect_taken(queue, 1, 2, 2);
    span_queue_settle(queue, 2, 0);
    span_queue_destroy(queue);
}

Test(queue, spans_too_large_for_one_chunk_are_parted)
{
    struct span_queue *queue = make_queue(100, 512, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make(1);

    push(writer, list);
    list = make_big(2, 40000);
    list->next = make_big(3, 40000);
    cr_assert_leq(span_wire_size(list), SPAN_CHUNK_BYTES);
    cr_assert_gt(span_wire_size(list) + span_wire_size(list->next), SPAN_CHUNK_BYTES);
    push(writer, list);
    push(writer, make(4));
    expect_taken(queue, 100, 1, 4);
    span_queue_destroy(queue);
}

Test(queue, a_span_above_a_chunk_has_its_own)
{
    struct span_queue *queue = make_queue(100, 512, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make_big(2, 100 * 1024);
    struct span_chunk *chunks;
    size_t n;

    push(writer, make(1));
    cr_assert_gt(span_wire_size(list), SPAN_CHUNK_BYTES);
    list->next = make_big(3, 100 * 1024);
    push(writer, list);
    push(writer, make(4));
    chunks = span_queue_take(queue, 100, SIZE_MAX, &n);
    cr_assert_eq(n, 4);
    expect_spans(chunks, 1, 4);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        cr_expect_eq(chunk->n, 1);
    cr_expect_gt(chunks->next->len, SPAN_CHUNK_BYTES);
    span_queue_release(chunks);
    span_queue_destroy(queue);
}

Test(queue, a_chunk_has_its_share_of_a_batch_s_bytes)
{
    struct span_queue *queue = make_queue(1000, 512, 4 * 4096);
    struct span_writer *writer = make_writer(queue);
    struct span_chunk *chunks;
    size_t n;

    for (uint8_t i = 1; i <= 100; i++)
        push(writer, make(i));
    chunks = span_queue_take(queue, 512, SIZE_MAX, &n);
    cr_assert_eq(n, 100);
    expect_spans(chunks, 1, 100);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        cr_expect(chunk->len <= 4096 && (chunk->next == NULL || chunk->len > 4096 / 2), "%u",
                  chunk->len);
    span_queue_release(chunks);
    span_queue_destroy(queue);
}

/* Without any room for bytes each span has a chunk of its own. */
Test(queue, works_with_no_bytes_at_all)
{
    struct span_queue *queue = make_queue(1000, 512, 0);
    struct span_writer *writer = make_writer(queue);

    push(writer, make_list(1, 3));
    for (int i = 1; i <= 3; i++) {
        size_t n;
        struct span_chunk *chunk = span_queue_take(queue, 512, 0, &n);

        cr_assert_eq(n, 1);
        expect_spans(chunk, i, i);
        span_queue_release(chunk);
    }
    span_queue_destroy(queue);
}

Test(queue, a_take_keeps_to_its_bytes)
{
    struct span_queue *queue = make_queue(1000, 1, BATCH_BYTES); /* a span in a chunk */
    struct span_writer *writer = make_writer(queue);
    struct span_chunk *chunks;
    size_t n, size;

    for (uint8_t i = 1; i <= 10; i++)
        push(writer, make(i));
    chunks = span_queue_take(queue, 1, SIZE_MAX, &n);
    size = chunks->len;
    span_queue_release(chunks);
    chunks = span_queue_take(queue, 100, 3 * size, &n);
    cr_expect_eq(n, 3);
    cr_expect_eq(chunks_size(chunks), 3 * size);
    expect_spans(chunks, 2, 4);
    span_queue_release(chunks);
    chunks = span_queue_take(queue, 100, 3 * size - 1, &n);
    cr_expect_eq(n, 2);
    expect_spans(chunks, 5, 6);
    span_queue_release(chunks);
    chunks = span_queue_take(queue, 100, 1, &n);
    cr_expect_eq(n, 1, "the first is taken whatever its size");
    expect_spans(chunks, 7, 7);
    span_queue_release(chunks);
    cr_assert_eq(stats_of(queue).waiting, 3);
    expect_taken(queue, 100, 8, 10);
    span_queue_destroy(queue);
}

Test(queue, a_chunk_sums_what_its_spans_lack)
{
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make_list(1, 4);
    struct span_chunk *chunks;
    size_t n;

    list->next->dropped_attributes = 2;
    list->next->next->dropped_attributes = UINT32_MAX;
    list->next->next->dropped_events = 5;
    list->next->next->next->dropped_events = UINT32_MAX;
    push(writer, list);
    chunks = span_queue_take(queue, 100, SIZE_MAX, &n);
    cr_assert_eq(n, 4);
    cr_assert_null(chunks->next);
    cr_expect_eq(chunks->attributes_dropped, UINT64_C(2) + UINT32_MAX);
    cr_expect_eq(chunks->events_dropped, UINT64_C(5) + UINT32_MAX);
    cr_expect_eq(chunks->first_attributes_dropped, 2);
    cr_expect_eq(chunks->first_events_dropped, 0);
    span_queue_release(chunks);
    push(writer, make(5));
    chunks = span_queue_take(queue, 100, SIZE_MAX, &n);
    cr_expect_eq(chunks->attributes_dropped, 0, "nothing is left of the chunk's earlier spans");
    cr_expect_eq(chunks->events_dropped, 0);
    cr_expect_eq(chunks->first_attributes_dropped, 0);
    span_queue_release(chunks);
    span_queue_destroy(queue);
}

/* ---- many pushes, many takes --------------------------------------------------------------- */

/* A list of n spans, numbered on by their start. */
static struct span *make_numbered(uint64_t first, size_t n)
{
    struct span *head = NULL;

    for (size_t i = n; i > 0; i--) {
        struct span *span = make(1);

        span->start_unix_ns = (int64_t)(first + i);
        span->next = head;
        head = span;
    }
    return head;
}

/* Take up to max and expect them numbered from `first` on. @return how many */
static size_t take_numbered(struct span_queue *queue, size_t max, size_t first)
{
    size_t n;
    struct span_chunk *chunks = span_queue_take(queue, max, SIZE_MAX, &n);
    chunks_msg *msg = chunks_unpack(chunks);

    cr_assert_not_null(msg);
    cr_assert_eq(msg->n_spans, n);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(msg->spans[i]->start_time_unix_nano, first + i + 1);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
        chunks_msg *one = chunks_unpack_one(chunk);

        cr_assert_not_null(one, "each chunk is whole");
        chunks_free_unpacked(one);
    }
    chunks_free_unpacked(msg);
    span_queue_release(chunks);
    span_queue_settle(queue, n, 0);
    return n;
}

/* However the pushes fall into groups, takes of any size see every span once and in order. */
Test(queue, takes_any_number_out_of_many_pushes)
{
    static const size_t sizes[] = {1, 2, 3, 63, 64, 65, 200, 512, 1000};
    static const size_t pushes[] = {1, 2, 2, 5, 2, 1, 63, 64, 65, 2, 300, 2, 1, 1, 2};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct span_queue *queue = make_queue(100000, sizes[s], BATCH_BYTES);
        struct span_writer *writer = make_writer(queue);
        size_t pushed = 0, taken = 0, n;

        for (size_t i = 0; pushed < 10000; i++) {
            n = pushes[i % (sizeof pushes / sizeof pushes[0])];
            push(writer, make_numbered(pushed, n));
            pushed += n;
            if (i % 3 == 0)
                taken += take_numbered(queue, sizes[s], taken);
        }
        while (taken < pushed) {
            n = take_numbered(queue, sizes[s], taken);
            cr_assert(n > 0 && n <= sizes[s]);
            taken += n;
        }
        cr_expect_eq(taken, pushed);
        cr_expect_eq(take_numbered(queue, sizes[s], 0), 0);
        cr_expect_eq(span_queue_room(queue), 100000);
        span_queue_destroy(queue);
    }
}

#define WRITERS 5u

/*
 * Push requests of two spans from `n_writers` in turn, and take as the exporter does, as soon as a
 * batch waits, or where it lags, when `lag` more do. @return the least that a batch had
 */
static size_t least_batch(size_t batch_max, size_t n_writers, size_t lag)
{
    struct span_queue *queue = make_queue(1000000, batch_max, BATCH_BYTES);
    struct span_writer *writers[WRITERS];
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < n_writers; i++)
        writers[i] = make_writer(queue);
    for (size_t i = 0; i < 10 * batch_max + 500; i++) {
        push(writers[i % n_writers], make_list(1, 2));
        if (stats_of(queue).waiting < batch_max + lag)
            continue;
        while (stats_of(queue).waiting >= batch_max) {
            size_t n;
            struct span_chunk *chunks = span_queue_take(queue, batch_max, SIZE_MAX, &n);

            cr_assert(n > 0 && n <= batch_max);
            cr_assert_eq(chunks_count(chunks), n);
            span_queue_release(chunks);
            span_queue_settle(queue, n, 0);
            if (n < least)
                least = n;
        }
    }
    span_queue_destroy(queue);
    return least;
}

/* A batch lacks less than the chunk that did not fit it. */
Test(queue, batches_come_out_full)
{
    static const size_t sizes[] = {1, 2, 3, 10, 50, 64, 65, 100, 512, 1000};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const size_t max = sizes[s];

        printf("%4zu: %zu %zu | %zu %zu %zu\n", max, least_batch(max, 1, 0),
               least_batch(max, 1, max + 40), least_batch(max, WRITERS, 0),
               least_batch(max, WRITERS, 30), least_batch(max, WRITERS, 2 * max + 20));
    }
}

/* Each writer's spans keep their order, and each is the first in its turn. */
Test(queue, several_writers_take_turns)
{
    struct span_queue *queue = make_queue(1000, 4, BATCH_BYTES);
    struct span_writer *writers[WRITERS];
    size_t seen[WRITERS] = {0}, last[WRITERS], rounds;

    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = make_writer(queue);
        for (uint8_t n = 0; n < 20; n++)
            push(writers[i], make((uint8_t)(i * 20 + n)));
    }
    /* One of them goes on as fast as it is taken from, so that it always has a batch. */
    memset(last, 0xff, sizeof last);
    for (rounds = 0; rounds < WRITERS * 5; rounds++) {
        size_t n, writer;
        struct span_chunk *chunks = span_queue_take(queue, 4, SIZE_MAX, &n);
        chunks_msg *msg = chunks_unpack(chunks);

        cr_assert_not_null(msg);
        cr_assert_eq(n, 4);
        writer = msg->spans[0]->span_id.data[0] / 20u;
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(msg->spans[i]->span_id.data[0], writer * 20 + (seen[writer] + i) % 20);
        seen[writer] += n;
        cr_assert(last[writer] == SIZE_MAX || rounds - last[writer] <= WRITERS,
                  "each in %u batches", WRITERS);
        last[writer] = rounds;
        if (writer == 2)
            for (uint8_t i = 0; i < 4; i++)
                push(writers[2], make((uint8_t)(40 + (seen[2] - 4 + i) % 20)));
        chunks_free_unpacked(msg);
        span_queue_release(chunks);
        span_queue_settle(queue, n, 0);
    }
    for (size_t i = 0; i < WRITERS; i++)
        cr_expect_eq(seen[i], 20, "writer %zu: %zu", i, seen[i]);
    cr_expect_eq(stats_of(queue).waiting, 20, "the busy one's");
    cr_expect_eq(stats_of(queue).pushed, WRITERS * 20 + 20);
    span_queue_destroy(queue);
}

/* A writer that comes later, while the consumer is among the others, has its turn too. */
Test(queue, a_later_writer_has_its_turn)
{
    struct span_queue *queue = make_queue(1000, 2, BATCH_BYTES);
    struct span_writer *first = make_writer(queue), *second;
    size_t n;

    push(first, make_list(1, 10));
    expect_taken(queue, 2, 1, 2);
    second = make_writer(queue);
    push(second, make_list(11, 12));
    for (int i = 0; stats_of(queue).waiting > 0; i++) {
        struct span_chunk *chunks = span_queue_take(queue, 2, SIZE_MAX, &n);

        cr_assert_eq(n, 2);
        if (chunks_count(chunks) == 2 && i < 2) {
            chunks_msg *msg = chunks_unpack(chunks);

            if (msg->spans[0]->span_id.data[0] == 11)
                i = 100;
            chunks_free_unpacked(msg);
        } else {
            cr_assert_geq(i, 100, "it is among the next two");
        }
        span_queue_release(chunks);
    }
    span_queue_destroy(queue);
}

/* One batch gathers what the writers have. */
Test(queue, a_batch_is_of_all_writers)
{
    struct span_queue *queue = make_queue(1000, 512, BATCH_BYTES);
    struct span_chunk *chunks;
    bool seen[WRITERS] = {false};
    chunks_msg *msg;
    size_t n;

    for (uint8_t i = 0; i < WRITERS; i++)
        push(make_writer(queue), make(i));
    chunks = span_queue_take(queue, 512, SIZE_MAX, &n);
    cr_assert_eq(n, WRITERS);
    msg = chunks_unpack(chunks);
    cr_assert_not_null(msg);
    for (size_t i = 0; i < WRITERS; i++) {
        cr_assert_not(seen[msg->spans[i]->span_id.data[0]]);
        seen[msg->spans[i]->span_id.data[0]] = true;
    }
    chunks_free_unpacked(msg);
    span_queue_release(chunks); /* to five writers */
    expect_nothing(queue);
    span_queue_destroy(queue);
}

/* ---- memory -------------------------------------------------------------------------------- */

Test(queue, a_chunk_that_was_released_is_filled_again)
{
    struct span_queue *queue = make_queue(1000, 512, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span_chunk *chunk, *again;
    size_t n;

    push(writer, make_list(1, 2));
    chunk = span_queue_take(queue, 512, SIZE_MAX, &n);
    span_queue_release(chunk);
    for (uint8_t i = 1; i < 50; i++) {
        struct span *span = make(i);

        malloc_fails = true; /* none is needed */
        push(writer, span);
        malloc_fails = false;
        again = span_queue_take(queue, 512, SIZE_MAX, &n);
        cr_assert_eq(again, chunk);
        expect_spans(again, i, i);
        span_queue_release(again);
    }
    span_queue_destroy(queue);
}

static void expect_freed(struct span_chunk *chunks, size_t wanted)
{
    const size_t before = n_freed;

    span_queue_release(chunks);
    cr_assert_eq(n_freed - before, wanted, "freed %zu, wanted %zu", n_freed - before, wanted);
}

Test(queue, keeps_so_many_idle_chunks_and_frees_the_rest)
{
    struct span_queue *queue = make_queue(1000, 1, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue), *other = make_writer(queue);
    struct span *list;
    size_t n;

    push(writer, make_list(1, IDLE_MAX + 9));
    expect_freed(span_queue_take(queue, 100, SIZE_MAX, &n), 9);
    push(other, make_list(1, 3));
    expect_freed(span_queue_take(queue, 100, SIZE_MAX, &n), 0); /* each has its own */
    list = make_list(1, IDLE_MAX);
    malloc_fails = true;
    push(writer, list);
    malloc_fails = false;
    span_queue_release(span_queue_take(queue, 100, SIZE_MAX, &n));
    cr_assert_eq(n, IDLE_MAX);
    push(writer, make_big(1, 160000));
    expect_freed(span_queue_take(queue, 1, SIZE_MAX, &n), 1); /* of another size */
    span_queue_destroy(queue);                                /* LeakSanitizer checks */
}

Test(queue, without_memory_gives_the_places_back)
{
    struct span_queue *queue = make_queue(10, 2, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make_list(2, 5);
    struct span_queue_stats stats;
    size_t dropped = 7;

    push(writer, make(1));
    malloc_fails = true;
    cr_assert_eq(span_queue_push(writer, list->next->next, &dropped), SPAN_QUEUE_NOMEM);
    cr_assert_eq(dropped, 2, "two that would lie together");
    cr_assert_eq(span_queue_room(queue), 9);
    cr_assert_eq(span_queue_push(writer, list, &dropped), SPAN_QUEUE_NOMEM);
    malloc_fails = false;
    cr_assert_eq(dropped, 3, "there was room for one in the chunk: %zu", dropped);
    chunks_destroy_spans(list);
    stats = stats_of(queue);
    cr_assert_eq(stats.waiting, 2);
    cr_assert_eq(stats.pushed, 2);
    cr_assert_eq(stats.dropped, 0, "they are counted where there was no room");
    cr_assert_eq(span_queue_room(queue), 8);
    push(writer, make_list(3, 4));
    expect_taken(queue, 2, 1, 2);
    expect_taken(queue, 2, 3, 4);
    span_queue_settle(queue, 4, 0);
    cr_assert_eq(span_queue_room(queue), 10);
    span_queue_destroy(queue);
}

static void *release_list(void *arg)
{
    span_queue_release(arg);
    return NULL;
}

/* A lane gives chunks back while another may be in the chair. */
Test(queue, another_thread_may_release)
{
    struct span_queue *queue = make_queue(1000, 1, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    pthread_t thread;
    size_t n;

    push(writer, make_list(1, 40));
    cr_assert_eq(
        pthread_create(&thread, NULL, release_list, span_queue_take(queue, 20, SIZE_MAX, &n)), 0);
    expect_taken(queue, 100, 21, 40);
    push(writer, make_list(1, 40));
    cr_assert_eq(pthread_join(thread, NULL), 0);
    expect_taken(queue, 100, 1, 40);
    span_queue_destroy(queue);
}
