/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_exporter.c - the export's threads against a transport and a clock of the
 * test.
 *
 * The clock is CLOCK_MONOTONIC plus an offset: where the thread would wait for a moment, the
 * offset grows instead, so minutes of backoff pass at once. Waiting without a limit is real.
 */
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

TestSuite(exporter, .timeout = 300);

/* ---- the clock ---------------------------------------------------------------------------- */

static _Atomic int64_t clock_offset;

static int64_t real_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * S + ts.tv_nsec;
}

static int64_t fake_now(void *arg)
{
    (void)arg;
    return real_now() + atomic_load(&clock_offset);
}

static void fake_wait(void *arg, const struct span_queue_want *wants, size_t n, int64_t deadline)
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

static uint32_t fake_random(void *arg)
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

static uint64_t number_of(ProtobufCBinaryData id)
{
    uint64_t number;

    memcpy(&number, id.data, sizeof number);
    return number;
}

static void fake_send(struct transport *transport, unsigned lane, const uint8_t *bytes, size_t size,
                      int64_t deadline, struct transport_result *ret)
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

static void fake_cancel(struct transport *transport)
{
    (void)transport;
    pthread_mutex_lock(&fake.lock);
    fake.cancelled = true;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

static void fake_stop(struct transport *transport, int64_t deadline)
{
    (void)transport;
    (void)deadline;
    fake.stopped = true;
}

/* Wait until so many sends are under way. */
static void await_at_once(size_t n)
{
    pthread_mutex_lock(&fake.lock);
    while (fake.at_once < n)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

static void open_gate(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.open = true;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

/* Wait until the n-th send has begun. */
static void await_sends(size_t n)
{
    pthread_mutex_lock(&fake.lock);
    while (fake.n_sent < n)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

/* ---- the log ------------------------------------------------------------------------------ */

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
    pthread_mutex_lock(&fake.lock);
    used = strlen(fake.log);
    (void)snprintf(fake.log + used, sizeof fake.log - used, "%.*s\n", (int)text.n, text.p);
    fake.log_lines++;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

static const struct spoe_host log_host = {
    .size = sizeof log_host, .log_enabled = log_enabled, .log = log_text};

static void expect_logged(const char *text)
{
    cr_assert_not_null(strstr(fake.log, text), "\"%s\" is not in:\n%s", text, fake.log);
}

static void await_logged(const char *text)
{
    pthread_mutex_lock(&fake.lock);
    while (strstr(fake.log, text) == NULL)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

static int count_logged(const char *text)
{
    int n = 0;

    for (const char *p = fake.log; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

/* ---- spans and the exporter --------------------------------------------------------------- */

static uint64_t made;

/* A list of n spans, numbered on. */
static struct span *make_list(size_t n)
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

static struct span_queue *make_queue(size_t max, size_t batch_max, size_t bytes_max)
{
    struct span_queue *queue = span_queue_create(max, SPAN_QUEUE_BYTES_MAX, batch_max, bytes_max);

    cr_assert_not_null(queue);
    writer = span_queue_writer(queue);
    cr_assert_not_null(writer);
    return queue;
}

/* @param spans [own] @return the number dropped */
static size_t push(struct span *spans)
{
    return push_each(writer, spans);
}

static struct exporter_conf conf(void)
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
static int start_traces(const struct exporter_conf *with, struct span_queue *queue,
                        const struct exporter_hooks *hooks, struct exporter **ret)
{
    const struct exporter_part part = {.conf = with, .queue = queue};
    struct transport *const transport = &fake.transport;

    return exporter_start_with(&part, &transport, 1, &log_host, NULL, hooks, ret);
}

static struct exporter *start(const struct exporter_conf *with, struct span_queue *queue,
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
static struct exporter_stats stop(struct exporter *exporter, struct span_queue *queue,
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

/* ---- batches ------------------------------------------------------------------------------ */

Test(exporter, batches_are_full_and_in_order)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    push(make_list(1300));
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(3);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(fake.n_sent, 3);
    cr_assert_eq(fake.sent[0].n, 512);
    cr_assert_eq(fake.sent[1].n, 512);
    cr_assert_eq(fake.sent[2].n, 276);
    cr_assert_eq(fake.in_order, 1300);
    cr_assert_eq(stats.exported, 1300);
    cr_assert_eq(stats.batches, 3);
    cr_assert_eq(stats.retries, 0);
    cr_assert_eq(fake.log_lines, 0, "nothing to say:\n%s", fake.log);
}

/* What waits is there before the thread is, so that its clock does not jump between two pushes. */
Test(exporter, a_batch_that_is_not_full_leaves_after_the_delay)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;
    int64_t began;

    push(make_list(3));
    began = fake_now(NULL);
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(1);
    cr_assert_geq(fake.sent[0].at_ns - began, 5 * S);
    cr_assert_eq(fake.sent[0].n, 3);
    cr_assert_leq(fake.sent[0].for_ns, 10 * S, "the deadline of one export");
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 3);
}

/* ---- start -------------------------------------------------------------------------------- */

/* 9.2: whichever of its threads cannot be started, those before it end, and so does the transport.
 */
Test(exporter, one_that_cannot_start_leaves_nothing_behind)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);

    c.concurrency = 3;
    for (int threads = -1; threads < 4; threads++) {
        struct exporter *exporter = NULL;

        fake = (struct fake){
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER,
            .transport = {.send = fake_send, .cancel = fake_cancel, .stop = fake_stop}};
        no_memory = threads < 0;
        threads_max = threads;
        cr_assert_eq(start_traces(&c, queue, NULL, &exporter), -1);
        cr_assert_null(exporter);
        cr_assert(fake.stopped);
        expect_logged("cannot start the export threads");
        cr_assert_eq(fake.log_lines, 1);
    }
    span_queue_destroy(queue);
}

/* Few large spans fill the queue long before they are a batch's number. */
Test(exporter, a_batch_leaves_by_its_bytes_too)
{
    static char text[SPAN_VALUE_MAX];
    struct exporter_conf c = conf();
    struct span_queue *queue = span_queue_create(10000, 400000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_delay_ns = HOUR_NS;
    writer = span_queue_writer(queue);
    exporter = start(&c, queue, NULL, ok, 1);
    for (size_t i = 1; i <= 5; i++) {
        for (int n = 0; n < 28; n++) {
            struct span *span = make_list(1);

            span_set_str(span, "a", 1, text, sizeof text);
            cr_assert_eq(push(span), 0);
        }
        await_sends(i); /* or the test's limit ends it */
    }
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.exported, 5 * 28);
}

/* What a batch left behind while the lane was busy is not to wait for the whole delay again. */
Test(exporter, what_is_left_behind_keeps_its_age)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;
    int64_t began;

    c.batch_max = 10;
    fake.gated = true;
    push(make_list(25));
    began = fake_now(NULL);
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_at_once(1);
    atomic_fetch_add(&clock_offset, 4 * S);
    open_gate();
    await_sends(3);
    cr_expect_eq(fake.sent[1].n, 10);
    cr_expect_eq(fake.sent[2].n, 5);
    cr_expect_geq(fake.sent[2].at_ns - began, 5 * S);
    cr_expect_lt(fake.sent[2].at_ns - began, 9 * S, "after 5 s, and not 5 s after the second");
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 25);
}

/* ---- retries ------------------------------------------------------------------------------ */

Test(exporter, retries_the_same_batch_until_it_is_taken)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = 60 * S},
        {.outcome = TRANSPORT_OK}};
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;
    int64_t gap[4];

    push(make_list(512));
    exporter = start(&c, queue, &fake_hooks, script, 5);
    await_sends(5);
    for (size_t i = 0; i < 4; i++)
        gap[i] = fake.sent[i + 1].at_ns - fake.sent[i].at_ns;
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert(gap[0] >= 100 * MS && gap[0] < 2 * S, "soon: %ld ms", (long)(gap[0] / MS));
    cr_assert_geq(gap[1], 5 * S);
    cr_assert_geq(gap[2], gap[1] - S, "backoff grows");
    cr_assert_geq(gap[3], 60 * S, "the collector asked for it");
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(fake.sent[i].first, 1, "the same batch");
    cr_assert_eq(fake.in_order, 512);
    cr_assert_eq(stats.exported, 512);
    cr_assert_eq(stats.retries, 4);
    cr_assert_eq(stats.batches, 1);
    expect_logged("export to collector:4317 failed: UNAVAILABLE: connection refused; 512 spans "
                  "wait, next try in 0.");
    expect_logged("works again");
}

