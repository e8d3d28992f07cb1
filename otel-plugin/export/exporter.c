/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/exporter.c - the export thread.
 *
 * One loop: let the owner refill the queue, wait for a batch, take it, send it until it is
 * delivered or given up, settle its places. One batch is under way at a time, so spans leave in
 * the order in which they were pushed.
 *
 *   mode   set by            a batch leaves when          a wait for a retry
 *   RUN    -                 full, or its first is old    as retry.h says
 *   FLUSH  exporter_flush()  there is a span              is cut short, then short ones
 *   STOP   exporter_stop()   likewise, then the end       likewise, up to the limit
 *   END    STOP's limit      not any more                 is over
 *
 * `request` counts flush and stop requests, so that the thread can tell that one came while it
 * waited, and which flush it has finished.
 */
#include "export/exporter_hooks.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <spoe/util.h>

#include "batch/batch.h"
#include "export/otlp_grpc.h"
#include "export/retry.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* The owner is asked at most so often where its moment has passed and it had nothing for us. */
#define REFILL_MIN_NS (10 * NS_PER_MS)
/* While a batch waits for its retry: how often drops are reported and the owner is asked. */
#define RETRY_SLICE_NS NS_PER_S
#define FLUSH_RETRY_FIRST_NS (100 * NS_PER_MS)
#define FLUSH_RETRY_MAX_NS NS_PER_S
/* Lines about failures and losses: one of each kind in this time. */
#define REPORT_EVERY_NS (30 * NS_PER_S)
/* Of the time that exporter_stop() has, at most so much is kept for closing the transport. */
#define CLOSE_RESERVE_NS (1500 * NS_PER_MS)
/* After a cancel the thread ends at once; so long is waited for it even past the deadline. */
#define JOIN_MIN_NS (500 * NS_PER_MS)

enum mode { MODE_RUN, MODE_FLUSH, MODE_STOP, MODE_END };

/* A line of the log that may repeat, and what it has to tell. */
struct report {
    int64_t next_ns;
    uint64_t pending;
};

struct exporter {
    struct exporter_conf conf;
    struct retry_conf retry_conf;
    struct exporter_hooks hooks;
    struct span_queue *queue;
    exporter_refill_fn *refill;
    void *refill_arg;
    const struct spoe_host *log_host;
    struct spoe_instance *log_self;
    struct transport *transport;
    struct batch_encoder *encoder;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t progress; /* CLOCK_MONOTONIC; `done` or `finished` changed */
    /* The rest up to stats: under lock. */
    bool flushing, flush_missed, stopping, ended, finished;
    int64_t limit_ns; /* of the flush or the stop */
    uint64_t request, done;
    struct exporter_stats stats;

    /* The export thread's own. */
    int64_t first_ns; /* no span that waits came before */
    uint64_t dropped_seen;
    struct report failures, losses, drops;
    bool failing;
};

/* What the thread sees of the requests at one moment. */
struct orders {
    enum mode mode;
    int64_t limit_ns;
    uint64_t request;
};

#define LOG(ex, level, ...)                                                                        \
    do {                                                                                           \
        if ((ex)->log_host != NULL)                                                                \
            spoe_logf((ex)->log_host, (ex)->log_self, (level), __VA_ARGS__);                       \
    } while (0)

/* ---- small helpers ------------------------------------------------------------------------ */

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t add_sat(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t clock_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t real_now(void *arg)
{
    (void)arg;
    return clock_now();
}

static size_t real_wait(void *arg, struct span_queue *queue, size_t want, int64_t deadline_mono_ns)
{
    (void)arg;
    return span_queue_wait(queue, want, deadline_mono_ns);
}

static uint32_t real_random(void *arg)
{
    uint32_t n = UINT32_MAX / 2;

    (void)arg;
    (void)!getrandom(&n, sizeof n, GRND_NONBLOCK); /* without it: the middle */
    return n;
}

static int64_t now(struct exporter *ex)
{
    return ex->hooks.now_mono_ns(ex->hooks.arg);
}

static size_t wait_queue(struct exporter *ex, size_t want, int64_t deadline_ns)
{
    return ex->hooks.wait(ex->hooks.arg, ex->queue, want, deadline_ns);
}

static void lock(struct exporter *ex)
{
    int rc = pthread_mutex_lock(&ex->lock);

    assert(rc == 0);
    (void)rc;
}

static void unlock(struct exporter *ex)
{
    int rc = pthread_mutex_unlock(&ex->lock);

    assert(rc == 0);
    (void)rc;
}

/* Wait for `progress` with the lock held. @return false: the deadline has passed */
static bool wait_progress(struct exporter *ex, int64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % NS_PER_S)};

    if (deadline_ns <= 0)
        return false;
    return pthread_cond_timedwait(&ex->progress, &ex->lock, &until) == 0;
}

