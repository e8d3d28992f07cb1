/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/spop/decode.c - what reads typed values and is too long or too rare to be compiled into
 * every caller, as the rest of wire.h is.
 */
#include "spop/spop.h"

#include <string.h>

#include "spop/wire.h"

#define VARINT_FIRST_BITS 4u     /* of the first byte count, where another one follows */
#define VARINT_LAST_SHIFT 60u    /* place of the tenth byte */
#define VARINT_LAST_BYTE_MAX 15u /* a larger tenth byte does not fit in 64 bits */

/* Values add up without carry into bit 64 up to the tenth byte. */
const uint8_t *wire_read_varint_rest(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    uint64_t sum = *v;
    unsigned shift = VARINT_FIRST_BITS;
    uint8_t b;

    do {
        if (p == end)
            return NULL;
        b = *p++;
        if (shift == VARINT_LAST_SHIFT && b > VARINT_LAST_BYTE_MAX)
            return NULL;
        if (__builtin_add_overflow(sum, (uint64_t)b << shift, &sum))
            return NULL;
        shift += 7;
    } while (b & WIRE_VARINT_MORE);
    *v = sum;
    return p;
}

static inline const uint8_t *read_bytes(const uint8_t *p, const uint8_t *end, uint8_t *to, size_t n)
{
    if (n > (size_t)(end - p))
        return NULL;
    memcpy(to, p, n);
    return p + n;
}

/* Integers of 32 bits come as varints of up to 64: HAProxy extends the sign. Cut as C does. */
static const uint8_t *read_integer(const uint8_t *p, const uint8_t *end, struct spoe_value *ret)
{
    uint64_t n;

    p = wire_read_varint(p, end, &n);
    if (p == NULL)
        return NULL;
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
    return p;
}

const uint8_t *wire_read_scalar(const uint8_t *p, const uint8_t *end, uint8_t head,
                                struct spoe_value *ret)
{
    ret->u.s = (struct spoe_span){NULL, 0}; /* all bytes of the union */
    switch (ret->type) {
    case SPOE_T_NULL:
        return p;
    case SPOE_T_BOOL:
        ret->u.b = (head & WIRE_BOOL_TRUE) != 0;
        return p;
    case SPOE_T_INT32:
    case SPOE_T_UINT32:
    case SPOE_T_INT64:
    case SPOE_T_UINT64:
        return read_integer(p, end, ret);
    case SPOE_T_IPV4:
        return read_bytes(p, end, ret->u.ip4, sizeof ret->u.ip4);
    case SPOE_T_IPV6:
        return read_bytes(p, end, ret->u.ip6, sizeof ret->u.ip6);
    case SPOE_T_STR:
    case SPOE_T_BIN:
        return wire_read_string(p, end, &ret->u.s);
    default: /* 10 to 15 are reserved: their length is unknown */
        return NULL;
    }
}

int spop_get_arg(struct spop_cursor *c, struct spoe_arg *ret)
{
    struct spoe_arg arg;
    const uint8_t *p = wire_read_string(c->p, c->end, &arg.name);

    if (p != NULL)
        p = wire_read_value(p, c->end, &arg.value);
    if (p == NULL)
        return -SPOP_ERR_INVALID;
    c->p = p;
    *ret = arg;
    return 0;
}
