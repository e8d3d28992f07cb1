/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/metrics.c - see metrics.h; docs/metrics.md says what each number tells. */
#include "metrics.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "send/transport.h"

/* Families with one label at most. */
enum family {
    MESSAGES,
    IGNORED,
    UNANSWERED,
    OPENED,
    SAMPLED,
    ENDED,
    SPANS,
    QUEUED,
    EXPORTED,
    LOST,
    UNSAMPLED,
    DISCARDED,
    SUPERSEDED,
    BATCHES,
    RETRIES,
    WARNINGS,
    ATTRIBUTES_DROPPED,
    EVENTS_DROPPED,
    EVENTS,
    OPEN,
    OPEN_MAX,
    OPEN_SPANS,
    OPEN_BYTES,
    OPEN_BYTES_MAX,
    REMEMBERED,
    KEPT_MESSAGES,
    QUEUE,
    QUEUE_MAX,
    QUEUE_BYTES,
    QUEUE_BYTES_MAX,
    SECONDS,
    LOGS_MADE, /* the four of a signal follow each other */
    LOGS_EXPORTED,
    LOGS_LOST,
    LOGS_QUEUE,
    POINTS_MADE,
    POINTS_EXPORTED,
    POINTS_LOST,
    POINTS_QUEUE,
    N_FAMILIES,
    NOWHERE
};

