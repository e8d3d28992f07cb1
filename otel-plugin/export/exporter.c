/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/exporter.c - the export's threads, its lanes.
 *
 * Each lane runs one loop: take the chair, let the owner refill the queue, wait for a batch, take
 * it, leave the chair to the next lane; send the batch until it is delivered or given up, settle
 * its places. So as many requests are under way at once as there are lanes, and with one lane, the
 * default, spans leave in the order in which they were pushed. With more, batches may overtake each
 * other, but a request's spans are always in the same one (span_is_child()).
 *
 *   mode   set by            a batch leaves when          a wait for a retry
 *   RUN    -                 full, or its first is old    as retry.h says
 *   FLUSH  exporter_flush()  there is a span              is cut short, then short ones
 *   STOP   exporter_stop()   likewise, then the end       likewise, up to the limit
 *   END    STOP's limit      not any more                 is over
 *
 * `request` counts flush and stop requests, so that a lane can tell that one came while it waited,
 * and which flush is finished. Locks: the chair before `lock`, and never the other way round.
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
#include <unistd.h>

#include <spoe/util.h>

#include "batch/batch.h"
#include "counters/counters.h"
#include "export/console.h"
#include "export/losses.h"
#include "export/otlp_grpc.h"
#include "export/otlp_http.h"
#include "export/retry.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* The owner is asked at most so often where its moment has passed and it had nothing for us. */
#define REFILL_MIN_NS (10 * NS_PER_MS)
/* While a batch waits for its retry: how often losses are reported and the owner is asked. */
#define RETRY_SLICE_NS NS_PER_S
#define FLUSH_RETRY_FIRST_NS (100 * NS_PER_MS)
#define FLUSH_RETRY_MAX_NS NS_PER_S
/* Lines about failures, losses and warnings: one of each kind in this time. */
#define REPORT_EVERY_NS (60 * NS_PER_S)
/* Of the time that exporter_stop() has, at most so much is kept for closing the transport. */
#define CLOSE_RESERVE_NS (1500 * NS_PER_MS)
/* After a cancel the thread ends at once; so long is waited for it even past the deadline. */
#define JOIN_MIN_NS (500 * NS_PER_MS)

enum mode { MODE_RUN, MODE_FLUSH, MODE_STOP, MODE_END };

/* A line of the log that may repeat, and how often it was held back. Under the exporter's lock. */
struct report {
    int64_t next_ns;
    uint64_t pending;
};

/* A thread, and what it needs for itself. */
struct lane {
    struct exporter *exporter;
    unsigned index;
    pthread_t thread;
    struct batch_encoder *encoder;
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
    char target[200]; /* for people */
    struct lane lanes[EXPORTER_CONCURRENCY_MAX];
    unsigned n_lanes; /* that were started */

    pthread_mutex_t chair; /* held by the lane that gathers, the queue's consumer */
    /* Under the chair. */
    int64_t first_ns; /* no span that waits came before */
    bool drained;     /* the stop found nothing more: all lanes leave */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* CLOCK_MONOTONIC; `done`, `finished`, `request` or `ended` changed */
    /* All below: under lock. */
    unsigned running, sending; /* lanes that have not left; those with a batch */
    bool flushing, flush_missed, stopping, ended, finished;
    int64_t limit_ns; /* of the flush or the stop */
    uint64_t request, done;
    struct exporter_stats stats;
    struct report failures, warnings;
    bool failing;
    int64_t losses_next_ns; /* when a line about losses may be written again */
    struct exporter_losses losses_told;
    char losses_text[160]; /* what the collector said about the last */
};

/* What a lane sees of the requests at one moment. */
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

static void real_pause(void *arg, pthread_cond_t *cond, pthread_mutex_t *mutex,
                       int64_t deadline_mono_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_mono_ns / NS_PER_S),
                                   .tv_nsec = (long)(deadline_mono_ns % NS_PER_S)};

    (void)arg;
    if (deadline_mono_ns > 0)
        (void)pthread_cond_timedwait(cond, mutex, &until); /* may wake for nothing */
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

/* Wait for `changed` with the lock held. @return false: the deadline has passed */
static bool wait_changed(struct exporter *ex, int64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % NS_PER_S)};

    if (deadline_ns <= 0)
        return false;
    return pthread_cond_timedwait(&ex->changed, &ex->lock, &until) == 0;
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

static void add(struct exporter *ex, uint64_t *counter, uint64_t n)
{
    lock(ex);
    *counter += n;
    unlock(ex);
}

/* ---- what the log says -------------------------------------------------------------------- */

