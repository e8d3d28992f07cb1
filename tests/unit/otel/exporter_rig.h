/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/exporter_rig.h - the export's threads against a transport and a clock of the
 * test. The linker leads calloc(3) and pthread_create(3) here (--wrap, see CMakeLists.txt).
 *
 * The clock is CLOCK_MONOTONIC plus an offset: where the thread would wait for a moment, the
 * offset grows instead, so minutes of backoff pass at once. Waiting without a limit is real.
 */
#ifndef TEST_EXPORTER_RIG_H
#define TEST_EXPORTER_RIG_H

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "otlp/batch.h"
#include "base/counters.h"
#include "send/sender.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"
#include "queued.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
#define SENDS_MAX 1000u
#define HOUR_NS (3600 * S)
#define GENEROUS_NS (120 * S) /* longer than any machine takes, shorter than for ever */

/* ---- the clock ---------------------------------------------------------------------------- */

static _Atomic int64_t clock_offset;

static inline int64_t real_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * S + ts.tv_nsec;
}

static inline int64_t fake_now(void *arg)
{
    (void)arg;
    return real_now() + atomic_load(&clock_offset);
}

static inline void fake_wait(void *arg, const struct span_queue_want *wants, size_t n,
                             int64_t deadline)
{
    const int64_t now = fake_now(arg);

    if (deadline == INT64_MAX) {
        span_queue_wait_any(wants, n, deadline);
        return;
    }
    span_queue_wait_any(wants, n, 0);
    for (size_t i = 0; i < n; i++)
        if (span_queue_waiting(wants[i].queue) >= wants[i].n ||
            (wants[i].n != SIZE_MAX && span_queue_is_heavy(wants[i].queue)))
            return;
    if (deadline > now)
        atomic_fetch_add(&clock_offset, deadline - now);
}

static inline uint32_t fake_random(void *arg)
{
    (void)arg;
    return UINT32_MAX / 2;
}

static const struct exporter_hooks fake_hooks = {
    .now_mono_ns = fake_now, .wait = fake_wait, .random = fake_random};

/* ---- the transport ------------------------------------------------------------------------ */

struct sent {
    size_t n;       /* spans */
    size_t size;    /* of the request */
    uint64_t first; /* number of the first span */
    int64_t at_ns;  /* on the fake clock */
    int64_t for_ns; /* until its deadline */
};

struct fake {
    struct transport transport;
    /* What to answer to the n-th send; the last one goes for all that follow. */
    const struct transport_result *script;
    size_t n_script;
    bool gated; /* send() waits until the gate opens */
    bool deaf;  /* and is not cancelled */
    bool open;
    uint64_t block_from; /* from this span on, if not 0, send() waits for cancel() */
    int64_t takes_ns;    /* so long takes a send(), on the fake clock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. */
    struct sent sent[SENDS_MAX];
    size_t n_sent, in_order, spans, at_once, at_once_max;
    unsigned lanes; /* bits of those that were used */
    bool cancelled, stopped;
    int log_lines;
    char log[8192];
};

static struct fake fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline uint64_t number_of(ProtobufCBinaryData id)
{
    uint64_t number;

    memcpy(&number, id.data, sizeof number);
    return number;
}

static inline void fake_send(struct transport *transport, unsigned lane, const uint8_t *bytes,
                             size_t size, int64_t deadline, struct transport_result *ret)
{
    const int64_t now = fake_now(NULL);
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest *request =
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(NULL, size,
                                                                                         bytes);
    Opentelemetry__Proto__Trace__V1__ScopeSpans *spans;
    uint64_t first;
    size_t i;

    (void)transport;
    cr_assert_not_null(request);
    spans = request->resource_spans[0]->scope_spans[0];
    first = number_of(spans->spans[0]->span_id);
    pthread_mutex_lock(&fake.lock);
    cr_assert_lt(fake.n_sent, SENDS_MAX);
    i = fake.n_sent < fake.n_script ? fake.n_sent : fake.n_script - 1;
    fake.sent[fake.n_sent++] = (struct sent){
        .n = spans->n_spans, .size = size, .first = first, .at_ns = now, .for_ns = deadline - now};
    fake.lanes |= 1u << lane;
    if (++fake.at_once > fake.at_once_max)
        fake.at_once_max = fake.at_once;
    pthread_cond_broadcast(&fake.changed);
    while (fake.gated && !fake.open && (!fake.cancelled || fake.deaf))
        pthread_cond_wait(&fake.changed, &fake.lock);
    while (fake.block_from != 0 && first >= fake.block_from && !fake.cancelled)
        pthread_cond_wait(&fake.changed, &fake.lock);
    fake.at_once--;
    atomic_fetch_add(&clock_offset, fake.takes_ns);
    *ret = fake.script[i];
    if (ret->outcome == TRANSPORT_OK)
        for (size_t s = 0; s < spans->n_spans; s++)
            fake.in_order += number_of(spans->spans[s]->span_id) == ++fake.spans;
    pthread_mutex_unlock(&fake.lock);
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(request,
                                                                                            NULL);
}

