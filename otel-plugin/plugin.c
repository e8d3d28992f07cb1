/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/plugin.c - otel.so: the descriptor and the life of an instance.
 *
 *   configure  options            start  store, queue, exporter, the evictor's thread
 *   drain      end what is open, flush          stop  join, totals destroy free
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <spoe/util.h>

#include "conf/endpoint.h"
#include "conf/otel_conf.h"
#include "haproxy_side.h"
#include "input/handlers.h"
#include "input/messages.h"
#include "input/evict.h"
#include "metrics.h"
#include "otlp/metric_wire.h"
#include "otlp/signals.h"
#include "policies.h"
#include "request_metrics.h"
#include "test_span.h"
#include "totals.h"

struct otel {
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct otel_conf conf;
    struct counters counters;
    struct store *store;
    struct span_queue *queue;
    struct span_queue *log_queue;    /* NULL: no log records are exported */
    struct span_queue *metric_queue; /* NULL: no metrics are */
    struct metric_encoder *metric_encoder;
    struct exporter *exporter;
    const struct spoe_health *health; /* NULL: the host has none */
    bool abandoned;                   /* threads of the export still use all of this */
    struct sink sink;
    struct evictor evictor;
    struct handlers_worker evictor_worker;
    struct handlers handlers;
    struct policies *policies;
    _Atomic int64_t quiet_ns;     /* when quiesce() came; 0: it has not */
    struct otel_metrics *metrics; /* NULL: the host has none */
    struct meter *meter;
    struct request_metrics request_metrics;
};

/* What is kept beside open requests: docs/otel.md. */
#define LATE_NS (INT64_C(600) * 1000000000)
#define LATE_MAX 65536u
#define LATE_BYTES_MAX (INT64_C(16) << 20)
#define KEPT_MAX 8192u
#define KEPT_BYTES_MAX (INT64_C(16) << 20)

/* A backend message follows its request within this time, or never. */
#define SETTLE_NS (INT64_C(100) * 1000000)

/* At the end of the export: spans of requests that are still open are lost. */
static void count_open(void *arg)
{
    struct otel *otel = arg;

    count(&otel->counters.lost_open, store_count(otel->store));
    evictor_give_up(&otel->evictor);
    count(&otel->counters.still_open, store_span_count(otel->store));
}

static void destroy(void *inst)
{
    struct otel *otel = inst;

    if (otel == NULL)
        return;
    evictor_stop(&otel->evictor);
    if (otel->abandoned)
        return; /* the process is about to leave */
    pool_cache_fini(&otel->evictor_worker.spans);
    id_source_fini(&otel->evictor_worker.ids);
    untraced_destroy(otel->handlers.untraced);
    policies_destroy(otel->policies);
    store_destroy(otel->store);
    span_queue_destroy(otel->queue);
    span_queue_destroy(otel->log_queue);
    metric_encoder_destroy(otel->metric_encoder);
    span_queue_destroy(otel->metric_queue);
    counters_fini(&otel->counters);
    meter_destroy(otel->meter);
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
    if (otel->conf.metrics_page)
        request_metrics_init(host, self, &otel->request_metrics);
    otel->conf.exporter.on_attempt = otel_metrics_attempt;
    otel->conf.exporter.on_attempt_arg = otel->metrics;
    otel->conf.exporter.on_end = count_open;
    otel->conf.exporter.on_end_arg = otel;
    *ret_inst = otel;
    return SPOE_OK;
}

/* What is exported, to whom nobody before it goes. @return NULL: it is not, or it is told already
 */
static const struct exporter_conf *told_of(const struct otel *otel, enum otlp_signal signal)
{
    const struct exporter_conf *const all[N_SIGNALS] = {[SIGNAL_TRACES] = &otel->conf.exporter,
                                                        [SIGNAL_LOGS] = &otel->conf.logs,
                                                        [SIGNAL_METRICS] = &otel->conf.metrics};

    if (all[signal]->kind != EXPORTER_OTLP)
        return NULL;
    for (size_t i = 0; i < (size_t)signal; i++)
        if (all[i]->kind == EXPORTER_OTLP && strcmp(all[i]->endpoint, all[signal]->endpoint) == 0)
            return NULL;
    return all[signal];
}

static void warn_of_default(const struct otel *otel)
{
    for (size_t i = 0; i < N_SIGNALS; i++) {
        const struct exporter_conf *exporter = told_of(otel, (enum otlp_signal)i);

        if (exporter != NULL && otel->conf.collectors[i].fell_back)
            spoe_logf(otel->host, otel->self, SPOE_LOG_WARNING,
                      "the endpoint that was set cannot be used, so %s go to the default, %s",
                      signal_names((enum otlp_signal)i)->items, exporter->endpoint);
    }
}