static const struct {
    uint32_t type;
    const char *name, *help, *label;
} families[N_FAMILIES] = {
    [MESSAGES] = {SPOE_METRIC_COUNTER, "messages_total", "Messages, by kind.", "message"},
    [IGNORED] = {SPOE_METRIC_COUNTER, "ignored_messages_total", "Messages without effect, by why.",
                 "reason"},
    [UNANSWERED] = {SPOE_METRIC_COUNTER, "unanswered_total",
                    "Answers that did not fit or came too late: no traceparent went on.", NULL},
    [OPENED] = {SPOE_METRIC_COUNTER, "requests_opened_total", "Requests whose trace began.", NULL},
    [SAMPLED] = {SPOE_METRIC_COUNTER, "sampled_requests_total",
                 "Requests, by whether the sampler took them.", "sampled"},
    [ENDED] = {SPOE_METRIC_COUNTER, "requests_ended_total",
               "Requests that ended: by their response or their line of the log, by span-ttl "
               "without one, by the shutdown without one, left to their line by it, or lost at the "
               "end of the shutdown.",
               "reason"},
    [SPANS] =
        {SPOE_METRIC_COUNTER, "spans_opened_total",
         "Spans made: server, one per request; client, one per backend message; internal, one "
         "per late response.",
         "kind"},
    [QUEUED] = {SPOE_METRIC_COUNTER, "spans_queued_total", "Ended spans taken by the queue.", NULL},
    [EXPORTED] = {SPOE_METRIC_COUNTER, "spans_exported_total", "Spans that the collector took.",
                  NULL},
    [LOST] = {SPOE_METRIC_COUNTER, "spans_lost_total", "Spans lost, by reason.", "reason"},
    [UNSAMPLED] = {SPOE_METRIC_COUNTER, "spans_unsampled_total",
                   "Spans made for keep-errors or keep-slower that were not kept.", NULL},
    [DISCARDED] = {SPOE_METRIC_COUNTER, "spans_discarded_total",
                   "Ended spans that nobody exports, as traces-exporter is none.", NULL},
    [SUPERSEDED] = {SPOE_METRIC_COUNTER, "spans_superseded_total",
                    "Spans of open requests that their line of the log takes the place of.", NULL},
    [BATCHES] = {SPOE_METRIC_COUNTER, "batches_total", "Batches delivered.", NULL},
    [RETRIES] = {SPOE_METRIC_COUNTER, "export_retries_total",
                 "Export requests sent again after a failure.", NULL},
    [WARNINGS] = {SPOE_METRIC_COUNTER, "collector_warnings_total",
                  "Export requests that the collector took whole, with a warning.", NULL},
    [ATTRIBUTES_DROPPED] = {SPOE_METRIC_COUNTER, "attributes_dropped_total",
                            "Attributes that spans to be exported lack.", NULL},
    [EVENTS_DROPPED] = {SPOE_METRIC_COUNTER, "events_dropped_total",
                        "Events that spans to be exported lack.", NULL},
    [EVENTS] = {SPOE_METRIC_COUNTER, "events_total",
                "What has no metric of its own, by its name in the log's line of totals.", "event"},
    [OPEN] = {SPOE_METRIC_GAUGE, "open_requests", "Requests that wait for their response.", NULL},
    [OPEN_MAX] = {SPOE_METRIC_GAUGE, "max_open_requests", "span-store-max.", NULL},
    [OPEN_SPANS] = {SPOE_METRIC_GAUGE, "open_spans", "Spans of open requests.", NULL},
    [OPEN_BYTES] = {SPOE_METRIC_GAUGE, "open_requests_bytes",
                    "Memory of open requests and their spans.", NULL},
    [OPEN_BYTES_MAX] = {SPOE_METRIC_GAUGE, "max_open_requests_bytes", "span-store-bytes.", NULL},
    [REMEMBERED] = {SPOE_METRIC_GAUGE, "remembered_requests",
                    "Requests that ended without a response and wait for a late one.", NULL},
    [KEPT_MESSAGES] = {SPOE_METRIC_GAUGE, "early_messages",
                       "Messages that came before their request and wait for it.", NULL},
    [QUEUE] = {SPOE_METRIC_GAUGE, "queue_spans",
               "Ended spans that wait, those in batches under way, and those in batches that wait "
               "for their retry.",
               "state"},
    [QUEUE_MAX] = {SPOE_METRIC_GAUGE, "queue_max_spans", "span-queue-max.", NULL},
    [QUEUE_BYTES] = {SPOE_METRIC_GAUGE, "queue_bytes", "Bytes of all these spans.", NULL},
    [QUEUE_BYTES_MAX] = {SPOE_METRIC_GAUGE, "queue_max_bytes", "span-queue-bytes.", NULL},
    [SECONDS] = {SPOE_METRIC_HISTOGRAM, "export_seconds",
                 "How long export requests take, by outcome.", "outcome"},
    [LOGS_MADE] = {SPOE_METRIC_COUNTER, "log_records_total",
                   "Log records made to be exported over OTLP.", NULL},
    [LOGS_EXPORTED] = {SPOE_METRIC_COUNTER, "log_records_exported_total",
                       "Log records that the collector took.", NULL},
    [LOGS_LOST] = {SPOE_METRIC_COUNTER, "log_records_lost_total", "Log records lost, by reason.",
                   "reason"},
    [LOGS_QUEUE] = {SPOE_METRIC_GAUGE, "queue_log_records",
                    "Log records that wait, those in batches under way, and those in batches that "
                    "wait for their retry.",
                    "state"},
    [POINTS_MADE] = {SPOE_METRIC_COUNTER, "metric_points_total",
                     "Data points made to be exported over OTLP.", NULL},
    [POINTS_EXPORTED] = {SPOE_METRIC_COUNTER, "metric_points_exported_total",
                         "Data points that the collector took.", NULL},
    [POINTS_LOST] = {SPOE_METRIC_COUNTER, "metric_points_lost_total",
                     "Data points lost, by reason.", "reason"},
    [POINTS_QUEUE] = {SPOE_METRIC_GAUGE, "queue_metric_points",
                      "Data points that wait, those in batches under way, and those in batches "
                      "that wait for their retry.",
                      "state"},
};

