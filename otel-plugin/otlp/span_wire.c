/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/span_wire.c - one span as OTLP's bytes. Its attributes have been that all along.
 *
 * Field numbers: opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto, as in
 * otlp/proto/. Fields in the order of their numbers, and none that has its default value,
 * as protobuf-c writes them.
 */
#include "otlp/span_wire.h"

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "base/protobuf.h"

enum scope_spans_field { SCOPE_SPANS_SPANS = 2 };
enum span_field {
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_SPAN_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_DROPPED_ATTRIBUTES = 10,
    SPAN_EVENTS = 11,
    SPAN_DROPPED_EVENTS = 12,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16
};
enum event_field { EVENT_TIME = 1, EVENT_NAME = 2 };
enum status_field { STATUS_CODE = 3 };

/* What fields of one size take with their tags. */
#define IDS_SIZE (2u + 16u + 2u + 8u)
#define TIME_SIZE (1u + 8u)
#define STATUS_SIZE (2u + 2u)
#define FLAGS_SIZE (2u + 4u)

/* SpanFlags of trace.proto: whether the parent is remote is known, and it is. */
#define FLAGS_HAS_IS_REMOTE 0x100u
#define FLAGS_IS_REMOTE 0x200u

static uint8_t *put_events(uint8_t *p, const struct span *span)
{
    for (size_t i = 0; i < span->n_events; i++) {
        const struct span_event *event = &span->events[i];
        const size_t name_len = strlen(event->name);

        p = pb_put_varint(p, PB_TAG(SPAN_EVENTS, PB_BYTES));
        p = pb_put_varint(p, 1 + sizeof(uint64_t) + pb_bytes_size(name_len));
        p = pb_put_varint(p, PB_TAG(EVENT_TIME, PB_FIXED64));
        p = pb_put_fixed64(p, (uint64_t)event->time_unix_ns);
        p = pb_put_bytes(p, EVENT_NAME, event->name, name_len);
    }
    return p;
}

static uint8_t *put_count(uint8_t *p, uint32_t field, uint32_t n)
{
    if (n == 0)
        return p;
    p = pb_put_varint(p, PB_TAG(field, PB_VARINT));
    return pb_put_varint(p, n);
}

static uint8_t *put_time(uint8_t *p, uint32_t field, int64_t unix_ns)
{
    if (unix_ns == 0)
        return p;
    p = pb_put_varint(p, PB_TAG(field, PB_FIXED64));
    return pb_put_fixed64(p, (uint64_t)unix_ns);
}

static bool is_zero(const uint8_t id[8])
{
    uint64_t v;

    memcpy(&v, id, sizeof v);
    return v == 0;
}

static uint8_t *put_fields(uint8_t *p, const struct span *span)
{
    size_t name_len, state_len, attributes_len;
    const uint8_t *attributes;
    const char *name = span_name(span, &name_len), *state = span_trace_state(span, &state_len);
    uint32_t flags;

    p = pb_put_bytes(p, SPAN_TRACE_ID, span->context.trace_id, sizeof span->context.trace_id);
    p = pb_put_bytes(p, SPAN_SPAN_ID, span->context.span_id, sizeof span->context.span_id);
    if (state_len > 0)
        p = pb_put_bytes(p, SPAN_TRACE_STATE, state, state_len);
    if (!is_zero(span->parent_id))
        p = pb_put_bytes(p, SPAN_PARENT_SPAN_ID, span->parent_id, sizeof span->parent_id);
    if (name_len > 0)
        p = pb_put_bytes(p, SPAN_NAME, name, name_len);
    p = put_count(p, SPAN_KIND, span->kind);
    p = put_time(p, SPAN_START, span->start_unix_ns);
    p = put_time(p, SPAN_END, span->end_unix_ns);
    attributes = span_attribute_bytes(span, &attributes_len);
    memcpy(p, attributes, attributes_len);
    p += attributes_len;
    p = put_count(p, SPAN_DROPPED_ATTRIBUTES, span->dropped_attributes);
    p = put_events(p, span);
    p = put_count(p, SPAN_DROPPED_EVENTS, span->dropped_events);
    if (span->status != SPAN_STATUS_UNSET) {
        p = pb_put_varint(p, PB_TAG(SPAN_STATUS, PB_BYTES));
        p = pb_put_varint(p, 2);
        p = pb_put_varint(p, PB_TAG(STATUS_CODE, PB_VARINT));
        p = pb_put_varint(p, span->status);
    }
    flags = span->context.flags | FLAGS_HAS_IS_REMOTE;
    if (span->parent_remote)
        flags |= FLAGS_IS_REMOTE;
    flags = htole32(flags);
    p = pb_put_varint(p, PB_TAG(SPAN_FLAGS, PB_FIXED32));
    memcpy(p, &flags, sizeof flags);
    return p + sizeof flags;
}

static size_t count_size(uint32_t n)
{
    return n == 0 ? 0 : 1 + pb_varint_size(n);
}

static size_t events_size(const struct span *span)
{
    size_t size = 0;

    for (size_t i = 0; i < span->n_events; i++)
        size += pb_bytes_size(TIME_SIZE + pb_bytes_size(strlen(span->events[i].name)));
    return size;
}

/* What put_fields() writes. */
static size_t fields_size(const struct span *span)
{
    size_t size = IDS_SIZE + FLAGS_SIZE, name_len, state_len, attributes_len;

    (void)span_name(span, &name_len);
    (void)span_trace_state(span, &state_len);
    (void)span_attribute_bytes(span, &attributes_len);
    size += attributes_len + count_size(span->kind);
    size += state_len > 0 ? pb_bytes_size(state_len) : 0;
    size += is_zero(span->parent_id) ? 0 : pb_bytes_size(sizeof span->parent_id);
    size += name_len > 0 ? pb_bytes_size(name_len) : 0;
    size += span->start_unix_ns != 0 ? TIME_SIZE : 0;
    size += span->end_unix_ns != 0 ? TIME_SIZE : 0;
    size += span->status != SPAN_STATUS_UNSET ? STATUS_SIZE : 0;
    size += count_size(span->dropped_attributes) + count_size(span->dropped_events);
    return span->n_events == 0 ? size : size + events_size(span);
}

size_t span_wire_size(const struct span *span)
{
    return pb_bytes_size(fields_size(span));
}

/* Room for the length of a span: two bytes serve 128 to 16383, nearly every one. */
#define LENGTH_GUESS 2u

size_t span_wire_put(const struct span *span, uint8_t *p)
{
    uint8_t *length = pb_put_varint(p, PB_TAG(SCOPE_SPANS_SPANS, PB_BYTES));
    uint8_t *end = put_fields(length + LENGTH_GUESS, span);
    const size_t size = (size_t)(end - length) - LENGTH_GUESS, n = pb_varint_size(size);

    if (n != LENGTH_GUESS)
        memmove(length + n, length + LENGTH_GUESS, size);
    (void)pb_put_varint(length, size);
    assert((size_t)(length + n + size - p) == span_wire_size(span));
    return (size_t)(length + n + size - p);
}
