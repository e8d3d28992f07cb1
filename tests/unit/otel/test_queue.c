/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_queue.c - the queue between the workers and the export thread. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "queue/queue.h"

TestSuite(queue, .timeout = 60);

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

/* Take up to max, and expect the spans from..to in this order. */
static void expect_taken(struct span_queue *queue, size_t max, int from, int to)
{
    size_t n;
    struct span *spans = span_queue_take(queue, max, &n);

    cr_assert_eq(n, (size_t)(to - from + 1), "took %zu, wanted %d", n, to - from + 1);
    for (int number = from; number <= to; number++) {
        struct span *next;

        cr_assert_not_null(spans);
        cr_assert_eq(spans->context.span_id[0], number, "got %u, wanted %d",
                     spans->context.span_id[0], number);
        next = spans->next;
        span_destroy(spans);
        spans = next;
    }
    cr_assert_null(spans, "the list ends");
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

Test(queue, keeps_the_order_of_arrival)
{
    struct span_queue *queue = span_queue_create(10);
    size_t n = 7;

    cr_assert_eq(span_queue_push(queue, make_list(1, 3)), 0);
    cr_assert_eq(span_queue_push(queue, make(4)), 0);
    expect_taken(queue, 2, 1, 2);
    cr_assert_eq(span_queue_push(queue, make_list(5, 6)), 0);
    expect_taken(queue, 100, 3, 6);
    cr_assert_null(span_queue_take(queue, 100, &n));
    cr_assert_eq(n, 0);
    cr_assert_eq(span_queue_push(queue, make(7)), 0);
    expect_taken(queue, 1, 7, 7);
    span_queue_destroy(queue);
}

Test(queue, counts_what_is_in_flight_against_the_cap)
{
    struct span_queue *queue = span_queue_create(4);
    struct span_queue_stats stats;

    cr_assert_eq(span_queue_push(queue, make_list(1, 3)), 0);
    cr_assert_eq(span_queue_room(queue), 1);
    expect_taken(queue, 3, 1, 3);
    cr_assert_eq(span_queue_room(queue), 1, "taken spans hold their places");
    cr_assert_eq(span_queue_push(queue, make_list(4, 6)), 2, "the newest two are dropped");
    stats = stats_of(queue);
    cr_assert_eq(stats.waiting, 1);
    cr_assert_eq(stats.in_flight, 3);
    cr_assert_eq(stats.max, 4);
    cr_assert_eq(stats.pushed, 4);
    cr_assert_eq(stats.dropped, 2);
    span_queue_settle(queue, 3);
    cr_assert_eq(span_queue_room(queue), 3);
    cr_assert_eq(span_queue_push(queue, make_list(7, 9)), 0);
    expect_taken(queue, 1, 4, 4);
    expect_taken(queue, 100, 7, 9);
    span_queue_destroy(queue);
}

Test(queue, drops_all_where_no_room_is_left)
{
    struct span_queue *queue = span_queue_create(1);

    cr_assert_eq(span_queue_push(queue, make(1)), 0);
    cr_assert_eq(span_queue_push(queue, make_list(2, 4)), 3);
    cr_assert_eq(span_queue_push(queue, make(5)), 1);
    cr_assert_eq(stats_of(queue).dropped, 4);
    expect_taken(queue, 10, 1, 1);
    span_queue_settle(queue, 1);
    cr_assert_eq(span_queue_push(queue, make(6)), 0);
    span_queue_destroy(queue); /* frees what waits: LeakSanitizer checks */
}

Test(queue, wait_returns_at_once_when_enough_wait)
{
    struct span_queue *queue = span_queue_create(10);

    cr_assert_eq(span_queue_push(queue, make_list(1, 5)), 0);
    cr_assert_eq(span_queue_wait(queue, 5, INT64_MAX), 5);
    cr_assert_eq(span_queue_wait(queue, 0, INT64_MAX), 5);
    span_queue_destroy(queue);
}

Test(queue, wait_ends_at_its_deadline)
{
    struct span_queue *queue = span_queue_create(10);
    const int64_t deadline = mono_now() + 20 * 1000000;

    cr_assert_eq(span_queue_push(queue, make(1)), 0);
    cr_assert_eq(span_queue_wait(queue, 2, 0), 1, "a deadline in the past");
    cr_assert_eq(span_queue_wait(queue, 2, deadline), 1);
    cr_assert_geq(mono_now(), deadline);
    span_queue_destroy(queue);
}

Test(queue, a_wake_ends_one_wait)
{
    struct span_queue *queue = span_queue_create(10);

    span_queue_wake(queue);
    cr_assert_eq(span_queue_wait(queue, 1, INT64_MAX), 0, "woken before it waited");
    cr_assert_eq(span_queue_wait(queue, 1, mono_now() + 1000000), 0, "once only");
    span_queue_destroy(queue);
}

static void *push_later(void *arg)
{
    struct span_queue *queue = arg;

    for (uint8_t n = 1; n <= 3; n++)
        (void)span_queue_push(queue, make(n));
    return NULL;
}

static void *wake_later(void *arg)
{
    span_queue_wake(arg);
    return NULL;
}

Test(queue, wait_sees_what_another_thread_pushes)
{
    struct span_queue *queue = span_queue_create(10);
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, push_later, queue), 0);
    cr_assert_eq(span_queue_wait(queue, 3, INT64_MAX), 3);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    expect_taken(queue, 10, 1, 3);
    cr_assert_eq(pthread_create(&thread, NULL, wake_later, queue), 0);
    cr_assert_eq(span_queue_wait(queue, SIZE_MAX, INT64_MAX), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    span_queue_destroy(queue);
}

