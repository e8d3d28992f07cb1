/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_signals.c - several signals with one sender, each over a transport of the
 * test: what happens to one of them is no other's business. What happens to one alone is in
 * test_exporter*.c.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "send/sender.h"

#define S INT64_C(1000000000)
#define GENEROUS_NS (120 * S)
#define SHORT_NS (S / 2)

TestSuite(signals, .timeout = 100);

/* A collector of one signal. */
struct fake {
    struct transport transport; /* first: the two are cast into each other */
    struct transport_result answer;
    bool stalls; /* send() waits until cancel() */
    size_t sends, stopped;
    bool cancelled;
};

static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fake_changed = PTHREAD_COND_INITIALIZER;
static struct fake fakes[N_SIGNALS];

static void fake_send(struct transport *transport, unsigned slot, const uint8_t *bytes, size_t size,
                      int64_t deadline, struct transport_result *ret)
{
    struct fake *fake = (struct fake *)transport;

    (void)slot;
    (void)bytes;
    (void)deadline;
    cr_assert_gt(size, 0);
    pthread_mutex_lock(&fake_lock);
    fake->sends++;
    pthread_cond_broadcast(&fake_changed);
    while (fake->stalls && !fake->cancelled)
        pthread_cond_wait(&fake_changed, &fake_lock);
    *ret = fake->answer;
    pthread_mutex_unlock(&fake_lock);
}

static void fake_cancel(struct transport *transport)
{
    struct fake *fake = (struct fake *)transport;

    pthread_mutex_lock(&fake_lock);
    fake->cancelled = true;
    pthread_cond_broadcast(&fake_changed);
    pthread_mutex_unlock(&fake_lock);
}

static void fake_stop(struct transport *transport, int64_t deadline)
{
    (void)deadline;
    ((struct fake *)transport)->stopped++;
}

static void await_sends(enum otlp_signal signal, size_t n)
{
    pthread_mutex_lock(&fake_lock);
    while (fakes[signal].sends < n)
        pthread_cond_wait(&fake_changed, &fake_lock);
    pthread_mutex_unlock(&fake_lock);
}

/* ---- the clock, which a wait for a moment moves on, and the log ------------------------------ */

static _Atomic int64_t clock_offset;

static int64_t fake_now(void *arg)
{
    (void)arg;
    return exporter_clock() + atomic_load(&clock_offset);
}

static void fake_wait(void *arg, const struct span_queue_want *wants, size_t n, int64_t deadline)
{
    const int64_t now = fake_now(arg);

    span_queue_wait_any(wants, n, deadline == INT64_MAX ? deadline : 0);
    for (size_t i = 0; i < n; i++)
        if (span_queue_waiting(wants[i].queue) >= wants[i].n)
            return;
    if (deadline != INT64_MAX && deadline > now)
        atomic_fetch_add(&clock_offset, deadline - now);
}

static uint32_t fake_random(void *arg)
{
    (void)arg;
    return UINT32_MAX / 2;
}

static const struct exporter_hooks fake_hooks = {
    .now_mono_ns = fake_now, .wait = fake_wait, .random = fake_random};

static char log_lines[8192];

static int32_t log_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    (void)level;
    return 1;
}

static void log_text(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                     struct spoe_span text)
{
    size_t used;

    (void)self;
    (void)req;
    (void)level;
    pthread_mutex_lock(&fake_lock);
    used = strlen(log_lines);
    (void)snprintf(log_lines + used, sizeof log_lines - used, "%.*s\n", (int)text.n, text.p);
    pthread_cond_broadcast(&fake_changed);
    pthread_mutex_unlock(&fake_lock);
}

static const struct spoe_host log_host = {
    .size = sizeof log_host, .log_enabled = log_enabled, .log = log_text};

