/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/race/race_signals.c - issue 11, 3.4: three signals with one sender at the same time: log
 * records pushed by several threads, metrics that are recorded while the sender has them read,
 * spans; collectors that fail, and that take nothing for a moment. Each element ends in one place.
 * Meant for the TSan build.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <spoe/util.h>

#include "meter/meter.h"
#include "otlp/log_wire.h"
#include "otlp/metric_wire.h"
#include "send/sender.h"

#define PRODUCERS 3u
#define ROUNDS 3000u /* of each producer: a span, a log record, a request that is counted */
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

static struct span_queue *queues[N_SIGNALS];
static struct meter *meter;
static struct metric_encoder *encoder;
static _Atomic unsigned requests;
static _Atomic bool failed;

static size_t put_log(const void *arg, uint8_t *p)
{
    return log_wire_put(arg, p);
}

static void one_round(struct span_writer *spans, struct span_writer *logs,
                      struct meter_writer *numbers)
{
    static const struct trace_context context = {.trace_id = {1}, .span_id = {2}, .flags = 1};
    static const uint8_t trace_id[16] = {1}, span_id[8] = {2};
    const struct meter_trace trace = {trace_id, span_id, 5};
    struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);
    union meter_set set = {.words = {0}};
    struct log_record record = {
        .server = span, .severity = LOG_INFO, .body = "GET / 200", .body_len = 9};
    size_t n;

    if (span == NULL)
        abort();
    span_set_int(span, "http.response.status_code", 25, 200);
    span_end(span, 2);
    while (span_queue_room(queues[SIGNAL_TRACES]) == 0) /* so that most get through */
        (void)sched_yield();
    (void)span_queue_push(spans, span, &n);
    (void)span_queue_put(logs, 1, log_wire_bound(&record), put_log, &record);
    set.value[METER_FRONTEND] = meter_name(numbers, spoe_str("front"));
    meter_server(numbers, &set, NS_PER_MS, 1, 2, &trace);
    span_destroy(span);
}

static void *produce_all(void *arg)
{
    struct span_writer *spans = span_queue_writer(queues[SIGNAL_TRACES]);
    struct span_writer *logs = span_queue_writer(queues[SIGNAL_LOGS]);
    struct meter_writer *numbers = meter_writer(meter);

    (void)arg;
    if (spans == NULL || logs == NULL || numbers == NULL)
        abort();
    for (unsigned n = 0; n < ROUNDS; n++)
        one_round(spans, logs, numbers);
    return NULL;
}

static void put_metrics(void *arg)
{
    (void)arg;
    if (metric_encoder_put(encoder, exporter_clock()) != 0)
        atomic_store(&failed, true);
}

/* Every third request fails, every tenth is not supported. */
static void fake_send(struct transport *transport, unsigned slot, const uint8_t *bytes, size_t size,
                      int64_t deadline_mono_ns, struct transport_result *ret)
{
    const unsigned n = atomic_fetch_add(&requests, 1);

    (void)transport;
    (void)slot;
    (void)bytes;
    (void)size;
    (void)deadline_mono_ns;
    *ret = (struct transport_result){.outcome = n % 10 == 9  ? TRANSPORT_NOT_RETRYABLE
                                                : n % 3 == 2 ? TRANSPORT_RETRYABLE
                                                             : TRANSPORT_OK,
                                     .unsupported = n % 10 == 9};
}

static void fake_cancel(struct transport *transport)
{
    (void)transport;
}

static void fake_stop(struct transport *transport, int64_t deadline_mono_ns)
{
    (void)transport;
    (void)deadline_mono_ns;
}

