/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_batch.c - spans to OTLP's bytes, read back with protobuf-c. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otlp/batch.h"
#include "chunks.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

TestSuite(batch, .timeout = 60);

static bool malloc_fails; /* of what is linked here (--wrap, see CMakeLists.txt) */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return malloc_fails ? NULL : __real_malloc(size);
}

typedef Opentelemetry__Proto__Common__V1__AnyValue any_value;
typedef Opentelemetry__Proto__Common__V1__KeyValue key_value;
typedef Opentelemetry__Proto__Trace__V1__Span span_msg;
typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest request_msg;

static const struct trace_context context = {
    .trace_id = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e,
                 0x47, 0x36},
    .span_id = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7},
    .flags = TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM};
static const uint8_t parent[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct batch_encoder *make_encoder(void)
{
    struct batch_encoder *encoder =
        batch_encoder_create(&(struct batch_resource){.service_name = "edge", .version = "1.2.3"});

    cr_assert_not_null(encoder);
    return encoder;
}

static struct span *make_span(enum span_kind kind, const uint8_t *parent_id, bool remote)
{
    struct span *span = span_create(kind, &context, parent_id, remote, 1000000001, "GET", 3);

    cr_assert_not_null(span);
    return span;
}

/* protobuf-c, the schema's authority, writes the same bytes. */
static void check_bytes(const request_msg *request, const uint8_t *bytes, size_t size)
{
    uint8_t *packed = malloc(size);

    cr_assert_not_null(packed);
    cr_assert_eq(
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__get_packed_size(
            request),
        size);
    (void)opentelemetry__proto__collector__trace__v1__export_trace_service_request__pack(request,
                                                                                         packed);
    cr_assert_arr_eq(packed, bytes, size);
    free(packed);
}

static request_msg *decode(const uint8_t *bytes, size_t size)
{
    request_msg *request =
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(NULL, size,
                                                                                         bytes);

    cr_assert_not_null(request);
    cr_assert_eq(request->n_resource_spans, 1);
    cr_assert_eq(request->resource_spans[0]->n_scope_spans, 1);
    check_bytes(request, bytes, size);
    return request;
}

static void free_request(request_msg *request)
{
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(request,
                                                                                            NULL);
}

/* Send a list through a queue, free it, and read the request that comes of it. */
static request_msg *round_trip(struct batch_encoder *encoder, struct span *spans)
{
    struct span_queue *queue =
        span_queue_create(10000, SPAN_QUEUE_BYTES_MAX, 10000, BATCH_BYTES_MAX);
    struct batch *batch = batch_create();
    struct span_chunk *chunks;
    size_t n, wanted = 0;
    request_msg *request;

    cr_assert(queue != NULL && batch != NULL);
    for (const struct span *span = spans; span != NULL; span = span->next)
        wanted++;
    cr_assert_eq(chunks_push(span_queue_writer(queue), spans), SPAN_QUEUE_OK);
    chunks = span_queue_take(queue, 10000, SIZE_MAX, &n);
    cr_assert_eq(n, wanted);
    cr_assert_eq(batch_join(encoder, chunks, batch), 0);
    cr_assert_eq(batch->n, wanted);
    cr_assert_eq(batch->span_bytes, chunks_size(chunks));
    cr_assert_leq(batch->size, chunks_size(chunks) + batch_overhead(encoder));
    span_queue_release(chunks);
    span_queue_destroy(queue);
    request = decode(batch->bytes, batch->size);
    batch_destroy(batch);
    cr_assert_eq(request->resource_spans[0]->scope_spans[0]->n_spans, wanted);
    return request;
}

static const span_msg *span_of(const request_msg *request, size_t i)
{
    return request->resource_spans[0]->scope_spans[0]->spans[i];
}

static const any_value *find(key_value *const *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i]->key, key) == 0)
            return pairs[i]->value;
    cr_assert_fail("no attribute %s", key);
    return NULL;
}

static void expect_string(key_value *const *pairs, size_t n, const char *key, const char *wanted)
{
    const any_value *value = find(pairs, n, key);

    cr_assert_eq(value->value_case,
                 OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE);
    cr_assert_str_eq(value->string_value, wanted);
}

