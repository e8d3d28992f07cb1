/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/request_metrics.c - see request_metrics.h. */
#include "request_metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <spoe/ext/metrics.h>
#include <spoe/util.h>

#include "meter/snapshot.h"

#define NAME_TEXT_MAX 64u
#define NUMBER_TEXT_MAX 8u /* of a port or a status code */

_Static_assert(METER_N_ATTRIBUTES <= SPOE_METRIC_OWN_LABELS_MAX, "a series has room for all");

static void underscored(const char *name, const char *suffix, char ret[NAME_TEXT_MAX])
{
    (void)snprintf(ret, NAME_TEXT_MAX, "%s%s", name, suffix);
    for (char *p = ret; *p != '\0'; p++) {
        if (*p == '.')
            *p = '_';
    }
}

static void family_name(const struct meter_instrument *instrument, char ret[NAME_TEXT_MAX])
{
    const char *suffix = instrument->n_bounds == 0             ? "_total"
                         : strcmp(instrument->unit, "s") == 0  ? "_seconds"
                         : strcmp(instrument->unit, "By") == 0 ? "_bytes"
                                                               : "";

    underscored(instrument->name, suffix, ret);
}

/* ---- series ---- */

/* The labels of a series, and what they point to. */
struct labels {
    struct spoe_metric_label label[METER_N_ATTRIBUTES];
    char names[METER_N_ATTRIBUTES][NAME_TEXT_MAX];
    char numbers[METER_N_ATTRIBUTES][NUMBER_TEXT_MAX];
    uint32_t n;
};

static void add_label(struct labels *labels, const char *name, struct spoe_span value)
{
    char *text = labels->names[labels->n];

    underscored(name, "", text);
    labels->label[labels->n++] = (struct spoe_metric_label){text, value};
}

static void set_labels(const struct meter_series *series, struct labels *ret)
{
    ret->n = 0;
    if (series->is_overflow)
        add_label(ret, METER_OVERFLOW, spoe_str("true"));
    for (size_t i = 0; i < series->n_values; i++) {
        const struct meter_value *value = &series->values[i];
        char *number = ret->numbers[ret->n];

        if (value->is_number)
            (void)snprintf(number, NUMBER_TEXT_MAX, "%" PRIu16, (uint16_t)value->number);
        add_label(ret, value->name, value->is_number ? spoe_str(number) : value->text);
    }
}

static void put_histogram(const struct spoe_metrics *api, struct spoe_metric_sink *sink,
                          const struct meter_series *series, const struct labels *labels)
{
    struct spoe_exemplar exemplars[METER_BUCKETS_MAX];
    const struct spoe_metric_histogram histogram = {.size = sizeof histogram,
                                                    .buckets = series->buckets,
                                                    .exemplars = exemplars,
                                                    .sum = series->sum};

    for (uint32_t i = 0; i < meter_buckets(series->instrument); i++) {
        const struct meter_exemplar *from = &series->exemplars[i];

        exemplars[i] = (struct spoe_exemplar){.value = from->value, .unix_ns = from->unix_ns};
        memcpy(exemplars[i].trace_id, from->trace_id, sizeof from->trace_id);
        memcpy(exemplars[i].span_id, from->span_id, sizeof from->span_id);
    }
    (void)api->put_histogram(sink, labels->label, labels->n, &histogram);
}

/* As the facet's provide() has it. [admin] */
static void put_series(void *arg, struct spoe_metric_sink *sink)
{
    const struct request_metrics_family *family = arg;
    const struct spoe_metrics *api = family->all->api;
    struct meter_reader reader;
    struct meter_series series;
    struct labels labels;

    if (family->all->meter == NULL)
        return;
    meter_begin_one(family->all->meter, family->id, &reader);
    while (meter_next(&reader, &series)) {
        set_labels(&series, &labels);
        if (series.instrument->n_bounds == 0)
            (void)api->put_number(sink, labels.label, labels.n, (int64_t)series.count);
        else
            put_histogram(api, sink, &series, &labels);
    }
}

void request_metrics_init(const struct spoe_host *host, struct spoe_instance *self,
                          struct request_metrics *ret)
{
    ret->api = (const struct spoe_metrics *)host->get_extension(self, SPOE_METRICS_2);
    for (unsigned id = 0; ret->api != NULL && id < METER_N_INSTRUMENTS; id++) {
        const struct meter_instrument *instrument = &meter_instruments[id];
        struct request_metrics_family *family = &ret->families[id];
        char name[NAME_TEXT_MAX];
        const struct spoe_metric_decl decl = {
            .size = sizeof decl,
            .type = instrument->n_bounds == 0 ? SPOE_METRIC_COUNTER : SPOE_METRIC_HISTOGRAM,
            .max_series = SPOE_METRIC_PUT_SERIES_MAX, /* the meter has bounds of its own */
            .n_bounds = instrument->n_bounds,
            .name = name,
            .help = instrument->help,
            .bounds = instrument->bounds,
            .flags = SPOE_METRIC_UNPREFIXED};

        *family = (struct request_metrics_family){ret, id};
        family_name(instrument, name);
        (void)ret->api->provide(self, &decl, put_series, family); /* the host logs why not */
    }
}
