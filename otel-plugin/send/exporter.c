/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/exporter.c - start, flush and stop of the export, and its numbers. What it does
 * in between is sender.c's.
 */
#include "send/exporter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <spoe/util.h>

#include "base/counters.h"
#include "send/console.h"
#include "send/otlp_grpc.h"
#include "send/otlp_http.h"
#include "send/sender.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Of the time that exporter_stop() has, at most so much is kept for closing the transport. */
#define CLOSE_RESERVE_NS (1500 * NS_PER_MS)
/* After a cancel the threads end at once; so long is waited for it even past the deadline. */
#define JOIN_MIN_NS (500 * NS_PER_MS)

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void exporter_lock(struct exporter *ex)
{
    int rc = pthread_mutex_lock(&ex->lock);

    assert(rc == 0);
    (void)rc;
}

void exporter_unlock(struct exporter *ex)
{
    int rc = pthread_mutex_unlock(&ex->lock);

    assert(rc == 0);
    (void)rc;
}

/* ---- the real surroundings ------------------------------------------------------------------ */

int64_t exporter_clock(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t real_now(void *arg)
{
    (void)arg;
    return exporter_clock();
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

static const struct exporter_hooks real_hooks = {
    .now_mono_ns = real_now, .wait = real_wait, .random = real_random, .tick_ns = 5 * NS_PER_S};

/* ---- start ---------------------------------------------------------------------------------- */

static void destroy(struct exporter *ex)
{
    while (ex->idle != NULL) {
        struct batch *batch = ex->idle;

        ex->idle = batch->next;
        batch_destroy(batch);
    }
    batch_encoder_destroy(ex->encoder);
    (void)pthread_cond_destroy(&ex->changed);
    (void)pthread_mutex_destroy(&ex->lock);
    export_log_fini(&ex->log);
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
    /* With default attributes these cannot fail. */
    (void)pthread_mutex_init(&ex->lock, NULL);
    export_log_init(&ex->log);
    rc = pthread_cond_init(&ex->changed, &attr) == 0 ? 0 : -1;
done:
    (void)pthread_condattr_destroy(&attr); /* cannot fail after init */
    return rc;
}

/* Where the spans go, for the log. */
static void set_target(const struct exporter_conf *conf, char ret[EXPORTER_TARGET_MAX])
{
    const char *target = conf->kind == EXPORTER_CONSOLE ? "the standard output" : "nowhere";

    if (conf->kind == EXPORTER_OTLP) {
        target = conf->endpoint;
        if (conf->protocol == OTLP_HTTP) {
            target = strstr(conf->url, "://");
            assert(target != NULL);
            target += 3;
        }
    }
    (void)snprintf(ret, EXPORTER_TARGET_MAX, "%s", target);
}

int exporter_start_with(const struct exporter_conf *conf, struct span_queue *queue,
                        const struct spoe_host *log_host, struct spoe_instance *log_self,
                        struct transport *transport, const struct exporter_hooks *hooks,
                        struct exporter **ret)
{
    const struct batch_resource resource = {.service_name = conf->service_name,
                                            .version = conf->service_version,
                                            .schema_url = conf->schema_url,
                                            .attributes = conf->resource,
                                            .n_attributes = conf->n_resource};
    struct exporter *ex = calloc(1, sizeof *ex);

    assert(conf->batch_max > 0 && conf->concurrency <= EXPORTER_CONCURRENCY_MAX);
    if (ex == NULL)
        goto stop_transport;
    *ex = (struct exporter){.conf = *conf,
                            .hooks = hooks != NULL ? *hooks : real_hooks,
                            .queue = queue,
                            .transport = transport,
                            .log = {.host = log_host, .self = log_self}};
    ex->log.target = ex->target;
    if (ex->conf.concurrency == 0)
        ex->conf.concurrency = 1;
    if (ex->conf.bytes_max == 0)
        ex->conf.bytes_max = BATCH_BYTES_MAX;
    ex->schedule.conf = (struct schedule_conf){.concurrency = ex->conf.concurrency,
                                               .initial_ns = conf->retry_initial_ns,
                                               .max_ns = conf->retry_max_ns,
                                               .give_up_ns = conf->retry_give_up_ns};
    assert(conf->retry_initial_ns > 0 && conf->retry_initial_ns <= conf->retry_max_ns);
    set_target(&ex->conf, ex->target);
    if (init_locks(ex) != 0)
        goto free_exporter;
    ex->first_ns = exporter_now(ex);
    ex->encoder = batch_encoder_create(&resource);
    if (ex->encoder == NULL)
        goto destroy_exporter;
    if (lanes_start(ex) != 0 || sender_start(ex) != 0)
        goto join_lanes;
    *ret = ex;
    return 0;

join_lanes:
    lanes_join(ex);
destroy_exporter:
    destroy(ex);
    goto stop_transport;
free_exporter:
    free(ex);
stop_transport:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export threads");
    transport->stop(transport, exporter_clock() + CLOSE_RESERVE_NS);
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
                   const struct spoe_host *log_host, struct spoe_instance *log_self,
                   struct exporter **ret)
{
    struct exporter_conf used = *conf;
    struct transport *transport;

    if (conf->kind != EXPORTER_OTLP)
        used.concurrency = 1; /* one line after the other */
    transport = start_transport(&used, log_host, log_self);
    if (transport == NULL)
        return -1;
    return exporter_start_with(&used, queue, log_host, log_self, transport, NULL, ret);
}

int exporter_send_one(const struct exporter_conf *conf, const uint8_t *bytes, size_t size,
                      int64_t deadline_mono_ns, const struct spoe_host *log_host,
                      struct spoe_instance *log_self, char ret_target[EXPORTER_TARGET_MAX],
                      struct transport_result *ret_result)
{
    struct transport *transport = start_transport(conf, log_host, log_self);
    int64_t deadline = deadline_mono_ns;

    if (transport == NULL)
        return -1;
    if (conf->timeout_ns > 0)
        deadline = min64(deadline, exporter_clock() + conf->timeout_ns);
    set_target(conf, ret_target);
    *ret_result = (struct transport_result){.outcome = TRANSPORT_RETRYABLE};
    transport->send(transport, 0, bytes, size, deadline, ret_result);
    transport->stop(transport, deadline_mono_ns);
    return 0;
}

/* ---- flush and stop ------------------------------------------------------------------------- */

/* Wait for `changed` with the lock held. @return false: the deadline has passed */
static bool wait_changed(struct exporter *ex, int64_t deadline_ns)
{
    /* One below 0 has passed, too: pthread_cond_timedwait() refuses it. */
    const struct timespec until = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                                   .tv_nsec = (long)(deadline_ns % NS_PER_S)};

    return pthread_cond_timedwait(&ex->changed, &ex->lock, &until) == 0;
}

/* With the lock held. @return whether the sender's thread has ended by then */
static bool wait_finished(struct exporter *ex, int64_t deadline_ns)
{
    while (!ex->finished && wait_changed(ex, deadline_ns))
        continue;
    return ex->finished;
}

/* @return the flush's number */
static uint64_t ask_flush(struct exporter *ex, int64_t deadline_mono_ns)
{
    uint64_t flush;

    exporter_lock(ex);
    ex->flushing = true;
    ex->limit_ns = deadline_mono_ns;
    flush = ++ex->flush_asked;
    exporter_unlock(ex);
    span_queue_wake(ex->queue);
    return flush;
}

void exporter_begin_flush(struct exporter *ex, int64_t deadline_mono_ns)
{
    (void)ask_flush(ex, deadline_mono_ns);
}

bool exporter_is_vain(struct exporter *ex)
{
    bool vain;

    exporter_lock(ex);
    vain = ex->vain;
    exporter_unlock(ex);
    return vain;
}

void exporter_flush(struct exporter *ex, int64_t deadline_mono_ns)
{
    const uint64_t flush = ask_flush(ex, deadline_mono_ns);

    exporter_lock(ex);
    while (ex->flushed < flush && !ex->finished && wait_changed(ex, deadline_mono_ns))
        continue;
    ex->flush_missed = ex->flushed < flush;
    exporter_unlock(ex);
}

/* The moment until which exporter_stop() lets the lanes send: a flush that missed its deadline
 * has had its time, and closing the transport needs some. */
static int64_t stop_limit(const struct exporter *ex, int64_t deadline_mono_ns)
{
    int64_t left = max64(deadline_mono_ns - exporter_clock(), 0);
    int64_t limit = deadline_mono_ns - min64(left / 4, CLOSE_RESERVE_NS);

    return ex->flush_missed ? min64(limit, ex->limit_ns) : limit;
}

int exporter_stop(struct exporter *ex, int64_t deadline_mono_ns, struct exporter_stats *ret_stats)
{
    bool finished;

    if (ex == NULL)
        return 0;
    exporter_lock(ex);
    ex->limit_ns = stop_limit(ex, deadline_mono_ns);
    ex->stopping = true;
    exporter_unlock(ex);
    span_queue_wake(ex->queue);
    exporter_lock(ex);
    finished = wait_finished(ex, ex->limit_ns);
    ex->ended = true;
    exporter_unlock(ex);
    if (!finished) {
        ex->transport->cancel(ex->transport);
        span_queue_wake(ex->queue);
        exporter_lock(ex);
        finished = wait_finished(ex, max64(deadline_mono_ns, exporter_clock() + JOIN_MIN_NS));
        exporter_unlock(ex);
    }
    exporter_get_stats(ex, ret_stats);
    if (ex->conf.on_end != NULL)
        ex->conf.on_end(ex->conf.on_end_arg);
    exporter_tell_losses(ex, true);
    if (!finished) {
        /* They still use all of this; the process is about to leave. */
        if (ex->log.host != NULL)
            spoe_logf(ex->log.host, ex->log.self, SPOE_LOG_ERR,
                      "the export's threads do not end, and what they hold is lost");
        return -1;
    }
    (void)pthread_join(ex->thread, NULL); /* it has left its loop */
    lanes_join(ex);
    ex->transport->stop(ex->transport, deadline_mono_ns);
    destroy(ex);
    return 0;
}

/* ---- numbers -------------------------------------------------------------------------------- */

const char *exporter_target(const struct exporter *ex)
{
    return ex->target;
}

void exporter_get_stats(struct exporter *ex, struct exporter_stats *ret)
{
    exporter_lock(ex);
    *ret = ex->stats;
    exporter_unlock(ex);
}

void exporter_get_losses(struct exporter *ex, struct export_losses *ret)
{
    struct counters *counters = ex->conf.counters;
    struct span_queue_stats queue;
    struct exporter_stats stats;

    span_queue_get_stats(ex->queue, &queue);
    exporter_get_stats(ex, &stats);
    *ret = (struct export_losses){
        .queue_full = queue.dropped,
        .not_retryable = stats.not_retryable,
        .gave_up = stats.given_up,
        .rejected = stats.rejected,
        .too_large = stats.too_large,
        .no_memory = stats.no_memory + (counters != NULL ? COUNTED(counters, queue_no_memory) : 0),
        .shutdown = stats.shutdown,
        .still_open = counters != NULL ? COUNTED(counters, still_open) : 0};
}

void exporter_tell_losses(struct exporter *ex, bool at_once)
{
    struct counters *counters = ex->conf.counters;
    struct export_ignored ignored = {.missing_id = 0};
    struct export_losses losses;

    exporter_get_losses(ex, &losses);
    if (counters != NULL) {
#define X(name, reason) ignored.name = COUNTED(counters, name);
        EXPORT_IGNORED(X)
#undef X
    }
    export_log_losses(&ex->log, exporter_now(ex), &losses, &ignored, at_once);
}