/* A collector may come later, and its name with it: no reason not to start. */
static spoe_status check(void *inst)
{
    const struct otel *otel = inst;

    if (otel->conf.disabled)
        return SPOE_OK;
    warn_of_default(otel);
    for (size_t i = 0; i < N_SIGNALS; i++) {
        const struct exporter_conf *exporter = told_of(otel, (enum otlp_signal)i);
        const char *error;

        if (exporter == NULL || exporter->use_proxy || endpoint_error(exporter->endpoint) != NULL)
            continue;
        error = endpoint_lookup_error(exporter->endpoint);
        if (error != NULL)
            spoe_logf(otel->host, otel->self, SPOE_LOG_WARNING,
                      "the collector's name does not resolve: %s: %s; %s are lost until it does",
                      exporter->endpoint, error, signal_names((enum otlp_signal)i)->items);
    }
    return SPOE_OK;
}

static spoe_status try_out(void *inst, int64_t deadline_mono_ns)
{
    const struct otel *otel = inst;

    return test_span_send(&otel->conf, otel->host, otel->self, deadline_mono_ns);
}

static struct store *make_store(const struct otel_conf *conf)
{
    const struct store_conf store = {.max = conf->span_store_max,
                                     .bytes_max = conf->span_store_bytes,
                                     .ttl_ns = conf->span_ttl_ns,
                                     .reorder_ns = conf->span_reorder_ns,
                                     .kept_max = KEPT_MAX,
                                     .kept_bytes_max = KEPT_BYTES_MAX,
                                     .late_ns = LATE_NS,
                                     .late_max = LATE_MAX,
                                     .late_bytes_max = LATE_BYTES_MAX};

    return store_create(&store);
}

/* A handlers_worker that is all zero becomes one. */
static spoe_status init_worker(struct otel *otel, struct handlers_worker *worker)
{
    worker->shared = &otel->handlers;
    worker->writer = otel->queue != NULL ? span_queue_writer(otel->queue) : NULL;
    worker->logs = otel->log_queue != NULL ? span_queue_writer(otel->log_queue) : NULL;
    if ((otel->queue != NULL && worker->writer == NULL) ||
        (otel->log_queue != NULL && worker->logs == NULL))
        return SPOE_E_NOMEM;
    worker->meter = otel->meter != NULL ? meter_writer(otel->meter) : NULL;
    if (otel->meter != NULL && worker->meter == NULL)
        return SPOE_E_NOMEM;
    if (id_source_init(&worker->ids) == 0)
        return SPOE_OK;
    spoe_logf(otel->host, otel->self, SPOE_LOG_ERR,
              "no random ids: OpenSSL, as it is configured, has neither ChaCha20 nor AES-256-CTR");
    return SPOE_E_INTERNAL;
}

static int64_t unix_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int start_export(struct otel *otel)
{
    struct exporter_part parts[N_SIGNALS];
    size_t n = 0;

    parts[n++] = (struct exporter_part){.conf = &otel->conf.exporter, .queue = otel->queue};
    if (otel->log_queue != NULL)
        parts[n++] = (struct exporter_part){.conf = &otel->conf.logs, .queue = otel->log_queue};
    if (otel->metric_queue != NULL)
        parts[n++] =
            (struct exporter_part){.conf = &otel->conf.metrics, .queue = otel->metric_queue};
    if (exporter_start(parts, n, otel->host, otel->self, &otel->exporter) != 0)
        return -1;
    exporter_show_health(otel->exporter, otel->health, otel->self);
    return 0;
}

/* As exporter_produce_fn. */
static void put_metrics(void *arg)
{
    struct otel *otel = arg;

    if (metric_encoder_put(otel->metric_encoder, unix_now()) != 0)
        spoe_logf(otel->host, otel->self, SPOE_LOG_WARNING,
                  "out of memory: some metrics are not exported this time");
}

/* A queue of metrics, and what fills it. @return 0; -1: out of memory */
static int make_metric_queue(struct otel *otel)
{
    struct exporter_conf *conf = &otel->conf.metrics;
    struct span_writer *writer;

    otel->metric_queue = span_queue_create(METRIC_POINTS_MAX, SPAN_QUEUE_BYTES_MAX, conf->batch_max,
                                           conf->bytes_max);
    if (otel->metric_queue == NULL)
        return -1;
    writer = span_queue_writer(otel->metric_queue);
    if (writer == NULL)
        return -1;
    otel->metric_encoder = metric_encoder_create(
        otel->meter, writer, otel->conf.temporality != TEMPORALITY_CUMULATIVE, conf->bytes_max / 4);
    conf->produce = put_metrics;
    conf->produce_arg = otel;
    return otel->metric_encoder != NULL ? 0 : -1;
}

