/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/log_wire.c - one log record as OTLP's bytes.
 *
 * Field numbers: opentelemetry/proto/logs/v1/logs.proto, as in otlp/proto/. Fields in the order of
 * their numbers, and none that has its default value, as protobuf-c writes them.
 */
#include "otlp/log_wire.h"

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "base/protobuf.h"

enum scope_logs_field { SCOPE_LOGS_RECORDS = 2 };
enum log_record_field {
    LOG_TIME = 1,
    LOG_SEVERITY_NUMBER = 2,
    LOG_SEVERITY_TEXT = 3,
    LOG_BODY = 5,
    LOG_ATTRIBUTES = 6,
    LOG_DROPPED_ATTRIBUTES = 7,
    LOG_FLAGS = 8,
    LOG_TRACE_ID = 9,
    LOG_SPAN_ID = 10,
    LOG_OBSERVED_TIME = 11
};
enum any_value_field { ANY_VALUE_STRING = 1 };

/* Tags and lengths of the record and of all its fields, times, ids and the severity's text. */
#define FIXED_MAX 128u

static const char *severity_text(enum log_severity severity)
{
    switch (severity) {
    case LOG_INFO:
        return "INFO";
    case LOG_WARN:
        return "WARN";
    case LOG_ERROR:
        return "ERROR";
    }
    assert(false);
    return "";
}

/* Whether an attribute of CLIENT tells of the request as a whole, and has no other of SERVER's. */
static bool is_of_request(const uint8_t *key, size_t n)
{
    static const char prefix[] = "haproxy.", resent[] = "http.request.resend_count";

    return (n >= sizeof prefix - 1 && memcmp(key, prefix, sizeof prefix - 1) == 0) ||
           (n == sizeof resent - 1 && memcmp(key, resent, n) == 0);
}

/* One attribute of a span's bytes: a KeyValue whose first field is the key. */
struct attribute {
    const uint8_t *value, *key; /* the KeyValue, and its key's bytes */
    size_t len, key_len;
};

/* @return what follows it. @param p  as the span wrote it */
static const uint8_t *next_attribute(const uint8_t *p, struct attribute *ret)
{
    uint64_t len, key_len;

    p = pb_get_varint(p + 1, &len); /* the tag is one byte */
    ret->value = p;
    ret->len = (size_t)len;
    ret->key = pb_get_varint(p + 1, &key_len);
    ret->key_len = (size_t)key_len;
    return p + len;
}

static bool has_key(const struct span *span, const struct attribute *attribute)
{
    struct span_attr attr;

    return span_find(span, (const char *)attribute->key, attribute->key_len, &attr);
}

static uint8_t *put_attributes(uint8_t *p, const struct log_record *record)
{
    struct attribute attribute;
    const uint8_t *from, *end;
    size_t len;

    from = span_attribute_bytes(record->server, &len);
    for (end = from + len; from < end;) {
        from = next_attribute(from, &attribute);
        p = pb_put_bytes(p, LOG_ATTRIBUTES, attribute.value, attribute.len);
    }
    if (record->client == NULL)
        return p;
    from = span_attribute_bytes(record->client, &len);
    for (end = from + len; from < end;) {
        from = next_attribute(from, &attribute);
        if (is_of_request(attribute.key, attribute.key_len) && !has_key(record->server, &attribute))
            p = pb_put_bytes(p, LOG_ATTRIBUTES, attribute.value, attribute.len);
    }
    return p;
}

static uint8_t *put_time(uint8_t *p, uint32_t field, int64_t unix_ns)
{
    if (unix_ns == 0)
        return p;
    p = pb_put_varint(p, PB_TAG(field, PB_FIXED64));
    return pb_put_fixed64(p, (uint64_t)unix_ns);
}

static uint8_t *put_fields(uint8_t *p, const struct log_record *record)
{
    const struct span *server = record->server;
    const char *severity = severity_text(record->severity);
    const uint32_t flags = htole32(server->context.flags);

    p = put_time(p, LOG_TIME, server->end_unix_ns);
    p = pb_put_varint(p, PB_TAG(LOG_SEVERITY_NUMBER, PB_VARINT));
    p = pb_put_varint(p, (uint64_t)record->severity);
    p = pb_put_bytes(p, LOG_SEVERITY_TEXT, severity, strlen(severity));
    p = pb_put_head(p, LOG_BODY, pb_bytes_size(record->body_len));
    p = pb_put_bytes(p, ANY_VALUE_STRING, record->body, record->body_len);
    p = put_attributes(p, record);
    if (server->dropped_attributes > 0) {
        p = pb_put_varint(p, PB_TAG(LOG_DROPPED_ATTRIBUTES, PB_VARINT));
        p = pb_put_varint(p, server->dropped_attributes);
    }
    if (flags != 0) {
        p = pb_put_varint(p, PB_TAG(LOG_FLAGS, PB_FIXED32));
        memcpy(p, &flags, sizeof flags);
        p += sizeof flags;
    }
    p = pb_put_bytes(p, LOG_TRACE_ID, server->context.trace_id, sizeof server->context.trace_id);
    p = pb_put_bytes(p, LOG_SPAN_ID, server->context.span_id, sizeof server->context.span_id);
    return put_time(p, LOG_OBSERVED_TIME, record->observed_unix_ns);
}

size_t log_wire_bound(const struct log_record *record)
{
    size_t bound = FIXED_MAX + record->body_len, len;

    (void)span_attribute_bytes(record->server, &len);
    bound += len;
    if (record->client != NULL) {
        (void)span_attribute_bytes(record->client, &len);
        bound += len;
    }
    return bound;
}

/* Room for the length of a record: two bytes serve 128 to 16383, nearly every one. */
#define LENGTH_GUESS 2u

size_t log_wire_put(const struct log_record *record, uint8_t *p)
{
    uint8_t *length = pb_put_varint(p, PB_TAG(SCOPE_LOGS_RECORDS, PB_BYTES));
    uint8_t *end = put_fields(length + LENGTH_GUESS, record);
    const size_t size = (size_t)(end - length) - LENGTH_GUESS, n = pb_varint_size(size);

    if (n != LENGTH_GUESS)
        memmove(length + n, length + LENGTH_GUESS, size);
    (void)pb_put_varint(length, size);
    assert((size_t)(length + n + size - p) <= log_wire_bound(record));
    return (size_t)(length + n + size - p);
}
