/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/trace_context.h - W3C Trace Context, level 2: traceparent in and out.
 * Source: https://www.w3.org/TR/trace-context-2/ sections 2.2 and 4.
 */
#ifndef OTEL_CONTEXT_TRACE_CONTEXT_H
#define OTEL_CONTEXT_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACEPARENT_LEN 55u /* version 00 */
/* Where the ids' digits are in one. */
#define TRACEPARENT_TRACE_ID 3u
#define TRACEPARENT_SPAN_ID 36u
#define TRACE_FLAG_SAMPLED 0x01u
#define TRACE_FLAG_RANDOM 0x02u /* the low 7 bytes of the trace id are random */

struct trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags; /* TRACE_FLAG_* */
    bool debug;    /* B3's debug flag, which W3C's formats cannot say: implies sampled */
};

/**
 * Read a traceparent. Version 00 must be exactly TRACEPARENT_LEN bytes; of a later version the
 * first TRACEPARENT_LEN bytes count, if '-' or the end follows. Unknown flags are dropped.
 * @return false: not valid, *ret untouched; the caller starts a new trace
 */
bool traceparent_parse(const char *p, size_t n, struct trace_context *ret);

/** Write a version-00 traceparent, TRACEPARENT_LEN bytes, no NUL. */
void traceparent_format(const struct trace_context *context, char ret[TRACEPARENT_LEN]);

#endif
