/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/context/b3.c - B3 single and multi, read and written. */
#include "context/b3.h"

#include <string.h>

#include "base/hex.h"

enum { TRACE_LEN = 32, SHORT_TRACE_LEN = 16, SPAN_LEN = 16 };

static void set_sampled(struct inbound *inbound, enum sampled sampled, bool debug)
{
    inbound->sampled = sampled;
    inbound->debug = debug;
    inbound->parent.debug = debug;
    inbound->parent.flags = sampled == SAMPLED_YES ? TRACE_FLAG_SAMPLED : 0;
}

static bool read_ids(struct text trace, struct text span, struct inbound *ret)
{
    struct trace_context *parent = &ret->parent;
    size_t pad;

    if ((trace.n != TRACE_LEN && trace.n != SHORT_TRACE_LEN) || span.n != SPAN_LEN)
        return false;
    pad = sizeof parent->trace_id - trace.n / 2;
    memset(parent->trace_id, 0, pad);
    if (!hex_read(trace.p, parent->trace_id + pad, trace.n / 2) ||
        !hex_read(span.p, parent->span_id, sizeof parent->span_id) ||
        hex_is_zero(parent->trace_id, sizeof parent->trace_id) ||
        hex_is_zero(parent->span_id, sizeof parent->span_id))
        return false;
    ret->has_parent = true;
    return true;
}

/* The single header's letter. */
static bool read_state(char c, struct inbound *ret)
{
    switch (c) {
    case '0':
        set_sampled(ret, SAMPLED_NO, false);
        return true;
    case '1':
        set_sampled(ret, SAMPLED_YES, false);
        return true;
    case 'd':
        set_sampled(ret, SAMPLED_YES, true);
        return true;
    default:
        return false;
    }
}

/* What may follow the two ids: nothing, "-S", or "-S-PARENT". */
static bool read_rest(const char *p, size_t n, struct inbound *ret)
{
    uint8_t parent_of_parent[8];

    if (n == 0) {
        set_sampled(ret, SAMPLED_DEFERRED, false);
        return true;
    }
    if (n < 2 || p[0] != '-' || !read_state(p[1], ret))
        return false;
    return n == 2 || (n == 3 + SPAN_LEN && p[2] == '-' &&
                      hex_read(p + 3, parent_of_parent, sizeof parent_of_parent));
}

bool b3_read_single(struct text header, struct inbound *ret)
{
    struct inbound inbound = {.has_parent = false};
    const char *dash;
    struct text trace, span;
    size_t ids;

    if (header.n == 1) {
        if (!read_state(header.p[0], &inbound))
            return false;
        *ret = inbound;
        return true;
    }
    dash = header.n > 0 ? memchr(header.p, '-', header.n) : NULL;
    if (dash == NULL)
        return false;
    trace = (struct text){header.p, (size_t)(dash - header.p)};
    ids = trace.n + 1 + SPAN_LEN;
    if (header.n < ids)
        return false;
    span = (struct text){dash + 1, SPAN_LEN};
    if (!read_ids(trace, span, &inbound) || !read_rest(header.p + ids, header.n - ids, &inbound))
        return false;
    *ret = inbound;
    return true;
}

bool b3_read_multi(const struct b3_headers *headers, struct inbound *ret)
{
    struct inbound inbound = {.has_parent = false};

    if (text_is(headers->flags, "1"))
        set_sampled(&inbound, SAMPLED_YES, true);
    else if (text_is(headers->sampled, "1") || text_is(headers->sampled, "true"))
        set_sampled(&inbound, SAMPLED_YES, false);
    else if (text_is(headers->sampled, "0") || text_is(headers->sampled, "false"))
        set_sampled(&inbound, SAMPLED_NO, false);
    else if (headers->sampled.n > 0)
        return false;

    if (headers->trace_id.n > 0 || headers->span_id.n > 0) {
        if (!read_ids(headers->trace_id, headers->span_id, &inbound))
            return false;
    } else if (inbound.sampled == SAMPLED_DEFERRED) {
        return false;
    }
    *ret = inbound;
    return true;
}

void b3_write_single(const struct trace_context *context, char ret[B3_SINGLE_LEN])
{
    char state = (context->flags & TRACE_FLAG_SAMPLED) != 0 ? '1' : '0';

    if (state == '1' && context->debug)
        state = 'd';
    hex_write(context->trace_id, sizeof context->trace_id, ret);
    ret[TRACE_LEN] = '-';
    hex_write(context->span_id, sizeof context->span_id, ret + TRACE_LEN + 1);
    ret[TRACE_LEN + 1 + SPAN_LEN] = '-';
    ret[TRACE_LEN + 2 + SPAN_LEN] = state;
}
