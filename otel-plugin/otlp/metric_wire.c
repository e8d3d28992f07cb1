/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/metric_wire.c - from the inside out: a data point, then the points of a metric,
 * then the Metric around them, since each length stands before what it is of.
 *
 * Field numbers: opentelemetry/proto/metrics/v1/metrics.proto, as in otlp/proto/. Fields in the
 * order of their numbers, as protobuf-c writes them.
 */
#include "otlp/metric_wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/protobuf.h"
#include "meter/snapshot.h"

enum scope_metrics_field { SCOPE_METRICS_METRICS = 2 };
enum metric_field {
    METRIC_NAME = 1,
    METRIC_DESCRIPTION = 2,
    METRIC_UNIT = 3,
    METRIC_SUM = 7,
    METRIC_HISTOGRAM = 9
};
enum data_field { DATA_POINTS = 1, DATA_TEMPORALITY = 2, SUM_IS_MONOTONIC = 3 };
enum temporality { TEMPORALITY_IS_DELTA = 1, TEMPORALITY_IS_CUMULATIVE = 2 };
enum point_field { POINT_START = 2, POINT_TIME = 3 };
enum number_point_field { NUMBER_AS_INT = 6, NUMBER_ATTRIBUTES = 7 };
enum histogram_point_field {
    HISTOGRAM_COUNT = 4,
    HISTOGRAM_SUM = 5,
    HISTOGRAM_BUCKETS = 6,
    HISTOGRAM_BOUNDS = 7,
    HISTOGRAM_EXEMPLARS = 8,
    HISTOGRAM_ATTRIBUTES = 9
};
enum exemplar_field {
    EXEMPLAR_UNIX = 2,
    EXEMPLAR_DOUBLE = 3,
    EXEMPLAR_OF_SPAN = 4,
    EXEMPLAR_OF_TRACE = 5
};
enum key_value_field { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2 };
enum any_value_field { ANY_VALUE_STRING = 1, ANY_VALUE_BOOL = 2, ANY_VALUE_INT = 3 };

#define FIXED64_SIZE (1u + 8u)
#define EXEMPLAR_SIZE (2u * FIXED64_SIZE + 2u + 8u + 2u + 16u)
#define NAME_MAX_BYTES 256u /* of an attribute's key or text, about: names.h */
/* A data point at most: times, count and sum, buckets, bounds, exemplars, attributes. */
#define POINT_MAX                                                                                  \
    (64u + METER_BUCKETS_MAX * (8u + 8u + 2u + EXEMPLAR_SIZE) + 16u +                              \
     METER_N_ATTRIBUTES * (NAME_MAX_BYTES * 2u + 16u))
/* Head of a Metric: name, description and unit are ours and short. */
#define HEAD_MAX 1024u

/* What a series was when it was handed over last. */
struct before {
    uint64_t count;
    double sum;
    uint64_t buckets[METER_BUCKETS_MAX];
};

struct metric_encoder {
    struct meter *meter;
    struct span_writer *writer;
    size_t element_max;
    int64_t before_unix_ns; /* the moment of the last; 0: there was none */
    struct before *before;  /* by the series' numbers; NULL: cumulative */
    /* The points of one metric. */
    uint8_t *points;
    size_t len, room;
    size_t n;
};

struct metric_encoder *metric_encoder_create(struct meter *meter, struct span_writer *writer,
                                             bool delta, size_t element_max)
{
    struct metric_encoder *encoder = calloc(1, sizeof *encoder);

    if (encoder == NULL)
        return NULL;
    *encoder =
        (struct metric_encoder){.meter = meter, .writer = writer, .element_max = element_max};
    if (delta) {
        encoder->before = calloc(meter_series_max(meter), sizeof *encoder->before);
        if (encoder->before == NULL) {
            free(encoder);
            return NULL;
        }
    }
    return encoder;
}

void metric_encoder_destroy(struct metric_encoder *encoder)
{
    if (encoder == NULL)
        return;
    free(encoder->before);
    free(encoder->points);
    free(encoder);
}

/* ---- a data point ---------------------------------------------------------------------------- */

static uint8_t *put_fixed64(uint8_t *p, uint32_t field, uint64_t value)
{
    p = pb_put_varint(p, PB_TAG(field, PB_FIXED64));
    return pb_put_fixed64(p, value);
}

static uint8_t *put_double(uint8_t *p, uint32_t field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return put_fixed64(p, field, bits);
}

static size_t cut(size_t n)
{
    return n < NAME_MAX_BYTES ? n : NAME_MAX_BYTES;
}

