/* SPDX-License-Identifier: Apache-2.0 */
/* host/try/frame.c - see frame.h. */
#include "try/frame.h"

#include <stdlib.h>
#include <string.h>

#include "core/describe.h"
#include "spop/spop.h"
#include "spop/wire.h"

#define SHOWN 64 /* bytes of a name or a value in an error */

static int shown(struct spoe_span span)
{
    return (int)(span.n < SHOWN ? span.n : SHOWN);
}

/* ---- values ---- */

/* What NAME:TYPE may say. */
static const struct {
    const char *name;
    uint32_t types; /* 0: hexadecimal digits */
} named_types[] = {{"bool", SPOE_ACCEPT_BOOL}, {"int", SPOE_ACCEPT_INT}, {"ip", SPOE_ACCEPT_IP},
                   {"str", SPOE_ACCEPT_STR},   {"bin", SPOE_ACCEPT_BIN}, {"hex", 0}};
#define N_NAMED_TYPES (sizeof named_types / sizeof named_types[0])

static const struct spoe_arg_decl *declared(const struct route *route, struct spoe_span name)
{
    for (uint32_t t = 0; route != NULL && t < route->n_targets; t++) {
        const struct spoe_arg_decl *const *args = route->targets[t].decl->args;

        for (uint32_t i = 0; i < route->targets[t].n_slots; i++) {
            if (strlen(args[i]->name) == name.n && memcmp(args[i]->name, name.p, name.n) == 0)
                return args[i];
        }
    }
    return NULL;
}

/* NAME:TYPE. @return -1: it says no type */
static int take_type(struct spoe_span *name)
{
    const char *colon = memrchr(name->p, ':', name->n);
    const size_t n = colon != NULL ? (size_t)(name->p + name->n - colon) - 1 : 0;

    for (size_t i = 0; colon != NULL && i < N_NAMED_TYPES; i++) {
        if (strlen(named_types[i].name) == n && memcmp(named_types[i].name, colon + 1, n) == 0) {
            name->n -= n + 1;
            return (int)i;
        }
    }
    return -1;
}

/* Hexadecimal digits become bytes where they stand. @return false: they are none */
static bool from_hex(struct spoe_span text, struct spoe_value *ret)
{
    char *const to = (char *)(uintptr_t)text.p; /* the line is ours to change, see script.h */

    for (size_t i = 0; i < text.n; i++) {
        const char *digits = "0123456789abcdef", *found;
        const char c = text.p[i] >= 'A' && text.p[i] <= 'F' ? (char)(text.p[i] | 0x20) : text.p[i];

        found = c != '\0' ? strchr(digits, c) : NULL;
        if (found == NULL)
            return false;
        to[i / 2] = (char)(i % 2 == 0 ? (found - digits) << 4 : to[i / 2] | (found - digits));
    }
    ret->type = SPOE_T_BIN;
    ret->u.s = (struct spoe_span){to, text.n / 2};
    return text.n % 2 == 0;
}

int frame_values(const struct route *route, struct script_line *line, struct spoe_arg *ret,
                 struct error *reterr)
{
    for (uint32_t i = 0; i < line->n; i++) {
        struct script_word *word = &line->word[i];
        const struct spoe_arg_decl *decl = declared(route, word->name);
        const int type = decl == NULL ? take_type(&word->name) : -1;
        char text[DESCRIBE_TYPES_MAX];
        uint32_t types = SPOE_ACCEPT_STR;
        bool good;

        if (type >= 0)
            types = named_types[type].types;
        else if (decl != NULL)
            types = decl->types;
        ret[i] = (struct spoe_arg){.name = word->name};
        good = types == 0 ? from_hex(word->value, &ret[i].value)
                          : texts_value(word->value, types, &ret[i].value);
        if (!good)
            return error_set(reterr, "argument %.*s: \"%.*s\" is no value of its type, %s",
                             shown(word->name), word->name.p, shown(word->value), word->value.p,
                             type >= 0 ? named_types[type].name : describe_types(types, text));
    }
    return 0;
}

/* ---- writing ---- */

#define ACTION_HEAD 3u                             /* action, number of arguments, scope */
enum { ACTION_SET_VAR = 1, ACTION_UNSET_VAR = 2 }; /* SPOE.txt 3.4 */

/* A place in a frame; p NULL: it is full. */
struct room {
    uint8_t *p;
    const uint8_t *end;
};

static size_t left(const struct room *room)
{
    return room->p != NULL ? (size_t)(room->end - room->p) : 0;
}