static int count_logged(const char *text)
{
    int n = 0;

    for (const char *p = log_lines; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

static void await_logged(const char *text)
{
    pthread_mutex_lock(&fake_lock);
    while (strstr(log_lines, text) == NULL)
        pthread_cond_wait(&fake_changed, &fake_lock);
    pthread_mutex_unlock(&fake_lock);
}

static struct span_queue *queues[N_SIGNALS];
static struct span_writer *writers[N_SIGNALS];
static struct exporter_conf confs[N_SIGNALS];

/* All three, each with a queue of 100 and batches of one. */
static struct exporter *start(const struct exporter_hooks *hooks)
{
    struct transport *transports[N_SIGNALS];
    struct exporter_part parts[N_SIGNALS];
    struct exporter *exporter;

    for (size_t i = 0; i < N_SIGNALS; i++) {
        confs[i] = (struct exporter_conf){.signal = (enum otlp_signal)i,
                                          .unsupported_pause_ns = i != SIGNAL_TRACES ? 300 * S : 0,
                                          .endpoint = "collector:4317",
                                          .service_name = "haproxy",
                                          .service_version = "1.0",
                                          .batch_max = 1,
                                          .retry_initial_ns = 5 * S,
                                          .retry_max_ns = 30 * S,
                                          .retry_give_up_ns = 300 * S};
        queues[i] = span_queue_create(100, SPAN_QUEUE_BYTES_MAX, 1, BATCH_BYTES_MAX);
        cr_assert_not_null(queues[i]);
        writers[i] = span_queue_writer(queues[i]);
        cr_assert_not_null(writers[i]);
        fakes[i].transport =
            (struct transport){.send = fake_send, .cancel = fake_cancel, .stop = fake_stop};
        transports[i] = &fakes[i].transport;
        parts[i] = (struct exporter_part){.conf = &confs[i], .queue = queues[i]};
    }
    cr_assert_eq(
        exporter_start_with(parts, transports, N_SIGNALS, &log_host, NULL, hooks, &exporter), 0);
    return exporter;
}

static void push(enum otlp_signal signal, size_t n)
{
    const struct trace_context context = {.span_id = {1}, .trace_id = {1}};

    for (size_t i = 0; i < n; i++) {
        struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);
        size_t dropped;

        cr_assert_not_null(span);
        span_end(span, 2);
        (void)span_queue_push(writers[signal], span, &dropped);
        span_destroy(span);
    }
}

/* Each element is in one place only. */
static void stop(struct exporter *exporter, int64_t in_ns, struct exporter_stats stats[N_SIGNALS])
{
    cr_assert_eq(exporter_stop(exporter, exporter_clock() + in_ns, stats), 0);
    for (size_t i = 0; i < N_SIGNALS; i++) {
        struct span_queue_stats queue;

        span_queue_get_stats(queues[i], &queue);
        cr_assert_eq(stats[i].exported + stats[i].rejected + stats[i].given_up +
                         stats[i].not_retryable + stats[i].unsupported + stats[i].too_large +
                         stats[i].no_memory + stats[i].shutdown,
                     queue.pushed, "every one is counted once");
        cr_assert_eq(queue.waiting + queue.in_flight, 0);
        cr_assert_eq(fakes[i].stopped, 1);
        span_queue_destroy(queues[i]);
    }
}

/* 3.4 */
Test(signals, each_goes_its_own_way)
{
    struct exporter_stats stats[N_SIGNALS];
    struct exporter *exporter = start(NULL);

    for (size_t i = 0; i < N_SIGNALS; i++)
        push((enum otlp_signal)i, i + 1);
    stop(exporter, GENEROUS_NS, stats);
    for (size_t i = 0; i < N_SIGNALS; i++) {
        cr_assert_eq(stats[i].exported, i + 1);
        cr_assert_eq(fakes[i].sends, i + 1);
    }
}

/* 3.4: a collector that takes one signal and never answers for the two others. */
Test(signals, one_that_stalls_holds_no_other_up)
{
    for (size_t up = 0; up < N_SIGNALS; up++) {
        struct exporter_stats stats[N_SIGNALS];
        struct exporter *exporter;

        memset(fakes, 0, sizeof fakes);
        for (size_t i = 0; i < N_SIGNALS; i++)
            fakes[i].stalls = i != up;
        exporter = start(NULL);
        for (size_t i = 0; i < N_SIGNALS; i++)
            push((enum otlp_signal)i, 3);
        for (size_t i = 0; i < N_SIGNALS; i++)
            await_sends((enum otlp_signal)i, i != up ? 1 : 3);
        push((enum otlp_signal)up, 7);
        await_sends((enum otlp_signal)up, 10);
        stop(exporter, SHORT_NS, stats); /* in time, whoever stalls */
        for (size_t i = 0; i < N_SIGNALS; i++) {
            cr_assert_eq(stats[i].exported, i != up ? 1 : 10, "%zu of %zu", i, up);
            cr_assert_eq(fakes[i].sends, i != up ? 1 : 10);
        }
    }
}

/* 3.4: retries of one do not slow the others down. */
Test(signals, one_that_fails_holds_no_other_up)
{
    struct exporter_stats stats[N_SIGNALS];
    struct exporter *exporter;

    fakes[SIGNAL_LOGS].answer =
        (struct transport_result){.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = 3600 * S};
    exporter = start(NULL);
    push(SIGNAL_LOGS, 50);
    await_sends(SIGNAL_LOGS, 1);
    push(SIGNAL_TRACES, 50);
    push(SIGNAL_METRICS, 50);
    await_sends(SIGNAL_TRACES, 50);
    await_sends(SIGNAL_METRICS, 50);
    exporter_flush(exporter, exporter_clock() + GENEROUS_NS); /* vain for logs: at once */
    stop(exporter, GENEROUS_NS, stats);
    cr_assert_eq(stats[SIGNAL_TRACES].exported, 50);
    cr_assert_eq(stats[SIGNAL_METRICS].exported, 50);
    cr_assert_eq(stats[SIGNAL_LOGS].exported, 0);
    cr_assert_eq(stats[SIGNAL_LOGS].shutdown, 49);
    cr_assert_eq(stats[SIGNAL_LOGS].given_up, 1, "an hour is above the batch's time");
    cr_assert_eq(fakes[SIGNAL_LOGS].sends, 1);
}

static size_t put_nothing(const void *arg, uint8_t *p)
{
    (void)arg;
    (void)p;
    return 0;
}

/*
 * 3.4: a collector that knows traces alone. Logs are told of once, with what to set; what waits and
 * what comes is thrown away and counted, and traces go on. With five minutes between two requests,
 * a collector that has learnt it is noticed.
 */
Test(signals, one_that_is_not_taken_is_told_once_and_pauses)
{
    struct exporter_stats stats[N_SIGNALS];
    struct export_losses losses;
    struct exporter *exporter;

    fakes[SIGNAL_LOGS].answer = (struct transport_result){
        .outcome = TRANSPORT_NOT_RETRYABLE, .unsupported = true, .text = "UNIMPLEMENTED: no logs"};
    exporter = start(NULL);
    push(SIGNAL_LOGS, 3);
    await_logged("takes no logs");
    cr_assert_eq(count_logged("collector:4317 takes no logs (UNIMPLEMENTED: no logs): set "
                              "OTEL_LOGS_EXPORTER=none, or an endpoint for logs that does"),
                 1, "%s", log_lines);
    push(SIGNAL_TRACES, 50);
    await_sends(SIGNAL_TRACES, 50);
    exporter_flush(exporter, exporter_clock() + GENEROUS_NS);
    for (int i = 0; i < 7; i++)
        cr_assert_eq(span_queue_put(writers[SIGNAL_LOGS], 2, 10, put_nothing, NULL),
                     SPAN_QUEUE_FULL);
    exporter_get_losses(exporter, SIGNAL_LOGS, &losses);
    cr_assert_eq(losses.unsupported, 3 + 14);
    cr_assert_eq(losses.queue_full + losses.not_retryable, 0);
    stop(exporter, GENEROUS_NS, stats);
    cr_assert_eq(stats[SIGNAL_TRACES].exported, 50);
    cr_assert_eq(stats[SIGNAL_LOGS].unsupported, 3);
    cr_assert_eq(fakes[SIGNAL_LOGS].sends, 1);
    cr_assert_eq(count_logged("takes no"), 1);
}

/* 3.4 */
Test(signals, one_that_is_taken_later_goes_on)
{
    const int64_t began = fake_now(NULL);
    struct exporter_stats stats[N_SIGNALS];
    struct exporter *exporter;

    fakes[SIGNAL_METRICS].answer =
        (struct transport_result){.outcome = TRANSPORT_NOT_RETRYABLE, .unsupported = true};
    exporter = start(&fake_hooks); /* each pause passes at once */
    push(SIGNAL_METRICS, 1);
    await_logged("takes no metrics");
    pthread_mutex_lock(&fake_lock);
    fakes[SIGNAL_METRICS].answer = (struct transport_result){.outcome = TRANSPORT_OK};
    pthread_mutex_unlock(&fake_lock);
    while (span_queue_put(writers[SIGNAL_METRICS], 1, 10, put_nothing, NULL) != SPAN_QUEUE_OK)
        (void)sched_yield(); /* the clock is the sender's */
    await_logged("collector:4317 takes metrics now");
    stop(exporter, GENEROUS_NS, stats);
    cr_assert_eq(stats[SIGNAL_METRICS].exported, 1);
    cr_assert_eq(fakes[SIGNAL_METRICS].sends, 2);
    cr_assert_geq(fake_now(NULL) - began, 300 * S);
}

/* 3.4: no pause for traces, since what they go to is what most are after. */
Test(signals, traces_are_tried_with_each_batch)
{
    struct exporter_stats stats[N_SIGNALS];
    struct exporter *exporter;

    fakes[SIGNAL_TRACES].answer = (struct transport_result){
        .outcome = TRANSPORT_NOT_RETRYABLE, .unsupported = true, .text = "HTTP 404"};
    exporter = start(NULL);
    push(SIGNAL_TRACES, 5);
    await_sends(SIGNAL_TRACES, 5);
    stop(exporter, GENEROUS_NS, stats);
    cr_assert_eq(stats[SIGNAL_TRACES].not_retryable, 5);
    cr_assert_eq(count_logged("takes no traces (HTTP 404): set OTEL_TRACES_EXPORTER=none"), 1);
}