/* Count one for a line; true if it is time to write it, *ret_n is then how many were counted. */
static bool report_due(struct exporter *ex, struct report *report, uint64_t *ret_n)
{
    const int64_t at = now(ex);
    bool due;

    lock(ex);
    report->pending++;
    due = at >= report->next_ns;
    if (due) {
        report->next_ns = at + REPORT_EVERY_NS;
        *ret_n = report->pending;
        report->pending = 0;
    }
    unlock(ex);
    return due;
}

static void report_failure(struct exporter *ex, const char *text, int64_t wait_ns)
{
    struct span_queue_stats stats;
    char more[64] = "";
    uint64_t n;

    lock(ex);
    ex->failing = true;
    unlock(ex);
    if (!report_due(ex, &ex->failures, &n))
        return;
    span_queue_get_stats(ex->queue, &stats);
    if (n > 1)
        (void)snprintf(more, sizeof more, " (%" PRIu64 " failures since the last such line)", n);
    LOG(ex, SPOE_LOG_WARNING, "export to %s failed: %s; %zu spans wait, next try in %.1f s%s",
        ex->target, text, stats.waiting + stats.in_flight, (double)wait_ns / (double)NS_PER_S,
        more);
}

static void report_success(struct exporter *ex)
{
    bool news;

    lock(ex);
    news = ex->failing;
    ex->failing = false;
    unlock(ex);
    if (news)
        LOG(ex, SPOE_LOG_NOTICE, "export to %s works again", ex->target);
}

static void report_warning(struct exporter *ex, const char *text)
{
    uint64_t n;

    if (report_due(ex, &ex->warnings, &n))
        LOG(ex, SPOE_LOG_WARNING, "the collector took all spans but warns: %s", text);
}

void exporter_get_losses(struct exporter *ex, struct exporter_losses *ret)
{
    struct counters *counters = ex->conf.counters;
    struct span_queue_stats queue;
    struct exporter_stats stats;

    span_queue_get_stats(ex->queue, &queue);
    exporter_get_stats(ex, &stats);
    *ret = (struct exporter_losses){
        .queue_full = queue.dropped,
        .store_full = counters != NULL ? counted(&counters->refused) : 0,
        .not_retryable = stats.not_retryable,
        .gave_up = stats.given_up,
        .rejected = stats.rejected,
        .too_large = stats.too_large,
        .no_memory = stats.no_memory + (counters != NULL ? counted(&counters->no_memory) : 0),
        .shutdown = stats.shutdown};
}

/* The one line about losses: what was lost since the last one, at once or when its time has come.
 */
static void report_losses(struct exporter *ex, bool at_once)
{
    const int64_t at = now(ex);
    char text[LOSSES_TEXT_MAX], last[sizeof ex->losses_text];
    struct exporter_losses losses;
    bool due;

    exporter_get_losses(ex, &losses);
    lock(ex);
    due = (at_once || at >= ex->losses_next_ns) && losses_format(&ex->losses_told, &losses, text);
    if (due) {
        ex->losses_next_ns = at + REPORT_EVERY_NS;
        ex->losses_told = losses;
        memcpy(last, ex->losses_text, sizeof last);
        ex->losses_text[0] = '\0';
    }
    unlock(ex);
    if (due)
        LOG(ex, SPOE_LOG_WARNING, "spans lost: %s%s%s", text, last[0] != '\0' ? "; " : "", last);
}

/* Count spans as lost, and keep what the collector says about it for the line. */
static void lose(struct exporter *ex, uint64_t *counter, uint64_t n, const char *text)
{
    lock(ex);
    *counter += n;
    if (text[0] != '\0')
        (void)snprintf(ex->losses_text, sizeof ex->losses_text, "%s", text);
    unlock(ex);
    report_losses(ex, false);
}

/* ---- sending ------------------------------------------------------------------------------ */

/* @return the moment at which the owner wants to be asked again */
static int64_t call_refill(struct exporter *ex)
{
    return ex->refill != NULL ? ex->refill(ex->refill_arg) : INT64_MAX;
}

/* What the chair does, where nobody sits in it: the TTLs go on while the collector is away. */
static void mind_chair(struct exporter *ex)
{
    if (pthread_mutex_trylock(&ex->chair) != 0)
        return;
    (void)call_refill(ex);
    report_losses(ex, false);
    (void)pthread_mutex_unlock(&ex->chair); /* ours */
}

