/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/metrics_text.c - a page of metrics, in Prometheus' text format 0.0.4 or as OpenMetrics
 * 1.0.0, and the series that plugins put on it themselves.
 *
 * In OpenMetrics a counter's family has no "_total", its samples have. Where that would make two
 * families of one name (a gauge x, a counter x_total) the counter is shown as of unknown type.
 */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "core/metrics_impl.h"

#define TOTAL "_total"
#define NS_PER_S INT64_C(1000000000)

/* What of a histogram is looked at: all that there was in 1.1. */
#define HISTOGRAM_SIZE_1_1                                                                         \
    (offsetof(struct spoe_metric_histogram, sum) +                                                 \
     sizeof(((struct spoe_metric_histogram *)NULL)->sum))

/* Where a family's series go. */
struct spoe_metric_sink {
    const struct spoe_metric_family *family;
    enum metrics_format format;
    FILE *out;
    uint32_t n_series;
};

/* ---- heads -------------------------------------------------------------------------------- */

static void write_help(FILE *out, enum metrics_format format, const char *help)
{
    for (const char *p = help; *p != '\0'; p++) {
        if (*p == '\n')
            (void)fputs("\\n", out);
        else if (*p == '\\' || (*p == '"' && format == METRICS_OPENMETRICS))
            (void)fprintf(out, "\\%c", *p);
        else
            (void)fputc(*p, out);
    }
}

static bool ends_in(const char *name, size_t n, const char *suffix)
{
    const size_t len = strlen(suffix);

    return n > len && memcmp(name + n - len, suffix, len) == 0;
}

/* The unit, which a name has at its end. @return NULL: it has none */
static const char *unit_of(const char *name, size_t n)
{
    return ends_in(name, n, "_seconds") ? "seconds" : ends_in(name, n, "_bytes") ? "bytes" : NULL;
}

static void write_head(FILE *out, enum metrics_format format, const char *name, const char *type,
                       const char *help)
{
    const bool open = format == METRICS_OPENMETRICS;
    const size_t n = strlen(name) - (open && strcmp(type, "counter") == 0 ? sizeof TOTAL - 1 : 0);
    const char *unit = unit_of(name, n);

    (void)fprintf(out, "# HELP %.*s ", (int)n, name);
    write_help(out, format, help);
    (void)fprintf(out, "\n# TYPE %.*s %s\n", (int)n, name, type);
    if (open && unit != NULL)
        (void)fprintf(out, "# UNIT %.*s %s\n", (int)n, name, unit);
}

static const char *const types[] = {
    [SPOE_METRIC_COUNTER] = "counter",
    [SPOE_METRIC_GAUGE] = "gauge",
    [SPOE_METRIC_HISTOGRAM] = "histogram",
};

void metrics_write_head(FILE *out, enum metrics_format format, uint32_t type, const char *name,
                        const char *help)
{
    write_head(out, format, name, types[type], help);
}

/* Whether there is a family that has a counter's name without "_total". */
static bool is_base_taken(const struct spoe_metric_family *counter)
{
    const size_t n = strlen(counter->name) - (sizeof TOTAL - 1);

    for (const struct spoe_metric_family *family = counter->metrics->families; family != NULL;
         family = family->next) {
        if (strlen(family->name) == n && memcmp(family->name, counter->name, n) == 0)
            return true;
    }
    return false;
}

static void write_family_head(const struct spoe_metric_family *family, enum metrics_format format,
                              FILE *out)
{
    const char *headed = family->metrics->headed;
    const bool is_unknown = format == METRICS_OPENMETRICS && family->type == SPOE_METRIC_COUNTER &&
                            is_base_taken(family);

    if (headed != NULL && strcmp(headed, family->name) == 0)
        return; /* of another instance */
    write_head(out, format, family->name, is_unknown ? "unknown" : types[family->type],
               family->help);
    family->metrics->headed = family->name;
}

/* ---- series ------------------------------------------------------------------------------- */

void metric_number_text(double value, char ret[METRIC_NUMBER_TEXT_MAX])
{
    if (isinf(value))
        (void)snprintf(ret, METRIC_NUMBER_TEXT_MAX, "%s", value > 0 ? "+Inf" : "-Inf");
    else if (isnan(value))
        (void)snprintf(ret, METRIC_NUMBER_TEXT_MAX, "NaN");
    else
        (void)snprintf(ret, METRIC_NUMBER_TEXT_MAX, "%.15g", value);
}

/* OpenMetrics wants a bound to look like a real number, so that all who write it write it alike. */
static void bound_text(enum metrics_format format, double bound, char ret[METRIC_NUMBER_TEXT_MAX])
{
    size_t n;

    metric_number_text(bound, ret);
    n = strlen(ret);
    if (format == METRICS_OPENMETRICS && strpbrk(ret, ".eI") == NULL &&
        n + 3 <= METRIC_NUMBER_TEXT_MAX)
        memcpy(ret + n, ".0", 3);
}