/* @return 0; -1: out of memory */
static int make_queues(struct otel *otel)
{
    const struct otel_conf *conf = &otel->conf;

    otel->queue = span_queue_create(conf->span_queue_max, conf->span_queue_bytes,
                                    conf->exporter.batch_max, conf->exporter.bytes_max);
    if (conf->logs.kind == EXPORTER_OTLP)
        otel->log_queue = span_queue_create(conf->logs_queue_max, conf->logs_queue_bytes,
                                            conf->logs.batch_max, conf->logs.bytes_max);
    if (otel->queue == NULL || (conf->logs.kind == EXPORTER_OTLP && otel->log_queue == NULL))
        return -1;
    return conf->metrics.kind == EXPORTER_OTLP ? make_metric_queue(otel) : 0;
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
    otel->store = make_store(conf);
    otel->handlers.untraced = untraced_create();
    if (conf->metrics_page || conf->metrics.kind == EXPORTER_OTLP) {
        otel->meter = meter_create(conf->metric_series_max, unix_now());
        if (otel->meter == NULL)
            return SPOE_E_NOMEM;
    }
    otel->policies = policies_create(otel->host, &otel->handlers, &otel->evictor);
    if (otel->store == NULL || make_queues(otel) != 0 || otel->handlers.untraced == NULL ||
        otel->policies == NULL)
        return SPOE_E_NOMEM;
    otel->health = otel->host->get_extension(otel->self, SPOE_HEALTH_1);
    otel->sink = (struct sink){.queue = otel->queue,
                               .counters = &otel->counters,
                               .discard = conf->exporter.kind == EXPORTER_NONE};
    otel->handlers =
        (struct handlers){.host = otel->host,
                          .self = otel->self,
                          .store = otel->store,
                          .sink = &otel->sink,
                          .counters = &otel->counters,
                          .untraced = otel->handlers.untraced,
                          .recent = otel->host->get_extension(otel->self, SPOE_RECENT_1),
                          .reorder = conf->span_reorder_ns > 0};
    if (policies_use(otel->policies, conf, conf) != SPOE_OK)
        return SPOE_E_NOMEM;
    otel->evictor.worker = &otel->evictor_worker;
    otel->evictor.now_mono_ns = otel->host->now_mono_ns;
    if (init_worker(otel, &otel->evictor_worker) != SPOE_OK)
        return SPOE_E_INTERNAL;
    id_span(&otel->evictor_worker.ids, otel->handlers.process);
    otel->handlers.started_unix_ns = unix_now();
    if (start_export(otel) != 0)
        return SPOE_E_INTERNAL;
    if (evictor_start(&otel->evictor) != 0) {
        struct exporter_stats stats[N_SIGNALS];

        spoe_logf(otel->host, otel->self, SPOE_LOG_ERR, "cannot start the thread that evicts");
        otel->abandoned = exporter_stop(otel->exporter, otel->host->now_mono_ns(), stats) != 0;
        otel->exporter = NULL;
        return SPOE_E_INTERNAL;
    }
    otel->request_metrics.meter = conf->metrics_page ? otel->meter : NULL;
    otel_metrics_start(otel->metrics,
                       &(struct otel_metrics_source){.counters = &otel->counters,
                                                     .store = otel->store,
                                                     .queue = otel->queue,
                                                     .log_queue = otel->log_queue,
                                                     .metric_queue = otel->metric_queue,
                                                     .exporter = otel->exporter,
                                                     .store_max = conf->span_store_max,
                                                     .store_bytes_max = conf->span_store_bytes});
    warn_of_default(otel);
    for (size_t i = SIGNAL_LOGS; i < N_SIGNALS; i++)
        if (exporter_target(otel->exporter, (enum otlp_signal)i)[0] != '\0')
            spoe_logf(otel->host, otel->self, SPOE_LOG_INFO, "exporting %s to %s",
                      signal_names((enum otlp_signal)i)->name,
                      exporter_target(otel->exporter, (enum otlp_signal)i));
    spoe_logf(otel->host, otel->self, SPOE_LOG_INFO,
              "exporting to %s, service.name %s, tls %s, span-ttl %" PRId64
              " ms, span-store-max %zu, span-queue-max %zu",
              exporter_target(otel->exporter, SIGNAL_TRACES), conf->service_name,
              otel_tls_name(conf->exporter.tls), conf->span_ttl_ns / 1000000, conf->span_store_max,
              conf->span_queue_max);
    return SPOE_OK;
}

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    struct otel *otel = inst;
    struct handlers_worker *wctx = calloc(1, sizeof *wctx);
    spoe_status status;

    (void)index;
    if (wctx == NULL)
        return SPOE_E_NOMEM;
    wctx->counters = counters_add(&otel->counters);
    status = wctx->counters != NULL ? init_worker(otel, wctx) : SPOE_E_NOMEM;
    if (status == SPOE_OK && otel->policies != NULL &&
        policies_add_worker(otel->policies, worker) != 0) {
        id_source_fini(&wctx->ids);
        status = SPOE_E_NOMEM;
    }
    if (status != SPOE_OK) {
        free(wctx);
        return status;
    }
    *ret_wctx = wctx;
    return SPOE_OK;
}

