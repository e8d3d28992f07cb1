/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/recent.c - see recent.h. */
#include "input/recent.h"

#include <string.h>

#include <spoe/util.h>

#define ATTRIBUTES_MAX 64u /* of a span */
#define LIST_MAX SPOE_RECENT_VALUE_MAX
#define LISTS_MAX 8u /* of a span; more are left out */
#define N_TIMERS 3u
#define PHASES (N_TIMERS + 1)
#define TARGET_MAX ((size_t)2 * SPOE_RECENT_VALUE_MAX)
#define NS_PER_MS INT64_C(1000000)

/* A span's attributes as the host takes them. */
struct attributes {
    struct spoe_arg arg[ATTRIBUTES_MAX];
    uint32_t n, left_out;
    char list[LISTS_MAX][LIST_MAX];
    uint32_t n_lists;
};

/* Of a span that may be NULL. */
static bool find(const struct span *span, enum span_key key, struct span_attr *ret)
{
    return span != NULL && span_find_known(span, key, ret);
}

/* The first of these that is there, on SERVER or on CLIENT; SPAN_KEY_NONE ends them. */
static bool find_any(const struct span *server, const struct span *client,
                     const enum span_key *keys, enum span_value_type type, struct span_attr *ret)
{
    for (; *keys != SPAN_KEY_NONE; keys++)
        if ((find(server, *keys, ret) || find(client, *keys, ret)) && ret->type == type)
            return true;
    return false;
}

#define KEYS(...) ((const enum span_key[]){__VA_ARGS__, SPAN_KEY_NONE})

static struct spoe_span find_text(const struct span *server, const struct span *client,
                                  const enum span_key *keys)
{
    struct span_attr attr;

    if (!find_any(server, client, keys, SPAN_STRING, &attr))
        return spoe_str(NULL);
    return (struct spoe_span){attr.str, attr.str_len};
}

static size_t append(char *to, size_t used, size_t max, const char *p, size_t n)
{
    if (n > max - used)
        n = max - used;
    memcpy(to + used, p, n);
    return used + n;
}

/* "/cart?id=REDACTED", as far as the span has it. */
static struct spoe_span target_of(const struct span *server, char buf[TARGET_MAX])
{
    struct spoe_span path = find_text(server, NULL, KEYS(SPAN_KEY_URL_PATH));
    struct spoe_span query = find_text(server, NULL, KEYS(SPAN_KEY_URL_QUERY));
    size_t n;

    if (path.n == 0)
        return find_text(server, NULL, KEYS(SPAN_KEY_HTTP_TARGET)); /* which has both */
    if (query.n == 0)
        return path;
    n = append(buf, 0, TARGET_MAX, path.p, path.n);
    n = append(buf, n, TARGET_MAX, "?", 1);
    n = append(buf, n, TARGET_MAX, query.p, query.n);
    return (struct spoe_span){buf, n};
}

/* A list of texts as one: "a, b". @return false: there is no room for another list */
static bool join(struct attributes *attributes, const struct span_attr *attr,
                 struct spoe_value *ret)
{
    size_t pos = 0, used = 0, len;
    const char *text;
    char *list;

    if (attributes->n_lists == LISTS_MAX)
        return false;
    list = attributes->list[attributes->n_lists++];
    while (span_attr_string(attr, &pos, &text, &len)) {
        if (used > 0)
            used = append(list, used, LIST_MAX, ", ", 2);
        used = append(list, used, LIST_MAX, text, len);
    }
    *ret = spoe_value_str((struct spoe_span){list, used});
    return true;
}

static bool value_of(struct attributes *attributes, const struct span_attr *attr,
                     struct spoe_value *ret)
{
    switch (attr->type) {
    case SPAN_STRING:
    case SPAN_BYTES:
        *ret = spoe_value_str((struct spoe_span){attr->str, attr->str_len});
        return true;
    case SPAN_INT:
        *ret = spoe_value_int(attr->i);
        return true;
    case SPAN_BOOL:
        *ret = spoe_value_bool(attr->i != 0);
        return true;
    case SPAN_STRINGS:
        return join(attributes, attr, ret);
    }
    return false;
}

static void read_attributes(const struct span *span, struct attributes *ret)
{
    struct span_attr attr;
    size_t pos = 0;

    ret->n = ret->left_out = ret->n_lists = 0;
    while (span_attribute(span, &pos, &attr)) {
        struct spoe_arg *arg = &ret->arg[ret->n];

        if (ret->n == ATTRIBUTES_MAX || !value_of(ret, &attr, &arg->value)) {
            ret->left_out++;
            continue;
        }
        arg->name = (struct spoe_span){attr.key, attr.key_len};
        ret->n++;
    }
    ret->left_out += span->dropped_attributes;
}

static struct spoe_recent_part part_of(const struct span *span, const struct attributes *attributes)
{
    struct spoe_recent_part part = {
        .kind = span->kind == SPAN_CLIENT ? SPOE_RECENT_CLIENT : SPOE_RECENT_SERVER,
        .flags = span->status == SPAN_STATUS_ERROR ? SPOE_RECENT_ERROR : 0,
        .start_unix_ns = span->start_unix_ns,
        .end_unix_ns = span->end_unix_ns,
        .n_attributes = attributes->n,
        .n_left_out = attributes->left_out,
        .attributes = attributes->arg,
    };

