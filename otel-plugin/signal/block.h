/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/block.h - how a span's attributes lie in its block; for span.c and
 * span_attributes.c, which write them. All others: span.h.
 *
 * The block holds the name, and behind it each attribute as the bytes that OTLP has for it, an
 * element of Span.attributes (trace.proto, common.proto). So they are encoded once, when they are
 * set, and the export copies them as they are.
 *
 *   4a len               Span.attributes
 *     0a len key         KeyValue.key
 *     12 len             KeyValue.value, an AnyValue:
 *       0a len text      string_value
 *       10 0|1           bool_value
 *       18 varint        int_value
 *       2a len           array_value, an ArrayValue: 0a len 0a len text for each string
 *       3a len bytes     bytes_value
 */
#ifndef OTEL_SIGNAL_BLOCK_H
#define OTEL_SIGNAL_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/protobuf.h"
#include "signal/span.h"

#define BLOCK_ATTRIBUTE PB_TAG(9, PB_BYTES)
#define BLOCK_KEY PB_TAG(1, PB_BYTES)
#define BLOCK_VALUE PB_TAG(2, PB_BYTES)
enum block_value {
    BLOCK_STRING = PB_TAG(1, PB_BYTES),
    BLOCK_BOOL = PB_TAG(2, PB_VARINT),
    BLOCK_INT = PB_TAG(3, PB_VARINT),
    BLOCK_ARRAY = PB_TAG(5, PB_BYTES),
    BLOCK_BYTES = PB_TAG(7, PB_BYTES)
};
#define BLOCK_ARRAY_VALUE PB_TAG(1, PB_BYTES)

/* What every span may hold: span_set_limits(). */
extern struct span_limits span_limits;

/** Make room for n more bytes. @return false: out of memory */
bool span_reserve(struct span *span, size_t n);

#endif
