/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/race/race_exporter.c - producers, the sender, its lanes and the main thread's flush,
 * numbers and stop at the same time, over a transport that fails every third request; with one lane
 * and with several. Every span is either exported or dropped by the queue. Meant for the TSan
 * build.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "send/sender.h"

#define PRODUCERS 4u
#define SPANS 5000u /* of each producer */
#define NS_PER_S INT64_C(1000000000)

static struct span_queue *queue;
static _Atomic uint64_t dropped;
static _Atomic unsigned requests;

static int64_t mono_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static struct span *make(void)
{
    static const struct trace_context context = {.trace_id = {1}, .span_id = {2}, .flags = 1};
    struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);

    if (span == NULL)
        return NULL;
    span_set_int(span, "http.response.status_code", 25, 200);
    span_end(span, 2);
    return span;
}

static void push_one(struct span_writer *writer)
{
    struct span *span = make();
    size_t n;

    if (writer == NULL || span == NULL)
        abort();
    while (span_queue_room(queue) == 0) /* so that most get through */
        (void)sched_yield();
    (void)span_queue_push(writer, span, &n);
    atomic_fetch_add(&dropped, n);
    span_destroy(span);
}

static void *produce(void *arg)
{
    struct span_writer *writer = span_queue_writer(queue);

    (void)arg;
    for (unsigned n = 0; n < SPANS; n++)
        push_one(writer);
    return NULL;
}

static void fake_send(struct transport *transport, unsigned slot, const uint8_t *bytes, size_t size,
                      int64_t deadline_mono_ns, struct transport_result *ret)
{
    (void)transport;
    (void)slot;
    (void)bytes;
    (void)size;
    (void)deadline_mono_ns;
    *ret = (struct transport_result){
        .outcome = atomic_fetch_add(&requests, 1) % 3 == 2 ? TRANSPORT_RETRYABLE : TRANSPORT_OK};
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

static bool run(unsigned concurrency)
{
    static struct transport transport = {
        .send = fake_send, .cancel = fake_cancel, .stop = fake_stop};
    const struct exporter_conf conf = {.endpoint = "collector:4317",
                                       .service_name = "haproxy",
                                       .service_version = "1.0",
                                       .concurrency = concurrency,
                                       .batch_max = 100,
                                       .batch_delay_ns = NS_PER_S / 1000,
                                       .timeout_ns = NS_PER_S,
                                       .retry_initial_ns = NS_PER_S / 1000,
                                       .retry_max_ns = NS_PER_S / 100,
                                       .retry_give_up_ns = 600 * NS_PER_S};
    const uint64_t made = (uint64_t)PRODUCERS * SPANS;
    struct exporter_part part = {.conf = &conf};
    struct transport *const used = &transport;
    pthread_t threads[PRODUCERS];
    struct exporter *exporter;
    struct export_losses losses;
    struct exporter_stats all[N_SIGNALS], stats;
    bool ok;

    atomic_store(&dropped, 0);
    queue = span_queue_create(1000, SPAN_QUEUE_BYTES_MAX, 100, 4000000);
    part.queue = queue;
    if (queue == NULL || exporter_start_with(&part, &used, 1, NULL, NULL, NULL, &exporter) != 0)
        return false;
    for (size_t i = 0; i < PRODUCERS; i++)
        if (pthread_create(&threads[i], NULL, produce, NULL) != 0)
            return false;
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    exporter_get_losses(exporter, SIGNAL_TRACES, &losses);
    exporter_flush(exporter, mono_now() + NS_PER_S / 100);
    for (size_t i = 0; i < PRODUCERS; i++)
        (void)pthread_join(threads[i], NULL);
    exporter_flush(exporter, mono_now() + 120 * NS_PER_S);
    exporter_stop(exporter, mono_now() + 120 * NS_PER_S, all);
    stats = all[SIGNAL_TRACES];
    ok = stats.exported + atomic_load(&dropped) == made && stats.shutdown == 0;
    printf("%s: %u lanes, exported %" PRIu64 ", dropped %" PRIu64 " of %" PRIu64 ", %" PRIu64
           " retries\n",
           ok ? "ok" : "WRONG", concurrency, stats.exported, (uint64_t)atomic_load(&dropped), made,
           stats.retries);
    span_queue_destroy(queue);
    return ok;
}

int main(void)
{
    const bool one = run(1), four = run(4), eight = run(EXPORTER_CONCURRENCY_MAX);

    return one && four && eight ? 0 : 1;
}
