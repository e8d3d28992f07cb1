/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/exporter.c - start, flush and stop of the export, and its numbers. Its threads
 * are in lanes.c, what they do with a batch in delivery.c.
 */
#include "send/exporter_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <spoe/util.h>

#include "otlp/batch.h"
#include "base/counters.h"
#include "send/console.h"
#include "send/lanes.h"
#include "send/otlp_grpc.h"
#include "send/otlp_http.h"

/* Of the time that exporter_stop() has, at most so much is kept for closing the transport. */
#define CLOSE_RESERVE_NS (1500 * NS_PER_MS)
/* After a cancel the thread ends at once; so long is waited for it even past the deadline. */
#define JOIN_MIN_NS (500 * NS_PER_MS)

/* Wait for `changed` with the lock held. @return false: the deadline has passed */
static bool wait_changed(struct exporter *ex, int64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % NS_PER_S)};

    if (deadline_ns <= 0)
        return false;
    return pthread_cond_timedwait(&ex->changed, &ex->lock, &until) == 0;
}

static void destroy(struct exporter *ex)
{
    for (unsigned i = 0; i < EXPORTER_CONCURRENCY_MAX; i++)
        batch_encoder_destroy(ex->lanes[i].encoder);
    (void)pthread_cond_destroy(&ex->changed);
    (void)pthread_mutex_destroy(&ex->lock);
    (void)pthread_mutex_destroy(&ex->chair);
    reports_fini(&ex->reports);
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
    reports_init(&ex->reports);
    rc = pthread_cond_init(&ex->changed, &attr) == 0 ? 0 : -1;
done:
    (void)pthread_condattr_destroy(&attr); /* cannot fail after init */
    return rc;
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
                            .hooks = hooks != NULL ? *hooks : exporter_real_hooks,
                            .queue = queue,
                            .refill = refill,
                            .refill_arg = refill_arg,
                            .transport = transport,
                            .reports = {.host = log_host, .self = log_self}};
    ex->reports.target = ex->target;
    if (ex->conf.concurrency == 0)
        ex->conf.concurrency = 1;
    if (ex->conf.bytes_max == 0)
        ex->conf.bytes_max = BATCH_BYTES_MAX;
    set_target(ex);
    if (init_locks(ex) != 0)
        goto free_exporter;
    ex->first_ns = exporter_now(ex);
    if (lanes_start(ex, &resource) != 0)
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
    transport->stop(transport, add_sat(exporter_clock(), CLOSE_RESERVE_NS));
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

    exporter_lock(ex);
    ex->flushing = true;
    ex->limit_ns = deadline_mono_ns;
    request = ++ex->request;
    exporter_unlock(ex);
    exporter_wake(ex);
    exporter_lock(ex);
    while (ex->done < request && !ex->finished && wait_changed(ex, deadline_mono_ns))
        continue;
    ex->flush_missed = ex->done < request;
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

void exporter_stop(struct exporter *ex, int64_t deadline_mono_ns, struct exporter_stats *ret_stats)
{
    bool finished;

    if (ex == NULL)
        return;
    exporter_lock(ex);
    ex->limit_ns = stop_limit(ex, deadline_mono_ns);
    ex->stopping = true;
    ex->request++;
    exporter_unlock(ex);
    exporter_wake(ex);
    exporter_lock(ex);
    while (!ex->finished && wait_changed(ex, ex->limit_ns))
        continue;
    ex->ended = true;
    finished = ex->finished;
    exporter_unlock(ex);
    if (!finished) {
        const int64_t join_deadline = max64(deadline_mono_ns, exporter_clock() + JOIN_MIN_NS);

        ex->transport->cancel(ex->transport);
        exporter_wake(ex);
        exporter_lock(ex);
        while (!ex->finished && wait_changed(ex, join_deadline))
            continue;
        finished = ex->finished;
        exporter_unlock(ex);
    }
    exporter_get_stats(ex, ret_stats);
    if (ex->conf.on_end != NULL)
        ex->conf.on_end(ex->conf.on_end_arg);
    exporter_tell_losses(ex, true);
    if (!finished) {
        /* They still use all of this; the process is about to leave. */
        if (ex->reports.host != NULL)
            spoe_logf(ex->reports.host, ex->reports.self, SPOE_LOG_ERR,
                      "the export's threads do not end, and what they hold is lost");
        return;
    }
    lanes_join(ex);
    ex->transport->stop(ex->transport, deadline_mono_ns);
    destroy(ex);
}

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

void exporter_get_losses(struct exporter *ex, struct exporter_losses *ret)
{
    struct counters *counters = ex->conf.counters;
    struct span_queue_stats queue;
    struct exporter_stats stats;

    span_queue_get_stats(ex->queue, &queue);
    exporter_get_stats(ex, &stats);
    *ret = (struct exporter_losses){
        .queue_full = queue.dropped,
        .store_full = counters != NULL ? COUNTED(counters, refused) : 0,
        .not_retryable = stats.not_retryable,
        .gave_up = stats.given_up,
        .rejected = stats.rejected,
        .too_large = stats.too_large,
        .no_memory = stats.no_memory + (counters != NULL ? COUNTED(counters, no_memory) : 0),
        .shutdown = stats.shutdown,
        .still_open = counters != NULL ? COUNTED(counters, lost_open) : 0};
}
