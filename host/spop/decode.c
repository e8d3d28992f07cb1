/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/spop/decode.c - frames, messages, arguments and typed values, read where they lie.
 *
 * This is the hot path: every byte that HAProxy sends passes here once. The public functions are
 * thin; the work is in the static ones, which the compiler inlines into one another. They move a
 * copy of the cursor and store it back on success only.
 */
#include "spop/spop.h"

#include <string.h>

#define TYPE_MASK 0x0fu /* SPOE.txt 3.1: TYPE in the low four bits, FLAGS in the high four */
#define BOOL_TRUE 0x10u

#define VARINT_FIRST_BITS 4u     /* of the first byte count, where it is VARINT_ONE_BYTE or more */
#define VARINT_ONE_BYTE 240u     /* below: the byte is the value */
#define VARINT_MORE 0x80u        /* in every further byte: another one follows */
#define VARINT_LAST_SHIFT 60u    /* place of the tenth byte */
#define VARINT_LAST_BYTE_MAX 15u /* a larger tenth byte does not fit in 64 bits */

static inline uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline size_t left(const struct spop_cursor *c)
{
    return (size_t)(c->end - c->p);
}

/* The bytes after the first. Values add up without carry into bit 64 up to the tenth byte. */
static int get_varint_rest(struct spop_cursor *c, uint64_t first, uint64_t *ret)
{
    uint64_t v = first;
    unsigned shift = VARINT_FIRST_BITS;
    uint8_t b;

    do {
        if (c->p == c->end)
            return -SPOP_ERR_INVALID;
        b = *c->p++;
        if (shift == VARINT_LAST_SHIFT && b > VARINT_LAST_BYTE_MAX)
            return -SPOP_ERR_INVALID;
        if (__builtin_add_overflow(v, (uint64_t)b << shift, &v))
            return -SPOP_ERR_INVALID;
        shift += 7;
    } while (b & VARINT_MORE);
    *ret = v;
    return 0;
}

static inline int get_varint(struct spop_cursor *c, uint64_t *ret)
{
    uint64_t first;

    if (c->p == c->end)
        return -SPOP_ERR_INVALID;
    first = *c->p++;
    if (first >= VARINT_ONE_BYTE)
        return get_varint_rest(c, first, ret);
    *ret = first;
    return 0;
}

static inline int get_string(struct spop_cursor *c, struct spoe_span *ret)
{
    uint64_t n;

    if (get_varint(c, &n) != 0 || n > left(c))
        return -SPOP_ERR_INVALID;
    ret->p = (const char *)c->p;
    ret->n = (size_t)n;
    c->p += n;
    return 0;
}

static inline int get_bytes(struct spop_cursor *c, uint8_t *to, size_t n)
{
    if (n > left(c))
        return -SPOP_ERR_INVALID;
    memcpy(to, c->p, n);
    c->p += n;
    return 0;
}

/* Integers of 32 bits come as varints of up to 64: HAProxy extends the sign. Cut as C does. */
static inline int get_integer(struct spop_cursor *c, struct spoe_value *ret)
{
    uint64_t n;

    if (get_varint(c, &n) != 0)
        return -SPOP_ERR_INVALID;
    switch (ret->type) {
    case SPOE_T_INT32:
        ret->u.i32 = (int32_t)(uint32_t)n;
        break;
    case SPOE_T_UINT32:
        ret->u.u32 = (uint32_t)n;
        break;
    case SPOE_T_INT64:
        ret->u.i64 = (int64_t)n;
        break;
    default:
        ret->u.u64 = n;
        break;
    }
    return 0;
}