static inline void fake_cancel(struct transport *transport)
{
    (void)transport;
    pthread_mutex_lock(&fake.lock);
    fake.cancelled = true;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

static inline void fake_stop(struct transport *transport, int64_t deadline)
{
    (void)transport;
    (void)deadline;
    fake.stopped = true;
}

/* Wait until so many sends are under way. */
static inline void await_at_once(size_t n)
{
    pthread_mutex_lock(&fake.lock);
    while (fake.at_once < n)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

static inline void open_gate(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.open = true;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

/* Wait until the n-th send has begun. */
static inline void await_sends(size_t n)
{
    pthread_mutex_lock(&fake.lock);
    while (fake.n_sent < n)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

/* ---- the log ------------------------------------------------------------------------------ */

static inline int32_t log_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    (void)level;
    return 1;
}

static inline void log_text(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                            struct spoe_span text)
{
    size_t used;

    (void)self;
    (void)req;
    (void)level;
    pthread_mutex_lock(&fake.lock);
    used = strlen(fake.log);
    (void)snprintf(fake.log + used, sizeof fake.log - used, "%.*s\n", (int)text.n, text.p);
    fake.log_lines++;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

static const struct spoe_host log_host = {
    .size = sizeof log_host, .log_enabled = log_enabled, .log = log_text};

static inline void expect_logged(const char *text)
{
    cr_assert_not_null(strstr(fake.log, text), "\"%s\" is not in:\n%s", text, fake.log);
}

static inline void await_logged(const char *text)
{
    pthread_mutex_lock(&fake.lock);
    while (strstr(fake.log, text) == NULL)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

static inline int count_logged(const char *text)
{
    int n = 0;

    for (const char *p = fake.log; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

/* ---- spans and the exporter --------------------------------------------------------------- */

static uint64_t made;

/* A list of n spans, numbered on. */
static inline struct span *make_list(size_t n)
{
    struct span *head = NULL, **tail = &head;

    for (size_t i = 0; i < n; i++) {
        struct trace_context context = {.flags = 1};

        made++;
        memcpy(context.span_id, &made, sizeof made);
        *tail = span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);
        cr_assert_not_null(*tail);
        span_end(*tail, 2);
        tail = &(*tail)->next;
    }
    return head;
}

static struct span_writer *writer; /* of the test's queue */

static inline struct span_queue *make_queue(size_t max, size_t batch_max, size_t bytes_max)
{
    struct span_queue *queue = span_queue_create(max, SPAN_QUEUE_BYTES_MAX, batch_max, bytes_max);

    cr_assert_not_null(queue);
    writer = span_queue_writer(queue);
    cr_assert_not_null(writer);
    return queue;
}

/* @param spans [own] @return the number dropped */
static inline size_t push(struct span *spans)
{
    return push_each(writer, spans);
}

static inline struct exporter_conf conf(void)
{
    return (struct exporter_conf){.endpoint = "collector:4317",
                                  .service_name = "haproxy",
                                  .service_version = "1.0",
                                  .batch_max = 512,
                                  .batch_delay_ns = 5 * S,
                                  .timeout_ns = 10 * S,
                                  .retry_initial_ns = 5 * S,
                                  .retry_max_ns = 30 * S,
                                  .retry_give_up_ns = 300 * S};
}

/* The one signal of most tests. @return as exporter_start_with() */
static inline int start_traces(const struct exporter_conf *with, struct span_queue *queue,
                               const struct exporter_hooks *hooks, struct exporter **ret)
{
    const struct exporter_part part = {.conf = with, .queue = queue};
    struct transport *const transport = &fake.transport;

    return exporter_start_with(&part, &transport, 1, &log_host, NULL, hooks, ret);
}

static inline struct exporter *start(const struct exporter_conf *with, struct span_queue *queue,
                                     const struct exporter_hooks *hooks,
                                     const struct transport_result *script, size_t n_script)
{
    struct exporter *exporter;

    fake.transport =
        (struct transport){.send = fake_send, .cancel = fake_cancel, .stop = fake_stop};
    fake.script = script;
    fake.n_script = n_script;
    cr_assert_eq(start_traces(with, queue, hooks, &exporter), 0);
    return exporter;
}

/* Stop and free all; every span that entered the queue must be counted once. */
static inline struct exporter_stats stop(struct exporter *exporter, struct span_queue *queue,
                                         int64_t in_ns)
{
    struct exporter_stats all[N_SIGNALS], stats;
    struct span_queue_stats q;

    exporter_stop(exporter, real_now() + in_ns, all);
    stats = all[SIGNAL_TRACES];
    cr_assert(fake.stopped);
    span_queue_get_stats(queue, &q);
    cr_assert_eq(q.waiting, 0);
    cr_assert_eq(q.in_flight, 0);
    cr_assert_eq(q.bytes, 0, "%zu bytes", q.bytes);
    cr_assert_eq(stats.parked, 0);
    cr_assert_eq(stats.exported + stats.rejected + stats.given_up + stats.not_retryable +
                     stats.too_large + stats.no_memory + stats.shutdown,
                 q.pushed, "every span is counted once");
    span_queue_destroy(queue);
    return stats;
}

static bool no_memory;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    return no_memory ? NULL : __real_calloc(n, size);
}

static int threads_max = INT_MAX; /* that can be started */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    return threads_max-- > 0 ? __real_pthread_create(thread, attr, run, arg) : EAGAIN;
}

static const struct transport_result ok[] = {{.outcome = TRANSPORT_OK}};
static const struct transport_result down[] = {
    {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"}};

#endif