/* Wait for the moment of a retry; new orders cut it short. */
static void wait_retry(struct exporter *ex, int64_t until_ns, uint64_t request)
{
    for (;;) {
        struct orders orders = get_orders(ex);
        int64_t at = now(ex);

        if (orders.mode == MODE_END || orders.request != request || at >= until_ns)
            return;
        mind_chair(ex);
        at = min64(min64(until_ns, orders.mode == MODE_STOP ? orders.limit_ns : INT64_MAX),
                   add_sat(at, RETRY_SLICE_NS));
        lock(ex);
        if (!ex->ended && ex->request == request)
            ex->hooks.pause(ex->hooks.arg, &ex->changed, &ex->lock, at);
        unlock(ex);
    }
}

/* One attempt. */
static void attempt(struct lane *lane, const struct orders *orders, const uint8_t *bytes,
                    size_t size, struct transport_result *ret)
{
    struct exporter *ex = lane->exporter;
    const int64_t at = now(ex);
    int64_t deadline = ex->conf.timeout_ns > 0 ? add_sat(at, ex->conf.timeout_ns) : INT64_MAX;
    int64_t took;

    if (orders->limit_ns > at)
        deadline = min64(deadline, orders->limit_ns);
    *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE};
    ex->transport->send(ex->transport, lane->index, bytes, size, deadline, ret);
    took = max64(now(ex) - at, 0);
    lock(ex);
    ex->stats.exports++;
    ex->stats.export_ns += (uint64_t)took;
    unlock(ex);
    if (ex->conf.on_attempt != NULL)
        ex->conf.on_attempt(ex->conf.on_attempt_arg, (int)ret->outcome, took);
}

static void delivered(struct exporter *ex, size_t n, const struct transport_result *result)
{
    uint64_t rejected = result->rejected < n ? result->rejected : n;

    lock(ex);
    ex->stats.batches++;
    ex->stats.exported += n - rejected;
    unlock(ex);
    report_success(ex);
    if (rejected > 0)
        lose(ex, &ex->stats.rejected, rejected, result->text);
    else if (result->text[0] != '\0')
        report_warning(ex, result->text);
}

/*
 * Send one request until it is delivered or given up.
 * @return false: the end came first, its spans are still to be counted
 */