Test(batch, says_who_sends)
{
    struct batch_encoder *encoder = make_encoder();
    struct span *span = make_span(SPAN_SERVER, NULL, false);
    request_msg *request;
    const Opentelemetry__Proto__Trace__V1__ResourceSpans *resource;
    const Opentelemetry__Proto__Common__V1__InstrumentationScope *scope;

    span_end(span, 1000000002);
    request = round_trip(encoder, span);
    resource = request->resource_spans[0];
    cr_assert_eq(resource->resource->n_attributes, 4);
    expect_string(resource->resource->attributes, 4, "service.name", "edge");
    expect_string(resource->resource->attributes, 4, "telemetry.sdk.name", "spoe-host");
    expect_string(resource->resource->attributes, 4, "telemetry.sdk.language", "c");
    expect_string(resource->resource->attributes, 4, "telemetry.sdk.version", "1.2.3");
    scope = resource->scope_spans[0]->scope;
    cr_assert_str_eq(scope->name, "spoe-host/otel");
    cr_assert_str_eq(scope->version, "1.2.3");
    free_request(request);
    batch_encoder_destroy(encoder);
}

Test(batch, carries_bytes_and_lists)
{
    struct batch_encoder *encoder = make_encoder();
    struct span *span = make_span(SPAN_SERVER, NULL, false);
    const any_value *value;
    request_msg *request;
    const span_msg *msg;

    span_set_bytes(span, "bytes", 5, "\0\xff", 2);
    span_set_bytes(span, "none", 4, NULL, 0);
    span_add_str(span, "list", 4, "one", 3);
    span_add_str(span, "list", 4, "", 0);
    span_add_str(span, "list", 4, "a\0b", 3);
    span_end(span, 1000000002);
    request = round_trip(encoder, span);
    msg = span_of(request, 0);
    cr_assert_eq(msg->n_attributes, 3);
    value = find(msg->attributes, 3, "bytes");
    cr_assert_eq(value->value_case, OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BYTES_VALUE);
    cr_assert_eq(value->bytes_value.len, 2);
    cr_assert_eq(memcmp(value->bytes_value.data, "\0\xff", 2), 0);
    value = find(msg->attributes, 3, "none");
    cr_assert_eq(value->value_case, OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BYTES_VALUE);
    cr_assert_eq(value->bytes_value.len, 0);
    value = find(msg->attributes, 3, "list");
    cr_assert_eq(value->value_case, OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_ARRAY_VALUE);
    cr_assert_eq(value->array_value->n_values, 3);
    cr_assert_str_eq(value->array_value->values[0]->string_value, "one");
    cr_assert_str_eq(value->array_value->values[1]->string_value, "");
    cr_assert_str_eq(value->array_value->values[2]->string_value, "a\xef\xbf\xbd"
                                                                  "b");
    free_request(request);
    batch_encoder_destroy(encoder);
}

Test(batch, carries_every_field)
{
    struct batch_encoder *encoder = make_encoder();
    struct span *span = make_span(SPAN_CLIENT, parent, false);
    request_msg *request;
    const span_msg *msg;

    span_set_str(span, "url.path", 8, "/caf\xc3\xa9", 6);
    span_set_int(span, "http.response.status_code", 25, 502);
    span_set_int(span, "negative", 8, INT64_MIN);
    span_set_bool(span, "haproxy.incomplete", 18, true);
    span_set_bool(span, "off", 3, false);
    span_add_event(span, "no response was seen", 1000000005);
    span_add_event(span, "second", 1000000006);
    span->status = SPAN_STATUS_ERROR;
    span->dropped_attributes = 3;
    span_end(span, 2000000002);
    request = round_trip(encoder, span);
    msg = span_of(request, 0);
    cr_assert_eq(msg->trace_id.len, 16);
    cr_assert_arr_eq(msg->trace_id.data, context.trace_id, 16);
    cr_assert_eq(msg->span_id.len, 8);
    cr_assert_arr_eq(msg->span_id.data, context.span_id, 8);
    cr_assert_eq(msg->parent_span_id.len, 8);
    cr_assert_arr_eq(msg->parent_span_id.data, parent, 8);
    cr_assert_str_eq(msg->trace_state, "");
    cr_assert_str_eq(msg->name, "GET");
    cr_assert_eq(msg->kind, OPENTELEMETRY__PROTO__TRACE__V1__SPAN__SPAN_KIND__SPAN_KIND_CLIENT);
    cr_assert_eq(msg->start_time_unix_nano, 1000000001);
    cr_assert_eq(msg->end_time_unix_nano, 2000000002);
    cr_assert_eq(msg->dropped_attributes_count, 3);
    cr_assert_not_null(msg->status);
    cr_assert_eq(msg->status->code,
                 OPENTELEMETRY__PROTO__TRACE__V1__STATUS__STATUS_CODE__STATUS_CODE_ERROR);
    cr_assert_str_eq(msg->status->message, "");
    cr_assert_eq(msg->n_events, 2);
    cr_assert_str_eq(msg->events[0]->name, "no response was seen");
    cr_assert_eq(msg->events[0]->time_unix_nano, 1000000005);
    cr_assert_str_eq(msg->events[1]->name, "second");
    cr_assert_eq(msg->n_attributes, 5);
    expect_string(msg->attributes, 5, "url.path", "/caf\xc3\xa9");
    cr_assert_eq(find(msg->attributes, 5, "http.response.status_code")->int_value, 502);
    cr_assert_eq(find(msg->attributes, 5, "negative")->int_value, INT64_MIN);
    cr_assert_eq(find(msg->attributes, 5, "haproxy.incomplete")->value_case,
                 OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE);
    cr_assert_eq(find(msg->attributes, 5, "haproxy.incomplete")->bool_value, 1);
    cr_assert_eq(find(msg->attributes, 5, "off")->value_case,
                 OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE);
    cr_assert_eq(find(msg->attributes, 5, "off")->bool_value, 0);
    free_request(request);
    batch_encoder_destroy(encoder);
}