/* 3.1, O1: with the one lane that there is by default. */
Test(exporter, what_comes_behind_a_failure_does_not_wait_for_it)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .text = "HTTP 503"}, {.outcome = TRANSPORT_OK}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    push(make_list(50));
    exporter = start(&c, queue, &fake_hooks, script, 2);
    await_sends(6);
    stats = stop(exporter, queue, GENEROUS_NS);
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(fake.sent[i].first, 10 * i + 1);
    cr_assert_eq(fake.sent[5].first, 1, "the first one again, when its time has come");
    cr_assert_lt(fake.sent[4].at_ns - fake.sent[0].at_ns, 100 * MS, "at once");
    cr_assert_eq(stats.exported, 50);
    cr_assert_eq(stats.retries, 1);
}

/* 3.1: what is parked counts in the queue's limits, of spans and of bytes (3.2). */
Test(exporter, what_is_parked_has_its_places_in_the_queue)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = HOUR_NS}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(25, 10, BATCH_BYTES_MAX);
    struct span_queue_stats q;
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    c.retry_give_up_ns = 2 * HOUR_NS;
    push(make_list(10));
    exporter = start(&c, queue, NULL, script, 1);
    await_logged("failed");
    do
        exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    while (stats.parked == 0);
    cr_assert_eq(stats.parked, 10);
    span_queue_get_stats(queue, &q);
    cr_assert_eq(q.in_flight, 10);
    cr_assert_gt(q.bytes, 10 * 30);
    cr_assert_eq(push(make_list(20)), 5);
    stats = stop(exporter, queue, S / 2);
    cr_assert_eq(stats.shutdown, 25);
}

