/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/plugin.c - otel.so: the descriptor and the life of an instance.
 *
 *   configure  options            start  store, queue, exporter, the evictor's thread
 *   drain      end what is open, flush          stop  join, totals destroy free
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "conf/endpoint.h"
#include "conf/otel_conf.h"
#include "input/handlers.h"
#include "input/messages.h"
#include "input/evict.h"
#include "metrics.h"
#include "test_span.h"

struct otel {
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct otel_conf conf;
    struct counters counters;
    struct store *store;
    struct span_queue *queue;
    struct exporter *exporter;
    bool abandoned; /* threads of the export still use all of this */
    struct sink sink;
    struct evictor evictor;
    pthread_t evict_thread;
    pthread_mutex_t evict_lock; /* guards what follows */
    pthread_cond_t evict_changed;
    bool evicting; /* the thread runs */
    bool evict_end, evict_drained;
    struct handlers handlers;
    struct context_policy policy;
    struct otel_metrics *metrics; /* NULL: the host has none */
};

/* At the end of the export: spans of requests that are still open are lost. */
static void count_open(void *arg)
{
    struct otel *otel = arg;

    count(&otel->counters.lost_open, store_count(otel->store));
    count(&otel->counters.still_open, store_span_count(otel->store));
}

/* ---- the evictor's thread ------------------------------------------------------------------ */

static void wait_evict(struct otel *otel, int64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                                   .tv_nsec = (long)(until_ns % 1000000000)};

    if (until_ns == INT64_MAX)
        (void)pthread_cond_wait(&otel->evict_changed, &otel->evict_lock);
    else
        (void)pthread_cond_timedwait(&otel->evict_changed, &otel->evict_lock, &until);
}

static void *run_evictor(void *arg)
{
    struct otel *otel = arg;

    (void)pthread_mutex_lock(&otel->evict_lock);
    while (!otel->evict_end) {
        int64_t next;

        (void)pthread_mutex_unlock(&otel->evict_lock);
        next = evictor_run(&otel->evictor, otel->host->now_mono_ns());
        (void)pthread_mutex_lock(&otel->evict_lock);
        if (next == INT64_MAX && !otel->evict_drained) {
            otel->evict_drained = true;
            (void)pthread_cond_broadcast(&otel->evict_changed);
        }
        if (!otel->evict_end)
            wait_evict(otel, next);
    }
    (void)pthread_mutex_unlock(&otel->evict_lock);
    return NULL;
}

static int start_evictor(struct otel *otel)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&otel->evict_lock, NULL); /* cannot fail without attributes */
    if (pthread_condattr_init(&attr) != 0)
        return -1;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* Linux has it */
    (void)pthread_cond_init(&otel->evict_changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (pthread_create(&otel->evict_thread, NULL, run_evictor, otel) != 0)
        return -1;
    (void)pthread_setname_np(otel->evict_thread, "otel-evict"); /* only for ps */
    otel->evicting = true;
    return 0;
}

/* End all that is open, as far as the queue takes it until then. */
static void drain_evictor(struct otel *otel, int64_t deadline_mono_ns)
{
    (void)pthread_mutex_lock(&otel->evict_lock);
    atomic_store(&otel->evictor.draining, 1);
    (void)pthread_cond_broadcast(&otel->evict_changed);
    while (!otel->evict_drained && otel->host->now_mono_ns() < deadline_mono_ns)
        wait_evict(otel, deadline_mono_ns);
    (void)pthread_mutex_unlock(&otel->evict_lock);
}

static void stop_evictor(struct otel *otel)
{
    if (!otel->evicting)
        return;
    (void)pthread_mutex_lock(&otel->evict_lock);
    otel->evict_end = true;
    (void)pthread_cond_broadcast(&otel->evict_changed);
    (void)pthread_mutex_unlock(&otel->evict_lock);
    (void)pthread_join(otel->evict_thread, NULL);
    otel->evicting = false;
}

/* ---- the life of an instance --------------------------------------------------------------- */

static void destroy(void *inst)
{
    struct otel *otel = inst;

    if (otel == NULL)
        return;
    stop_evictor(otel);
    if (otel->abandoned)
        return; /* the process is about to leave */
    exclude_destroy(otel->handlers.exclude);
    store_destroy(otel->store);
    span_queue_destroy(otel->queue);
    counters_fini(&otel->counters);
    otel_conf_fini(&otel->conf);
    free(otel->metrics);
    free(otel);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct otel *otel = calloc(1, sizeof *otel);
    spoe_status status;

    if (otel == NULL)
        return SPOE_E_NOMEM;
    otel->host = host;
    otel->self = self;
    status = otel_conf_read(host, self, cfg, &otel->conf);
    if (status != SPOE_OK) {
        destroy(otel);
        return status;
    }
    otel->conf.exporter.counters = &otel->counters;
    otel->metrics = otel_metrics_create(host, self);
    otel->conf.exporter.on_attempt = otel_metrics_attempt;
    otel->conf.exporter.on_attempt_arg = otel->metrics;
    otel->conf.exporter.on_end = count_open;
    otel->conf.exporter.on_end_arg = otel;
    *ret_inst = otel;
    return SPOE_OK;
}