Test(batch, a_root_without_anything_more_has_no_empty_fields)
{
    struct batch_encoder *encoder = make_encoder();
    struct span *span = make_span(SPAN_SERVER, NULL, false);
    request_msg *request;
    const span_msg *msg;

    span_end(span, 1000000001);
    request = round_trip(encoder, span);
    msg = span_of(request, 0);
    cr_assert_eq(msg->parent_span_id.len, 0, "a root has no parent id, not eight zeros");
    cr_assert_eq(msg->n_attributes, 0);
    cr_assert_eq(msg->n_events, 0);
    cr_assert_null(msg->status);
    cr_assert_eq(msg->kind, OPENTELEMETRY__PROTO__TRACE__V1__SPAN__SPAN_KIND__SPAN_KIND_SERVER);
    free_request(request);
    batch_encoder_destroy(encoder);
}

/* facts: 0x100 says that 0x200 is known; 0x200 that the parent is remote (OTLP trace.proto). */
Test(batch, flags_tell_a_remote_parent)
{
    struct batch_encoder *encoder = make_encoder();
    struct span *remote = make_span(SPAN_SERVER, parent, true);
    struct span *local = make_span(SPAN_CLIENT, parent, false);
    struct span *root = make_span(SPAN_SERVER, NULL, false);
    request_msg *request;

    local->context.flags = 0;
    remote->next = local;
    local->next = root;
    for (struct span *span = remote; span != NULL; span = span->next)
        span_end(span, 1000000002);
    request = round_trip(encoder, remote);
    cr_assert_eq(span_of(request, 0)->flags, 0x303, "got %#x", span_of(request, 0)->flags);
    cr_assert_eq(span_of(request, 1)->flags, 0x100, "got %#x", span_of(request, 1)->flags);
    cr_assert_eq(span_of(request, 2)->flags, 0x103, "got %#x", span_of(request, 2)->flags);
    free_request(request);
    batch_encoder_destroy(encoder);
}

Test(batch, empty_strings_and_nuls_survive)
{
    struct batch_encoder *encoder = make_encoder();
    struct span *span = make_span(SPAN_SERVER, NULL, false);
    request_msg *request;
    const span_msg *msg;

    span_set_str(span, "empty", 5, "", 0);
    span_set_str(span, "nul", 3, "a\0b\0", 4);
    span_end(span, 1000000002);
    request = round_trip(encoder, span);
    msg = span_of(request, 0);
    cr_assert_eq(msg->n_attributes, 2);
    expect_string(msg->attributes, 2, "empty", "");
    expect_string(msg->attributes, 2, "nul",
                  "a\xef\xbf\xbd"
                  "b\xef\xbf\xbd");
    free_request(request);
    batch_encoder_destroy(encoder);
}

Test(batch, keeps_the_order_and_its_memory)
{
    struct batch_encoder *encoder = make_encoder();

    for (size_t round = 0; round < 3; round++) {
        struct span *head = NULL;
        request_msg *request;

        for (size_t i = 512; i > 0; i--) {
            struct span *span = make_span(SPAN_SERVER, NULL, false);

            span_set_int(span, "n", 1, (int64_t)i);
            span_end(span, 1000000002);
            span->next = head;
            head = span;
        }
        request = round_trip(encoder, head);
        for (size_t i = 0; i < 512; i++)
            cr_assert_eq(span_of(request, i)->attributes[0]->value->int_value, (int64_t)i + 1);
        free_request(request);
    }
    batch_encoder_destroy(encoder);
}

/*
 * 9.1: each length of a length, where one byte ends and where two do: of a value, of its attribute,
 * of the span. decode() compares with what protobuf-c writes.
 */