Test(exporter, gives_up_a_batch_after_five_minutes)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;
    int64_t took;

    push(make_list(512));
    exporter = start(&c, queue, &fake_hooks, down, 1);
    await_logged("spans lost");
    stats = stop(exporter, queue, 2 * S);
    cr_assert_eq(stats.given_up, 512, "%zu", (size_t)stats.given_up);
    took = fake.sent[fake.n_sent - 1].at_ns - fake.sent[0].at_ns;
    cr_assert(took >= 299 * S && took < 310 * S, "%ld s", (long)(took / S));
    expect_logged("spans lost: 512 gave_up; UNAVAILABLE: connection refused");
    cr_assert_eq(count_logged("export to"), 1, "%s", fake.log);
}

Test(exporter, goes_on_after_a_batch_that_must_not_be_retried)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_NOT_RETRYABLE, .text = "INVALID_ARGUMENT: no"},
        {.outcome = TRANSPORT_OK}};
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    push(make_list(600));
    exporter = start(&c, queue, &fake_hooks, script, 2);
    await_sends(2);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.not_retryable, 512);
    cr_assert_eq(stats.exported, 88);
    expect_logged("spans lost: 512 not_retryable; INVALID_ARGUMENT: no");
}

Test(exporter, counts_what_the_collector_rejects)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_OK, .rejected = 7, .text = "too old"},
        {.outcome = TRANSPORT_OK, .text = "deprecated"},
        {.outcome = TRANSPORT_OK, .rejected = 1000000}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    push(make_list(30));
    exporter = start(&c, queue, &fake_hooks, script, 3);
    await_sends(3);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.rejected, 17, "never more than were sent");
    cr_assert_eq(stats.exported, 13);
    cr_assert_eq(stats.retries, 0);
    expect_logged("spans lost: 7 rejected; too old");
    expect_logged("warns: deprecated");
}

Test(exporter, says_how_many_a_full_queue_dropped)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    push(make_list(25));
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(1);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 10);
    expect_logged("spans lost: 15 queue_full");
}

Test(exporter, a_span_that_is_too_large_is_not_sent)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, 1000);
    struct exporter_stats stats;
    struct exporter *exporter;
    struct span *list = make_list(3);
    char value[SPAN_VALUE_MAX];

    memset(value, 'x', sizeof value);
    span_set_str(list->next, "big", 3, value, sizeof value);
    c.bytes_max = 1000;
    push(list);
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(2);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.too_large, 1);
    cr_assert_eq(stats.exported, 2);
    cr_assert_eq(fake.n_sent, 2);
    expect_logged("spans lost: 1 too_large\n");
}

