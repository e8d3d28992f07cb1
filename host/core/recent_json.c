/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/recent_json.c - see recent_json.h. */
#include "core/recent_json.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define ELLIPSIS "\xe2\x80\xa6"
#define QUOTES_MAX (2 + sizeof ELLIPSIS) /* of a text, with what marks a cut */
#define END_MAX 32u                      /* ],"cut":N} */

/* What everything but attributes takes at most: numbers, names of members, and texts at their
 * bounds. */
#define REQUEST_MAX (512u + SPOE_RECENT_VALUE_MAX + QUOTES_MAX + 7 * (RECENT_NAME_MAX + QUOTES_MAX))
#define PART_MAX (224u + RECENT_NAME_MAX + QUOTES_MAX)
_Static_assert(REQUEST_MAX + SPOE_RECENT_PARTS_MAX * PART_MAX + END_MAX < SPOE_RECENT_BYTES_MAX,
               "only attributes can lack room");

struct writer {
    char *p;
    size_t n, max;
    bool full; /* something had no room: what was written last is to be taken back */
    unsigned cut;
};

static void put(struct writer *w, const char *p, size_t n)
{
    if (w->max - w->n < n) {
        w->full = true;
        return;
    }
    memcpy(w->p + w->n, p, n);
    w->n += n;
}

__attribute__((format(printf, 2, 3))) static void putf(struct writer *w, const char *format, ...)
{
    char text[256];
    va_list args;
    int n;

    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it does not know va_start() here */
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof text);
    put(w, text, (size_t)n);
}

/* @param max  bytes as they are written */
static void put_text(struct writer *w, struct spoe_span text, size_t max)
{
    const unsigned char *s = (const unsigned char *)text.p;
    size_t left = text.n, written = 0;

    put(w, "\"", 1);
    while (left > 0) {
        size_t len = text_utf8_len(s, left), n;
        const char *p = (const char *)s;
        char escaped[7];

        if (len == 0) {
            p = TEXT_REPLACEMENT;
            n = sizeof TEXT_REPLACEMENT - 1;
            len = 1;
        } else if ((n = text_json_escape(s, len, escaped)) != 0) {
            p = escaped;
        } else {
            n = len;
        }
        if (written + n > max) {
            put(w, ELLIPSIS, sizeof ELLIPSIS - 1);
            w->cut++;
            break;
        }
        put(w, p, n);
        written += n;
        s += len;
        left -= len;
    }
    put(w, "\"", 1);
}

/* ,"name":"text" */
static void put_member(struct writer *w, const char *name, struct spoe_span text, size_t max)
{
    putf(w, ",\"%s\":", name);
    put_text(w, text, max);
}

static void put_hex(struct writer *w, const char *name, const uint8_t *id, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    bool none = true;

    putf(w, ",\"%s\":\"", name);
    for (size_t i = 0; i < n; i++)
        none &= id[i] == 0;
    for (size_t i = 0; i < n && !none; i++) {
        const char pair[] = {digits[id[i] >> 4], digits[id[i] & 0x0f]};

        put(w, pair, sizeof pair);
    }
    put(w, "\"", 1);
}

static void put_times(struct writer *w, int64_t start, int64_t end)
{
    putf(w, ",\"start\":\"%" PRId64 "\",\"end\":\"%" PRId64 "\"", start, end);
}

static void put_address(struct writer *w, int family, const void *address)
{
    char text[INET6_ADDRSTRLEN];

    if (inet_ntop(family, address, text, sizeof text) == NULL)
        text[0] = '\0';
    put_text(w, (struct spoe_span){text, strlen(text)}, sizeof text);
}

/* All as texts: they are shown as they are. */
static void put_value(struct writer *w, const struct spoe_value *value)
{
    switch (value->type) {
    case SPOE_T_BOOL:
        putf(w, "\"%s\"", value->u.b ? "true" : "false");
        break;
    case SPOE_T_INT32:
        putf(w, "\"%" PRId32 "\"", value->u.i32);
        break;
    case SPOE_T_UINT32:
        putf(w, "\"%" PRIu32 "\"", value->u.u32);
        break;
    case SPOE_T_INT64:
        putf(w, "\"%" PRId64 "\"", value->u.i64);
        break;
    case SPOE_T_UINT64:
        putf(w, "\"%" PRIu64 "\"", value->u.u64);
        break;
    case SPOE_T_IPV4:
        put_address(w, AF_INET, value->u.ip4);
        break;
    case SPOE_T_IPV6:
        put_address(w, AF_INET6, value->u.ip6);
        break;
    case SPOE_T_STR:
    case SPOE_T_BIN:
        put_text(w, value->u.s, SPOE_RECENT_VALUE_MAX);
        break;
    default:
        put(w, "\"\"", 2);
        break;
    }
}