/* Where the plugin's counters go; one that is not here is an event. */
static const struct {
    size_t offset;
    enum family family;
    const char *value;
} rows[] = {
#define ROW(name, family, value)                                                                   \
    {                                                                                              \
        offsetof(struct counters, name), family, value                                             \
    }
    ROW(requests, MESSAGES, "request"),
    ROW(backends, MESSAGES, "backend"),
    ROW(responses, MESSAGES, "response"),
    ROW(lines, MESSAGES, "log"),
    ROW(missing_id, IGNORED, "missing_id"),
    ROW(lines_without_context, IGNORED, "no_context"),
    ROW(lines_late, IGNORED, "late_line"),
    ROW(long_id, IGNORED, "long_id"),
    ROW(duplicate_id, IGNORED, "duplicate_id"),
    ROW(duplicate_backend, IGNORED, "duplicate_backend"),
    ROW(unknown_id, IGNORED, "unknown_id"),
    ROW(refused, IGNORED, "store_full"),
    ROW(stopping, IGNORED, "stopping"),
    ROW(refused_client, IGNORED, "store_full_backend"),
    ROW(refused_response, IGNORED, "store_full_response"),
    ROW(late_backend, IGNORED, "late_backend"),
    ROW(reorder_full, IGNORED, "reorder_full"),
    ROW(late, SPANS, "internal"),
    ROW(unanswered, UNANSWERED, NULL),
    ROW(opened, OPENED, NULL),
    ROW(ended, ENDED, "response"),
    ROW(evicted, ENDED, "ttl"),
    ROW(ended_at_stop, ENDED, "shutdown"),
    ROW(left_to_line, ENDED, "left_to_line"),
    ROW(lost_open, ENDED, "lost"),
    ROW(unsampled, SAMPLED, "false"),
    ROW(dropped, NOWHERE, NULL), /* the exporter has these among the losses */
    ROW(queue_no_memory, NOWHERE, NULL),
    ROW(still_open, NOWHERE, NULL),
    ROW(unsampled_spans, UNSAMPLED, NULL),
    ROW(discarded, DISCARDED, NULL),
    ROW(superseded, SUPERSEDED, NULL),
    ROW(passed_over, NOWHERE, NULL), /* among the spans made */
    ROW(attached, SPANS, "client"),
    ROW(logged, SPANS, "logged"),
#undef ROW
};

/* All counters, in their order. */
static const struct {
    size_t offset;
    const char *name;
} counters[] = {
#define X(name) {offsetof(struct counters, name), #name},
    OTEL_COUNTERS(X)
#undef X
};
#define N_COUNTERS (sizeof counters / sizeof counters[0])

/* Why spans are lost. */
static const struct {
    size_t offset;
    const char *name;
} losses[] = {
#define X(name) {offsetof(struct export_losses, name), #name},
    EXPORT_LOSSES(X)
#undef X
};
#define N_LOSSES (sizeof losses / sizeof losses[0])

static const char *const outcomes[] = {[TRANSPORT_OK] = "ok",
                                       [TRANSPORT_RETRYABLE] = "retryable",
                                       [TRANSPORT_NOT_RETRYABLE] = "not_retryable"};
#define N_OUTCOMES (sizeof outcomes / sizeof outcomes[0])

/* From a collector on the same machine to the 10 s after which an export is cut off. */
static const double seconds_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                        0.25,  0.5,    1,     2.5,  5,     10};

/* What is shown of a signal beside traces. */
struct signal_metrics {
    struct spoe_metric *made, *exported, *lost[N_LOSSES], *waiting, *in_flight, *parked;
};

struct otel_metrics {
    const struct spoe_metrics *api;
    struct otel_metrics_source from;
    struct spoe_metric *counter[N_COUNTERS], *lost[N_LOSSES], *seconds[N_OUTCOMES];
    struct spoe_metric *spans_server, *sampled, *queued, *exported, *batches, *retries;
    struct spoe_metric *warnings, *attributes_dropped, *events_dropped;
    struct spoe_metric *open, *open_max, *open_spans;
    struct spoe_metric *waiting, *in_flight, *parked, *queue_max, *queue_bytes, *queue_bytes_max;
    struct spoe_metric *open_bytes, *open_bytes_max, *remembered, *kept;
    struct signal_metrics logs, points;
};

/* ---- reading ----------------------------------------------------------------------------- */

static uint64_t loss(const struct export_losses *lost, size_t i)
{
    uint64_t n;

    memcpy(&n, (const char *)lost + losses[i].offset, sizeof n);
    return n;
}