    part.name.p = span_name(span, &part.name.n);
    memcpy(part.id, span->context.span_id, sizeof part.id);
    memcpy(part.parent_id, span->parent_id, sizeof part.parent_id);
    return part;
}

/*
 * HAProxy's timers, one behind the other from the moment that a server was asked for. A timer that
 * is missing behind them was never over, so what is left is its; behind all of them it is the
 * transfer. They are whole milliseconds, so none may reach beyond the span's end.
 */
static uint32_t make_phases(const struct span *client, struct spoe_recent_part ret[PHASES])
{
    static const struct {
        enum span_key key;
        const char *name;
    } timers[N_TIMERS] = {{SPAN_KEY_HAPROXY_TIME_QUEUE, "queue"},
                          {SPAN_KEY_HAPROXY_TIME_CONNECT, "connect"},
                          {SPAN_KEY_HAPROXY_TIME_RESPONSE, "response"}};
    const char *rest = "";
    int64_t at = client->start_unix_ns;
    struct span_attr attr;
    uint32_t n = 0;

    for (size_t i = 0; i < N_TIMERS; i++) {
        const int64_t left_ms = (client->end_unix_ns - at) / NS_PER_MS;

        if (!span_find_known(client, timers[i].key, &attr) || attr.type != SPAN_INT || attr.i < 0)
            continue;
        ret[n] = (struct spoe_recent_part){
            .kind = SPOE_RECENT_PHASE, .name = spoe_str(timers[i].name), .start_unix_ns = at};
        at = attr.i <= left_ms ? at + attr.i * NS_PER_MS : client->end_unix_ns;
        ret[n++].end_unix_ns = at;
        rest = i + 1 < N_TIMERS ? timers[i + 1].name : "transfer";
    }
    if (n > 0 && at < client->end_unix_ns)
        ret[n++] = (struct spoe_recent_part){.kind = SPOE_RECENT_PHASE,
                                             .name = spoe_str(rest),
                                             .start_unix_ns = at,
                                             .end_unix_ns = client->end_unix_ns};
    return n;
}

static void hand_over(const struct handlers *handlers, const struct span *server,
                      const struct span *client, uint32_t flags)
{
    struct attributes of_server, of_client;
    struct spoe_recent_part parts[2 + PHASES];
    char target[TARGET_MAX];
    struct span_attr status;
    struct spoe_recent_request request = {
        .size = sizeof request,
        .flags = flags,
        .start_unix_ns = server->start_unix_ns,
        .end_unix_ns = server->end_unix_ns,
        .method = find_text(server, client,
                            KEYS(SPAN_KEY_HTTP_REQUEST_METHOD_ORIGINAL,
                                 SPAN_KEY_HTTP_REQUEST_METHOD, SPAN_KEY_HTTP_METHOD)),
        .target = target_of(server, target),
        .client = find_text(
            server, NULL,
            KEYS(SPAN_KEY_CLIENT_ADDRESS, SPAN_KEY_HTTP_CLIENT_IP, SPAN_KEY_NETWORK_PEER_ADDRESS)),
        .frontend = find_text(server, client, KEYS(SPAN_KEY_HAPROXY_FRONTEND_NAME)),
        .backend = find_text(server, client, KEYS(SPAN_KEY_HAPROXY_BACKEND_NAME)),
        .server = find_text(server, client, KEYS(SPAN_KEY_HAPROXY_SERVER_NAME)),
        .termination = find_text(server, client, KEYS(SPAN_KEY_HAPROXY_TERMINATION_STATE)),
        .parts = parts,
    };

    if (find_any(server, NULL, KEYS(SPAN_KEY_HTTP_RESPONSE_STATUS_CODE, SPAN_KEY_HTTP_STATUS_CODE),
                 SPAN_INT, &status))
        request.status = status.i;
    memcpy(request.trace_id, server->context.trace_id, sizeof request.trace_id);
    read_attributes(server, &of_server);
    parts[request.n_parts++] = part_of(server, &of_server);
    if (client != NULL) {
        read_attributes(client, &of_client);
        parts[request.n_parts++] = part_of(client, &of_client);
        request.n_parts += make_phases(client, &parts[request.n_parts]);
    }
    handlers->recent->add(handlers->self, &request);
}

void recent_request(const struct handlers *handlers, const struct span *server,
                    const struct span *client, bool exported, bool incomplete)
{
    uint32_t flags = 0;

    if (!recent_is_on(handlers))
        return;
    if ((server->context.flags & TRACE_FLAG_SAMPLED) != 0)
        flags |= SPOE_RECENT_SAMPLED;
    if (exported && !handlers->sink->discard)
        flags |= SPOE_RECENT_EXPORTED;
    if (incomplete)
        flags |= SPOE_RECENT_INCOMPLETE;
    hand_over(handlers, server, client, flags);
}