/* An attribute whose AnyValue has so many bytes; they follow. */
static uint8_t *put_key(uint8_t *p, uint32_t field, const char *key, size_t value_size)
{
    const size_t n = cut(strlen(key));

    p = pb_put_head(p, field, pb_bytes_size(n) + pb_bytes_size(value_size));
    p = pb_put_bytes(p, KEY_VALUE_KEY, key, n);
    return pb_put_head(p, KEY_VALUE_VALUE, value_size);
}

static uint8_t *put_attributes(uint8_t *p, uint32_t field, const struct meter_series *series)
{
    if (series->is_overflow) {
        p = put_key(p, field, METER_OVERFLOW, 2);
        p = pb_put_varint(p, PB_TAG(ANY_VALUE_BOOL, PB_VARINT));
        return pb_put_varint(p, 1);
    }
    for (size_t i = 0; i < series->n_values; i++) {
        const struct meter_value *value = &series->values[i];

        if (value->is_number) {
            p = put_key(p, field, value->name, 1 + pb_varint_size((uint64_t)value->number));
            p = pb_put_varint(p, PB_TAG(ANY_VALUE_INT, PB_VARINT));
            p = pb_put_varint(p, (uint64_t)value->number);
        } else {
            const size_t n = cut(value->text.n);

            p = put_key(p, field, value->name, pb_bytes_size(n));
            p = pb_put_bytes(p, ANY_VALUE_STRING, value->text.p, n);
        }
    }
    return p;
}

/* Of buckets that have counted something since `since`. */
static uint8_t *put_exemplars(uint8_t *p, const struct meter_series *series, int64_t since)
{
    for (size_t i = 0; i <= series->instrument->n_bounds; i++) {
        const struct meter_exemplar *exemplar = &series->exemplars[i];

        if (exemplar->unix_ns == 0 || exemplar->unix_ns < since || series->buckets[i] == 0)
            continue;
        p = pb_put_head(p, HISTOGRAM_EXEMPLARS, EXEMPLAR_SIZE);
        p = put_fixed64(p, EXEMPLAR_UNIX, (uint64_t)exemplar->unix_ns);
        p = put_double(p, EXEMPLAR_DOUBLE, exemplar->value);
        p = pb_put_bytes(p, EXEMPLAR_OF_SPAN, exemplar->span_id, sizeof exemplar->span_id);
        p = pb_put_bytes(p, EXEMPLAR_OF_TRACE, exemplar->trace_id, sizeof exemplar->trace_id);
    }
    return p;
}

/* @param since  exemplars before that are left out */
static uint8_t *put_point(uint8_t *p, const struct meter_series *series, int64_t start,
                          int64_t since, int64_t now)
{
    const struct meter_instrument *instrument = series->instrument;
    const size_t n_buckets = (size_t)instrument->n_bounds + 1;

    p = put_fixed64(p, POINT_START, (uint64_t)start);
    p = put_fixed64(p, POINT_TIME, (uint64_t)now);
    if (instrument->n_bounds == 0) {
        p = put_fixed64(p, NUMBER_AS_INT, series->count);
        return put_attributes(p, NUMBER_ATTRIBUTES, series);
    }
    p = put_fixed64(p, HISTOGRAM_COUNT, series->count);
    p = put_double(p, HISTOGRAM_SUM, series->sum);
    p = pb_put_head(p, HISTOGRAM_BUCKETS, 8 * n_buckets); /* packed, as proto3 has it */
    for (size_t i = 0; i < n_buckets; i++)
        p = pb_put_fixed64(p, series->buckets[i]);
    p = pb_put_head(p, HISTOGRAM_BOUNDS, 8 * (n_buckets - 1));
    for (size_t i = 0; i + 1 < n_buckets; i++) {
        uint64_t bits;

        memcpy(&bits, &instrument->bounds[i], sizeof bits);
        p = pb_put_fixed64(p, bits);
    }
    p = put_exemplars(p, series, since);
    return put_attributes(p, HISTOGRAM_ATTRIBUTES, series);
}

/* ---- a metric -------------------------------------------------------------------------------- */

struct metric {
    const struct meter_instrument *instrument;
    const struct metric_encoder *encoder;
};