static struct orders get_orders(struct exporter *ex)
{
    struct orders orders = {.mode = MODE_RUN, .limit_ns = INT64_MAX};
    int64_t at = now(ex);

    lock(ex);
    orders.request = ex->request;
    if (ex->flushing || ex->stopping)
        orders.limit_ns = ex->limit_ns;
    if (ex->ended || (ex->stopping && at >= ex->limit_ns))
        orders.mode = MODE_END;
    else if (ex->stopping)
        orders.mode = MODE_STOP;
    else if (ex->flushing)
        orders.mode = MODE_FLUSH;
    unlock(ex);
    return orders;
}

static void count(struct exporter *ex, uint64_t *counter, uint64_t n)
{
    lock(ex);
    *counter += n;
    unlock(ex);
}

/* ---- what the log says -------------------------------------------------------------------- */

/* Count `n` for a line; true if it is time to write it, *ret_n is then what it has to tell. */
static bool report_due(struct exporter *ex, struct report *report, uint64_t n, uint64_t *ret_n)
{
    int64_t at = now(ex);

    report->pending += n;
    if (report->pending == 0 || at < report->next_ns)
        return false;
    report->next_ns = at + REPORT_EVERY_NS;
    *ret_n = report->pending;
    report->pending = 0;
    return true;
}

static void report_failure(struct exporter *ex, const char *text, int64_t wait_ns)
{
    struct span_queue_stats stats;
    char more[64] = "";
    uint64_t n;

    ex->failing = true;
    if (!report_due(ex, &ex->failures, 1, &n))
        return;
    span_queue_get_stats(ex->queue, &stats);
    if (n > 1)
        (void)snprintf(more, sizeof more, " (%" PRIu64 " failures since the last such line)", n);
    LOG(ex, SPOE_LOG_WARNING, "export to %s failed: %s; %zu spans wait, next try in %.1f s%s",
        ex->conf.endpoint, text, stats.waiting + stats.in_flight,
        (double)wait_ns / (double)NS_PER_S, more);
}

static void report_success(struct exporter *ex)
{
    if (!ex->failing)
        return;
    ex->failing = false;
    ex->failures = (struct report){0}; /* the next failure is news */
    LOG(ex, SPOE_LOG_NOTICE, "export to %s works again", ex->conf.endpoint);
}

static void report_loss(struct exporter *ex, uint64_t lost, const char *why, const char *text)
{
    uint64_t n;

    if (report_due(ex, &ex->losses, lost, &n))
        LOG(ex, SPOE_LOG_WARNING, "%" PRIu64 " spans lost: %s%s%s", n, why,
            text[0] != '\0' ? ": " : "", text);
}

/* Also the producers' drops: none of them sees more than its own. */
static void report_drops(struct exporter *ex)
{
    struct span_queue_stats stats;
    uint64_t n;

    span_queue_get_stats(ex->queue, &stats);
    if (report_due(ex, &ex->drops, stats.dropped - ex->dropped_seen, &n))
        LOG(ex, SPOE_LOG_WARNING,
            "the queue is full (%zu spans wait or are under way): dropped %" PRIu64 " new ones",
            stats.max, n);
    ex->dropped_seen = stats.dropped;
}

/* ---- sending ------------------------------------------------------------------------------ */

/* @return the moment at which the owner wants to be asked again */
static int64_t call_refill(struct exporter *ex)
{
    return ex->refill != NULL ? ex->refill(ex->refill_arg) : INT64_MAX;
}