static void put_part(struct writer *w, const struct spoe_recent_part *part)
{
    static const char *const kinds[] = {
        [SPOE_RECENT_SERVER] = "server", [SPOE_RECENT_CLIENT] = "client"};
    const bool is_span = part->kind == SPOE_RECENT_SERVER || part->kind == SPOE_RECENT_CLIENT;

    putf(w, "{\"kind\":\"%s\"", is_span ? kinds[part->kind] : "phase");
    put_member(w, "name", part->name, RECENT_NAME_MAX);
    put_hex(w, "id", part->id, sizeof part->id);
    put_hex(w, "parent", part->parent_id, sizeof part->parent_id);
    put_times(w, part->start_unix_ns, part->end_unix_ns);
    putf(w, ",\"error\":%s}", (part->flags & SPOE_RECENT_ERROR) != 0 ? "true" : "false");
}

/* One that has no room leaves nothing behind, and those after it may have some. */
static void put_attributes(struct writer *w, unsigned i, const struct spoe_recent_part *part,
                           bool *first)
{
    w->cut += part->n_left_out;
    for (uint32_t k = 0; k < part->n_attributes; k++) {
        const struct writer before = *w;

        putf(w, "%s[%u,", *first ? "" : ",", i);
        put_text(w, part->attributes[k].name, RECENT_NAME_MAX);
        put(w, ",", 1);
        put_value(w, &part->attributes[k].value);
        put(w, "]", 1);
        if (w->full) {
            *w = before;
            w->cut++;
        } else {
            *first = false;
        }
    }
}

size_t recent_json(uint64_t number, const char *plugin, const struct spoe_recent_request *request,
                   char ret[SPOE_RECENT_BYTES_MAX])
{
    struct writer w = {.p = ret, .max = SPOE_RECENT_BYTES_MAX - END_MAX};
    const uint32_t n =
        request->n_parts < SPOE_RECENT_PARTS_MAX ? request->n_parts : SPOE_RECENT_PARTS_MAX;
    bool first = true;

    w.cut = request->n_parts - n;
    putf(&w, "{\"n\":%" PRIu64, number);
    put_member(&w, "plugin", (struct spoe_span){plugin, strlen(plugin)}, RECENT_NAME_MAX);
    put_hex(&w, "trace", request->trace_id, sizeof request->trace_id);
    put_times(&w, request->start_unix_ns, request->end_unix_ns);
    putf(&w, ",\"status\":%" PRId64 ",\"sampled\":%s,\"exported\":%s,\"incomplete\":%s",
         request->status, (request->flags & SPOE_RECENT_SAMPLED) != 0 ? "true" : "false",
         (request->flags & SPOE_RECENT_EXPORTED) != 0 ? "true" : "false",
         (request->flags & SPOE_RECENT_INCOMPLETE) != 0 ? "true" : "false");
    put_member(&w, "method", request->method, RECENT_NAME_MAX);
    put_member(&w, "target", request->target, SPOE_RECENT_VALUE_MAX);
    put_member(&w, "client", request->client, RECENT_NAME_MAX);
    put_member(&w, "frontend", request->frontend, RECENT_NAME_MAX);
    put_member(&w, "backend", request->backend, RECENT_NAME_MAX);
    put_member(&w, "server", request->server, RECENT_NAME_MAX);
    put_member(&w, "termination", request->termination, RECENT_NAME_MAX);
    for (uint32_t i = 0; i < n; i++) {
        putf(&w, i == 0 ? ",\"parts\":[" : ",");
        put_part(&w, &request->parts[i]);
    }
    putf(&w, n == 0 ? ",\"parts\":[],\"attributes\":[" : "],\"attributes\":[");
    assert(!w.full); /* REQUEST_MAX, PART_MAX */
    for (uint32_t i = 0; i < n; i++)
        put_attributes(&w, i, &request->parts[i], &first);
    w.max = SPOE_RECENT_BYTES_MAX;
    putf(&w, "],\"cut\":%u}", w.cut);
    assert(!w.full);
    return w.n;
}
