/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/trace_context.c - W3C traceparent, read and written.
 *
 *   00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *   version  trace id (3..34)           parent id (36..51) flags (53..54)
 */
#include "context/trace_context.h"

#include <string.h>

#include "base/hex.h"

enum {
    AT_VERSION = 0,
    AT_TRACE = TRACEPARENT_TRACE_ID,
    AT_SPAN = TRACEPARENT_SPAN_ID,
    AT_FLAGS = 53
};

bool traceparent_parse(const char *p, size_t n, struct trace_context *ret)
{
    struct trace_context context;
    uint8_t version;

    if (n < TRACEPARENT_LEN || !hex_read(p + AT_VERSION, &version, 1) || version == 0xff)
        return false;
    if (n > TRACEPARENT_LEN && (version == 0 || p[TRACEPARENT_LEN] != '-'))
        return false;
    if (p[AT_TRACE - 1] != '-' || p[AT_SPAN - 1] != '-' || p[AT_FLAGS - 1] != '-')
        return false;
    if (!hex_read(p + AT_TRACE, context.trace_id, sizeof context.trace_id) ||
        !hex_read(p + AT_SPAN, context.span_id, sizeof context.span_id) ||
        !hex_read(p + AT_FLAGS, &context.flags, 1))
        return false;
    if (hex_is_zero(context.trace_id, sizeof context.trace_id) ||
        hex_is_zero(context.span_id, sizeof context.span_id))
        return false;
    context.flags &= TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM;
    context.debug = false;
    *ret = context;
    return true;
}

void traceparent_format(const struct trace_context *context, char ret[TRACEPARENT_LEN])
{
    memcpy(ret, "00-", 3);
    hex_write(context->trace_id, sizeof context->trace_id, ret + AT_TRACE);
    ret[AT_SPAN - 1] = '-';
    hex_write(context->span_id, sizeof context->span_id, ret + AT_SPAN);
    ret[AT_FLAGS - 1] = '-';
    hex_write(&context->flags, 1, ret + AT_FLAGS);
}
