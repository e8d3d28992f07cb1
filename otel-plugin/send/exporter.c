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

static void real_wait(void *arg, const struct span_queue_want *wants, size_t n,
                      int64_t deadline_mono_ns)
{
    (void)arg;
    span_queue_wait_any(wants, n, deadline_mono_ns);
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

static void signal_fini(struct signal *signal)
{
    while (signal->idle != NULL) {
        struct batch *batch = signal->idle;

        signal->idle = batch->next;
        batch_destroy(batch);
    }
    batch_encoder_destroy(signal->encoder);
    export_log_fini(&signal->log);
}

static void destroy(struct exporter *ex)
{
    for (unsigned i = 0; i < ex->n_signals; i++)
        signal_fini(&ex->signals[i]);
    (void)pthread_cond_destroy(&ex->changed);
    (void)pthread_mutex_destroy(&ex->lock);
    (void)pthread_mutex_destroy(&ex->turn);
    export_health_fini(&ex->health);
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
    (void)pthread_mutex_init(&ex->turn, NULL);
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

/* @return 0; -1: out of memory; signal_fini() is due in any case */
static int signal_init(struct exporter *ex, struct signal *signal, const struct exporter_part *part,
                       struct transport *transport, const struct export_log *log)
{
    const struct exporter_conf *conf = part->conf;
    const struct batch_resource resource = {.service_name = conf->service_name,
                                            .version = conf->service_version,
                                            .schema_url = conf->schema_url,
                                            .attributes = conf->resource,
                                            .n_attributes = conf->n_resource};

    assert(conf->batch_max > 0 && conf->concurrency <= EXPORTER_CONCURRENCY_MAX);
    assert(conf->retry_initial_ns > 0 && conf->retry_initial_ns <= conf->retry_max_ns);
    *signal =
        (struct signal){.conf = *conf, .queue = part->queue, .transport = transport, .log = *log};
    signal->log.signal = conf->signal;
    signal->log.target = signal->target;
    if (signal->conf.concurrency == 0)
        signal->conf.concurrency = 1;
    if (signal->conf.bytes_max == 0)
        signal->conf.bytes_max = BATCH_BYTES_MAX;
    signal->schedule.conf = (struct schedule_conf){.concurrency = signal->conf.concurrency,
                                                   .initial_ns = conf->retry_initial_ns,
                                                   .max_ns = conf->retry_max_ns,
                                                   .give_up_ns = conf->retry_give_up_ns};
    set_target(conf, signal->target);
    signal->first_ns = exporter_now(ex);
    signal->produce_ns = signal->first_ns + conf->interval_ns;
    export_log_init(&signal->log);
    signal->encoder = batch_encoder_create(&resource);
    return signal->encoder != NULL ? 0 : -1;
}

static void stop_transports(struct transport *const *transports, size_t n, int64_t deadline_mono_ns)
{
    for (size_t i = 0; i < n; i++)
        transports[i]->stop(transports[i], deadline_mono_ns);
}

int exporter_start_with(const struct exporter_part *parts, struct transport *const *transports,
                        size_t n, const struct spoe_host *log_host, struct spoe_instance *log_self,
                        const struct exporter_hooks *hooks, struct exporter **ret)
{
    struct export_log log = {.host = log_host, .self = log_self};
    struct exporter *ex = calloc(1, sizeof *ex);

    assert(n > 0 && n <= N_SIGNALS);
    if (ex == NULL)
        goto stop_transport;
    ex->hooks = hooks != NULL ? *hooks : real_hooks;
    if (init_locks(ex) != 0)
        goto free_exporter;
    export_status_init(&ex->status, log_host, log_self);
    export_health_init(&ex->health);
    log.health = &ex->health;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            span_queue_join(parts[i].queue, parts[0].queue);
        if (signal_init(ex, &ex->signals[ex->n_signals++], &parts[i], transports[i], &log) != 0)
            goto destroy_exporter;
        export_status_add(&ex->status, parts[i].conf->signal, ex->signals[i].target);
    }
    for (size_t i = 0; i < n; i++)
        if (lanes_start(ex, &ex->signals[i]) != 0)
            goto join_lanes;
    if (sender_start(ex) != 0)
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
    stop_transports(transports, n, exporter_clock() + CLOSE_RESERVE_NS);
    return -1;
}

void exporter_show_health(struct exporter *ex, const struct spoe_health *facet,
                          struct spoe_instance *self)
{
    export_health_show(&ex->health, facet, self);
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

int exporter_start(const struct exporter_part *parts, size_t n, const struct spoe_host *log_host,
                   struct spoe_instance *log_self, struct exporter **ret)
{
    struct transport *transports[N_SIGNALS];
    struct exporter_part used[N_SIGNALS];
    struct exporter_conf confs[N_SIGNALS];

    assert(n <= N_SIGNALS);
    for (size_t i = 0; i < n; i++) {
        confs[i] = *parts[i].conf;
        if (confs[i].kind != EXPORTER_OTLP)
            confs[i].concurrency = 1; /* one line after the other */
        used[i] = (struct exporter_part){.conf = &confs[i], .queue = parts[i].queue};
        transports[i] = start_transport(&confs[i], log_host, log_self);
        if (transports[i] == NULL) {
            stop_transports(transports, i, exporter_clock() + CLOSE_RESERVE_NS);
            return -1;
        }
    }
    return exporter_start_with(used, transports, n, log_host, log_self, NULL, ret);
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

/* The sender, which sleeps in one place for all queues. */
static void wake(struct exporter *ex)
{
    span_queue_wake(ex->signals[0].queue);
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
    wake(ex);
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

/* The last word, with what the threads have done by now. */
static void tell_end(struct exporter *ex, struct exporter_stats ret_stats[N_SIGNALS])
{
    const struct exporter_conf *conf = &ex->signals[0].conf;

    for (unsigned i = 0; i < N_SIGNALS; i++)
        exporter_get_stats(ex, (enum otlp_signal)i, &ret_stats[i]);
    if (conf->on_end != NULL)
        conf->on_end(conf->on_end_arg);
    for (unsigned i = 0; i < ex->n_signals; i++)
        exporter_tell_losses(ex, &ex->signals[i], true);
}

int exporter_stop(struct exporter *ex, int64_t deadline_mono_ns,
                  struct exporter_stats ret_stats[N_SIGNALS])
{
    bool finished;

    if (ex == NULL)
        return 0;
    exporter_lock(ex);
    ex->limit_ns = stop_limit(ex, deadline_mono_ns);
    ex->stopping = true;
    exporter_unlock(ex);
    wake(ex);
    exporter_lock(ex);
    finished = wait_finished(ex, ex->limit_ns);
    ex->ended = true;
    exporter_unlock(ex);
    if (!finished) {
        for (unsigned i = 0; i < ex->n_signals; i++)
            ex->signals[i].transport->cancel(ex->signals[i].transport);
        wake(ex);
        exporter_lock(ex);
        finished = wait_finished(ex, max64(deadline_mono_ns, exporter_clock() + JOIN_MIN_NS));
        exporter_unlock(ex);
    }
    tell_end(ex, ret_stats);
    if (!finished) {
        const struct export_log *log = &ex->signals[0].log;

        /* They still use all of this; the process is about to leave. */
        if (log->host != NULL)
            spoe_logf(log->host, log->self, SPOE_LOG_ERR,
                      "the export's threads do not end, and what they hold is lost");
        return -1;
    }
    (void)pthread_join(ex->thread, NULL); /* it has left its loop */
    lanes_join(ex);
    for (unsigned i = 0; i < ex->n_signals; i++)
        ex->signals[i].transport->stop(ex->signals[i].transport, deadline_mono_ns);
    destroy(ex);
    return 0;
}

/* ---- numbers -------------------------------------------------------------------------------- */

/* @return NULL: it is not exported */
static struct signal *find(struct exporter *ex, enum otlp_signal signal)
{
    for (unsigned i = 0; i < ex->n_signals; i++)
        if (ex->signals[i].conf.signal == signal)
            return &ex->signals[i];
    return NULL;
}

const char *exporter_target(struct exporter *ex, enum otlp_signal signal)
{
    const struct signal *found = find(ex, signal);

    return found != NULL ? found->target : "";
}

void exporter_get_stats(struct exporter *ex, enum otlp_signal signal, struct exporter_stats *ret)
{
    const struct signal *found = find(ex, signal);

    *ret = (struct exporter_stats){.exported = 0};
    if (found == NULL)
        return;
    exporter_lock(ex);
    *ret = found->stats;
    exporter_unlock(ex);
}

void exporter_get_losses(struct exporter *ex, enum otlp_signal signal, struct export_losses *ret)
{
    const struct signal *found = find(ex, signal);
    struct span_queue_stats queue;
    struct exporter_stats stats;
    struct counters *counters;

    *ret = (struct export_losses){.shutdown = 0};
    if (found == NULL)
        return;
    counters = found->conf.counters;
    span_queue_get_stats(found->queue, &queue);
    exporter_get_stats(ex, signal, &stats);
    *ret = (struct export_losses){
        .queue_full = queue.dropped,
        .not_retryable = stats.not_retryable,
        .gave_up = stats.given_up,
        .rejected = stats.rejected,
        .unsupported = stats.unsupported + queue.refused,
        .too_large = stats.too_large,
        .no_memory = stats.no_memory +
                     (counters != NULL ? COUNTED(counters, queue_no_memory) : queue.no_memory),
        .shutdown = stats.shutdown,
        .still_open = counters != NULL ? COUNTED(counters, still_open) : 0};
}

void exporter_tell_losses(struct exporter *ex, struct signal *signal, bool at_once)
{
    struct counters *counters = signal->conf.counters;
    struct export_ignored ignored = {.missing_id = 0};
    struct export_losses losses;

    exporter_get_losses(ex, signal->conf.signal, &losses);
    if (counters != NULL) {
#define X(name, reason) ignored.name = COUNTED(counters, name);
        EXPORT_IGNORED(X)
#undef X
    }
    export_log_losses(&signal->log, exporter_now(ex), &losses, &ignored, at_once);
}
