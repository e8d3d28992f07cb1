/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_queue.c - the queue's order, its bounds, and who waits for what. */
#include "queue_rig.h"

TestSuite(queue, .timeout = 60);

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
