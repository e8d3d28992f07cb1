/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/b3.h - B3, Zipkin's propagation, in both of its forms.
 * Source: https://github.com/openzipkin/b3-propagation
 *
 *   single  b3: TRACE-SPAN[-SAMPLED[-PARENT]], or SAMPLED alone; SAMPLED is 0, 1 or d (debug)
 *   multi   X-B3-TraceId, X-B3-SpanId, X-B3-Sampled (0, 1, false, true), X-B3-Flags (1: debug)
 *
 * A trace id has 16 or 32 digits; the shorter is padded with zeros on the left. The caller's span
 * id becomes our parent's, never our own. X-B3-ParentSpanId is neither read nor sent.
 */
#ifndef OTEL_CONTEXT_B3_H
#define OTEL_CONTEXT_B3_H

#include <stdbool.h>
#include <stddef.h>

#include "context/inbound.h"
#include "base/text.h"

#define B3_SINGLE_LEN 51u /* as it is written: 32, 16 and 1 digits */

struct b3_headers {
    struct text trace_id, span_id, sampled, flags;
};

/** @return false: not valid, *ret untouched */
bool b3_read_single(struct text header, struct inbound *ret);
/** @return false: none of them is there, or not valid; *ret untouched */
bool b3_read_multi(const struct b3_headers *headers, struct inbound *ret);

/** Write the single header, no NUL. */
void b3_write_single(const struct trace_context *context, char ret[B3_SINGLE_LEN]);

#endif