Test(queue, a_request_s_two_spans_are_taken_together)
{
    struct span_queue *queue = span_queue_create(100);
    struct span *list = make_list(1, 6); /* 3 is the child of 4 */

    memcpy(list->next->next->parent_id, list->next->next->next->context.span_id,
           sizeof list->parent_id);
    span_queue_push(queue, list);
    expect_taken(queue, 3, 1, 2);
    expect_taken(queue, 2, 3, 4);
    cr_assert_eq(stats_of(queue).waiting, 2);
    cr_assert_eq(stats_of(queue).in_flight, 4);
    span_queue_settle(queue, 4);
    expect_taken(queue, 10, 5, 6);
    span_queue_settle(queue, 2);
    span_queue_destroy(queue);
}

Test(queue, one_at_a_time_parts_them)
{
    struct span_queue *queue = span_queue_create(100);
    struct span *list = make_list(1, 2);

    memcpy(list->parent_id, list->next->context.span_id, sizeof list->parent_id);
    span_queue_push(queue, list);
    expect_taken(queue, 1, 1, 1);
    expect_taken(queue, 1, 2, 2);
    span_queue_settle(queue, 2);
    span_queue_destroy(queue);
}

Test(queue, a_request_s_two_spans_are_dropped_together)
{
    struct span_queue *queue = span_queue_create(3);
    struct span *list = make_list(1, 4); /* 3 is the child of 4 */

    memcpy(list->next->next->parent_id, list->next->next->next->context.span_id,
           sizeof list->parent_id);
    cr_assert_eq(span_queue_push(queue, list), 2);
    cr_assert_eq(stats_of(queue).dropped, 2);
    cr_assert_eq(span_queue_push(queue, make_list(5, 5)), 0, "there is room for one more");
    expect_taken(queue, 2, 1, 2);
    expect_taken(queue, 10, 5, 5);
    span_queue_settle(queue, 3);
    list = make_list(6, 8); /* the whole list may be such a pair */
    memcpy(list->parent_id, list->next->context.span_id, sizeof list->parent_id);
    cr_assert_eq(span_queue_push(queue, make_list(1, 2)), 0);
    cr_assert_eq(span_queue_push(queue, list), 3);
    expect_taken(queue, 10, 1, 2);
    span_queue_settle(queue, 2);
    span_queue_destroy(queue);
}

/* A list of n spans, numbered on by their start. */
static struct span *make_numbered(int64_t first, size_t n)
{
    struct span *head = NULL;

    for (size_t i = n; i > 0; i--) {
        struct span *span = make(1);

        span->start_unix_ns = first + (int64_t)i - 1;
        span->next = head;
        head = span;
    }
    return head;
}

/* Take up to max and expect them numbered from `first` on. @return how many */
static size_t take_numbered(struct span_queue *queue, size_t max, int64_t first)
{
    size_t n, seen = 0;
    struct span *spans = span_queue_take(queue, max, &n);

    for (const struct span *span = spans; span != NULL; span = span->next, seen++)
        cr_assert_eq(span->start_unix_ns, first + (int64_t)seen);
    cr_assert_eq(seen, n);
    span_queue_settle(queue, n);
    cr_assert_null(span_recycle(spans, n));
    return n;
}

/* However the pushes fall into groups, takes of any size see every span once and in order. */
Test(queue, takes_any_number_out_of_many_pushes, .timeout = 60)
{
    static const size_t sizes[] = {1, 2, 3, 63, 64, 65, 200, 512, 1000};
    static const size_t pushes[] = {1, 2, 2, 5, 2, 1, 63, 64, 65, 2, 300, 2, 1, 1, 2};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct span_queue *queue = span_queue_create(100000);
        size_t pushed = 0, taken = 0, n;

        cr_assert_not_null(queue);
        for (size_t i = 0; pushed < 20000; i++) {
            n = pushes[i % (sizeof pushes / sizeof pushes[0])];
            cr_assert_eq(span_queue_push(queue, make_numbered((int64_t)pushed, n)), 0);
            pushed += n;
            if (i % 3 == 0)
                taken += take_numbered(queue, sizes[s], (int64_t)taken);
        }
        while (taken < pushed) {
            n = take_numbered(queue, sizes[s], (int64_t)taken);
            cr_assert_eq(n, pushed - taken < sizes[s] ? pushed - taken : sizes[s]);
            taken += n;
        }
        cr_expect_eq(take_numbered(queue, sizes[s], 0), 0);
        cr_expect_eq(span_queue_room(queue), 100000);
        span_queue_destroy(queue);
    }
    pool_clear();
}