static struct exporter_conf conf_of(enum otlp_signal signal)
{
    return (struct exporter_conf){.signal = signal,
                                  .endpoint = "collector:4317",
                                  .service_name = "haproxy",
                                  .service_version = "1.0",
                                  .concurrency = 2,
                                  .batch_max = signal == SIGNAL_METRICS ? 10000 : 50,
                                  .batch_delay_ns = NS_PER_MS,
                                  .timeout_ns = NS_PER_S,
                                  .unsupported_pause_ns = NS_PER_MS,
                                  .produce = signal == SIGNAL_METRICS ? put_metrics : NULL,
                                  .interval_ns = signal == SIGNAL_METRICS ? NS_PER_MS : 0,
                                  .retry_initial_ns = NS_PER_MS,
                                  .retry_max_ns = 10 * NS_PER_MS,
                                  .retry_give_up_ns = 600 * NS_PER_S};
}

/* @return whether each is in one place */
static bool check(enum otlp_signal signal, const struct exporter_stats *stats)
{
    const uint64_t ended = stats->exported + stats->rejected + stats->given_up +
                           stats->not_retryable + stats->unsupported + stats->too_large +
                           stats->no_memory + stats->shutdown;
    struct span_queue_stats queue;
    bool ok;

    span_queue_get_stats(queues[signal], &queue);
    ok = ended == queue.pushed && queue.waiting + queue.in_flight == 0 && stats->exported > 0;
    printf("%s: signal %d, pushed %" PRIu64 ", exported %" PRIu64 ", unsupported %" PRIu64
           " and refused %" PRIu64 ", dropped %" PRIu64 "\n",
           ok ? "ok" : "WRONG", (int)signal, queue.pushed, stats->exported, stats->unsupported,
           queue.refused, queue.dropped);
    return ok;
}

int main(void)
{
    static struct transport transport = {
        .send = fake_send, .cancel = fake_cancel, .stop = fake_stop};
    struct transport *transports[N_SIGNALS] = {&transport, &transport, &transport};
    struct exporter_stats stats[N_SIGNALS];
    struct exporter_part parts[N_SIGNALS];
    struct exporter_conf confs[N_SIGNALS];
    struct export_losses losses;
    pthread_t threads[PRODUCERS];
    struct exporter *exporter;
    bool ok = true;

    meter = meter_create(100, 1);
    for (size_t i = 0; i < N_SIGNALS; i++) {
        confs[i] = conf_of((enum otlp_signal)i);
        queues[i] = span_queue_create(1000, SPAN_QUEUE_BYTES_MAX, 100, 4000000);
        if (queues[i] == NULL)
            return 1;
        parts[i] = (struct exporter_part){.conf = &confs[i], .queue = queues[i]};
    }
    encoder =
        metric_encoder_create(meter, span_queue_writer(queues[SIGNAL_METRICS]), false, 100000);
    if (encoder == NULL ||
        exporter_start_with(parts, transports, N_SIGNALS, NULL, NULL, NULL, &exporter) != 0)
        return 1;
    for (size_t i = 0; i < PRODUCERS; i++)
        if (pthread_create(&threads[i], NULL, produce_all, NULL) != 0)
            return 1;
    for (size_t i = 0; i < N_SIGNALS; i++) {
        exporter_get_stats(exporter, (enum otlp_signal)i, &stats[i]);
        exporter_get_losses(exporter, (enum otlp_signal)i, &losses);
    }
    exporter_flush(exporter, exporter_clock() + NS_PER_S / 100);
    for (size_t i = 0; i < PRODUCERS; i++)
        (void)pthread_join(threads[i], NULL);
    exporter_flush(exporter, exporter_clock() + 120 * NS_PER_S);
    if (exporter_stop(exporter, exporter_clock() + 120 * NS_PER_S, stats) != 0)
        return 1;
    for (size_t i = 0; i < N_SIGNALS; i++)
        ok &= check((enum otlp_signal)i, &stats[i]);
    metric_encoder_destroy(encoder);
    for (size_t i = 0; i < N_SIGNALS; i++)
        span_queue_destroy(queues[i]);
    meter_destroy(meter);
    return ok && !atomic_load(&failed) ? 0 : 1;
}
