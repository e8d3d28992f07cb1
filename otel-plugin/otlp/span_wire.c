/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/span_wire.c - one span as OTLP's bytes, written in one pass.
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

#include "signal/packed.h"

/* A field's tag: number << 3 | wire type. */
#define TAG(number, type) ((uint32_t)(number) << 3 | (type))
enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

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
enum key_value_field { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2 };
enum any_value_field {
    ANY_VALUE_STRING = 1,
    ANY_VALUE_BOOL = 2,
    ANY_VALUE_INT = 3,
    ANY_VALUE_ARRAY = 5,
    ANY_VALUE_BYTES = 7
};
enum array_value_field { ARRAY_VALUE_VALUES = 1 };

/* SpanFlags of trace.proto: whether the parent is remote is known, and it is. */
#define FLAGS_HAS_IS_REMOTE 0x100u
#define FLAGS_IS_REMOTE 0x200u

/*
 * What surrounds the values at most. FIXED: ids, times, counts, flags, status and all tags of a
 * span. ATTRIBUTE: tags and lengths, a key known by its number, an integer. A list's string of n
 * bytes takes 2 + n in the span and 4 to 8 more than n on the wire, at most twice as much.
 */
#define FIXED_MAX 192u
#define ATTRIBUTE_MAX 96u /* also what is written of KEY_FIELD_SIZE and PACKED_SLACK beyond use */
#define EVENT_MAX 32u