static void lengths_are_protobufs(size_t before, size_t first, size_t last)
{
    static char text[SPAN_VALUE_MAX];
    struct batch_encoder *encoder = make_encoder();

    memset(text, 'v', sizeof text);
    for (size_t n = first; n <= last; n++) {
        struct span *span = make_span(SPAN_SERVER, NULL, false);
        request_msg *request;
        const span_msg *msg;

        for (size_t i = 0; i < before; i++)
            span_set_str(span, &"abcdefgh"[i], 1, text, sizeof text);
        span_set_str(span, "url.path", 8, text, n);
        span_set_str(span, "my.own.key", 10, text, n);
        span_set_bytes(span, "bytes", 5, text, n);
        span_add_str(span, "list", 4, text, n);
        span_add_str(span, "list", 4, text, n / 2);
        span_end(span, 1000000002);
        request = round_trip(encoder, span);
        msg = span_of(request, 0);
        cr_assert_eq(msg->n_attributes, before + 4);
        cr_assert_eq(strlen(msg->attributes[before]->value->string_value), n);
        cr_assert_eq(strlen(msg->attributes[before + 1]->value->string_value), n);
        cr_assert_eq(msg->attributes[before + 2]->value->bytes_value.len, n);
        cr_assert_eq(
            strlen(msg->attributes[before + 3]->value->array_value->values[1]->string_value),
            n / 2);
        free_request(request);
    }
    batch_encoder_destroy(encoder);
}

Test(batch, values_of_every_length_are_written_as_protobuf_does)
{
    lengths_are_protobufs(0, 0, 300);
}

Test(batch, spans_around_16384_bytes_are_written_as_protobuf_does)
{
    lengths_are_protobufs(3, 800, 930); /* three values of 4096 and four and a half of these */
}

static void check_resource(const char *name)
{
    struct batch_encoder *encoder =
        batch_encoder_create(&(struct batch_resource){.service_name = name, .version = "1.2.3"});
    struct span *span = make_span(SPAN_SERVER, NULL, false);
    request_msg *request;

    cr_assert_not_null(encoder);
    span_end(span, 1000000002);
    request = round_trip(encoder, span);
    expect_string(request->resource_spans[0]->resource->attributes, 4, "service.name", name);
    free_request(request);
    batch_encoder_destroy(encoder);
}

/* 9.1: the resource's length, and with it the request's, over the ends of one byte and of two. */
Test(batch, resources_of_every_length_are_written_as_protobuf_does)
{
    static char name[17000];

    memset(name, 'n', sizeof name - 1);
    for (size_t n = 0; n <= 300; n++)
        check_resource(name + sizeof name - 1 - n);
    for (size_t n = 16000; n <= 16400; n++)
        check_resource(name + sizeof name - 1 - n);
}

static struct span *make_big(size_t attributes)
{
    static char text[SPAN_VALUE_MAX];
    struct span *span = make_span(SPAN_SERVER, NULL, false);

    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < attributes; i++) {
        char key[16];
        const int n = snprintf(key, sizeof key, "key%zu", i);

        span_set_str(span, key, (size_t)n, text, sizeof text);
    }
    span_end(span, 1000000002);
    return span;
}

/* Batches as the export takes them: each as full as its bound in bytes allows. */
Test(batch, splits_by_encoded_size)
{
    struct batch_encoder *encoder = make_encoder();
    struct span_queue *queue = span_queue_create(100, SPAN_QUEUE_BYTES_MAX, 512, BATCH_BYTES_MAX);
    struct span_writer *writer = span_queue_writer(queue);
    const size_t room = BATCH_BYTES_MAX - batch_overhead(encoder);
    struct batch *batch = batch_create(); /* used again */
    struct span_chunk *chunks;
    size_t n, total = 0, requests = 0;

    for (size_t i = 0; i < 20; i++)
        cr_assert_eq(chunks_push(writer, make_big(128)), SPAN_QUEUE_OK);
    while ((chunks = span_queue_take(queue, 512, room, &n)) != NULL) {
        request_msg *request;

        cr_assert_eq(batch_join(encoder, chunks, batch), 0);
        span_queue_release(chunks);
        cr_assert_leq(batch->size, BATCH_BYTES_MAX);
        request = decode(batch->bytes, batch->size);
        cr_assert_eq(request->resource_spans[0]->scope_spans[0]->n_spans, n);
        free_request(request);
        total += n;
        requests++;
    }
    cr_assert_eq(total, 20);
    cr_assert_eq(requests, 3, "7 spans of 0.53 MB fit 4 MB: %zu requests", requests);
    batch_destroy(batch);
    batch_destroy(NULL);
    span_queue_destroy(queue);
    batch_encoder_destroy(encoder);
}