/* Wait for the moment of a retry; new orders cut it short. */
static void wait_retry(struct exporter *ex, int64_t until_ns, uint64_t request)
{
    for (;;) {
        struct orders orders = get_orders(ex);
        int64_t at = now(ex);

        report_drops(ex);
        if (orders.mode == MODE_END || orders.request != request || at >= until_ns)
            return;
        (void)wait_queue(
            ex, SIZE_MAX,
            min64(min64(until_ns, orders.mode == MODE_STOP ? orders.limit_ns : INT64_MAX),
                  add_sat(at, RETRY_SLICE_NS)));
        (void)call_refill(ex); /* its TTLs go on while the collector is away */
    }
}

/* One attempt. */
static void attempt(struct exporter *ex, const struct orders *orders, const uint8_t *bytes,
                    size_t size, struct transport_result *ret)
{
    int64_t at = now(ex);
    int64_t deadline = add_sat(at, ex->conf.timeout_ns);

    if (orders->limit_ns > at)
        deadline = min64(deadline, orders->limit_ns);
    *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE};
    ex->transport->send(ex->transport, bytes, size, deadline, ret);
}

static void delivered(struct exporter *ex, size_t n, const struct transport_result *result)
{
    uint64_t rejected = result->rejected < n ? result->rejected : n;

    lock(ex);
    ex->stats.batches++;
    ex->stats.exported += n - rejected;
    ex->stats.rejected += rejected;
    unlock(ex);
    report_success(ex);
    if (rejected > 0)
        report_loss(ex, rejected, "rejected by the collector", result->text);
    else if (result->text[0] != '\0')
        LOG(ex, SPOE_LOG_WARNING, "the collector took all spans but warns: %s", result->text);
}

/*
 * Send one request until it is delivered or given up.
 * @return false: the end came first, its spans are still to be counted
 */
static bool deliver(struct exporter *ex, const uint8_t *bytes, size_t size, size_t n)
{
    struct retry retry;
    int64_t flush_wait = FLUSH_RETRY_FIRST_NS;

    retry_begin(&retry, &ex->retry_conf, now(ex));
    for (bool again = false;; again = true) {
        struct orders orders = get_orders(ex);
        struct transport_result result;
        int64_t wait;

        if (orders.mode == MODE_END)
            return false;
        if (again)
            count(ex, &ex->stats.retries, 1);
        attempt(ex, &orders, bytes, size, &result);
        if (result.outcome == TRANSPORT_OK) {
            delivered(ex, n, &result);
            return true;
        }
        if (result.outcome == TRANSPORT_NOT_RETRYABLE) {
            count(ex, &ex->stats.not_retryable, n);
            report_loss(ex, n, "refused", result.text);
            return true;
        }
        if (get_orders(ex).mode == MODE_END)
            return false;
        if (!retry_next(&retry, &ex->retry_conf, now(ex), result.min_wait_ns,
                        ex->hooks.random(ex->hooks.arg), &wait)) {
            count(ex, &ex->stats.given_up, n);
            report_loss(ex, n, "given up", result.text);
            return true;
        }
        if (orders.mode != MODE_RUN) {
            wait = min64(wait, flush_wait);
            flush_wait = min64(flush_wait * 2, FLUSH_RETRY_MAX_NS);
        }
        report_failure(ex, result.text, wait);
        wait_retry(ex, add_sat(now(ex), wait), orders.request);
    }
}

/* Take the first n spans off a list, free them, and free their places in the queue. */
static struct span *settle(struct exporter *ex, struct span *spans, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct span *next = spans->next;

        span_destroy(spans);
        spans = next;
    }
    span_queue_settle(ex->queue, n);
    return spans;
}

/* Send what was taken, in as many requests as its size asks for. */
static void send_spans(struct exporter *ex, struct span *spans, size_t n)
{
    while (spans != NULL) {
        const uint8_t *bytes;
        size_t size, encoded;

        if (batch_encode(ex->encoder, spans, BATCH_BYTES_MAX, &bytes, &size, &encoded) != 0) {
            count(ex, &ex->stats.not_retryable, n);
            report_loss(ex, n, "out of memory", "");
            (void)settle(ex, spans, n);
            return;
        }
        if (!deliver(ex, bytes, size, encoded)) {
            count(ex, &ex->stats.shutdown, n);
            (void)settle(ex, spans, n);
            return;
        }
        spans = settle(ex, spans, encoded);
        n -= encoded;
    }
}

