/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_metric_wire.c - a meter's series as OTLP's bytes, read back with protobuf-c.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "meter/instruments.h"
#include "opentelemetry/proto/collector/metrics/v1/metrics_service.pb-c.h"
#include "otlp/batch.h"
#include "otlp/metric_wire.h"

TestSuite(metric_wire, .timeout = 60);

typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceRequest request_msg;
typedef Opentelemetry__Proto__Metrics__V1__Metric metric_msg;
typedef Opentelemetry__Proto__Metrics__V1__HistogramDataPoint point_msg;
typedef Opentelemetry__Proto__Common__V1__KeyValue key_value;

#define MS INT64_C(1000000)
#define START 1000
#define IS_DELTA                                                                                   \
    OPENTELEMETRY__PROTO__METRICS__V1__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA
#define IS_CUMULATIVE                                                                              \
    OPENTELEMETRY__PROTO__METRICS__V1__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE

static struct meter *meter;
static struct meter_writer *writer;
static struct span_queue *queue;
static struct metric_encoder *encoder;

static void begin(bool delta, size_t element_max, size_t queue_max)
{
    meter = meter_create(100, START);
    queue = span_queue_create(queue_max, SPAN_QUEUE_BYTES_MAX, queue_max, BATCH_BYTES_MAX);
    cr_assert(meter != NULL && queue != NULL);
    writer = meter_writer(meter);
    encoder = metric_encoder_create(meter, span_queue_writer(queue), delta, element_max);
    cr_assert(writer != NULL && encoder != NULL);
}

static void end(void)
{
    metric_encoder_destroy(encoder);
    span_queue_destroy(queue);
    meter_destroy(meter);
}

static void record(const char *frontend, int64_t ms, const struct meter_trace *trace)
{
    union meter_set set = {.words = {0}};

    set.value[METER_FRONTEND] = meter_name(writer, spoe_str(frontend));
    set.value[METER_STATUS] = 200;
    meter_server(writer, &set, ms * MS, 10, 5000, trace);
    set = (union meter_set){.words = {0}};
    set.value[METER_FRONTEND] = meter_name(writer, spoe_str(frontend));
    meter_end(writer, &set);
}

/* @return what leaves now, or NULL: nothing does */
static request_msg *take(int64_t now)
{
    struct batch_encoder *resource =
        batch_encoder_create(&(struct batch_resource){.service_name = "edge", .version = "1"});
    struct batch *batch = batch_create();
    request_msg *request = NULL;
    struct span_chunk *chunks;
    size_t n;

    cr_assert_eq(metric_encoder_put(encoder, now), 0);
    chunks = span_queue_take(queue, SIZE_MAX, SIZE_MAX, &n);
    if (chunks != NULL) {
        cr_assert_eq(batch_join(resource, chunks, batch), 0);
        span_queue_release(chunks);
        span_queue_settle(queue, batch->n, batch->span_bytes);
        request =
            opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__unpack(
                NULL, batch->size, batch->bytes);
        cr_assert_not_null(request);
    }
    batch_destroy(batch);
    batch_encoder_destroy(resource);
    return request;
}

static void free_request(request_msg *request)
{
    opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__free_unpacked(
        request, NULL);
}

static const metric_msg *metric_of(const request_msg *request, const char *name)
{
    const Opentelemetry__Proto__Metrics__V1__ScopeMetrics *scope =
        request->resource_metrics[0]->scope_metrics[0];

    for (size_t i = 0; i < scope->n_metrics; i++)
        if (strcmp(scope->metrics[i]->name, name) == 0)
            return scope->metrics[i];
    return NULL;
}

static const key_value *attribute_of(key_value *const *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i]->key, key) == 0)
            return pairs[i];
    cr_assert_fail("no attribute %s", key);
    return NULL;
}

static const char *frontend_of(const point_msg *point)
{
    return attribute_of(point->attributes, point->n_attributes, "haproxy.frontend.name")
        ->value->string_value;
}