static void collect_export(struct otel_metrics *m)
{
    struct span_queue_stats queue;
    struct exporter_stats stats;
    struct export_losses lost;

    exporter_get_stats(m->from.exporter, SIGNAL_TRACES, &stats);
    span_queue_get_stats(m->from.queue, &queue);
    m->api->counter_set(m->queued, queue.pushed);
    m->api->gauge_set(m->waiting, (int64_t)queue.waiting);
    m->api->gauge_set(
        m->in_flight,
        (int64_t)(queue.in_flight > stats.parked ? queue.in_flight - stats.parked : 0));
    m->api->gauge_set(m->parked, (int64_t)stats.parked);
    m->api->gauge_set(m->queue_max, (int64_t)queue.max);
    m->api->gauge_set(m->queue_bytes, (int64_t)queue.bytes);
    m->api->gauge_set(m->queue_bytes_max, (int64_t)queue.bytes_max);
    m->api->counter_set(m->exported, stats.exported);
    m->api->counter_set(m->batches, stats.batches);
    m->api->counter_set(m->retries, stats.retries);
    m->api->counter_set(m->warnings, stats.warnings);
    m->api->counter_set(m->attributes_dropped, stats.attributes_dropped);
    m->api->counter_set(m->events_dropped, stats.events_dropped);
    exporter_get_losses(m->from.exporter, SIGNAL_TRACES, &lost);
    for (size_t i = 0; i < N_LOSSES; i++)
        m->api->counter_set(m->lost[i], loss(&lost, i));
}

static void collect_signal(struct otel_metrics *m, const struct signal_metrics *to,
                           enum otlp_signal signal, struct span_queue *from)
{
    struct span_queue_stats queue;
    struct exporter_stats stats;
    struct export_losses lost;

    if (from == NULL)
        return; /* it is not exported */
    exporter_get_stats(m->from.exporter, signal, &stats);
    exporter_get_losses(m->from.exporter, signal, &lost);
    span_queue_get_stats(from, &queue);
    m->api->counter_set(to->made, queue.pushed + queue.dropped + queue.refused + queue.no_memory);
    m->api->counter_set(to->exported, stats.exported);
    for (size_t i = 0; i < N_LOSSES; i++)
        m->api->counter_set(to->lost[i], loss(&lost, i));
    m->api->gauge_set(to->waiting, (int64_t)queue.waiting);
    m->api->gauge_set(
        to->in_flight,
        (int64_t)(queue.in_flight > stats.parked ? queue.in_flight - stats.parked : 0));
    m->api->gauge_set(to->parked, (int64_t)stats.parked);
}

static void collect(void *arg)
{
    struct otel_metrics *m = arg;

    if (m->from.exporter == NULL)
        return; /* the plugin is disabled */
    for (size_t i = 0; i < N_COUNTERS; i++)
        m->api->counter_set(m->counter[i], counters_sum(m->from.counters, counters[i].offset));
    m->api->counter_set(m->spans_server,
                        COUNTED(m->from.counters, opened) + COUNTED(m->from.counters, passed_over));
    m->api->counter_set(m->sampled, COUNTED(m->from.counters, opened));
    m->api->gauge_set(m->open, (int64_t)store_count(m->from.store));
    m->api->gauge_set(m->open_spans, (int64_t)store_span_count(m->from.store));
    m->api->gauge_set(m->open_bytes, (int64_t)store_bytes(m->from.store));
    m->api->gauge_set(m->remembered, (int64_t)store_remembered(m->from.store));
    m->api->gauge_set(m->kept, (int64_t)store_kept(m->from.store));
    collect_export(m);
    collect_signal(m, &m->logs, SIGNAL_LOGS, m->from.log_queue);
    collect_signal(m, &m->points, SIGNAL_METRICS, m->from.metric_queue);
}

/* ---- declaring --------------------------------------------------------------------------- */

/* What cannot be declared has no handle, and setting that has no effect. */
static void declare(const struct spoe_metrics *api, struct spoe_instance *self,
                    struct spoe_metric_family *ret[N_FAMILIES])
{
    for (size_t i = 0; i < N_FAMILIES; i++) {
        const char *const labels[] = {families[i].label, NULL};
        const bool histogram = families[i].type == SPOE_METRIC_HISTOGRAM;
        const struct spoe_metric_decl decl = {
            .size = sizeof decl,
            .type = families[i].type,
            .n_bounds = histogram ? sizeof seconds_bounds / sizeof seconds_bounds[0] : 0,
            .name = families[i].name,
            .help = families[i].help,
            .labels = labels,
            .bounds = histogram ? seconds_bounds : NULL,
        };

        (void)api->declare(self, &decl, &ret[i]);
    }
}

static struct spoe_metric *series(const struct spoe_metrics *api, struct spoe_metric_family *family,
                                  const char *value)
{
    const struct spoe_span span = spoe_str(value);

    return api->series(family, value != NULL ? &span : NULL);
}

