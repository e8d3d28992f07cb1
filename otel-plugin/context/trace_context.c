/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/trace_context.c - W3C traceparent, read and written.
 *
 *   00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *   version  trace id (3..34)           parent id (36..51) flags (53..54)
 */
#include "context/trace_context.h"

#include <string.h>

enum { AT_VERSION = 0, AT_TRACE = 3, AT_SPAN = 36, AT_FLAGS = 53 };

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f') /* lower case only: trace-context-2, 3.2.2 */
        return c - 'a' + 10;
    return -1;
}

/* Read n bytes written as 2n digits. */
static bool read_hex(const char *p, uint8_t *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int high = digit(p[2 * i]);
        const int low = digit(p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void write_hex(const uint8_t *p, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[p[i] >> 4];
        ret[2 * i + 1] = digits[p[i] & 15];
    }
}

static bool is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

bool traceparent_parse(const char *p, size_t n, struct trace_context *ret)
{
    struct trace_context context;
    uint8_t version;

    if (n < TRACEPARENT_LEN || !read_hex(p + AT_VERSION, &version, 1) || version == 0xff)
        return false;
    if (n > TRACEPARENT_LEN && (version == 0 || p[TRACEPARENT_LEN] != '-'))
        return false;
    if (p[AT_TRACE - 1] != '-' || p[AT_SPAN - 1] != '-' || p[AT_FLAGS - 1] != '-')
        return false;
    if (!read_hex(p + AT_TRACE, context.trace_id, sizeof context.trace_id) ||
        !read_hex(p + AT_SPAN, context.span_id, sizeof context.span_id) ||
        !read_hex(p + AT_FLAGS, &context.flags, 1))
        return false;
    if (is_zero(context.trace_id, sizeof context.trace_id) ||
        is_zero(context.span_id, sizeof context.span_id))
        return false;
    context.flags &= TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM;
    *ret = context;
    return true;
}

void traceparent_format(const struct trace_context *context, char ret[TRACEPARENT_LEN])
{
    memcpy(ret, "00-", 3);
    write_hex(context->trace_id, sizeof context->trace_id, ret + AT_TRACE);
    ret[AT_SPAN - 1] = '-';
    write_hex(context->span_id, sizeof context->span_id, ret + AT_SPAN);
    ret[AT_FLAGS - 1] = '-';
    write_hex(&context->flags, 1, ret + AT_FLAGS);
}