/* 9.2: a request of just so many bytes is not too large. */
Test(exporter, a_request_may_have_the_bytes_that_it_is_allowed)
{
    size_t size = BATCH_BYTES_MAX;

    for (int less = 0; less <= 2; less++) {
        struct exporter_conf c = conf();
        struct span_queue *queue = make_queue(10, 1, BATCH_BYTES_MAX);
        struct span *list = make_list(1);
        struct exporter_stats stats;
        char value[3000];

        memset(value, 'x', sizeof value);
        span_set_str(list, "big", 3, value, sizeof value);
        c.batch_max = 1;
        c.bytes_max = (uint32_t)size;
        push(list);
        stats = stop(start(&c, queue, NULL, ok, 1), queue, GENEROUS_NS);
        cr_assert_eq(stats.exported, less < 2);
        cr_assert_eq(stats.too_large, less == 2);
        size = fake.sent[0].size - (size_t)less; /* at first as large as it may be */
        fake.stopped = false;
    }
}

Test(exporter, tells_all_losses_in_one_line_a_minute)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_NOT_RETRYABLE, .text = "INVALID_ARGUMENT: no"},
        {.outcome = TRANSPORT_OK, .rejected = 2, .text = "too old"},
        {.outcome = TRANSPORT_NOT_RETRYABLE, .text = "INTERNAL: oh"}};
    static struct counters counters;
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(60, 10, BATCH_BYTES_MAX);
    struct export_losses losses;
    struct exporter *exporter;

    atomic_store(&counters.refused, 7);
    c.counters = &counters;
    c.batch_max = 10;
    push(make_list(75));
    exporter = start(&c, queue, &fake_hooks, script, 3);
    await_sends(6);
    exporter_flush(exporter, fake_now(NULL) + GENEROUS_NS);
    exporter_get_losses(exporter, SIGNAL_TRACES, &losses);
    cr_expect_eq(losses.queue_full, 15);
    cr_expect_eq(losses.not_retryable, 50);
    cr_expect_eq(losses.rejected, 2);
    cr_expect_eq(count_logged("spans lost"), 1, "the minute is not over:\n%s", fake.log);
    expect_logged("spans lost: 15 queue_full; messages ignored: 7 store_full\n");
    stop(exporter, queue, GENEROUS_NS);
    cr_expect_eq(count_logged("spans lost"), 2, "%s", fake.log);
    expect_logged("spans lost: 50 not_retryable, 2 rejected; INTERNAL: oh");
}

Test(exporter, repeats_no_warning)
{
    static const struct transport_result warns[] = {{.outcome = TRANSPORT_OK, .text = "old"}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 1, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 1;
    push(make_list(100));
    exporter = start(&c, queue, &fake_hooks, warns, 1);
    await_sends(100);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).warnings, 100);
    cr_assert_eq(count_logged("warns: old"), 1, "%s", fake.log);
}

/* For hours, of which each batch has five minutes of retries, and for two reasons in turn. */
Test(exporter, a_long_outage_repeats_no_line_but_the_losses)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "DEADLINE_EXCEEDED: after 10 s"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "DEADLINE_EXCEEDED: after 9 s"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    push(make_list(200));
    exporter = start(&c, queue, &fake_hooks, script, 5);
    await_sends(200);
    stop(exporter, queue, 2 * S);
    cr_assert_eq(count_logged("export to collector:4317 failed: UNAVAILABLE"), 1, "%s", fake.log);
    cr_assert_eq(count_logged("export to collector:4317 failed: DEADLINE"), 1, "%s", fake.log);
    cr_assert_eq(fake.log_lines, count_logged("spans lost") + 2, "%s", fake.log);
}

Test(exporter, messages_that_are_ignored_are_in_the_line_too)
{
    static struct counters counters;
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    atomic_store(&counters.missing_id, 3);
    atomic_store(&counters.duplicate_id, 1);
    c.counters = &counters;
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    stop(exporter, queue, GENEROUS_NS);
    expect_logged("messages ignored: 3 missing_id, 1 duplicate_id\n");
    cr_assert_eq(fake.log_lines, 1, "%s", fake.log);
}

static void leave_two_open(void *arg)
{
    struct counters *counters = arg;

    count(&counters->still_open, 2);
}