static struct spoe_metric *counter_series(const struct spoe_metrics *api,
                                          struct spoe_metric_family *const family[N_FAMILIES],
                                          size_t counter)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].offset == counters[counter].offset)
            return rows[i].family != NOWHERE ? series(api, family[rows[i].family], rows[i].value)
                                             : NULL;
    }
    return series(api, family[EVENTS], counters[counter].name);
}

/* @param family  the first of the signal's four */
static struct signal_metrics signal_series(const struct spoe_metrics *api,
                                           struct spoe_metric_family *const *family)
{
    struct signal_metrics m = {.made = series(api, family[0], NULL),
                               .exported = series(api, family[1], NULL),
                               .waiting = series(api, family[3], "waiting"),
                               .in_flight = series(api, family[3], "in_flight"),
                               .parked = series(api, family[3], "parked")};

    for (size_t i = 0; i < N_LOSSES; i++)
        m.lost[i] = series(api, family[2], losses[i].name);
    return m;
}

struct otel_metrics *otel_metrics_create(const struct spoe_host *host, struct spoe_instance *self)
{
    const struct spoe_metrics *api =
        (const struct spoe_metrics *)host->get_extension(self, SPOE_METRICS_1);
    struct spoe_metric_family *family[N_FAMILIES];
    struct otel_metrics *m;

    if (api == NULL)
        return NULL;
    m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->api = api;
    declare(api, self, family);
    for (size_t i = 0; i < N_COUNTERS; i++)
        m->counter[i] = counter_series(api, family, i);
    for (size_t i = 0; i < N_LOSSES; i++)
        m->lost[i] = series(api, family[LOST], losses[i].name);
    for (size_t i = 0; i < N_OUTCOMES; i++)
        m->seconds[i] = series(api, family[SECONDS], outcomes[i]);
    m->spans_server = series(api, family[SPANS], "server");
    m->sampled = series(api, family[SAMPLED], "true");
    m->queued = series(api, family[QUEUED], NULL);
    m->exported = series(api, family[EXPORTED], NULL);
    m->batches = series(api, family[BATCHES], NULL);
    m->retries = series(api, family[RETRIES], NULL);
    m->warnings = series(api, family[WARNINGS], NULL);
    m->attributes_dropped = series(api, family[ATTRIBUTES_DROPPED], NULL);
    m->events_dropped = series(api, family[EVENTS_DROPPED], NULL);
    m->open = series(api, family[OPEN], NULL);
    m->open_max = series(api, family[OPEN_MAX], NULL);
    m->open_bytes = series(api, family[OPEN_BYTES], NULL);
    m->open_bytes_max = series(api, family[OPEN_BYTES_MAX], NULL);
    m->remembered = series(api, family[REMEMBERED], NULL);
    m->kept = series(api, family[KEPT_MESSAGES], NULL);
    m->waiting = series(api, family[QUEUE], "waiting");
    m->in_flight = series(api, family[QUEUE], "in_flight");
    m->parked = series(api, family[QUEUE], "parked");
    m->open_spans = series(api, family[OPEN_SPANS], NULL);
    m->queue_bytes = series(api, family[QUEUE_BYTES], NULL);
    m->queue_bytes_max = series(api, family[QUEUE_BYTES_MAX], NULL);
    m->queue_max = series(api, family[QUEUE_MAX], NULL);
    m->logs = signal_series(api, &family[LOGS_MADE]);
    m->points = signal_series(api, &family[POINTS_MADE]);
    (void)api->collect(self, collect, m);
    return m;
}

void otel_metrics_limits(struct otel_metrics *m, size_t store_max, size_t store_bytes_max)
{
    if (m == NULL)
        return;
    m->api->gauge_set(m->open_max, (int64_t)store_max);
    m->api->gauge_set(m->open_bytes_max, (int64_t)store_bytes_max);
}

void otel_metrics_start(struct otel_metrics *m, const struct otel_metrics_source *source)
{
    if (m == NULL)
        return;
    m->from = *source;
    otel_metrics_limits(m, source->store_max, source->store_bytes_max);
}

void otel_metrics_attempt(void *arg, int outcome, int64_t ns)
{
    struct otel_metrics *m = arg;

    if (m != NULL && outcome >= 0 && (size_t)outcome < N_OUTCOMES)
        m->api->observe(m->seconds[outcome], (double)ns / 1e9);
}
