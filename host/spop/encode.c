/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/spop/encode.c - values, actions and the agent's frames, written into the caller's memory.
 *
 * A writer counts down the room that is left. Once something does not fit it stays `full`, so that
 * a run of writes is checked once, at its end.
 */
#include "spop/spop.h"

#include <string.h>

#include <spoe/util.h>

#include "spop/wire.h"

enum { ACTION_SET_VAR = 1, ACTION_UNSET_VAR = 2 }; /* SPOE.txt 3.4 */

#define SPOP_VERSION "2.0"

struct writer {
    uint8_t *p;
    size_t room;
    bool full;
};

static inline void put_bytes(struct writer *w, const void *bytes, size_t n)
{
    if (w->full || n > w->room) {
        w->full = true;
        return;
    }
    if (n == 0)
        return; /* bytes may be NULL */
    memcpy(w->p, bytes, n);
    w->p += n;
    w->room -= n;
}

static inline void put_byte(struct writer *w, unsigned byte)
{
    uint8_t b = (uint8_t)byte;

    put_bytes(w, &b, 1);
}

static inline void put_be32(struct writer *w, uint32_t v)
{
    uint8_t b[4];

    (void)wire_put_be32(b, v);
    put_bytes(w, b, sizeof b);
}

static inline void put_varint(struct writer *w, uint64_t v)
{
    uint8_t b[SPOP_VARINT_MAX];

    put_bytes(w, b, (size_t)(wire_put_varint(b, v) - b));
}

static inline void put_string(struct writer *w, struct spoe_span s)
{
    put_varint(w, s.n);
    put_bytes(w, s.p, s.n);
}

static void put_value(struct writer *w, const struct spoe_value *v)
{
    put_byte(w, v->type == SPOE_T_BOOL && v->u.b ? v->type | 0x10u : v->type);
    switch (v->type) {
    case SPOE_T_NULL:
    case SPOE_T_BOOL:
        break;
    case SPOE_T_INT32: /* with its sign extended to 64 bits, as HAProxy does */
        put_varint(w, (uint64_t)(int64_t)v->u.i32);
        break;
    case SPOE_T_UINT32:
        put_varint(w, v->u.u32);
        break;
    case SPOE_T_INT64:
        put_varint(w, (uint64_t)v->u.i64);
        break;
    case SPOE_T_UINT64:
        put_varint(w, v->u.u64);
        break;
    case SPOE_T_IPV4:
        put_bytes(w, v->u.ip4, sizeof v->u.ip4);
        break;
    case SPOE_T_IPV6:
        put_bytes(w, v->u.ip6, sizeof v->u.ip6);
        break;
    case SPOE_T_STR:
    case SPOE_T_BIN:
        put_string(w, v->u.s);
        break;
    default:
        w->full = true; /* no such type: nothing that could be written */
        break;
    }
}

static inline size_t written(const struct writer *w, size_t cap)
{
    return w->full ? 0 : cap - w->room;
}

/* Frames without ids: a length that end_frame() fills in, type, FIN, ids 0. */
static void begin_frame(struct writer *w, enum spop_frame_type type)
{
    put_be32(w, 0);
    put_byte(w, type);
    put_be32(w, SPOP_FLAG_FIN);
    put_varint(w, 0);
    put_varint(w, 0);
}

static size_t end_frame(const struct writer *w, uint8_t *p, size_t cap)
{
    size_t size = written(w, cap);
    struct writer prefix = {p, SPOP_LENGTH_BYTES, false};

    if (size != 0) /* these frames are far below 4 GiB */
        put_be32(&prefix, (uint32_t)(size - SPOP_LENGTH_BYTES));
    return size;
}

static void put_item_str(struct writer *w, const char *name, const char *text)
{
    struct spoe_value v = spoe_value_str(spoe_str(text));

    put_string(w, spoe_str(name));
    put_value(w, &v);
}

static void put_item_u32(struct writer *w, const char *name, uint32_t n)
{
    struct spoe_value v = {.type = SPOE_T_UINT32, .u.u32 = n};

    put_string(w, spoe_str(name));
    put_value(w, &v);
}

size_t spop_put_agent_hello(uint8_t *p, size_t cap, uint32_t max_frame_size)
{
    struct writer w = {p, cap, false};

    begin_frame(&w, SPOP_AGENT_HELLO);
    put_item_str(&w, "version", SPOP_VERSION);
    put_item_u32(&w, "max-frame-size", max_frame_size);
    put_item_str(&w, "capabilities", "pipelining");
    return end_frame(&w, p, cap);
}

