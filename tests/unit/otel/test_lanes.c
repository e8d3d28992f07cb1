/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_lanes.c - who sends the next batch, and whom that wakes. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "send/sender.h"

#define S INT64_C(1000000000)
#define GENEROUS_NS (120 * S)
#define BATCH 10u

TestSuite(lanes, .timeout = 300);

static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fake_changed = PTHREAD_COND_INITIALIZER;
static size_t sends;
static bool shut; /* no answer until it is open */
static struct transport_result answer;

static void fake_send(struct transport *transport, unsigned slot, const uint8_t *bytes, size_t size,
                      int64_t deadline, struct transport_result *ret)
{
    (void)transport;
    (void)slot;
    (void)bytes;
    (void)size;
    (void)deadline;
    pthread_mutex_lock(&fake_lock);
    sends++;
    pthread_cond_broadcast(&fake_changed);
    while (shut)
        pthread_cond_wait(&fake_changed, &fake_lock);
    *ret = answer;
    pthread_mutex_unlock(&fake_lock);
}

static void fake_cancel(struct transport *transport)
{
    (void)transport;
}

static void fake_stop(struct transport *transport, int64_t deadline)
{
    (void)transport;
    (void)deadline;
}

static void set_shut(bool to)
{
    pthread_mutex_lock(&fake_lock);
    shut = to;
    pthread_cond_broadcast(&fake_changed);
    pthread_mutex_unlock(&fake_lock);
}

static void await_sends(size_t n)
{
    pthread_mutex_lock(&fake_lock);
    while (sends < n)
        pthread_cond_wait(&fake_changed, &fake_lock);
    pthread_mutex_unlock(&fake_lock);
}

static struct transport fake = {.send = fake_send, .cancel = fake_cancel, .stop = fake_stop};

static _Atomic size_t sleeps; /* of the sender */

static int64_t now(void *arg)
{
    (void)arg;
    return exporter_clock();
}

static void wait_any(void *arg, const struct span_queue_want *wants, size_t n, int64_t deadline)
{
    (void)arg;
    atomic_fetch_add(&sleeps, 1);
    span_queue_wait_any(wants, n, deadline);
}

static uint32_t half(void *arg)
{
    (void)arg;
    return UINT32_MAX / 2;
}

static const struct exporter_hooks hooks = {.now_mono_ns = now, .wait = wait_any, .random = half};

static struct span_queue *queue;
static struct span_writer *writer;

static struct exporter *start(unsigned concurrency)
{
    struct exporter_conf conf = {.signal = SIGNAL_TRACES,
                                 .endpoint = "collector:4317",
                                 .service_name = "haproxy",
                                 .service_version = "1.0",
                                 .batch_max = BATCH,
                                 .batch_delay_ns = 3600 * S,
                                 .concurrency = concurrency,
                                 .retry_initial_ns = S / 100,
                                 .retry_max_ns = S / 100,
                                 .retry_give_up_ns = 300 * S};
    const struct exporter_part part = {.conf = &conf, .queue = queue};
    struct transport *transport = &fake;
    struct exporter *exporter;

    cr_assert_eq(exporter_start_with(&part, &transport, 1, NULL, NULL, &hooks, &exporter), 0);
    return exporter;
}

static void make_queue(void)
{
    queue = span_queue_create(100000, SPAN_QUEUE_BYTES_MAX, BATCH, BATCH_BYTES_MAX);
    cr_assert_not_null(queue);
    writer = span_queue_writer(queue);
    cr_assert_not_null(writer);
}

static void push_batches(size_t n)
{
    const struct trace_context context = {.span_id = {1}, .trace_id = {1}};

    for (size_t i = 0; i < n * BATCH; i++) {
        struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);
        size_t dropped;

        cr_assert_not_null(span);
        span_end(span, 2);
        (void)span_queue_push(writer, span, &dropped);
        span_destroy(span);
    }
}

/* Until the sender sleeps: while it is awake one batch that waits is enough for it. */
static void await_sleep(void)
{
    while (!span_queue_want_less(queue, SIZE_MAX)) /* which changes nothing */
        (void)sched_yield();
}

static struct exporter_stats stop(struct exporter *exporter)
{
    struct exporter_stats stats[N_SIGNALS];

    cr_assert_eq(exporter_stop(exporter, exporter_clock() + GENEROUS_NS, stats), 0);
    span_queue_destroy(queue);
    return stats[SIGNAL_TRACES];
}

/* A lane goes on by itself as long as there are batches: the sender sleeps. */
Test(lanes, the_next_batch_wakes_nobody)
{
    struct exporter *exporter;
    size_t before;

    make_queue();
    set_shut(true);
    exporter = start(1);
    push_batches(1);
    await_sends(1);
    push_batches(500);
    before = atomic_load(&sleeps);
    set_shut(false);
    await_sends(501);
    /* once after the first send, and whatever a slow machine had not done yet */
    cr_assert_leq(atomic_load(&sleeps) - before, 5);
    cr_assert_eq(stop(exporter).exported, 501 * BATCH);
}

/* A batch that waits while one is under way leaves by another lane as soon as there are two. */
Test(lanes, who_does_not_answer_holds_up_one_batch_at_most)
{
    struct exporter *exporter;

    make_queue();
    set_shut(true);
    exporter = start(4);
    push_batches(1);
    await_sends(1);
    await_sleep();
    push_batches(2);
    await_sends(3);
    push_batches(2);
    await_sends(4); /* as many as there may be */
    set_shut(false);
    await_sends(5);
    cr_assert_eq(stop(exporter).exported, 5 * BATCH);
}

/* A lane that goes idle tells the sender, which waits for less from then on. */
Test(lanes, a_batch_after_the_last_one_does_not_wait_for_two)
{
    struct exporter *exporter;

    make_queue();
    exporter = start(2);
    for (size_t i = 1; i <= 200; i++) {
        push_batches(1);
        await_sends(i);
    }
    cr_assert_eq(stop(exporter).exported, 200 * BATCH);
}

/* A failure is the sender's: it knows when to try again. */
Test(lanes, what_fails_is_tried_again)
{
    struct exporter *exporter;

    make_queue();
    answer = (struct transport_result){.outcome = TRANSPORT_RETRYABLE, .text = "busy"};
    exporter = start(2);
    push_batches(1);
    await_sends(2);
    pthread_mutex_lock(&fake_lock);
    answer = (struct transport_result){.outcome = TRANSPORT_OK};
    pthread_mutex_unlock(&fake_lock);
    await_sends(3);
    cr_assert_eq(stop(exporter).exported, BATCH);
}

static void *wait_for_many(void *arg)
{
    (void)arg;
    (void)span_queue_wait(queue, 10 * BATCH, exporter_clock() + GENEROUS_NS);
    return NULL;
}

/* What a lane does that goes idle: whether spans come before that or after it. */
Test(lanes, a_consumer_that_sleeps_can_want_less)
{
    for (int pushed_before = 0; pushed_before <= 1; pushed_before++) {
        const int64_t begun = exporter_clock();
        pthread_t thread;

        make_queue();
        cr_assert_not(span_queue_want_less(queue, BATCH), "nobody waits");
        if (pushed_before)
            push_batches(1);
        cr_assert_eq(pthread_create(&thread, NULL, wait_for_many, NULL), 0);
        while (!span_queue_want_less(queue, BATCH)) /* until it sleeps */
            continue;
        if (!pushed_before)
            push_batches(1);
        pthread_join(thread, NULL);
        cr_assert_lt(exporter_clock() - begun, GENEROUS_NS);
        span_queue_destroy(queue);
    }
}