Test(exporter, what_is_open_at_the_end_is_lost)
{
    static struct counters counters;
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);

    c.counters = &counters;
    c.on_end = leave_two_open;
    c.on_end_arg = &counters;
    stop(start(&c, queue, &fake_hooks, ok, 1), queue, GENEROUS_NS);
    expect_logged("spans lost: 2 still_open\n");
}

Test(exporter, what_spans_lack_is_counted_and_told_once)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(100, 1, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;
    struct span *list = make_list(20);

    list->next->dropped_attributes = 2;
    list->next->next->dropped_attributes = 5;
    list->next->next->dropped_events = 1;
    c.batch_max = 1;
    push(list);
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(20);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.attributes_dropped, 7);
    cr_assert_eq(stats.events_dropped, 1);
    expect_logged("a span was made without 2 attributes and 0 events");
    cr_assert_eq(fake.log_lines, 1, "%s", fake.log);
}

struct attempts {
    size_t n;
    int outcome[4];
    int64_t took_ns[4];
};

static void on_attempt(void *arg, int outcome, int64_t took_ns)
{
    struct attempts *attempts = arg;

    cr_assert_lt(attempts->n, 4);
    attempts->outcome[attempts->n] = outcome;
    attempts->took_ns[attempts->n++] = took_ns;
}

/* 9.2: lane.c:33 */
Test(exporter, says_how_long_each_attempt_took)
{
    static const struct transport_result script[] = {{.outcome = TRANSPORT_RETRYABLE},
                                                     {.outcome = TRANSPORT_OK, .text = "old"}};
    struct attempts attempts = {.n = 0};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(100, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    atomic_store(&clock_offset, HOUR_NS);
    fake.takes_ns = 1000 * S;
    c.on_attempt = on_attempt;
    c.on_attempt_arg = &attempts;
    c.retry_give_up_ns = HOUR_NS;
    c.batch_max = 10;
    push(make_list(10));
    exporter = start(&c, queue, &fake_hooks, script, 2);
    await_logged("warns: old");
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(attempts.n, 2);
    cr_assert_eq(attempts.outcome[0], TRANSPORT_RETRYABLE);
    cr_assert_eq(attempts.outcome[1], TRANSPORT_OK);
    for (size_t i = 0; i < 2; i++)
        cr_assert(attempts.took_ns[i] >= 1000 * S && attempts.took_ns[i] < 1000 * S + GENEROUS_NS,
                  "%ld s", (long)(attempts.took_ns[i] / S));
    cr_assert_eq(stats.exports, 2);
    cr_assert_eq(stats.export_ns, (uint64_t)(attempts.took_ns[0] + attempts.took_ns[1]));
}

/* ---- several at once ---------------------------------------------------------------------- */

Test(exporter, as_many_requests_are_under_way_as_it_is_told)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    c.concurrency = 4;
    fake.gated = true;
    push(make_list(200));
    exporter = start(&c, queue, NULL, ok, 1);
    await_at_once(4);
    cr_assert_eq(push(make_list(100)), 0, "nobody is held up");
    open_gate();
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(fake.at_once_max, 4);
    cr_assert_eq(fake.lanes, 0xfu);
    cr_assert_eq(stats.exported, 300);
    cr_assert_eq(fake.n_sent, 30);
}

Test(exporter, a_flush_waits_for_every_lane)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    c.batch_delay_ns = HOUR_NS;
    c.concurrency = 3;
    fake.gated = true;
    push(make_list(25));
    exporter = start(&c, queue, NULL, ok, 1);
    await_at_once(2); /* what is not a full batch waits for the flush */
    exporter_flush(exporter, real_now() + 50 * MS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 0, "it did not pretend");
    await_at_once(3);
    open_gate();
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 25, "%zu exported, %zu parked", (size_t)stats.exported,
                 (size_t)stats.parked);
    stop(exporter, queue, GENEROUS_NS);
}

/*
 * A flush that cannot be over yet: it takes all the time that it has, and does not say that it is
 * done. 9.2: lanes.c:84
 */
static void expect_flush_to_miss(struct exporter *exporter)
{
    const int64_t deadline = real_now() + 300 * MS;

    exporter_flush(exporter, deadline);
    cr_assert_geq(real_now(), deadline, "it pretends to be done");
}

