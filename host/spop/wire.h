/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/spop/wire.h - the parts of the codec that run for every frame, argument and ACK, to be
 * compiled into their callers: the host's hot path, decode.c and encode.c.
 *
 * Readers take a place and the end of the input, and return the place after what they have read,
 * or NULL: cut short or malformed, with nothing to be relied on in *ret. Writers take a place with
 * the room that their comment names, which the caller has checked, and return the place after it.
 */
#ifndef HOST_SPOP_WIRE_H
#define HOST_SPOP_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "spop/spop.h"

#define WIRE_TYPE_MASK 0x0fu /* SPOE.txt 3.1: TYPE in the low four bits, FLAGS in the high four */
#define WIRE_BOOL_TRUE 0x10u

#define WIRE_VARINT_ONE_BYTE 240u /* below: the byte is the value; else four bits of it */
#define WIRE_VARINT_MORE 0x80u    /* in every further byte: another one follows */

/* ---- reading ---- */

static inline uint32_t wire_load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The bytes of a varint after its first, whose value is in *v. */
const uint8_t *wire_read_varint_rest(const uint8_t *p, const uint8_t *end, uint64_t *v);

static inline const uint8_t *wire_read_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
    uint64_t v;

    if (p == end)
        return NULL;
    v = *p++;
    if (__builtin_expect(v >= WIRE_VARINT_ONE_BYTE, 0)) {
        uint64_t more = v;

        p = wire_read_varint_rest(p, end, &more);
        v = more;
    }
    *ret = v;
    return p;
}

static inline const uint8_t *wire_read_string(const uint8_t *p, const uint8_t *end,
                                              struct spoe_span *ret)
{
    uint64_t n;

    p = wire_read_varint(p, end, &n);
    if (p == NULL || n > (size_t)(end - p))
        return NULL;
    ret->p = (const char *)p;
    ret->n = (size_t)n;
    return p + n;
}

/* What is no string: a value of the type that is in *ret already. */
const uint8_t *wire_read_scalar(const uint8_t *p, const uint8_t *end, uint8_t head,
                                struct spoe_value *ret);

/* One typed value. */
static inline const uint8_t *wire_read_value(const uint8_t *p, const uint8_t *end,
                                             struct spoe_value *ret)
{
    uint8_t head;

    if (p == end)
        return NULL;
    head = *p++;
    ret->type = head & WIRE_TYPE_MASK;
    ret->flags = 0;
    if (__builtin_expect(ret->type == SPOE_T_STR, 1))
        return wire_read_string(p, end, &ret->u.s);
    return wire_read_scalar(p, end, head, ret);
}

/*
 * A string of less than 240 bytes, as nearly all values are. @return NULL: it is something else, or
 * cut short; wire_read_value() says what
 */
static inline const uint8_t *wire_read_short_string(const uint8_t *p, const uint8_t *end,
                                                    struct spoe_value *ret)
{
    size_t n;

    if (end - p < 2 || (p[0] & WIRE_TYPE_MASK) != SPOE_T_STR)
        return NULL;
    n = p[1];
    p += 2;
    if (n >= WIRE_VARINT_ONE_BYTE || n > (size_t)(end - p))
        return NULL;
    ret->type = SPOE_T_STR;
    ret->flags = 0;
    ret->u.s.p = (const char *)p;
    ret->u.s.n = n;
    return p + n;
}

/* The head of a message: its arguments follow. */
static inline const uint8_t *wire_read_message(const uint8_t *p, const uint8_t *end,
                                               struct spoe_span *ret_name, uint32_t *ret_n_args)
{
    p = wire_read_string(p, end, ret_name);
    if (p == NULL || p == end)
        return NULL;
    *ret_n_args = *p; /* SPOE.txt 3.2: NB-ARGS is one byte */
    return p + 1;
}

/**
 * Look for a whole frame at the start of a stream.
 *
 * @param max       largest frame accepted, without the length prefix
 * @param ret_size  on 1: bytes of the frame including the prefix. On 0: bytes that must be there
 *                  before the next call can succeed (at least SPOP_LENGTH_BYTES)
 * @return 1 a whole frame; 0 more bytes needed; -SPOP_ERR_TOO_BIG; -SPOP_ERR_INVALID for a length
 *         below SPOP_FRAME_HEAD_MIN
 */