/* ---- the thread --------------------------------------------------------------------------- */

/* Wait for a batch. @return false: not yet, look again at what has changed */
static bool gather(struct exporter *ex, int64_t refill_ns)
{
    struct span_queue_stats stats;
    int64_t at = now(ex), due;

    refill_ns = max64(refill_ns, add_sat(at, REFILL_MIN_NS));
    span_queue_get_stats(ex->queue, &stats);
    if (stats.waiting == 0) {
        (void)wait_queue(ex, 1, refill_ns);
        ex->first_ns = now(ex);
        return false;
    }
    due = add_sat(ex->first_ns, ex->conf.batch_delay_ns);
    if (stats.waiting >= ex->conf.batch_max || at >= due)
        return true;
    (void)wait_queue(ex, ex->conf.batch_max, min64(due, refill_ns));
    return false;
}

/* Nothing waits and nothing is to come: tell exporter_flush(). */
static void flushed(struct exporter *ex, uint64_t request)
{
    lock(ex);
    ex->done = request;
    (void)pthread_cond_broadcast(&ex->progress); /* cannot fail */
    unlock(ex);
}

static void *export_thread(void *arg)
{
    struct exporter *ex = arg;
    struct span *spans;
    size_t n;

    ex->first_ns = now(ex);
    for (;;) {
        struct orders orders = get_orders(ex);
        int64_t refill_ns;

        if (orders.mode == MODE_END)
            break;
        refill_ns = call_refill(ex);
        report_drops(ex);
        if (orders.mode == MODE_RUN && !gather(ex, refill_ns))
            continue;
        spans = span_queue_take(ex->queue, ex->conf.batch_max, &n);
        ex->first_ns = now(ex);
        if (spans != NULL) {
            send_spans(ex, spans, n);
        } else if (orders.mode == MODE_STOP) {
            break;
        } else {
            flushed(ex, orders.request);
            (void)wait_queue(ex, 1, max64(refill_ns, add_sat(now(ex), REFILL_MIN_NS)));
        }
    }
    spans = span_queue_take(ex->queue, SIZE_MAX, &n);
    if (n > 0) {
        count(ex, &ex->stats.shutdown, n);
        (void)settle(ex, spans, n);
    }
    lock(ex);
    ex->finished = true;
    (void)pthread_cond_broadcast(&ex->progress); /* cannot fail */
    unlock(ex);
    return NULL;
}

/* ---- start, flush, stop ------------------------------------------------------------------- */

static void destroy(struct exporter *ex)
{
    batch_encoder_destroy(ex->encoder);
    (void)pthread_cond_destroy(&ex->progress);
    (void)pthread_mutex_destroy(&ex->lock);
    free(ex);
}

static int init_locks(struct exporter *ex)
{
    pthread_condattr_t attr;
    int rc = -1;

    if (pthread_condattr_init(&attr) != 0)
        return -1;
    if (pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0)
        goto done;
    if (pthread_mutex_init(&ex->lock, NULL) != 0)
        goto done;
    if (pthread_cond_init(&ex->progress, &attr) != 0)
        (void)pthread_mutex_destroy(&ex->lock);
    else
        rc = 0;
done:
    (void)pthread_condattr_destroy(&attr); /* cannot fail after init */
    return rc;
}

static const struct exporter_hooks REAL_HOOKS = {
    .now_mono_ns = real_now, .wait = real_wait, .random = real_random};

int exporter_start_with(const struct exporter_conf *conf, struct span_queue *queue,
                        exporter_refill_fn *refill, void *refill_arg,
                        const struct spoe_host *log_host, struct spoe_instance *log_self,
                        struct transport *transport, const struct exporter_hooks *hooks,
                        struct exporter **ret)
{
    const struct batch_resource resource = {.service_name = conf->service_name,
                                            .version = conf->service_version,
                                            .attributes = conf->resource,
                                            .n_attributes = conf->n_resource};
    struct exporter *ex = calloc(1, sizeof *ex);