static void await_exported(struct exporter *exporter, uint64_t n)
{
    struct exporter_stats stats;

    do
        exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    while (stats.exported < n);
}

Test(exporter, a_flush_is_not_over_while_one_lane_sends)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    c.concurrency = 2;
    fake.block_from = 11;
    push(make_list(20));
    exporter = start(&c, queue, NULL, ok, 1);
    await_exported(exporter, 10);
    expect_flush_to_miss(exporter);
    cr_assert_eq(stop(exporter, queue, 2 * S).exported, 20);
}

Test(exporter, a_flush_is_not_over_while_a_batch_is_parked)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    push(make_list(10));
    exporter = start(&c, queue, NULL, down, 1);
    await_logged("failed");
    expect_flush_to_miss(exporter);
    cr_assert_eq(stop(exporter, queue, S / 2).shutdown, 10);
}

/* The first batch is given up, since the pause is longer than its time; the second waits for it. */
Test(exporter, a_flush_is_not_over_while_a_span_waits)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = S, .text = "busy"},
        {.outcome = TRANSPORT_OK}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    c.retry_give_up_ns = S / 10;
    push(make_list(20));
    exporter = start(&c, queue, NULL, script, 2);
    await_logged("spans lost: 10 gave_up");
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 10);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).given_up, 10);
}

Test(exporter, stop_cancels_all_lanes)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    c.concurrency = EXPORTER_CONCURRENCY_MAX;
    fake.gated = true;
    push(make_list(200));
    exporter = start(&c, queue, NULL, down, 1);
    await_at_once(EXPORTER_CONCURRENCY_MAX);
    cr_assert_eq(stop(exporter, queue, 2 * S).shutdown, 200);
    expect_logged("spans lost: 200 shutdown");
}

/* The queue stays, too: plugin.c frees nothing then. */
Test(exporter, stop_does_not_wait_for_ever_for_a_call_that_cannot_be_cancelled)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter_stats all[N_SIGNALS];
    struct exporter *exporter;

    fake.gated = true;
    fake.deaf = true;
    c.batch_max = 10;
    exporter = start(&c, queue, NULL, ok, 1);
    push(make_list(25));
    await_sends(1);
    cr_assert_eq(exporter_stop(exporter, real_now() + 50 * MS, all), -1);
    cr_assert_not(fake.stopped);
    expect_logged("the export's threads do not end");
    open_gate(); /* they end on their own, and find all in its place */
}

/* ---- flush and stop ----------------------------------------------------------------------- */

Test(exporter, flush_does_not_wait_for_a_full_batch)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_delay_ns = HOUR_NS;
    exporter = start(&c, queue, NULL, ok, 1);
    push(make_list(3));
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 3);
    exporter_flush(exporter, real_now() + GENEROUS_NS); /* nothing to do */
    push(make_list(2));
    await_sends(2); /* from now on batches leave at once */
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 5);
}

Test(exporter, flush_cuts_a_wait_for_a_retry_short)
{
    static const struct transport_result script[] = {{.outcome = TRANSPORT_RETRYABLE},
                                                     {.outcome = TRANSPORT_RETRYABLE},
                                                     {.outcome = TRANSPORT_RETRYABLE},
                                                     {.outcome = TRANSPORT_OK}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 1, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 1;
    c.retry_initial_ns = c.retry_max_ns = c.retry_give_up_ns = HOUR_NS;
    exporter = start(&c, queue, NULL, script, 4);
    push(make_list(2));
    await_sends(1);
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 2);
    cr_assert_eq(stats.retries, 3);
    stop(exporter, queue, GENEROUS_NS);
}

/* 3.1 */
Test(exporter, flush_keeps_the_pause_that_the_collector_asked_for)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = S, .text = "busy"},
        {.outcome = TRANSPORT_OK}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 1, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 1;
    push(make_list(3));
    exporter = start(&c, queue, NULL, script, 2);
    await_logged("busy");
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    cr_assert_eq(fake.n_sent, 4);
    cr_assert_geq(fake.sent[1].at_ns - fake.sent[0].at_ns, S);
    cr_assert_eq(fake.sent[1].first, 1);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 3);
}