static inline int wire_frame_find(const uint8_t *buf, size_t len, size_t max, size_t *ret_size)
{
    size_t frame_len;

    if (len < SPOP_LENGTH_BYTES) {
        *ret_size = SPOP_LENGTH_BYTES;
        return 0;
    }
    frame_len = wire_load_be32(buf);
    if (frame_len > max || frame_len > SIZE_MAX - SPOP_LENGTH_BYTES)
        return -SPOP_ERR_TOO_BIG;
    if (frame_len < SPOP_FRAME_HEAD_MIN)
        return -SPOP_ERR_INVALID;
    *ret_size = SPOP_LENGTH_BYTES + frame_len;
    return frame_len <= len - SPOP_LENGTH_BYTES;
}

/**
 * Read type, flags and ids of a frame.
 * @param buf  the frame without its length prefix
 * @return 0; -SPOP_ERR_INVALID. Whether type and flags make sense is for the caller to say.
 */
static inline int wire_frame_decode(const uint8_t *buf, size_t len, struct spop_frame *ret)
{
    const uint8_t *const end = buf + len;
    const uint8_t *p;
    uint64_t stream_id, frame_id;

    if (len < SPOP_FRAME_HEAD_MIN)
        return -SPOP_ERR_INVALID;
    p = wire_read_varint(buf + 5, end, &stream_id);
    if (p == NULL)
        return -SPOP_ERR_INVALID;
    p = wire_read_varint(p, end, &frame_id);
    if (p == NULL)
        return -SPOP_ERR_INVALID;
    *ret = (struct spop_frame){.type = buf[0],
                               .flags = wire_load_be32(buf + 1),
                               .stream_id = stream_id,
                               .frame_id = frame_id,
                               .payload = p,
                               .payload_len = (size_t)(end - p)};
    return 0;
}

/* ---- writing ---- */

static inline uint8_t *wire_put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
    return p + 4;
}

/*
 * Room: SPOP_VARINT_MAX. SPOE.txt 3.1: four bits in the first byte, seven in each that follows,
 * each less its marker.
 */
static inline uint8_t *wire_put_varint(uint8_t *p, uint64_t v)
{
    if (v < WIRE_VARINT_ONE_BYTE) {
        *p++ = (uint8_t)v;
        return p;
    }
    *p++ = (uint8_t)(v | WIRE_VARINT_ONE_BYTE);
    v = (v - WIRE_VARINT_ONE_BYTE) >> 4;
    while (v >= WIRE_VARINT_MORE) {
        *p++ = (uint8_t)(v | WIRE_VARINT_MORE);
        v = (v - WIRE_VARINT_MORE) >> 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* Bytes of a varint. */
static inline size_t wire_varint_size(uint64_t v)
{
    size_t n = 1;

    if (v < WIRE_VARINT_ONE_BYTE)
        return n;
    n++;
    for (v = (v - WIRE_VARINT_ONE_BYTE) >> 4; v >= WIRE_VARINT_MORE;
         v = (v - WIRE_VARINT_MORE) >> 7)
        n++;
    return n;
}

/* Bytes of an ACK's head. */
static inline size_t wire_ack_head_size(uint64_t stream_id, uint64_t frame_id)
{
    return SPOP_LENGTH_BYTES + 5u + wire_varint_size(stream_id) + wire_varint_size(frame_id);
}

/* Room: SPOP_VARINT_MAX + s.n. */
static inline uint8_t *wire_put_string(uint8_t *p, struct spoe_span s)
{
    p = wire_put_varint(p, s.n);
    if (s.n != 0) /* s.p may be NULL */
        memcpy(p, s.p, s.n);
    return p + s.n;
}

/* ---- names ---- */

/*
 * Whether n bytes are equal. Names are short and nearly always as expected, so that a call of
 * memcmp() costs more than the comparison. Reads no byte beyond n.
 */
static inline bool wire_same_bytes(const char *a, const char *b, size_t n)
{
    uint64_t x, y;

    if (n < sizeof x) {
        uint32_t v, w;

        if (n < sizeof v)
            return n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
        memcpy(&v, a, sizeof v);
        memcpy(&w, b, sizeof w);
        if (v != w)
            return false;
        memcpy(&v, a + n - sizeof v, sizeof v);
        memcpy(&w, b + n - sizeof w, sizeof w);
        return v == w;
    }
    for (size_t i = 0; i < n - sizeof x; i += sizeof x) {
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        if (x != y)
            return false;
    }
    memcpy(&x, a + n - sizeof x, sizeof x);
    memcpy(&y, b + n - sizeof y, sizeof y);
    return x == y;
}

#endif