static bool deliver(struct lane *lane, const uint8_t *bytes, size_t size, size_t n)
{
    struct exporter *ex = lane->exporter;
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
            add(ex, &ex->stats.retries, 1);
        attempt(lane, &orders, bytes, size, &result);
        if (result.outcome == TRANSPORT_OK) {
            delivered(ex, n, &result);
            return true;
        }
        if (result.outcome == TRANSPORT_NOT_RETRYABLE) {
            lose(ex, &ex->stats.not_retryable, n, result.text);
            return true;
        }
        if (get_orders(ex).mode == MODE_END)
            return false;
        if (!retry_next(&retry, &ex->retry_conf, now(ex), result.min_wait_ns,
                        ex->hooks.random(ex->hooks.arg), &wait)) {
            lose(ex, &ex->stats.given_up, n, result.text);
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
static void send_spans(struct lane *lane, struct span *spans, size_t n)
{
    struct exporter *ex = lane->exporter;

    while (spans != NULL) {
        const uint8_t *bytes;
        size_t size, encoded;

        if (batch_encode(lane->encoder, spans, ex->conf.bytes_max, &bytes, &size, &encoded) != 0) {
            lose(ex, &ex->stats.no_memory, n, "");
            (void)settle(ex, spans, n);
            return;
        }
        if (size > ex->conf.bytes_max) {
            lose(ex, &ex->stats.too_large, encoded, "");
        } else if (!deliver(lane, bytes, size, encoded)) {
            add(ex, &ex->stats.shutdown, n);
            (void)settle(ex, spans, n);
            return;
        }
        spans = settle(ex, spans, encoded);
        n -= encoded;
    }
}

/* ---- the lanes ---------------------------------------------------------------------------- */

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
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    unlock(ex);
}

/* Enter or leave the lanes that have a batch. A flush waits for the last of them. */
static void set_sending(struct exporter *ex, bool sending)
{
    bool wake;

    lock(ex);
    ex->sending = sending ? ex->sending + 1 : ex->sending - 1;
    wake = !sending && (ex->flushing || ex->stopping);
    unlock(ex);
    if (wake)
        span_queue_wake(ex->queue);
}

static bool others_send(struct exporter *ex)
{
    bool others;

    lock(ex);
    others = ex->sending > 0; /* the lane that asks has none */
    unlock(ex);
    return others;
}

/* In the chair: the next batch. @return NULL: the lane's end */
static struct span *gather_batch(struct exporter *ex, size_t *ret_n)
{
    for (;;) {
        struct orders orders = get_orders(ex);
        struct span *spans;
        int64_t refill_ns;

        if (orders.mode == MODE_END || ex->drained)
            return NULL;
        refill_ns = call_refill(ex);
        if (refill_ns != INT64_MAX) /* losses are told in time */
            refill_ns = min64(refill_ns, add_sat(now(ex), REPORT_EVERY_NS));
        report_losses(ex, false);
        if (orders.mode == MODE_RUN && !gather(ex, refill_ns))
            continue;
        spans = span_queue_take(ex->queue, ex->conf.batch_max, ret_n);
        ex->first_ns = now(ex);
        if (spans != NULL)
            return spans;
        refill_ns = max64(refill_ns, add_sat(now(ex), REFILL_MIN_NS));
        if (!others_send(ex)) {
            if (orders.mode == MODE_STOP) {
                ex->drained = true;
                return NULL;
            }
            flushed(ex, orders.request);
        }
        (void)wait_queue(ex, 1, refill_ns);
    }
}

static void lock_chair(struct exporter *ex)
{
    int rc = pthread_mutex_lock(&ex->chair);

    assert(rc == 0);
    (void)rc;
}

/* The last lane to leave counts what nobody took. */
static void leave(struct exporter *ex)
{
    struct span *spans;
    bool last;
    size_t n;

    lock(ex);
    last = --ex->running == 0;
    unlock(ex);
    if (!last)
        return;
    spans = span_queue_take(ex->queue, SIZE_MAX, &n);
    if (n > 0) {
        add(ex, &ex->stats.shutdown, n);
        (void)settle(ex, spans, n);
    }
    lock(ex);
    ex->finished = true;
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    unlock(ex);
}

static void *run_lane(void *arg)
{
    struct lane *lane = arg;
    struct exporter *ex = lane->exporter;
    struct span *spans;
    size_t n;

    for (;;) {
        lock_chair(ex);
        spans = gather_batch(ex, &n);
        if (spans != NULL)
            set_sending(ex, true);
        (void)pthread_mutex_unlock(&ex->chair); /* ours */
        if (spans == NULL)
            break;
        send_spans(lane, spans, n);
        set_sending(ex, false);
    }
    leave(ex);
    return NULL;
}

/* ---- start, flush, stop ------------------------------------------------------------------- */

static void destroy(struct exporter *ex)
{
    for (unsigned i = 0; i < EXPORTER_CONCURRENCY_MAX; i++)
        batch_encoder_destroy(ex->lanes[i].encoder);
    (void)pthread_cond_destroy(&ex->changed);
    (void)pthread_mutex_destroy(&ex->lock);
    (void)pthread_mutex_destroy(&ex->chair);
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
    /* A mutex with default attributes cannot fail. */
    (void)pthread_mutex_init(&ex->lock, NULL);
    (void)pthread_mutex_init(&ex->chair, NULL);
    rc = pthread_cond_init(&ex->changed, &attr) == 0 ? 0 : -1;
done:
    (void)pthread_condattr_destroy(&attr); /* cannot fail after init */
    return rc;
}

static const struct exporter_hooks REAL_HOOKS = {
    .now_mono_ns = real_now, .wait = real_wait, .pause = real_pause, .random = real_random};

/* Whoever waits looks at the orders again. */
static void wake_all(struct exporter *ex)
{
    lock(ex);
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    unlock(ex);
    span_queue_wake(ex->queue);
}

static void join_lanes(struct exporter *ex)
{
    for (unsigned i = 0; i < ex->n_lanes; i++)
        (void)pthread_join(ex->lanes[i].thread, NULL); /* it leaves its loop */
}

/* @return -1: no lane runs */
static int start_lanes(struct exporter *ex, const struct batch_resource *resource)
{
    const unsigned n = ex->conf.concurrency;
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        ex->lanes[i] =
            (struct lane){.exporter = ex, .index = i, .encoder = batch_encoder_create(resource)};
        if (ex->lanes[i].encoder == NULL)
            return -1;
    }
    ex->running = n;
    while (ok && ex->n_lanes < n) {
        struct lane *lane = &ex->lanes[ex->n_lanes];
        char name[16];

        ok = pthread_create(&lane->thread, NULL, run_lane, lane) == 0;
        if (!ok)
            break;
        (void)snprintf(name, sizeof name, lane->index == 0 ? "otel-export" : "otel-export-%u",
                       lane->index);
        (void)pthread_setname_np(lane->thread, name); /* only for ps */
        ex->n_lanes++;
    }
    if (ok)
        return 0;
    lock(ex);
    ex->running -= n - ex->n_lanes;
    ex->ended = true;
    unlock(ex);
    wake_all(ex);
    join_lanes(ex);
    return -1;
}