size_t spop_put_agent_disconnect(uint8_t *p, size_t cap, int status)
{
    struct writer w = {p, cap, false};

    begin_frame(&w, SPOP_AGENT_DISCONNECT);
    put_item_u32(&w, "status-code", (uint32_t)status);
    put_item_str(&w, "message", spop_status_text(status));
    return end_frame(&w, p, cap);
}

/* set-var of a string, which is what plugins set; the caller has seen to the room. */
static size_t put_set_string(uint8_t *p, uint32_t scope, struct spoe_span name,
                             const struct spoe_value *value)
{
    uint8_t *at = p;

    *at++ = ACTION_SET_VAR;
    *at++ = 3; /* arguments: scope, name, value */
    *at++ = (uint8_t)scope;
    at = wire_put_string(at, name);
    *at++ = (uint8_t)value->type;
    at = wire_put_string(at, value->u.s);
    return (size_t)(at - p);
}
#define SET_STRING_ROOM (3u + SPOP_VARINT_MAX + 1u + SPOP_VARINT_MAX) /* beside the two strings */

size_t spop_put_set_var(uint8_t *p, size_t cap, uint32_t scope, struct spoe_span name,
                        const struct spoe_value *value)
{
    struct writer w = {p, cap, false};

    if (value->type == SPOE_T_STR && cap >= SET_STRING_ROOM && name.n <= cap - SET_STRING_ROOM &&
        value->u.s.n <= cap - SET_STRING_ROOM - name.n)
        return put_set_string(p, scope, name, value);
    put_byte(&w, ACTION_SET_VAR);
    put_byte(&w, 3);
    put_byte(&w, scope);
    put_string(&w, name);
    put_value(&w, value);
    return written(&w, cap);
}

size_t spop_put_unset_var(uint8_t *p, size_t cap, uint32_t scope, struct spoe_span name)
{
    struct writer w = {p, cap, false};

    put_byte(&w, ACTION_UNSET_VAR);
    put_byte(&w, 2); /* arguments: scope, name */
    put_byte(&w, scope);
    put_string(&w, name);
    return written(&w, cap);
}

/* The head of an ACK where there is room for the longest. @return 0: the frame is too long */
static inline size_t put_ack_head(uint8_t *p, uint64_t stream_id, uint64_t frame_id,
                                  size_t actions_len)
{
    uint8_t *at = wire_put_varint(p + SPOP_LENGTH_BYTES + 5u, stream_id);
    size_t frame_len;

    at = wire_put_varint(at, frame_id);
    if (__builtin_add_overflow((size_t)(at - p) - SPOP_LENGTH_BYTES, actions_len, &frame_len) ||
        frame_len > UINT32_MAX)
        return 0;
    (void)wire_put_be32(p, (uint32_t)frame_len);
    p[SPOP_LENGTH_BYTES] = SPOP_ACK;
    (void)wire_put_be32(p + SPOP_LENGTH_BYTES + 1u, SPOP_FLAG_FIN);
    return (size_t)(at - p);
}

static __attribute__((noinline)) size_t put_ack_head_tight(uint8_t *p, size_t cap,
                                                           uint64_t stream_id, uint64_t frame_id,
                                                           size_t actions_len)
{
    uint8_t head[SPOP_ACK_HEAD_MAX];
    struct writer w = {p, cap, false};

    put_bytes(&w, head, put_ack_head(head, stream_id, frame_id, actions_len));
    return written(&w, cap);
}

size_t spop_put_ack_head(uint8_t *p, size_t cap, uint64_t stream_id, uint64_t frame_id,
                         size_t actions_len)
{
    if (cap >= SPOP_ACK_HEAD_MAX)
        return put_ack_head(p, stream_id, frame_id, actions_len);
    return put_ack_head_tight(p, cap, stream_id, frame_id, actions_len);
}

#define FILLER_NAME "_spoe_nop"
_Static_assert(4 + sizeof FILLER_NAME - 1 == SPOP_FILLER_MAX, "the filler has its constant's size");

size_t spop_put_filler(uint8_t *p, size_t cap)
{
    if (cap < SPOP_FILLER_MAX)
        return 0;
    p[0] = ACTION_UNSET_VAR;
    p[1] = 2; /* arguments: scope, name */
    p[2] = SPOE_SCOPE_TXN;
    p[3] = sizeof FILLER_NAME - 1;
    memcpy(p + 4, FILLER_NAME, sizeof FILLER_NAME - 1);
    return SPOP_FILLER_MAX;
}