/* A collector may come later, and its name with it: no reason not to start. */
static spoe_status check(void *inst)
{
    const struct otel *otel = inst;
    const struct exporter_conf *exporter = &otel->conf.exporter;
    const char *error;

    if (otel->conf.disabled || exporter->kind != EXPORTER_OTLP || exporter->use_proxy ||
        endpoint_error(exporter->endpoint) != NULL)
        return SPOE_OK;
    error = endpoint_lookup_error(exporter->endpoint);
    if (error != NULL)
        spoe_logf(otel->host, otel->self, SPOE_LOG_WARNING,
                  "the collector's name does not resolve: %s: %s; spans are lost until it does",
                  exporter->endpoint, error);
    return SPOE_OK;
}

static spoe_status try_out(void *inst, int64_t deadline_mono_ns)
{
    const struct otel *otel = inst;

    return test_span_send(&otel->conf, otel->host, otel->self, deadline_mono_ns);
}

static spoe_status start(void *inst)
{
    struct otel *otel = inst;
    const struct otel_conf *conf = &otel->conf;

    if (conf->disabled) {
        spoe_logf(otel->host, otel->self, SPOE_LOG_INFO,
                  "disabled: no spans, no answers; traceparent passes as it came");
        return SPOE_OK;
    }
    span_set_limits(&conf->limits);
    otel->store = store_create(conf->span_store_max, conf->span_ttl_ns);
    otel->queue = span_queue_create(conf->span_queue_max, conf->span_queue_bytes,
                                    conf->exporter.batch_max, conf->exporter.bytes_max);
    if (otel->store == NULL || otel->queue == NULL)
        return SPOE_E_NOMEM;
    otel->sink = (struct sink){.queue = otel->queue,
                               .counters = &otel->counters,
                               .discard = conf->exporter.kind == EXPORTER_NONE};
    otel->evictor = (struct evictor){.store = otel->store,
                                     .sink = &otel->sink,
                                     .writer = span_queue_writer(otel->queue),
                                     .now_mono_ns = otel->host->now_mono_ns,
                                     .ttl_ns = conf->span_ttl_ns};
    if (otel->evictor.writer == NULL)
        return SPOE_E_NOMEM;
    otel->policy = (struct context_policy){
        .propagators = conf->propagators,
        .trust_inbound = conf->trust_inbound,
        .sampler = {.kind = conf->sampler.kind, .bound = sampler_ratio_bound(conf->sampler.ratio)},
        .keep_errors = conf->sampler.keep_errors,
        .variables = conf->variables};
    otel->handlers = (struct handlers){.host = otel->host,
                                       .self = otel->self,
                                       .store = otel->store,
                                       .sink = &otel->sink,
                                       .counters = &otel->counters,
                                       .known_methods = conf->known_methods,
                                       .semconv = conf->semconv,
                                       .redact_query = conf->redact_query,
                                       .moment_age_max_ns = conf->span_ttl_ns,
                                       .policy = &otel->policy};
    rate_cap_init(&otel->handlers.rate_cap, conf->sampler.max_per_second);
    if (conf->exclude_paths != NULL) {
        otel->handlers.exclude = exclude_create(conf->exclude_paths);
        if (otel->handlers.exclude == NULL)
            return SPOE_E_NOMEM;
    }
    if (exporter_start(&conf->exporter, otel->queue, otel->host, otel->self, &otel->exporter) != 0)
        return SPOE_E_INTERNAL;
    if (start_evictor(otel) != 0) {
        struct exporter_stats stats;

        otel->abandoned = exporter_stop(otel->exporter, otel->host->now_mono_ns(), &stats) != 0;
        otel->exporter = NULL;
        return SPOE_E_INTERNAL;
    }
    otel_metrics_start(otel->metrics,
                       &(struct otel_metrics_source){.counters = &otel->counters,
                                                     .store = otel->store,
                                                     .queue = otel->queue,
                                                     .exporter = otel->exporter,
                                                     .store_max = conf->span_store_max});
    if (conf->endpoint_fell_back && conf->exporter.kind == EXPORTER_OTLP)
        spoe_logf(otel->host, otel->self, SPOE_LOG_WARNING,
                  "the endpoint that was set cannot be used, so spans go to the default, %s",
                  exporter_target(otel->exporter));
    spoe_logf(otel->host, otel->self, SPOE_LOG_INFO,
              "exporting to %s, service.name %s, tls %s, span-ttl %" PRId64
              " ms, span-store-max %zu, span-queue-max %zu",
              exporter_target(otel->exporter), conf->service_name,
              otel_tls_name(conf->exporter.tls), conf->span_ttl_ns / 1000000, conf->span_store_max,
              conf->span_queue_max);
    return SPOE_OK;
}

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    struct otel *otel = inst;
    struct handlers_worker *wctx = calloc(1, sizeof *wctx);

    (void)worker;
    (void)index;
    if (wctx == NULL)
        return SPOE_E_NOMEM;
    wctx->shared = &otel->handlers;
    wctx->counters = counters_add(&otel->counters);
    wctx->writer = otel->queue != NULL ? span_queue_writer(otel->queue) : NULL;
    if (wctx->counters == NULL || (otel->queue != NULL && wctx->writer == NULL)) {
        free(wctx);
        return SPOE_E_NOMEM;
    }
    if (id_source_init(&wctx->ids) != 0) {
        free(wctx);
        return SPOE_E_INTERNAL;
    }
    *ret_wctx = wctx;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct handlers_worker *worker = wctx;

    if (worker->shared->store == NULL)
        return SPOE_OK; /* disabled */
    return handlers_handle(wctx, req, msg);
}

