/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_log_wire.c - log records as OTLP's bytes, read back with protobuf-c, which
 * packs them again to the same bytes. What a record says of a request is in test_logging.c and in
 * tests/integ/test_otel_signals.py.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "opentelemetry/proto/collector/logs/v1/logs_service.pb-c.h"
#include "otlp/batch.h"
#include "otlp/log_wire.h"

TestSuite(log_wire, .timeout = 60);

typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest request_msg;
typedef Opentelemetry__Proto__Logs__V1__LogRecord record_msg;
typedef Opentelemetry__Proto__Common__V1__KeyValue key_value;

static const struct trace_context context = {
    .trace_id = {0x4b, 0xf9, 0x2f}, .span_id = {0, 0xf0, 0x67}, .flags = TRACE_FLAG_SAMPLED};

static size_t put(const void *arg, uint8_t *p)
{
    return log_wire_put(arg, p);
}

/* Through a queue and a batch, as they leave; the same bytes again when protobuf-c packs them. */
static request_msg *round_trip(const struct log_record *record, size_t n)
{
    struct batch_encoder *encoder =
        batch_encoder_create(&(struct batch_resource){.service_name = "edge", .version = "1"});
    struct span_queue *queue = span_queue_create(100, SPAN_QUEUE_BYTES_MAX, 10, BATCH_BYTES_MAX);
    struct span_writer *writer = span_queue_writer(queue);
    struct batch *batch = batch_create();
    struct span_chunk *chunks;
    request_msg *request;
    uint8_t *packed;
    size_t taken;

    for (size_t i = 0; i < n; i++)
        cr_assert_eq(span_queue_put(writer, 1, log_wire_bound(record), put, record), SPAN_QUEUE_OK);
    chunks = span_queue_take(queue, 100, SIZE_MAX, &taken);
    cr_assert_eq(taken, n);
    cr_assert_eq(batch_join(encoder, chunks, batch), 0);
    span_queue_release(chunks);
    request = opentelemetry__proto__collector__logs__v1__export_logs_service_request__unpack(
        NULL, batch->size, batch->bytes);
    cr_assert_not_null(request);
    packed = malloc(batch->size);
    cr_assert_eq(
        opentelemetry__proto__collector__logs__v1__export_logs_service_request__get_packed_size(
            request),
        batch->size);
    (void)opentelemetry__proto__collector__logs__v1__export_logs_service_request__pack(request,
                                                                                       packed);
    cr_assert_arr_eq(packed, batch->bytes, batch->size);
    free(packed);
    batch_destroy(batch);
    batch_encoder_destroy(encoder);
    span_queue_destroy(queue);
    cr_assert_eq(request->n_resource_logs, 1);
    cr_assert_eq(request->resource_logs[0]->n_scope_logs, 1);
    cr_assert_eq(request->resource_logs[0]->scope_logs[0]->n_log_records, n);
    return request;
}

static const record_msg *record_of(const request_msg *request, size_t i)
{
    return request->resource_logs[0]->scope_logs[0]->log_records[i];
}

static void free_request(request_msg *request)
{
    opentelemetry__proto__collector__logs__v1__export_logs_service_request__free_unpacked(request,
                                                                                          NULL);
}

static bool has(const record_msg *record, const char *key)
{
    for (size_t i = 0; i < record->n_attributes; i++)
        if (strcmp(record->attributes[i]->key, key) == 0)
            return true;
    return false;
}

/* 3.3 */
Test(log_wire, carries_every_field)
{
    struct span *server = span_create(SPAN_SERVER, &context, NULL, false, 5, "GET", 3);
    struct span *client = span_create(SPAN_CLIENT, &context, NULL, false, 6, "GET", 3);
    struct log_record record = {.server = server,
                                .client = client,
                                .severity = LOG_WARN,
                                .body = "hello",
                                .body_len = 5,
                                .observed_unix_ns = 9};
    const record_msg *got;
    request_msg *request;

    span_set_known_str(server, SPAN_KEY_HTTP_REQUEST_METHOD, "GET", 3);
    span_set_known_int(server, SPAN_KEY_HTTP_RESPONSE_STATUS_CODE, 404);
    span_set_known_str(server, SPAN_KEY_HAPROXY_TERMINATION_STATE, "--", 2);
    span_set_known_str(client, SPAN_KEY_HAPROXY_BACKEND_NAME, "back", 4);
    span_set_known_str(client, SPAN_KEY_HAPROXY_TERMINATION_STATE, "SD", 2);
    span_set_known_int(client, SPAN_KEY_HTTP_REQUEST_RESEND_COUNT, 2);
    span_set_known_str(client, SPAN_KEY_NETWORK_PEER_ADDRESS, "10.0.0.1", 8);
    span_end(client, 7);
    span_end(server, 8);
    server->dropped_attributes = 3;
    request = round_trip(&record, 3);
    for (size_t i = 0; i < 3; i++) {
        got = record_of(request, i);
        cr_assert_eq(got->time_unix_nano, 8);
        cr_assert_eq(got->observed_time_unix_nano, 9);
        cr_assert_eq(got->severity_number, 13);
        cr_assert_str_eq(got->severity_text, "WARN");
        cr_assert_str_eq(got->body->string_value, "hello");
        cr_assert_eq(got->flags, TRACE_FLAG_SAMPLED);
        cr_assert_eq(got->dropped_attributes_count, 3);
        cr_assert_eq(got->trace_id.len, 16);
        cr_assert_arr_eq(got->trace_id.data, context.trace_id, 16);
        cr_assert_eq(got->span_id.len, 8);
        cr_assert_arr_eq(got->span_id.data, context.span_id, 8);
        cr_assert_eq(got->n_attributes, 5, "each key once, and no address of another's peer");
        cr_assert(has(got, "haproxy.backend.name") && has(got, "http.request.resend_count"));
    }
    free_request(request);
    span_destroy(server);
    span_destroy(client);
}

/* Lengths around those of one, two and three bytes. */
Test(log_wire, bodies_of_any_length)
{
    static char body[LOG_BODY_MAX];
    struct span *server = span_create(SPAN_SERVER, &context, NULL, false, 5, "GET", 3);

    memset(body, 'x', sizeof body);
    span_end(server, 8);
    for (size_t n = 0; n <= sizeof body; n += n < 200 || n > 16200 ? 1 : 100) {
        const struct log_record record = {.server = server,
                                          .severity = LOG_INFO,
                                          .body = body,
                                          .body_len = n,
                                          .observed_unix_ns = 9};
        request_msg *request = round_trip(&record, 1);

        cr_assert_eq(strlen(record_of(request, 0)->body->string_value), n);
        free_request(request);
    }
    span_destroy(server);
}
