/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/codec.h - SPOP for tests, fuzz targets and the bench: payloads are written, and ACKs
 * read back, by other code than the host's writers.
 *
 * The readers are the host's (wire.h) with a cursor, which moves on success only. The writers are
 * an encoder of their own, plain after SPOE.txt 3.1: they write at most cap bytes at p and return
 * the bytes written, or 0 where they do not fit.
 */
#ifndef TESTS_CODEC_H
#define TESTS_CODEC_H

#include <string.h>

#include "spop/spop.h"
#include "spop/wire.h"

static inline int codec_get_varint(struct spop_cursor *c, uint64_t *ret)
{
    uint64_t v;
    const uint8_t *p = wire_read_varint(c->p, c->end, &v);

    if (p == NULL)
        return -SPOP_ERR_INVALID;
    c->p = p;
    *ret = v;
    return 0;
}

static inline int codec_get_string(struct spop_cursor *c, struct spoe_span *ret)
{
    struct spoe_span s;
    const uint8_t *p = wire_read_string(c->p, c->end, &s);

    if (p == NULL)
        return -SPOP_ERR_INVALID;
    c->p = p;
    *ret = s;
    return 0;
}

static inline int codec_get_value(struct spop_cursor *c, struct spoe_value *ret)
{
    struct spoe_value v;
    const uint8_t *p = wire_read_value(c->p, c->end, &v);

    if (p == NULL)
        return -SPOP_ERR_INVALID;
    c->p = p;
    *ret = v;
    return 0;
}

/*
 * The head of the next message of a payload; its arguments follow at the cursor.
 * @return 1 a message; 0 the end; -SPOP_ERR_INVALID
 */
static inline int codec_next_message(struct spop_cursor *c, struct spoe_span *ret_name,
                                     uint32_t *ret_n_args)
{
    struct spoe_span name;
    uint32_t n_args;
    const uint8_t *p;

    if (c->p == c->end)
        return 0;
    p = wire_read_message(c->p, c->end, &name, &n_args);
    if (p == NULL)
        return -SPOP_ERR_INVALID;
    *ret_n_args = n_args;
    *ret_name = name;
    c->p = p;
    return 1;
}

/* SPOE.txt 3.1: up to 239 as it is; else four bits beside 240, then seven at a time beside 128. */
static inline size_t codec_put_varint(uint8_t *p, size_t cap, uint64_t v)
{
    uint8_t bytes[SPOP_VARINT_MAX];
    size_t n = 0;

    if (v < 240) {
        bytes[n++] = (uint8_t)v;
    } else {
        v -= 240;
        bytes[n++] = (uint8_t)(240 + v % 16);
        for (v /= 16; v >= 128; v = v / 128 - 1)
            bytes[n++] = (uint8_t)(128 + v % 128);
        bytes[n++] = (uint8_t)v;
    }
    if (n > cap)
        return 0;
    memcpy(p, bytes, n);
    return n;
}

static inline size_t codec_put_string(uint8_t *p, size_t cap, struct spoe_span s)
{
    size_t n = codec_put_varint(p, cap, s.n);

    if (n == 0 || s.n > cap - n)
        return 0;
    if (s.n != 0)
        memcpy(p + n, s.p, s.n);
    return n + s.n;
}

/* What follows the byte of a value's type. */
static inline size_t codec_put_scalar(uint8_t *p, size_t cap, const struct spoe_value *v)
{
    const bool is_ip4 = v->type == SPOE_T_IPV4;
    const size_t n = is_ip4 ? sizeof v->u.ip4 : sizeof v->u.ip6;

    switch (v->type) {
    case SPOE_T_INT32:
        return codec_put_varint(p, cap, (uint64_t)(int64_t)v->u.i32);
    case SPOE_T_UINT32:
        return codec_put_varint(p, cap, v->u.u32);
    case SPOE_T_INT64:
    case SPOE_T_UINT64:
        return codec_put_varint(p, cap, v->u.u64);
    case SPOE_T_IPV4:
    case SPOE_T_IPV6:
        if (cap < n)
            return 0;
        memcpy(p, is_ip4 ? v->u.ip4 : v->u.ip6, n);
        return n;
    case SPOE_T_STR:
    case SPOE_T_BIN:
        return codec_put_string(p, cap, v->u.s);
    default:
        return 0;
    }
}

static inline size_t codec_put_value(uint8_t *p, size_t cap, const struct spoe_value *v)
{
    size_t n;

    if (cap == 0)
        return 0;
    p[0] = (uint8_t)(v->type | (v->type == SPOE_T_BOOL && v->u.b ? 0x10u : 0));
    if (v->type == SPOE_T_NULL || v->type == SPOE_T_BOOL)
        return 1;
    n = codec_put_scalar(p + 1, cap - 1, v);
    return n != 0 ? n + 1 : 0;
}

#endif