static void worker_stop(void *wctx)
{
    struct handlers_worker *worker = wctx;

    pool_cache_fini(&worker->spans);
    id_source_fini(&worker->ids);
    free(worker);
}

static void drain(void *inst, int64_t deadline_mono_ns)
{
    struct otel *otel = inst;

    if (otel->conf.disabled)
        return;
    exporter_begin_flush(otel->exporter, deadline_mono_ns); /* so that the queue has room again */
    drain_evictor(otel, deadline_mono_ns);
    exporter_flush(otel->exporter, deadline_mono_ns);
}

/* One line of name=value, every counter that there is. */
static void log_totals(struct otel *otel, const struct exporter_stats *stats)
{
    char text[2048] = "totals:"; /* longer than spoe_logf() writes */
    size_t n = strlen(text);
    const struct {
        const char *name;
        uint64_t value;
    } totals[] = {
#define X(name) {#name, COUNTED(&otel->counters, name)},
        OTEL_COUNTERS(X)
#undef X
            {"exported", stats->exported},
        {"rejected", stats->rejected},
        {"given_up", stats->given_up},
        {"not_retryable", stats->not_retryable},
        {"too_large", stats->too_large},
        {"no_memory_at_export", stats->no_memory},
        {"lost_at_stop", stats->shutdown},
        {"batches", stats->batches},
        {"retries", stats->retries},
        {"exports", stats->exports},
        {"warnings", stats->warnings},
        {"attributes_dropped", stats->attributes_dropped},
        {"events_dropped", stats->events_dropped},
    };

    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        const int more =
            snprintf(text + n, sizeof text - n, " %s=%" PRIu64, totals[i].name, totals[i].value);

        if (more < 0 || (size_t)more >= sizeof text - n)
            break;
        n += (size_t)more;
    }
    if (otel->host->log_enabled(otel->self, SPOE_LOG_INFO))
        otel->host->log(otel->self, NULL, SPOE_LOG_INFO, (struct spoe_span){text, n});
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    struct otel *otel = inst;
    struct exporter_stats stats = {.exported = 0};

    if (otel->conf.disabled)
        return;
    stop_evictor(otel);
    otel->abandoned = exporter_stop(otel->exporter, deadline_mono_ns, &stats) != 0;
    otel->exporter = NULL;
    log_totals(otel, &stats);
}

static const struct spoe_plugin plugin = {
    .magic = SPOE_PLUGIN_MAGIC,
    .size = sizeof plugin,
    .abi_major = SPOE_ABI_MAJOR,
    .abi_minor = SPOE_ABI_MINOR,
    .needs_minor = 0,
    .id = "otel",
    .version = OTEL_PLUGIN_VERSION,
    .help = "OpenTelemetry traces of HAProxy's requests, exported over OTLP",
    .messages = otel_messages,
    .options = otel_options,
    .configure = configure,
    .start = start,
    .worker_start = worker_start,
    .handle = handle,
    .drain = drain,
    .worker_stop = worker_stop,
    .stop = stop,
    .destroy = destroy,
    .check = check,
    .try_out = try_out,
};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    return &plugin;
}
