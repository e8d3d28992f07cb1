/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/base/protobuf.h - the wire format of Protocol Buffers, as far as spans need it.
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
#ifndef OTEL_BASE_PROTOBUF_H
#define OTEL_BASE_PROTOBUF_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

/* A field's tag. It is one byte for numbers below 16. */
#define PB_TAG(number, type) ((uint32_t)(number) << 3 | (type))

static inline size_t pb_varint_size(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static inline uint8_t *pb_put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

/** Read what pb_put_varint() wrote: never anything from outside, since nothing is checked. */
static inline const uint8_t *pb_get_varint(const uint8_t *p, uint64_t *ret)
{
    uint64_t v = *p & 0x7f;

    for (unsigned shift = 7; (*p++ & 0x80) != 0; shift += 7)
        v |= (uint64_t)(*p & 0x7f) << shift;
    *ret = v;
    return p;
}

static inline uint8_t *pb_put_fixed64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

/** Tag and length of a field of n bytes. */
static inline uint8_t *pb_put_head(uint8_t *p, uint32_t field, size_t n)
{
    p = pb_put_varint(p, PB_TAG(field, PB_BYTES));
    return pb_put_varint(p, n);
}

static inline uint8_t *pb_put_bytes(uint8_t *p, uint32_t field, const void *from, size_t n)
{
    p = pb_put_head(p, field, n);
    if (n > 0)
        memcpy(p, from, n);
    return p + n;
}

/** Bytes of a field of n bytes with a tag of one byte. */
static inline size_t pb_bytes_size(size_t n)
{
    return 1 + pb_varint_size(n) + n;
}

#endif