    assert(conf->batch_max > 0);
    if (ex == NULL)
        goto stop_transport;
    *ex = (struct exporter){.conf = *conf,
                            .retry_conf = {.initial_ns = conf->retry_initial_ns,
                                           .max_ns = conf->retry_max_ns,
                                           .give_up_ns = conf->retry_give_up_ns},
                            .hooks = hooks != NULL ? *hooks : REAL_HOOKS,
                            .queue = queue,
                            .refill = refill,
                            .refill_arg = refill_arg,
                            .log_host = log_host,
                            .log_self = log_self,
                            .transport = transport};
    if (init_locks(ex) != 0)
        goto free_exporter;
    ex->encoder = batch_encoder_create(&resource);
    if (ex->encoder == NULL)
        goto destroy_exporter;
    if (pthread_create(&ex->thread, NULL, export_thread, ex) != 0)
        goto destroy_exporter;
    (void)pthread_setname_np(ex->thread, "otel-export"); /* only for ps */
    *ret = ex;
    return 0;

destroy_exporter:
    destroy(ex);
    goto stop_transport;
free_exporter:
    free(ex);
stop_transport:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export thread");
    transport->stop(transport, add_sat(clock_now(), CLOSE_RESERVE_NS));
    return -1;
}

int exporter_start(const struct exporter_conf *conf, struct span_queue *queue,
                   exporter_refill_fn *refill, void *refill_arg, const struct spoe_host *log_host,
                   struct spoe_instance *log_self, struct exporter **ret)
{
    struct transport *transport = otlp_grpc_start(conf, log_host, log_self);

    if (transport == NULL)
        return -1;
    return exporter_start_with(conf, queue, refill, refill_arg, log_host, log_self, transport, NULL,
                               ret);
}

void exporter_flush(struct exporter *ex, int64_t deadline_mono_ns)
{
    uint64_t request;

    lock(ex);
    ex->flushing = true;
    ex->limit_ns = deadline_mono_ns;
    request = ++ex->request;
    unlock(ex);
    span_queue_wake(ex->queue);
    lock(ex);
    while (ex->done < request && !ex->finished && wait_progress(ex, deadline_mono_ns))
        continue;
    ex->flush_missed = ex->done < request;
    unlock(ex);
}

/* The moment until which exporter_stop() lets the thread send: a flush that missed its deadline
 * has had its time, and closing the transport needs some. */
static int64_t stop_limit(const struct exporter *ex, int64_t deadline_mono_ns)
{
    int64_t left = max64(deadline_mono_ns - clock_now(), 0);
    int64_t limit = deadline_mono_ns - min64(left / 4, CLOSE_RESERVE_NS);

    return ex->flush_missed ? min64(limit, ex->limit_ns) : limit;
}

void exporter_stop(struct exporter *ex, int64_t deadline_mono_ns, struct exporter_stats *ret_stats)
{
    bool finished;

    if (ex == NULL)
        return;
    lock(ex);
    ex->limit_ns = stop_limit(ex, deadline_mono_ns);
    ex->stopping = true;
    ex->request++;
    unlock(ex);
    span_queue_wake(ex->queue);
    lock(ex);
    while (!ex->finished && wait_progress(ex, ex->limit_ns))
        continue;
    ex->ended = true;
    finished = ex->finished;
    unlock(ex);
    if (!finished) {
        const int64_t join_deadline = max64(deadline_mono_ns, clock_now() + JOIN_MIN_NS);

        ex->transport->cancel(ex->transport);
        span_queue_wake(ex->queue);
        lock(ex);
        while (!ex->finished && wait_progress(ex, join_deadline))
            continue;
        finished = ex->finished;
        unlock(ex);
    }
    exporter_get_stats(ex, ret_stats);
    if (!finished) {
        /* It still uses all of this; the process is about to leave. */
        LOG(ex, SPOE_LOG_ERR, "the export thread does not end");
        return;
    }
    (void)pthread_join(ex->thread, NULL); /* it has left its loop */
    if (ret_stats->shutdown > 0)
        LOG(ex, SPOE_LOG_WARNING, "%" PRIu64 " spans were not exported before the shutdown",
            ret_stats->shutdown);
    ex->transport->stop(ex->transport, deadline_mono_ns);
    destroy(ex);
}

void exporter_get_stats(struct exporter *ex, struct exporter_stats *ret)
{
    lock(ex);
    *ret = ex->stats;
    unlock(ex);
}