static inline size_t varint_size(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static inline uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *put_fixed64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static inline uint8_t *put_bytes(uint8_t *p, uint32_t field, const void *from, size_t n)
{
    p = put_varint(p, TAG(field, BYTES));
    p = put_varint(p, n);
    if (n > 0)
        memcpy(p, from, n);
    return p + n;
}

/* Bytes of a length-delimited field with a tag of one byte. */
static inline size_t bytes_size(size_t n)
{
    return 1 + varint_size(n) + n;
}

static size_t array_size(const struct span_attr *attr)
{
    size_t size = 0, pos = 0, n;
    const char *p;

    while (span_attr_string(attr, &pos, &p, &n))
        size += bytes_size(bytes_size(n));
    return size;
}

/* Bytes of the AnyValue of an attribute. */
static inline size_t value_size(const struct span_attr *attr)
{
    switch (attr->type) {
    case SPAN_STRING:
    case SPAN_BYTES:
        return bytes_size(attr->str_len);
    case SPAN_BOOL:
        return 2;
    case SPAN_INT:
        return 1 + varint_size((uint64_t)attr->i);
    case SPAN_STRINGS:
        return bytes_size(array_size(attr));
    }
    assert(false);
    return 0;
}

static uint8_t *put_array(uint8_t *p, const struct span_attr *attr)
{
    size_t pos = 0, n;
    const char *string;

    p = put_varint(p, TAG(ANY_VALUE_ARRAY, BYTES));
    p = put_varint(p, array_size(attr));
    while (span_attr_string(attr, &pos, &string, &n)) {
        p = put_varint(p, TAG(ARRAY_VALUE_VALUES, BYTES));
        p = put_varint(p, bytes_size(n));
        p = put_bytes(p, ANY_VALUE_STRING, string, n);
    }
    return p;
}

/* The AnyValue of an attribute, without tag and length. A value is there even if it is 0. */
static inline uint8_t *put_value(uint8_t *p, const struct span_attr *attr)
{
    switch (attr->type) {
    case SPAN_STRING:
        return put_bytes(p, ANY_VALUE_STRING, attr->str, attr->str_len);
    case SPAN_BYTES:
        return put_bytes(p, ANY_VALUE_BYTES, attr->str, attr->str_len);
    case SPAN_BOOL:
        p = put_varint(p, TAG(ANY_VALUE_BOOL, VARINT));
        return put_varint(p, attr->i != 0);
    case SPAN_INT:
        p = put_varint(p, TAG(ANY_VALUE_INT, VARINT));
        return put_varint(p, (uint64_t)attr->i);
    case SPAN_STRINGS:
        return put_array(p, attr);
    }
    assert(false);
    return p;
}

/* The field KeyValue.key of each known key, as it is written: tag, length, text. */
#define KEY_FIELD_SIZE (2u + SPAN_KNOWN_KEY_MAX)
struct key_field {
    uint8_t tag, len;
    char text[SPAN_KNOWN_KEY_MAX]; /* zeros behind it */
};
_Static_assert(sizeof(struct key_field) == KEY_FIELD_SIZE, "no gaps: it is copied as it lies");
#define X(id, text) [SPAN_KEY_##id] = {TAG(KEY_VALUE_KEY, BYTES), sizeof text - 1, text},
static const struct key_field key_fields[N_SPAN_KEYS] = {SPAN_KNOWN_KEYS(X)};
#undef X

/*
 * A text of a known key whose lengths are below 128 and so a byte each: nearly every attribute.
 * @param value  n bytes and PACKED_SLACK more that may be read
 * @return NULL: it is not such a one
 */
static inline uint8_t *put_short(uint8_t *p, const struct key_field *key, const char *value,
                                 size_t n)
{
    const size_t size = 2u + key->len + 2u + 2u + n;

    if (size >= 0x80)
        return NULL;
    *p++ = TAG(SPAN_ATTRIBUTES, BYTES);
    *p++ = (uint8_t)size;
    memcpy(p, key, KEY_FIELD_SIZE); /* one size for all is copied fastest */
    p += 2u + key->len;
    *p++ = TAG(KEY_VALUE_VALUE, BYTES);
    *p++ = (uint8_t)(2u + n);
    *p++ = TAG(ANY_VALUE_STRING, BYTES);
    *p++ = (uint8_t)n;
    if (n <= PACKED_SLACK)
        memcpy(p, value, PACKED_SLACK);
    else
        memcpy(p, value, n);
    return p + n;
}

static uint8_t *put_attributes(uint8_t *p, const struct span *span)
{
    struct packed record;

    for (uint32_t at = packed_first(span); packed_read(span, at, &record); at = record.end) {
        const struct key_field *known = &key_fields[record.id];
        const bool is_known = record.id != SPAN_KEY_NONE;
        struct span_attr attr;
        size_t size;

        if (is_known && record.type == SPAN_STRING) {
            uint8_t *end = put_short(p, known, span->_data + record.value, record.str_len);

            if (end != NULL) {
                p = end;
                continue;
            }
        }
        packed_value(span, &record, &attr);
        size = value_size(&attr);
        *p++ = TAG(SPAN_ATTRIBUTES, BYTES);
        p = put_varint(p, bytes_size(is_known ? known->len : record.key_len) + bytes_size(size));
        if (is_known) {
            memcpy(p, known, KEY_FIELD_SIZE);
            p += 2u + known->len;
        } else {
            p = put_bytes(p, KEY_VALUE_KEY, span->_data + record.key, record.key_len);
        }
        *p++ = TAG(KEY_VALUE_VALUE, BYTES);
        p = put_varint(p, size);
        p = put_value(p, &attr);
    }
    return p;
}

static uint8_t *put_events(uint8_t *p, const struct span *span)
{
    for (size_t i = 0; i < span->n_events; i++) {
        const struct span_event *event = &span->events[i];
        const size_t name_len = strlen(event->name);

        p = put_varint(p, TAG(SPAN_EVENTS, BYTES));
        p = put_varint(p, 1 + sizeof(uint64_t) + bytes_size(name_len));
        p = put_varint(p, TAG(EVENT_TIME, FIXED64));
        p = put_fixed64(p, (uint64_t)event->time_unix_ns);
        p = put_bytes(p, EVENT_NAME, event->name, name_len);
    }
    return p;
}

static uint8_t *put_count(uint8_t *p, uint32_t field, uint32_t n)
{
    if (n == 0)
        return p;
    p = put_varint(p, TAG(field, VARINT));
    return put_varint(p, n);
}

static uint8_t *put_time(uint8_t *p, uint32_t field, int64_t unix_ns)
{
    if (unix_ns == 0)
        return p;
    p = put_varint(p, TAG(field, FIXED64));
    return put_fixed64(p, (uint64_t)unix_ns);
}

static bool is_zero(const uint8_t id[8])
{
    uint64_t v;

    memcpy(&v, id, sizeof v);
    return v == 0;
}

static uint8_t *put_fields(uint8_t *p, const struct span *span)
{
    size_t name_len, state_len;
    const char *name = span_name(span, &name_len), *state = span_trace_state(span, &state_len);
    uint32_t flags;

    p = put_bytes(p, SPAN_TRACE_ID, span->context.trace_id, sizeof span->context.trace_id);
    p = put_bytes(p, SPAN_SPAN_ID, span->context.span_id, sizeof span->context.span_id);
    if (state_len > 0)
        p = put_bytes(p, SPAN_TRACE_STATE, state, state_len);
    if (!is_zero(span->parent_id))
        p = put_bytes(p, SPAN_PARENT_SPAN_ID, span->parent_id, sizeof span->parent_id);
    if (name_len > 0)
        p = put_bytes(p, SPAN_NAME, name, name_len);
    p = put_count(p, SPAN_KIND, span->kind);
    p = put_time(p, SPAN_START, span->start_unix_ns);
    p = put_time(p, SPAN_END, span->end_unix_ns);
    p = put_attributes(p, span);
    p = put_count(p, SPAN_DROPPED_ATTRIBUTES, span->dropped_attributes);
    p = put_events(p, span);
    p = put_count(p, SPAN_DROPPED_EVENTS, span->dropped_events);
    if (span->status != SPAN_STATUS_UNSET) {
        p = put_varint(p, TAG(SPAN_STATUS, BYTES));
        p = put_varint(p, 2);
        p = put_varint(p, TAG(STATUS_CODE, VARINT));
        p = put_varint(p, span->status);
    }
    flags = span->context.flags | FLAGS_HAS_IS_REMOTE;
    if (span->parent_remote)
        flags |= FLAGS_IS_REMOTE;
    flags = htole32(flags);
    p = put_varint(p, TAG(SPAN_FLAGS, FIXED32));
    memcpy(p, &flags, sizeof flags);
    return p + sizeof flags;
}

/* Bytes of all lists as they lie in the span. */
static size_t list_size(const struct span *span)
{
    struct packed record;
    size_t size = 0;

    if (!span->_has_lists)
        return 0;
    for (uint32_t at = packed_first(span); packed_read(span, at, &record); at = record.end)
        size += record.type == SPAN_STRINGS ? record.str_len : 0;
    return size;
}

size_t span_wire_bound(const struct span *span)
{
    size_t bound = FIXED_MAX + span_data_size(span) + list_size(span), state_len;

    (void)span_trace_state(span, &state_len);
    bound += state_len + span->n_attributes * (size_t)ATTRIBUTE_MAX;
    for (size_t i = 0; i < span->n_events; i++)
        bound += EVENT_MAX + strlen(span->events[i].name);
    return bound;
}

/* Room for the length of a span: two bytes serve 128 to 16383, nearly every one. */
#define LENGTH_GUESS 2u

size_t span_wire_put(const struct span *span, uint8_t *p)
{
    uint8_t *length = put_varint(p, TAG(SCOPE_SPANS_SPANS, BYTES));
    uint8_t *end = put_fields(length + LENGTH_GUESS, span);
    const size_t size = (size_t)(end - length) - LENGTH_GUESS, n = varint_size(size);

    if (n != LENGTH_GUESS)
        memmove(length + n, length + LENGTH_GUESS, size);
    (void)put_varint(length, size);
    assert((size_t)(length + n + size - p) <= span_wire_bound(span));
    return (size_t)(length + n + size - p);
}