static spoe_status otel_handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
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

/*
 * Requests whose response has still to come. HAProxy's own answers (redirects, denials) have none,
 * and nothing says so but that no backend message follows: a while after the last request was
 * opened only those with a CLIENT span count, where HAProxy sends backend messages at all. A site
 * that redirects would make each end wait for the whole of drain-time otherwise.
 */
static uint64_t open_count(void *inst)
{
    struct otel *otel = inst;
    int64_t quiet_ns = atomic_load(&otel->quiet_ns);
    size_t n, n_spans;

    if (otel->store == NULL)
        return 0;
    n = store_with_spans(otel->store);
    if (quiet_ns == 0 || otel->host->now_mono_ns() < quiet_ns + SETTLE_NS ||
        !atomic_load_explicit(&otel->handlers._backends_come, memory_order_relaxed))
        return n;
    n_spans = store_span_count(otel->store);
    return n_spans > n ? n_spans - n : 0; /* they are not read at one moment */
}

static void quiesce(void *inst)
{
    struct otel *otel = inst;

    atomic_store(&otel->quiet_ns, otel->host->now_mono_ns());
    atomic_store(&otel->handlers.quiet, true);
}

static spoe_status reconfigure(void *inst, struct spoe_config *cfg)
{
    struct otel *otel = inst;
    struct otel_conf rules = {.span_ttl_ns = 0};
    spoe_status status = otel_conf_read_rules(otel->host, otel->self, cfg, &rules);

    if (status == SPOE_OK && otel->store != NULL) { /* else it is disabled */
        status = policies_use(otel->policies, &otel->conf, &rules);
        if (status == SPOE_OK) {
            store_set_limits(otel->store, rules.span_store_max, rules.span_store_bytes);
            otel_metrics_limits(otel->metrics, rules.span_store_max, rules.span_store_bytes);
        } else if (status == SPOE_E_LIMIT) {
            count(&otel->counters.refused_changes, 1);
        }
    }
    otel_conf_fini(&rules);
    return status;
}

/*
 * End what is open, no more at once than the queue has room for, while the export makes room. What
 * the time does not suffice for is counted at the stop.
 */
static void drain(void *inst, int64_t deadline_mono_ns)
{
    static const struct timespec pause = {.tv_nsec = 2000000};
    struct otel *otel = inst;

    if (otel->conf.disabled)
        return;
    evictor_stop(&otel->evictor);
    exporter_begin_flush(otel->exporter, deadline_mono_ns);
    while (evictor_end_open(&otel->evictor) && otel->host->now_mono_ns() < deadline_mono_ns &&
           !exporter_is_vain(otel->exporter))
        (void)nanosleep(&pause, NULL);
    exporter_flush(otel->exporter, deadline_mono_ns);
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    struct otel *otel = inst;
    const struct totals to = {otel->host, otel->self};
    struct exporter_stats stats[N_SIGNALS];

    if (otel->conf.disabled)
        return;
    evictor_stop(&otel->evictor);
    otel->abandoned = exporter_stop(otel->exporter, deadline_mono_ns, stats) != 0;
    otel->exporter = NULL;
    totals_log(&to, &otel->counters, &stats[SIGNAL_TRACES]);
    totals_log_signal(&to, SIGNAL_LOGS, &stats[SIGNAL_LOGS], otel->log_queue);
    totals_log_signal(&to, SIGNAL_METRICS, &stats[SIGNAL_METRICS], otel->metric_queue);
}

struct haproxy_wishes otel_haproxy_wishes(const void *inst)
{
    const struct otel_conf *conf = &((const struct otel *)inst)->conf;

    return (struct haproxy_wishes){
        .propagators = conf->propagators.set,
        .sampler = conf->sampler.kind,
        .ratio = conf->sampler.ratio,
        .all_lines = conf->metrics_page || conf->metrics.kind != EXPORTER_NONE ||
                     conf->logs.kind != EXPORTER_NONE || conf->sampler.keep_slower_ns > 0,
        .errors = conf->sampler.keep_errors || conf->sampler.bad_requests,
    };
}

static const void *get_extension(void *inst, const char *id)
{
    (void)inst;
    return strcmp(id, SPOE_HAPROXY_1) == 0 ? &haproxy_side : NULL;
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
    .handle = otel_handle,
    .drain = drain,
    .worker_stop = worker_stop,
    .stop = stop,
    .destroy = destroy,
    .get_extension = get_extension,
    .open_count = open_count,
    .quiesce = quiesce,
    .reconfigure = reconfigure,
    .check = check,
    .try_out = try_out,
    .variables = otel_variables,
};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    return &plugin;
}
