/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/queued.h - the queue for tests that think in spans. What they take out is made
 * anew of the bytes that would have left, as protobuf-c reads them.
 */
#ifndef TEST_QUEUED_H
#define TEST_QUEUED_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "chunks.h"

typedef Opentelemetry__Proto__Common__V1__KeyValue key_value_msg;
typedef Opentelemetry__Proto__Common__V1__AnyValue any_value_msg;

/* Hand over a list of spans, each for itself. @param spans [own] @return the number dropped */
static inline size_t push_each(struct span_writer *writer, struct span *spans)
{
    size_t dropped = 0, n;

    while (spans != NULL) {
        struct span *next = spans->next;

        spans->next = NULL;
        (void)span_queue_push(writer, spans, &n);
        dropped += n;
        span_destroy(spans);
        spans = next;
    }
    return dropped;
}

static inline void queued_set(struct span *span, const key_value_msg *attribute)
{
    const any_value_msg *value = attribute->value;
    const char *key = attribute->key;
    const size_t n = strlen(key);

    switch (value->value_case) {
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE:
        span_set_str(span, key, n, value->string_value, strlen(value->string_value));
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE:
        span_set_bool(span, key, n, value->bool_value);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE:
        span_set_int(span, key, n, value->int_value);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BYTES_VALUE:
        span_set_bytes(span, key, n, value->bytes_value.data, value->bytes_value.len);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_ARRAY_VALUE:
        for (size_t i = 0; i < value->array_value->n_values; i++) {
            const char *string = value->array_value->values[i]->string_value;

            span_add_str(span, key, n, string, strlen(string));
        }
        break;
    default:
        cr_assert_fail("%s has no value", key);
    }
}

static inline struct span *queued_span(const chunks_span *from)
{
    static char event_names[64][32]; /* a span has its events' names for ever */
    static size_t n_event_names;
    struct trace_context context = {.flags = (uint8_t)from->flags};
    struct span *span;

    cr_assert_eq(from->trace_id.len, sizeof context.trace_id);
    cr_assert_eq(from->span_id.len, sizeof context.span_id);
    memcpy(context.trace_id, from->trace_id.data, sizeof context.trace_id);
    memcpy(context.span_id, from->span_id.data, sizeof context.span_id);
    span = span_create((enum span_kind)from->kind, &context,
                       from->parent_span_id.len > 0 ? from->parent_span_id.data : NULL,
                       (from->flags & 0x200) != 0, (int64_t)from->start_time_unix_nano, from->name,
                       strlen(from->name));
    cr_assert_not_null(span);
    span_set_trace_state(span, from->trace_state, strlen(from->trace_state));
    for (size_t i = 0; i < from->n_attributes; i++)
        queued_set(span, from->attributes[i]);
    span_end(span, (int64_t)from->end_time_unix_nano);
    for (size_t i = 0; i < from->n_events; i++) {
        char *name = event_names[n_event_names++ % 64];

        (void)snprintf(name, sizeof event_names[0], "%s", from->events[i]->name);
        span_add_event(span, name, (int64_t)from->events[i]->time_unix_nano);
    }
    span->dropped_attributes = from->dropped_attributes_count;
    span->dropped_events = from->dropped_events_count;
    span->status = from->status != NULL ? (uint8_t)from->status->code : SPAN_STATUS_UNSET;
    return span;
}

/* As span_queue_take(). @return [give] a list of spans; their places are not free yet */
static inline struct span *take_spans(struct span_queue *queue, size_t max, size_t *ret_n)
{
    struct span_chunk *chunks = span_queue_take(queue, max, SIZE_MAX, ret_n);
    chunks_msg *message = chunks_unpack(chunks);
    struct span *first = NULL, **link = &first;

    cr_assert_not_null(message);
    cr_assert_eq(message->n_spans, *ret_n);
    for (size_t i = 0; i < message->n_spans; i++) {
        *link = queued_span(message->spans[i]);
        link = &(*link)->next;
    }
    chunks_free_unpacked(message);
    span_queue_release(chunks);
    return first;
}

#endif