/* 3.2 */
Test(metric_wire, a_histogram_has_all_of_it)
{
    static const uint8_t trace_id[16] = {1, 2, 3}, span_id[8] = {4, 5};
    const struct meter_trace trace = {trace_id, span_id, 1500};
    const struct meter_instrument *instrument = &meter_instruments[METER_SERVER_DURATION];
    const Opentelemetry__Proto__Metrics__V1__Exemplar *exemplar;
    const metric_msg *metric;
    const point_msg *point;
    request_msg *request;
    uint64_t n = 0;

    begin(false, 1000000, 1000);
    record("front", 30, NULL);
    record("front", 30, &trace);
    request = take(2000);
    metric = metric_of(request, "http.server.request.duration");
    cr_assert_not_null(metric);
    cr_assert_str_eq(metric->unit, "s");
    cr_assert_str_eq(metric->description, instrument->help);
    cr_assert_eq(metric->histogram->aggregation_temporality, IS_CUMULATIVE);
    cr_assert_eq(metric->histogram->n_data_points, 1);
    point = metric->histogram->data_points[0];
    cr_assert_eq(point->start_time_unix_nano, START);
    cr_assert_eq(point->time_unix_nano, 2000);
    cr_assert_eq(point->count, 2);
    cr_assert(fabs(point->sum - 0.06) < 1e-9);
    cr_assert_eq(point->n_explicit_bounds, instrument->n_bounds);
    cr_assert_eq(point->n_bucket_counts, instrument->n_bounds + 1);
    for (size_t i = 0; i < point->n_bucket_counts; i++)
        n += point->bucket_counts[i];
    cr_assert_eq(n, 2);
    for (size_t i = 0; i < point->n_explicit_bounds; i++)
        cr_assert(fabs(point->explicit_bounds[i] - instrument->bounds[i]) <= 0);
    cr_assert_eq(point->n_exemplars, 1);
    exemplar = point->exemplars[0];
    cr_assert_eq(exemplar->time_unix_nano, 1500);
    cr_assert(fabs(exemplar->as_double - 0.03) < 1e-9);
    cr_assert_arr_eq(exemplar->trace_id.data, trace_id, 16);
    cr_assert_arr_eq(exemplar->span_id.data, span_id, 8);
    cr_assert_eq(attribute_of(point->attributes, point->n_attributes, "http.response.status_code")
                     ->value->int_value,
                 200);
    cr_assert_str_eq(frontend_of(point), "front");
    free_request(request);
    end();
}

/* 3.2 */
Test(metric_wire, a_counter_is_a_monotonic_sum)
{
    const metric_msg *metric;
    request_msg *request;

    begin(false, 1000000, 1000);
    for (int i = 0; i < 3; i++)
        record("front", 1, NULL);
    request = take(2000);
    metric = metric_of(request, meter_instruments[METER_TERMINATIONS].name);
    cr_assert_not_null(metric);
    cr_assert(metric->sum->is_monotonic);
    cr_assert_eq(metric->sum->aggregation_temporality, IS_CUMULATIVE);
    cr_assert_eq(metric->sum->n_data_points, 1);
    cr_assert_eq(metric->sum->data_points[0]->as_int, 3);
    cr_assert_eq(metric->sum->data_points[0]->start_time_unix_nano, START);
    free_request(request);
    end();
}

/* 3.2: since the start each time, whatever became of the one before. */
Test(metric_wire, cumulative_points_grow)
{
    begin(false, 1000000, 1000);
    for (uint64_t i = 1; i <= 3; i++) {
        request_msg *request;

        record("front", 30, NULL);
        request = take(2000 * (int64_t)i);
        cr_assert_eq(
            metric_of(request, "http.server.request.duration")->histogram->data_points[0]->count,
            i);
        free_request(request);
    }
    end();
}

