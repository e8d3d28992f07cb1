/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/chunks.h - chunks of spans as tests make and read them. A chunk's bytes are a
 * ScopeSpans message with nothing but spans, and so are those of several, one after the other:
 * protobuf-c reads them. A test that includes this links otel_queue and otel_proto.
 */
#ifndef TESTS_UNIT_OTEL_CHUNKS_H
#define TESTS_UNIT_OTEL_CHUNKS_H

#include <stdlib.h>
#include <string.h>

#include "opentelemetry/proto/trace/v1/trace.pb-c.h"
#include "otlp/queue.h"

typedef Opentelemetry__Proto__Trace__V1__ScopeSpans chunks_msg;
typedef Opentelemetry__Proto__Trace__V1__Span chunks_span;

/** How many spans the chunks say that they have. @param chunks  a list; NULL: none */
static inline size_t chunks_count(const struct span_chunk *chunks)
{
    size_t n = 0;

    for (; chunks != NULL; chunks = chunks->next)
        n += chunks->n;
    return n;
}

static inline size_t chunks_size(const struct span_chunk *chunks)
{
    size_t size = 0;

    for (; chunks != NULL; chunks = chunks->next)
        size += chunks->len;
    return size;
}

static inline void chunks_free_unpacked(chunks_msg *msg)
{
    if (msg != NULL)
        opentelemetry__proto__trace__v1__scope_spans__free_unpacked(msg, NULL);
}

/* The spans of bytes. @return [own] NULL: not valid, or not n of them */
static inline chunks_msg *chunks_unpack_bytes(const uint8_t *bytes, size_t size, size_t n)
{
    chunks_msg *msg = opentelemetry__proto__trace__v1__scope_spans__unpack(NULL, size, bytes);

    if (msg != NULL &&
        (msg->n_spans != n || msg->scope != NULL || msg->base.n_unknown_fields != 0)) {
        chunks_free_unpacked(msg);
        return NULL;
    }
    return msg;
}

/** The spans of this chunk alone. @return [own] NULL: its bytes are not valid, or not chunk->n */
static inline chunks_msg *chunks_unpack_one(const struct span_chunk *chunk)
{
    return chunks_unpack_bytes(chunk->bytes, chunk->len, chunk->n);
}

/**
 * All spans of a list, in msg->spans[].
 * @param chunks  [borrow] NULL: none
 * @return [own] with chunks_count() spans. NULL: the bytes are not valid, or not so many spans
 */
static inline chunks_msg *chunks_unpack(const struct span_chunk *chunks)
{
    uint8_t *bytes = malloc(chunks_size(chunks) + 1), *p = bytes;
    chunks_msg *msg;

    if (bytes == NULL)
        return NULL;
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
        memcpy(p, chunk->bytes, chunk->len);
        p += chunk->len;
    }
    msg = chunks_unpack_bytes(bytes, chunks_size(chunks), chunks_count(chunks));
    free(bytes);
    return msg;
}

/** Destroy a list of spans. @param spans [own] NULL: none */
static inline void chunks_destroy_spans(struct span *spans)
{
    while (spans != NULL) {
        struct span *next = spans->next;

        span_destroy(spans);
        spans = next;
    }
}

/** Push spans as one request, and destroy them. @param spans [own] a list */
static inline enum span_queue_result chunks_push(struct span_writer *writer, struct span *spans)
{
    size_t dropped;
    const enum span_queue_result result = span_queue_push(writer, spans, &dropped);

    chunks_destroy_spans(spans);
    return result;
}

#endif