static inline int get_value(struct spop_cursor *c, struct spoe_value *ret)
{
    uint8_t head;

    if (c->p == c->end)
        return -SPOP_ERR_INVALID;
    head = *c->p++;
    *ret = (struct spoe_value){.type = head & TYPE_MASK};
    switch (ret->type) {
    case SPOE_T_NULL:
        return 0;
    case SPOE_T_BOOL:
        ret->u.b = (head & BOOL_TRUE) != 0;
        return 0;
    case SPOE_T_INT32:
    case SPOE_T_UINT32:
    case SPOE_T_INT64:
    case SPOE_T_UINT64:
        return get_integer(c, ret);
    case SPOE_T_IPV4:
        return get_bytes(c, ret->u.ip4, sizeof ret->u.ip4);
    case SPOE_T_IPV6:
        return get_bytes(c, ret->u.ip6, sizeof ret->u.ip6);
    case SPOE_T_STR:
    case SPOE_T_BIN:
        return get_string(c, &ret->u.s);
    default: /* 10 to 15 are reserved: their length is unknown */
        return -SPOP_ERR_INVALID;
    }
}

int spop_get_varint(struct spop_cursor *c, uint64_t *ret)
{
    struct spop_cursor at = *c;
    uint64_t v;

    if (get_varint(&at, &v) != 0)
        return -SPOP_ERR_INVALID;
    *c = at;
    *ret = v;
    return 0;
}

int spop_get_string(struct spop_cursor *c, struct spoe_span *ret)
{
    struct spop_cursor at = *c;
    struct spoe_span s;

    if (get_string(&at, &s) != 0)
        return -SPOP_ERR_INVALID;
    *c = at;
    *ret = s;
    return 0;
}

int spop_get_value(struct spop_cursor *c, struct spoe_value *ret)
{
    struct spop_cursor at = *c;
    struct spoe_value v;

    if (get_value(&at, &v) != 0)
        return -SPOP_ERR_INVALID;
    *c = at;
    *ret = v;
    return 0;
}

int spop_get_arg(struct spop_cursor *c, struct spoe_arg *ret)
{
    struct spop_cursor at = *c;
    struct spoe_arg arg;

    if (get_string(&at, &arg.name) != 0 || get_value(&at, &arg.value) != 0)
        return -SPOP_ERR_INVALID;
    *c = at;
    *ret = arg;
    return 0;
}

int spop_next_message(struct spop_cursor *c, struct spoe_span *ret_name, uint32_t *ret_n_args)
{
    struct spop_cursor at = *c;
    struct spoe_span name;

    if (at.p == at.end)
        return 0;
    if (get_string(&at, &name) != 0 || at.p == at.end)
        return -SPOP_ERR_INVALID;
    *ret_n_args = *at.p++; /* SPOE.txt 3.2: NB-ARGS is one byte */
    *ret_name = name;
    *c = at;
    return 1;
}

int spop_frame_find(const uint8_t *buf, size_t len, size_t max, size_t *ret_size)
{
    size_t frame_len;

    if (len < SPOP_LENGTH_BYTES) {
        *ret_size = SPOP_LENGTH_BYTES;
        return 0;
    }
    frame_len = load_be32(buf);
    if (frame_len > max || frame_len > SIZE_MAX - SPOP_LENGTH_BYTES)
        return -SPOP_ERR_TOO_BIG;
    if (frame_len < SPOP_FRAME_HEAD_MIN)
        return -SPOP_ERR_INVALID;
    *ret_size = SPOP_LENGTH_BYTES + frame_len;
    return frame_len <= len - SPOP_LENGTH_BYTES;
}

int spop_frame_decode(const uint8_t *buf, size_t len, struct spop_frame *ret)
{
    struct spop_cursor c;
    struct spop_frame f;

    if (len < SPOP_FRAME_HEAD_MIN)
        return -SPOP_ERR_INVALID;
    f.type = buf[0];
    f.flags = load_be32(buf + 1);
    c.p = buf + 5;
    c.end = buf + len;
    if (get_varint(&c, &f.stream_id) != 0 || get_varint(&c, &f.frame_id) != 0)
        return -SPOP_ERR_INVALID;
    f.payload = c.p;
    f.payload_len = left(&c);
    *ret = f;
    return 0;
}
