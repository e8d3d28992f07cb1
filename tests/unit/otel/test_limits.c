/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_limits.c - the limits of spans, and the resource, as they reach the wire. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "otlp/batch.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"
#include "base/utf8.h"

#define KEY(text) text, sizeof text - 1

typedef Opentelemetry__Proto__Common__V1__KeyValue key_value;
typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest request_msg;

static const struct trace_context context = {
    .trace_id = {1, 2, 3}, .span_id = {4, 5, 6}, .flags = TRACE_FLAG_SAMPLED};

static struct span *new_span(void)
{
    struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 100, KEY("GET /a/b"));

    cr_assert_not_null(span);
    return span;
}

static void limit(uint32_t length, uint16_t attributes, uint16_t events)
{
    span_set_limits(
        &(struct span_limits){.value_length = length, .attributes = attributes, .events = events});
}

static void expect_str(const struct span *span, const char *key, const char *wanted)
{
    struct span_attr attr;
    size_t pos = 0;

    while (span_attribute(span, &pos, &attr)) {
        if (attr.key_len == strlen(key) && memcmp(attr.key, key, attr.key_len) == 0) {
            cr_expect(attr.str_len == strlen(wanted) && memcmp(attr.str, wanted, attr.str_len) == 0,
                      "%s: got '%.*s', wanted '%s'", key, (int)attr.str_len, attr.str, wanted);
            return;
        }
    }
    cr_assert_fail("no %s", key);
}

TestSuite(limits, .timeout = 20);