/* 3.1: a pause that outlasts the time that there is; before, flush and stop waited it out. */
Test(exporter, flush_and_stop_do_not_wait_for_a_pause_that_is_too_long)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = HOUR_NS, .text = "busy"}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 1, BATCH_BYTES_MAX);
    const int64_t begin = real_now();
    struct exporter *exporter;

    c.batch_max = 1;
    c.retry_give_up_ns = 2 * HOUR_NS;
    push(make_list(3));
    exporter = start(&c, queue, NULL, script, 1);
    await_logged("busy");
    cr_assert_not(exporter_is_vain(exporter));
    exporter_begin_flush(exporter, begin + GENEROUS_NS);
    while (!exporter_is_vain(exporter)) /* whoever waits for room in the queue can give up */
        cr_assert_lt(real_now() - begin, GENEROUS_NS);
    exporter_flush(exporter, begin + GENEROUS_NS);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).shutdown, 3);
    cr_assert_lt(real_now() - begin, GENEROUS_NS);
    cr_assert_eq(fake.n_sent, 1);
}

Test(exporter, a_request_has_the_time_that_is_configured)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(100, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    c.timeout_ns = HOUR_NS;
    push(make_list(20));
    exporter = start(&c, queue, NULL, ok, 1);
    await_sends(2);
    for (size_t i = 0; i < 2; i++)
        cr_assert(fake.sent[i].for_ns <= HOUR_NS && fake.sent[i].for_ns > HOUR_NS - GENEROUS_NS,
                  "%ld s", (long)(fake.sent[i].for_ns / S));
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 20);
}

/* 9.1: delivery.c:41 */
Test(exporter, a_request_during_the_shutdown_ends_with_it)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 1, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.timeout_ns = HOUR_NS;
    c.batch_delay_ns = HOUR_NS;
    push(make_list(1));
    exporter = start(&c, queue, NULL, ok, 1);
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    cr_assert_leq(fake.sent[0].for_ns, GENEROUS_NS);
    push(make_list(1));
    stop(exporter, queue, GENEROUS_NS);
    cr_assert_leq(fake.sent[1].for_ns, GENEROUS_NS);
}

/* 9.1: lanes.c:51, exactly batch-max. */
Test(exporter, a_batch_that_is_just_full_leaves_at_once)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_delay_ns = HOUR_NS;
    exporter = start(&c, queue, NULL, ok, 1);
    push(make_list(512));
    await_sends(1);
    cr_assert_eq(fake.sent[0].n, 512);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 512);
}

Test(exporter, flush_ends_at_its_deadline_and_stop_counts_the_rest)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter = start(&c, queue, NULL, down, 1);
    int64_t began;

    push(make_list(1000));
    exporter_flush(exporter, real_now() + 50 * MS);
    began = real_now();
    stats = stop(exporter, queue, 2 * GENEROUS_NS);
    cr_assert_lt(real_now() - began, GENEROUS_NS, "the flush had its time");
    cr_assert_eq(stats.shutdown, 1000);
    cr_assert_eq(stats.exported, 0);
    expect_logged("spans lost: 1000 shutdown");
}

Test(exporter, a_flush_without_time_returns_at_once)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    fake.gated = true;
    push(make_list(1));
    exporter = start(&c, queue, NULL, ok, 1);
    exporter_flush(exporter, 0);
    exporter_flush(exporter, -1);
    open_gate();
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 1);
}

Test(exporter, stop_without_a_flush_sends_what_waits)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_delay_ns = HOUR_NS;
    exporter = start(&c, queue, NULL, ok, 1);
    push(make_list(100));
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 100);
}

Test(exporter, stop_cancels_a_call_that_hangs)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    fake.block_from = 1;
    c.batch_max = 10;
    exporter = start(&c, queue, NULL, down, 1);
    push(make_list(25));
    await_sends(1);
    cr_assert_eq(stop(exporter, queue, 2 * S).shutdown, 25);
    cr_assert(fake.cancelled);
    cr_expect_eq(count_logged("next try"), 0, "there is none:\n%s", fake.log);
    expect_logged("spans lost: 25 shutdown");
}

Test(exporter, stop_of_an_idle_exporter_is_quick)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;

    exporter_stop(NULL, 0, NULL);
    stats = stop(start(&c, queue, NULL, ok, 1), queue, GENEROUS_NS);
    cr_assert_eq(stats.exported + stats.shutdown, 0);
}