static void write_exemplar(FILE *out, const struct spoe_exemplar *exemplar)
{
    char number[METRIC_NUMBER_TEXT_MAX];

    (void)fputs(" # {trace_id=\"", out);
    for (size_t i = 0; i < sizeof exemplar->trace_id; i++)
        (void)fprintf(out, "%02x", exemplar->trace_id[i]);
    (void)fputs("\",span_id=\"", out);
    for (size_t i = 0; i < sizeof exemplar->span_id; i++)
        (void)fprintf(out, "%02x", exemplar->span_id[i]);
    metric_number_text(exemplar->value, number);
    (void)fprintf(out, "\"} %s %" PRId64 ".%03" PRId64, number, exemplar->unix_ns / NS_PER_S,
                  exemplar->unix_ns % NS_PER_S / 1000000);
}

/*
 * @param buckets    not added up
 * @param exemplars  one for each bucket; NULL: none
 */
static void write_histogram(const struct spoe_metric_family *family, enum metrics_format format,
                            const char *labels, const uint64_t *buckets, double sum,
                            const struct spoe_exemplar *exemplars, FILE *out)
{
    const char *name = family->name, *comma = labels[0] != '\0' ? "," : "";
    const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
    char text[METRIC_NUMBER_TEXT_MAX];
    uint64_t n = 0;

    for (uint32_t b = 0; b <= family->n_bounds; b++) {
        n += buckets[b];
        bound_text(format, b < family->n_bounds ? family->bounds[b] : (double)INFINITY, text);
        (void)fprintf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64, name, labels, comma, text, n);
        if (format == METRICS_OPENMETRICS && exemplars != NULL && exemplars[b].unix_ns > 0)
            write_exemplar(out, &exemplars[b]);
        (void)fputc('\n', out);
    }
    metric_number_text(sum, text);
    (void)fprintf(out, "%s_sum%s%s%s %s\n", name, open, labels, close, text);
    /* What the buckets say, so that they always agree. */
    (void)fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close, n);
}

static void write_number(const struct spoe_metric_family *family, const char *labels,
                         uint64_t value, FILE *out)
{
    (void)fputs(family->name, out);
    if (labels[0] != '\0')
        (void)fprintf(out, "{%s}", labels);
    if (family->type == SPOE_METRIC_COUNTER)
        (void)fprintf(out, " %" PRIu64 "\n", value);
    else
        (void)fprintf(out, " %" PRId64 "\n", (int64_t)value);
}

/* ---- the registry's ----------------------------------------------------------------------- */

/* A cell of every shard, added up. */
static uint64_t sum_cells(const struct spoe_metric *metric, uint32_t cell)
{
    uint64_t sum = 0;

    for (uint32_t s = 0; s < METRIC_SHARDS; s++)
        sum += atomic_load_explicit(&metric->cells[(size_t)s * metric->family->stride + cell],
                                    memory_order_relaxed);
    return sum;
}

static void write_own_histogram(const struct spoe_metric *metric, enum metrics_format format,
                                FILE *out)
{
    const struct spoe_metric_family *family = metric->family;
    uint64_t buckets[SPOE_METRIC_BOUNDS_MAX + 1];
    struct spoe_exemplar exemplars[SPOE_METRIC_BOUNDS_MAX + 1];
    double sum = 0;

    /* First, so that what is in the sum is in the buckets, too: metric_observe(). */
    for (uint32_t s = 0; s < METRIC_SHARDS; s++)
        sum += metric_double_of(
            atomic_load_explicit(&metric->cells[(size_t)s * family->stride + family->n_bounds + 1],
                                 memory_order_acquire));
    for (uint32_t b = 0; b <= family->n_bounds; b++) {
        buckets[b] = sum_cells(metric, b);
        if (metric->exemplars == NULL || !metric_exemplar_get(&metric->exemplars[b], &exemplars[b]))
            exemplars[b].unix_ns = 0;
    }
    write_histogram(family, format, metric->labels, buckets, sum, exemplars, out);
}

static void write_series(const struct spoe_metric *metric, enum metrics_format format, FILE *out)
{
    if (metric->family->type == SPOE_METRIC_HISTOGRAM)
        write_own_histogram(metric, format, out);
    else if (metric->family->type == SPOE_METRIC_COUNTER)
        write_number(metric->family, metric->labels, sum_cells(metric, 0), out);
    else
        write_number(metric->family, metric->labels,
                     atomic_load_explicit(metric->cells, memory_order_relaxed), out);
}

/* ---- series that are put ------------------------------------------------------------------ */