static void put_text(struct room *room, struct spoe_span text)
{
    if (left(room) < text.n || left(room) - text.n < SPOP_VARINT_MAX)
        room->p = NULL;
    else
        room->p = wire_put_string(room->p, text);
}

/* A name and a value: the codec writes them in actions, of which they are all but the head. */
static void put_argument(struct room *room, struct spoe_span name, const struct spoe_value *value)
{
    uint8_t *const p = room->p;
    uint8_t bytes[FRAME_SIZE + ACTION_HEAD];
    const size_t n = spop_put_set_var(bytes, sizeof bytes, 0, name, value);

    if (p == NULL || n < ACTION_HEAD || n - ACTION_HEAD > left(room)) {
        room->p = NULL;
        return;
    }
    memcpy(p, bytes + ACTION_HEAD, n - ACTION_HEAD);
    room->p += n - ACTION_HEAD;
}

static struct room begin(uint8_t *p, enum spop_frame_type type, uint64_t stream_id,
                         uint64_t frame_id)
{
    struct room room = {p + SPOP_LENGTH_BYTES, p + SPOP_LENGTH_BYTES + FRAME_SIZE};

    *room.p++ = (uint8_t)type;
    room.p = wire_put_be32(room.p, SPOP_FLAG_FIN);
    room.p = wire_put_varint(room.p, stream_id);
    room.p = wire_put_varint(room.p, frame_id);
    return room;
}

static size_t end(uint8_t *p, const struct room *room)
{
    if (room->p == NULL)
        return 0;
    (void)wire_put_be32(p, (uint32_t)(room->p - p) - SPOP_LENGTH_BYTES);
    return (size_t)(room->p - p);
}

static struct spoe_span span_of(const char *text)
{
    return (struct spoe_span){text, strlen(text)};
}

size_t frame_hello(uint8_t *p)
{
    const struct spoe_value versions = {.type = SPOE_T_STR, .u.s = {"2.0", 3}},
                            size = {.type = SPOE_T_UINT32, .u.u32 = FRAME_SIZE},
                            capabilities = {.type = SPOE_T_STR, .u.s = {"pipelining", 10}},
                            engine = {.type = SPOE_T_STR, .u.s = {"try", 3}};
    struct room room = begin(p, SPOP_HAPROXY_HELLO, 0, 0);

    put_argument(&room, span_of("supported-versions"), &versions);
    put_argument(&room, span_of("max-frame-size"), &size);
    put_argument(&room, span_of("capabilities"), &capabilities);
    put_argument(&room, span_of("engine-id"), &engine);
    return end(p, &room);
}

size_t frame_notify(uint8_t *p, uint64_t stream_id, uint64_t frame_id, struct spoe_span message,
                    const struct spoe_arg *args, uint32_t n)
{
    struct room room = begin(p, SPOP_NOTIFY, stream_id, frame_id);

    put_text(&room, message);
    if (left(&room) == 0)
        return 0;
    *room.p++ = (uint8_t)n;
    for (uint32_t i = 0; i < n; i++)
        put_argument(&room, args[i].name, &args[i].value);
    return end(p, &room);
}

/* ---- reading ---- */

bool frame_first_message(const uint8_t *frame, size_t n, struct spoe_span *ret)
{
    struct spop_frame decoded;
    uint32_t n_args;

    return n > SPOP_LENGTH_BYTES &&
           wire_frame_decode(frame + SPOP_LENGTH_BYTES, n - SPOP_LENGTH_BYTES, &decoded) == 0 &&
           wire_read_message(decoded.payload, frame + n, ret, &n_args) != NULL;
}

int frame_next_action(const uint8_t **p, const uint8_t *end_of, struct frame_action *ret)
{
    const uint8_t *at = *p;

    if (at == end_of)
        return 0;
    if (end_of - at < (ptrdiff_t)ACTION_HEAD ||
        (at[0] != ACTION_SET_VAR && at[0] != ACTION_UNSET_VAR))
        return -1;
    ret->unset = at[0] == ACTION_UNSET_VAR;
    ret->scope = at[2];
    if (at[1] != (ret->unset ? 2 : 3) || ret->scope > SPOE_SCOPE_RES)
        return -1;
    at = wire_read_string(at + ACTION_HEAD, end_of, &ret->name);
    if (at != NULL && !ret->unset)
        at = wire_read_value(at, end_of, &ret->value);
    if (at == NULL)
        return -1;
    *p = at;
    return 1;
}