/* common/README.md, "Attribute Limits": strings are cut by characters; keys and names are not. */
Test(limits, texts_are_cut_after_characters)
{
    struct span *span;
    size_t n;

    limit(3, 128, 4);
    span = new_span();
    span_set_str(span, KEY("long-key"), KEY("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80x"));
    span_set_str(span, KEY("bad"), KEY("\xff\xff\xff\xff"));
    span_set_str(span, KEY("short"), KEY("abc"));
    span_set_str(span, KEY("empty"), "", 0);
    expect_str(span, "long-key", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    expect_str(span, "bad", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    expect_str(span, "short", "abc");
    expect_str(span, "empty", "");
    (void)span_name(span, &n);
    cr_expect_eq(n, strlen("GET /a/b"));
    span_destroy(span);
    limit(0, 128, 4);
    span = new_span();
    span_set_str(span, KEY("k"), KEY("abc"));
    expect_str(span, "k", "");
    cr_expect_eq(span->dropped_attributes, 0);
    span_destroy(span);
}

Test(limits, the_bound_in_bytes_holds_beside_them)
{
    static char text[SPAN_VALUE_MAX * 2];
    struct span *span;
    struct span_attr attr;
    size_t pos = 0;

    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    limit(SPAN_VALUE_MAX, 128, 4);
    span = new_span();
    span_set_str(span, KEY("k"), text, sizeof text);
    cr_assert(span_attribute(span, &pos, &attr));
    cr_expect_eq(attr.str_len, SPAN_VALUE_MAX);
    span_destroy(span);
}

Test(limits, attributes_over_the_count_are_dropped_and_counted)
{
    struct span *span;

    limit(UINT32_MAX, 2, 4);
    span = new_span();
    span_set_int(span, KEY("a"), 1);
    span_set_int(span, KEY("b"), 2);
    span_set_int(span, KEY("c"), 3);
    span_set_bool(span, KEY("a"), true); /* a new value is no new attribute */
    cr_expect_eq(span->n_attributes, 2);
    cr_expect_eq(span->dropped_attributes, 1);
    span_destroy(span);
    limit(UINT32_MAX, 0, 4);
    span = new_span();
    span_set_int(span, KEY("a"), 1);
    cr_expect_eq(span->n_attributes, 0);
    cr_expect_eq(span->dropped_attributes, 1);
    span_destroy(span);
}

Test(limits, no_limit_is_above_what_a_span_can_hold)
{
    struct span *span;

    limit(UINT32_MAX, UINT16_MAX, UINT16_MAX);
    span = new_span();
    for (unsigned i = 0; i < SPAN_ATTRIBUTES_MAX + 3; i++) {
        char key[16];

        span_set_int(span, key, (size_t)snprintf(key, sizeof key, "k%u", i), i);
    }
    for (unsigned i = 0; i < SPAN_EVENTS_MAX + 2; i++)
        span_add_event(span, "event", i);
    cr_expect_eq(span->n_attributes, SPAN_ATTRIBUTES_MAX);
    cr_expect_eq(span->dropped_attributes, 3);
    cr_expect_eq(span->n_events, SPAN_EVENTS_MAX);
    cr_expect_eq(span->dropped_events, 2);
    span_destroy(span);
}

Test(limits, length_in_characters)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xff";
    static const size_t wanted[] = {0, 1, 3, 6, 9, 9};

    for (size_t chars = 0; chars < sizeof wanted / sizeof wanted[0]; chars++)
        cr_expect_eq(utf8_repair_chars(text, sizeof text - 1, 100, chars), wanted[chars]);
    cr_expect_eq(utf8_repair_chars(text, sizeof text - 1, 5, 100), 3);
}

static request_msg *encode(const struct batch_resource *resource, const struct span *span)
{
    struct batch_encoder *encoder = batch_encoder_create(resource);
    struct span_queue *queue = span_queue_create(1, SPAN_QUEUE_BYTES_MAX, 1, BATCH_BYTES_MAX);
    struct batch *batch = batch_create();
    struct span_chunk *chunks;
    size_t n;
    request_msg *request;

    cr_assert(encoder != NULL && batch != NULL);
    cr_assert_eq(span_queue_push(span_queue_writer(queue), span, &n), SPAN_QUEUE_OK);
    chunks = span_queue_take(queue, 1, BATCH_BYTES_MAX, &n);
    cr_assert_eq(batch_join(encoder, chunks, batch), 0);
    span_queue_release(chunks);
    span_queue_destroy(queue);
    request = opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(
        NULL, batch->size, batch->bytes);
    cr_assert_not_null(request);
    batch_destroy(batch);
    batch_encoder_destroy(encoder);
    return request;
}

static void free_request(request_msg *request)
{
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(request,
                                                                                            NULL);
}

Test(limits, dropped_events_are_told)
{
    struct span *span;
    request_msg *request;

    limit(UINT32_MAX, 128, 1);
    span = new_span();
    span_add_event(span, "one", 1);
    span_add_event(span, "two", 2);
    span_end(span, 200);
    request = encode(&(struct batch_resource){.service_name = "s", .version = "1"}, span);
    cr_expect_eq(request->resource_spans[0]->scope_spans[0]->spans[0]->n_events, 1);
    cr_expect_eq(request->resource_spans[0]->scope_spans[0]->spans[0]->dropped_events_count, 1);
    free_request(request);
    span_destroy(span);
}

Test(limits, the_resource_has_what_it_is_given)
{
    static const struct resource_attribute more[] = {
        {.key = "host.name", .str = "h"},
        {.key = "process.pid", .i = 4242},
        {.key = "telemetry.sdk.language", .str = "other"},
    };
    struct span *span = new_span();
    const Opentelemetry__Proto__Resource__V1__Resource *resource;
    request_msg *request;
    unsigned seen = 0;

    span_end(span, 200);
    request = encode(
        &(struct batch_resource){
            .service_name = "s", .version = "1", .attributes = more, .n_attributes = 3},
        span);
    resource = request->resource_spans[0]->resource;
    cr_assert_eq(resource->n_attributes, 6);
    for (size_t i = 0; i < resource->n_attributes; i++) {
        const key_value *pair = resource->attributes[i];

        if (strcmp(pair->key, "host.name") == 0)
            seen += strcmp(pair->value->string_value, "h") == 0;
        if (strcmp(pair->key, "process.pid") == 0)
            seen += pair->value->int_value == 4242;
        if (strcmp(pair->key, "telemetry.sdk.language") == 0)
            seen += strcmp(pair->value->string_value, "other") == 0;
        if (strcmp(pair->key, "service.name") == 0)
            seen += strcmp(pair->value->string_value, "s") == 0;
    }
    cr_expect_eq(seen, 4);
    free_request(request);
    span_destroy(span);
}