/* @return SPOE_OK with the labels as they are printed */
static spoe_status own_labels(const struct spoe_metric_family *family,
                              const struct spoe_metric_label *labels, uint32_t n,
                              char ret[METRIC_OWN_LABELS_TEXT_MAX])
{
    char *p = metric_put_instance(ret, family);

    if (n > SPOE_METRIC_OWN_LABELS_MAX || (labels == NULL && n > 0))
        return SPOE_E_INVAL;
    for (uint32_t i = 0; i < n; i++) {
        if (labels[i].name == NULL || (labels[i].value.p == NULL && labels[i].value.n > 0) ||
            !metric_is_word(labels[i].name, METRIC_LABEL_MAX) || strcmp(labels[i].name, "le") == 0)
            return SPOE_E_INVAL;
        if (family->instance != NULL && strcmp(labels[i].name, METRIC_INSTANCE_LABEL) == 0)
            return SPOE_E_INVAL;
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(labels[i].name, labels[j].name) == 0)
                return SPOE_E_INVAL;
        }
        p = metric_put_label(p, labels[i].name, labels[i].value, p == ret);
    }
    *p = '\0';
    return SPOE_OK;
}

/* A series is about to be put. @return SPOE_OK, with its labels as they are printed */
static spoe_status begin_series(struct spoe_metric_sink *sink,
                                const struct spoe_metric_label *labels, uint32_t n,
                                char ret[METRIC_OWN_LABELS_TEXT_MAX])
{
    spoe_status status;

    if (sink->n_series == sink->family->max_series)
        return SPOE_E_LIMIT;
    status = own_labels(sink->family, labels, n, ret);
    if (status == SPOE_OK && sink->n_series++ == 0)
        write_family_head(sink->family, sink->format, sink->out);
    return status;
}

spoe_status metric_put_number(struct spoe_metric_sink *sink, const struct spoe_metric_label *labels,
                              uint32_t n, int64_t value)
{
    char text[METRIC_OWN_LABELS_TEXT_MAX];
    spoe_status status;

    if (sink == NULL || sink->family->type == SPOE_METRIC_HISTOGRAM)
        return SPOE_E_INVAL;
    status = begin_series(sink, labels, n, text);
    if (status == SPOE_OK)
        write_number(sink->family, text, (uint64_t)value, sink->out);
    return status;
}

spoe_status metric_put_histogram(struct spoe_metric_sink *sink,
                                 const struct spoe_metric_label *labels, uint32_t n,
                                 const struct spoe_metric_histogram *histogram)
{
    char text[METRIC_OWN_LABELS_TEXT_MAX];
    spoe_status status;

    if (sink == NULL || sink->family->type != SPOE_METRIC_HISTOGRAM || histogram == NULL ||
        histogram->size < HISTOGRAM_SIZE_1_1 || histogram->buckets == NULL)
        return SPOE_E_INVAL;
    status = begin_series(sink, labels, n, text);
    if (status == SPOE_OK)
        write_histogram(sink->family, sink->format, text, histogram->buckets, histogram->sum,
                        histogram->exemplars, sink->out);
    return status;
}

static void write_provided(const struct spoe_metric_family *family, enum metrics_format format,
                           FILE *out)
{
    struct spoe_metric_sink sink = {.family = family, .format = format, .out = out};

    if (!family->provider.on)
        return;
    thread_enter(family->provider.owner, "provide()");
    family->provider.fn(family->provider.arg, &sink);
    thread_leave();
}

/* ---- pages -------------------------------------------------------------------------------- */

static void write_family(const struct spoe_metric_family *family, enum metrics_format format,
                         FILE *out)
{
    const struct spoe_metric *metric = atomic_load_explicit(&family->first, memory_order_acquire);

    if (family->provider.fn != NULL) {
        write_provided(family, format, out);
        return;
    }
    if (metric == NULL)
        return;
    write_family_head(family, format, out);
    for (; metric != NULL; metric = atomic_load_explicit(&metric->next, memory_order_acquire))
        write_series(metric, format, out);
}

void metrics_write(struct metrics *metrics, enum metrics_format format,
                   const struct metrics_guest *guest, FILE *out)
{
    (void)pthread_mutex_lock(&metrics->collecting);
    metrics->headed = NULL;
    for (const struct collector *c = metrics->collectors; c != NULL; c = c->next) {
        if (!c->on)
            continue;
        thread_enter(c->owner, "collect()");
        c->fn(c->arg);
        thread_leave();
    }
    for (const struct spoe_metric_family *family = metrics->families; family != NULL;
         family = family->next) {
        if (guest != NULL && strcmp(guest->name, family->name) < 0) {
            guest->write(guest->arg, format, out);
            guest = NULL;
        }
        write_family(family, format, out);
    }
    if (guest != NULL)
        guest->write(guest->arg, format, out);
    (void)pthread_mutex_unlock(&metrics->collecting);
}