/* Where the spans go, for the log: of a URL without what may be secret. */
static void set_target(struct exporter *ex)
{
    const struct exporter_conf *conf = &ex->conf;
    const char *host = conf->url != NULL ? strstr(conf->url, "://") : NULL;
    size_t end, at;

    if (conf->kind != EXPORTER_OTLP) {
        (void)snprintf(ex->target, sizeof ex->target, "%s",
                       conf->kind == EXPORTER_CONSOLE ? "the standard output" : "nowhere");
        return;
    }
    if (conf->protocol != OTLP_HTTP || host == NULL) {
        (void)snprintf(ex->target, sizeof ex->target, "%s", conf->endpoint);
        return;
    }
    host += 3;
    end = strcspn(host, "?#");
    at = strcspn(host, "@/?#");
    if (host[at] == '@') {
        host += at + 1;
        end -= at + 1;
    }
    (void)snprintf(ex->target, sizeof ex->target, "%.*s", (int)end, host);
}

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

    assert(conf->batch_max > 0 && conf->concurrency <= EXPORTER_CONCURRENCY_MAX);
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
    if (ex->conf.concurrency == 0)
        ex->conf.concurrency = 1;
    if (ex->conf.bytes_max == 0)
        ex->conf.bytes_max = BATCH_BYTES_MAX;
    set_target(ex);
    if (init_locks(ex) != 0)
        goto free_exporter;
    ex->first_ns = now(ex);
    if (start_lanes(ex, &resource) != 0)
        goto destroy_exporter;
    *ret = ex;
    return 0;

destroy_exporter:
    destroy(ex);
    goto stop_transport;
free_exporter:
    free(ex);
stop_transport:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export threads");
    transport->stop(transport, add_sat(clock_now(), CLOSE_RESERVE_NS));
    return -1;
}

static struct transport *start_transport(const struct exporter_conf *conf,
                                         const struct spoe_host *log_host,
                                         struct spoe_instance *log_self)
{
    if (conf->kind != EXPORTER_OTLP)
        return console_start(STDOUT_FILENO, log_host, log_self); /* NONE: nothing will come */
    return conf->protocol == OTLP_HTTP ? otlp_http_start(conf, log_host, log_self)
                                       : otlp_grpc_start(conf, log_host, log_self);
}

int exporter_start(const struct exporter_conf *conf, struct span_queue *queue,
                   exporter_refill_fn *refill, void *refill_arg, const struct spoe_host *log_host,
                   struct spoe_instance *log_self, struct exporter **ret)
{
    struct exporter_conf used = *conf;
    struct transport *transport;

    if (conf->kind != EXPORTER_OTLP)
        used.concurrency = 1; /* one line after the other */
    transport = start_transport(&used, log_host, log_self);
    if (transport == NULL)
        return -1;
    return exporter_start_with(&used, queue, refill, refill_arg, log_host, log_self, transport,
                               NULL, ret);
}

void exporter_flush(struct exporter *ex, int64_t deadline_mono_ns)
{
    uint64_t request;

    lock(ex);
    ex->flushing = true;
    ex->limit_ns = deadline_mono_ns;
    request = ++ex->request;
    unlock(ex);
    wake_all(ex);
    lock(ex);
    while (ex->done < request && !ex->finished && wait_changed(ex, deadline_mono_ns))
        continue;
    ex->flush_missed = ex->done < request;
    unlock(ex);
}

/* The moment until which exporter_stop() lets the lanes send: a flush that missed its deadline
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
    wake_all(ex);
    lock(ex);
    while (!ex->finished && wait_changed(ex, ex->limit_ns))
        continue;
    ex->ended = true;
    finished = ex->finished;
    unlock(ex);
    if (!finished) {
        const int64_t join_deadline = max64(deadline_mono_ns, clock_now() + JOIN_MIN_NS);

        ex->transport->cancel(ex->transport);
        wake_all(ex);
        lock(ex);
        while (!ex->finished && wait_changed(ex, join_deadline))
            continue;
        finished = ex->finished;
        unlock(ex);
    }
    exporter_get_stats(ex, ret_stats);
    if (!finished) {
        /* It still uses all of this; the process is about to leave. */
        LOG(ex, SPOE_LOG_ERR, "the export's threads do not end");
        return;
    }
    join_lanes(ex);
    report_losses(ex, true);
    ex->transport->stop(ex->transport, deadline_mono_ns);
    destroy(ex);
}

const char *exporter_target(const struct exporter *ex)
{
    return ex->target;
}

void exporter_get_stats(struct exporter *ex, struct exporter_stats *ret)
{
    lock(ex);
    *ret = ex->stats;
    unlock(ex);
}