/* 3.2: what came since the last, and nothing of what did not change. */
Test(metric_wire, delta_points_follow_each_other)
{
    const metric_msg *metric;
    request_msg *request;

    begin(true, 1000000, 1000);
    record("one", 30, NULL);
    record("two", 30, NULL);
    request = take(2000);
    metric = metric_of(request, "http.server.request.duration");
    cr_assert_eq(metric->histogram->aggregation_temporality, IS_DELTA);
    cr_assert_eq(metric->histogram->n_data_points, 2);
    cr_assert_eq(metric->histogram->data_points[0]->start_time_unix_nano, START);
    free_request(request);
    cr_assert_null(take(3000), "nothing has come");
    record("two", 50, NULL);
    record("two", 50, NULL);
    request = take(4000);
    metric = metric_of(request, "http.server.request.duration");
    cr_assert_eq(metric->histogram->n_data_points, 1);
    cr_assert_str_eq(frontend_of(metric->histogram->data_points[0]), "two");
    cr_assert_eq(metric->histogram->data_points[0]->count, 2);
    cr_assert(fabs(metric->histogram->data_points[0]->sum - 0.1) < 1e-9);
    cr_assert_eq(metric->histogram->data_points[0]->start_time_unix_nano, 3000);
    cr_assert_eq(metric->histogram->data_points[0]->time_unix_nano, 4000);
    metric = metric_of(request, meter_instruments[METER_TERMINATIONS].name);
    cr_assert_eq(metric->sum->aggregation_temporality, IS_DELTA);
    cr_assert_eq(metric->sum->data_points[0]->as_int, 2);
    free_request(request);
    end();
}

/* What is beyond the limit of series is one, with one attribute. */
Test(metric_wire, the_overflow_has_its_attribute)
{
    const metric_msg *metric;
    request_msg *request;
    bool found = false;

    begin(false, 1000000, 1000);
    for (int i = 0; i < 60; i++) {
        char name[8];

        (void)snprintf(name, sizeof name, "f%d", i);
        record(name, 30, NULL);
    }
    request = take(2000);
    metric = metric_of(request, "http.server.request.duration");
    for (size_t i = 0; i < metric->histogram->n_data_points; i++) {
        const point_msg *point = metric->histogram->data_points[i];

        if (strcmp(point->attributes[0]->key, "otel.metric.overflow") != 0)
            continue;
        cr_assert_eq(point->n_attributes, 1);
        cr_assert(point->attributes[0]->value->bool_value);
        found = true;
    }
    cr_assert(found);
    free_request(request);
    end();
}

/* A Metric of many points is split, and none of them is lost. */
Test(metric_wire, a_large_metric_is_several)
{
    const Opentelemetry__Proto__Metrics__V1__ScopeMetrics *scope;
    size_t n = 0, metrics = 0;
    request_msg *request;

    begin(false, 1000, 1000);
    for (int i = 0; i < 20; i++) {
        char name[8];

        (void)snprintf(name, sizeof name, "f%d", i);
        record(name, 30, NULL);
    }
    request = take(2000);
    scope = request->resource_metrics[0]->scope_metrics[0];
    for (size_t i = 0; i < scope->n_metrics; i++) {
        if (strcmp(scope->metrics[i]->name, "http.server.request.duration") != 0)
            continue;
        metrics++;
        n += scope->metrics[i]->histogram->n_data_points;
    }
    cr_assert_eq(n, 20);
    cr_assert_gt(metrics, 3);
    free_request(request);
    end();
}

/* 3.4: the queue is bounded; what it has no room for is counted as points. */
Test(metric_wire, what_has_no_room_is_counted)
{
    struct span_queue_stats stats;

    begin(false, 1000000, 2);
    record("one", 30, NULL);
    record("two", 30, NULL);
    record("three", 30, NULL);
    cr_assert_eq(metric_encoder_put(encoder, 2000), 0);
    span_queue_get_stats(queue, &stats);
    cr_assert_eq(stats.dropped, 12, "four metrics of three points each: %zu",
                 (size_t)stats.dropped);
    end();
}