/* As span_queue_put_fn: the Metric around the points. */
static size_t write_metric(const void *arg, uint8_t *p)
{
    const struct metric *metric = arg;
    const struct metric_encoder *encoder = metric->encoder;
    const struct meter_instrument *instrument = metric->instrument;
    const bool is_sum = instrument->n_bounds == 0;
    const size_t name = strlen(instrument->name), help = strlen(instrument->help),
                 unit = strlen(instrument->unit), data = encoder->len + 2 + (is_sum ? 2 : 0);
    uint8_t *const begin = p;

    p = pb_put_head(p, SCOPE_METRICS_METRICS,
                    pb_bytes_size(name) + pb_bytes_size(help) + pb_bytes_size(unit) +
                        pb_bytes_size(data));
    p = pb_put_bytes(p, METRIC_NAME, instrument->name, name);
    p = pb_put_bytes(p, METRIC_DESCRIPTION, instrument->help, help);
    p = pb_put_bytes(p, METRIC_UNIT, instrument->unit, unit);
    p = pb_put_head(p, is_sum ? METRIC_SUM : METRIC_HISTOGRAM, data);
    memcpy(p, encoder->points, encoder->len);
    p += encoder->len;
    p = pb_put_varint(p, PB_TAG(DATA_TEMPORALITY, PB_VARINT));
    p = pb_put_varint(p,
                      encoder->before != NULL ? TEMPORALITY_IS_DELTA : TEMPORALITY_IS_CUMULATIVE);
    if (is_sum) {
        p = pb_put_varint(p, PB_TAG(SUM_IS_MONOTONIC, PB_VARINT));
        p = pb_put_varint(p, 1);
    }
    return (size_t)(p - begin);
}

static void hand_over(struct metric_encoder *encoder, const struct meter_instrument *instrument)
{
    const struct metric metric = {instrument, encoder};

    assert(encoder->n == 0 || instrument != NULL);
    if (encoder->n > 0)
        (void)span_queue_put(encoder->writer, encoder->n, encoder->len + HEAD_MAX, write_metric,
                             &metric); /* what has no room is counted there */
    encoder->len = encoder->n = 0;
}

static bool has_room(struct metric_encoder *encoder, size_t n)
{
    const size_t room = encoder->len + n + encoder->room;
    uint8_t *points;

    if (n <= encoder->room - encoder->len)
        return true;
    points = realloc(encoder->points, room);
    if (points == NULL)
        return false;
    encoder->points = points;
    encoder->room = room;
    return true;
}

/* What a series has had since the last time. @return false: nothing */
static bool take_delta(struct before *before, struct meter_series *series)
{
    const struct before now = {.count = series->count, .sum = series->sum};
    const size_t n = (size_t)series->instrument->n_bounds + 1;

    if (series->count == before->count)
        return false;
    series->count -= before->count;
    series->sum -= before->sum;
    for (size_t i = 0; i < n; i++) {
        const uint64_t count = series->buckets[i];

        series->buckets[i] -= before->buckets[i];
        before->buckets[i] = count;
    }
    before->count = now.count;
    before->sum = now.sum;
    return true;
}

/* @return 0; -1: out of memory */
static int add_point(struct metric_encoder *encoder, struct meter_series *series, int64_t now)
{
    uint8_t point[POINT_MAX];
    int64_t start = series->start_unix_ns, since = 0;
    size_t n;

    assert(series->instrument != NULL);

    if (!has_room(encoder, POINT_MAX + 8))
        return -1; /* before the series is taken */
    if (encoder->before != NULL) {
        if (!take_delta(&encoder->before[series->number], series))
            return 0;
        if (encoder->before_unix_ns != 0)
            start = since = encoder->before_unix_ns;
    }
    n = (size_t)(put_point(point, series, start, since, now) - point);
    assert(n <= sizeof point);
    encoder->len += (size_t)(pb_put_bytes(encoder->points + encoder->len, DATA_POINTS, point, n) -
                             (encoder->points + encoder->len));
    encoder->n++;
    return 0;
}

int metric_encoder_put(struct metric_encoder *encoder, int64_t now_unix_ns)
{
    const struct meter_instrument *instrument = NULL;
    struct meter_reader reader;
    struct meter_series series;
    int rc = 0;

    encoder->len = encoder->n = 0;
    meter_begin(encoder->meter, &reader);
    while (rc == 0 && meter_next(&reader, &series)) {
        if (instrument != series.instrument || encoder->len >= encoder->element_max)
            hand_over(encoder, instrument);
        instrument = series.instrument;
        rc = add_point(encoder, &series, now_unix_ns);
    }
    hand_over(encoder, instrument);
    encoder->before_unix_ns = now_unix_ns;
    return rc;
}
