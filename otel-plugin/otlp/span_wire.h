/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/span_wire.h - one span as OTLP's bytes.
 *
 * The spans of a batch are nearly all of its bytes, and packing them with protobuf-c took more
 * than half of the export's time; so they are written directly. protobuf-c stays the authority:
 * the tests unpack every request with it, pack it again and demand the same bytes.
 */
#ifndef OTEL_OTLP_SPAN_WIRE_H
#define OTEL_OTLP_SPAN_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "signal/span.h"

/** The bytes that span_wire_put() writes. */
size_t span_wire_size(const struct span *span);

/**
 * Write the span as one element of ScopeSpans.spans, with its tag and length.
 * @param p  span_wire_size() bytes
 * @return bytes written
 */
size_t span_wire_put(const struct span *span, uint8_t *p);

#endif