Test(batch, writes_the_tracestate_of_spans_that_have_one)
{
    struct batch_encoder *encoder = make_encoder();
    struct span *server = make_span(SPAN_SERVER, parent, true);
    struct span *client = make_span(SPAN_CLIENT, parent, false);
    struct span *other = make_span(SPAN_SERVER, NULL, false);
    request_msg *request;

    span_set_trace_state(server, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", 39);
    span_share_trace_state(client, server);
    span_set_trace_state(other, "", 0);
    client->next = server;
    server->next = other;
    request = round_trip(encoder, client);
    cr_expect_str_eq(span_of(request, 0)->trace_state, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    cr_expect_str_eq(span_of(request, 1)->trace_state, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    cr_expect_str_eq(span_of(request, 2)->trace_state, "");
    free_request(request);
    batch_encoder_destroy(encoder);
}

/* 9.1: batch.c:49. Lengths around those at which a length needs one byte more. */
Test(batch, resources_of_any_length_are_written_as_protobuf_does)
{
    static const size_t from_to[][2] = {{0, 400}, {16200, 16500}};
    static char value[20000];

    for (size_t i = 0; i < 2; i++) {
        for (size_t n = from_to[i][0]; n <= from_to[i][1]; n++) {
            const struct resource_attribute attribute = {.key = "k", .str = value};
            struct batch_encoder *encoder;
            request_msg *request;
            struct span *span = make_span(SPAN_SERVER, NULL, false);

            memset(value, 'v', n);
            value[n] = '\0';
            encoder = batch_encoder_create(&(struct batch_resource){.service_name = "edge",
                                                                    .version = "1.2.3",
                                                                    .schema_url = BATCH_SCHEMA_URL,
                                                                    .attributes = &attribute,
                                                                    .n_attributes = 1});
            cr_assert_not_null(encoder);
            span_end(span, 1000000002);
            request = round_trip(encoder, span); /* compares the bytes */
            free_request(request);
            batch_encoder_destroy(encoder);
        }
    }
}

/* 3.9 */
Test(batch, resource_and_scope_have_their_schema)
{
    const struct batch_resource resource = {
        .service_name = "edge", .version = "1.2.3", .schema_url = BATCH_SCHEMA_URL};
    struct batch_encoder *encoder = batch_encoder_create(&resource);
    struct span *span = make_span(SPAN_SERVER, NULL, false);
    request_msg *request;

    cr_assert_not_null(encoder);
    span_end(span, 1000000002);
    request = round_trip(encoder, span);
    cr_expect_str_eq(request->resource_spans[0]->schema_url, BATCH_SCHEMA_URL);
    cr_expect_str_eq(request->resource_spans[0]->scope_spans[0]->schema_url, BATCH_SCHEMA_URL);
    free_request(request);
    batch_encoder_destroy(encoder);
    encoder = make_encoder();
    span = make_span(SPAN_SERVER, NULL, false);
    span_end(span, 1000000002);
    request = round_trip(encoder, span);
    cr_expect_str_empty(request->resource_spans[0]->schema_url, "none without one");
    free_request(request);
    batch_encoder_destroy(encoder);
}

Test(batch, without_memory_it_is_empty_but_counted)
{
    struct batch_encoder *encoder = make_encoder();
    struct span_queue *queue = span_queue_create(10, SPAN_QUEUE_BYTES_MAX, 10, BATCH_BYTES_MAX);
    struct batch *batch = batch_create();
    struct span_chunk *chunks;
    size_t n;

    cr_assert_eq(chunks_push(span_queue_writer(queue), make_big(1)), SPAN_QUEUE_OK);
    chunks = span_queue_take(queue, 10, SIZE_MAX, &n);
    malloc_fails = true;
    cr_assert_eq(batch_join(encoder, chunks, batch), BATCH_E_NOMEM);
    malloc_fails = false;
    cr_assert_eq(batch->n, 1);
    cr_assert_eq(batch->span_bytes, chunks_size(chunks));
    cr_assert_eq(batch->size, 0);
    cr_assert_eq(batch_join(encoder, chunks, batch), 0, "it can be used again");
    cr_assert_gt(batch->size, batch->span_bytes);
    span_queue_release(chunks);
    span_queue_destroy(queue);
    batch_destroy(batch);
    batch_encoder_destroy(encoder);
}

/* 4.3 */
Test(batch, what_is_no_batch_is_noticed, .signal = SIGABRT)
{
    struct batch *batch = batch_create();

    batch->magic++;
    batch_destroy(batch);
}
