/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/arguments.c - the tables of conventions.h at work. */
#include "input/arguments.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <spoe/util.h>

#include "input/attributes.h"
#include "record/http_parts.h"
#include "input/messages.h"
#include "input/slots.h"
#include "record/query.h"

#define NUMBER_MAX 24 /* text of a 64-bit integer */

enum kind {
    KIND_NONE,
    KIND_TEXT,
    KIND_INT,
    KIND_COUNT,
    KIND_BOOL,
    KIND_ADDRESS,
    KIND_PORT,
    KIND_PEER,
    KIND_VERSION,
    KIND_TLS,
    KIND_TLSVER,
    KIND_QUERY,
    KIND_URL,
    KIND_ROUTE,
    KIND_START,
    KIND_END
};

enum { ON_NO = 0, ON_S = 1, ON_C = 2, ON_SC = 3 };

struct argument {
    const char *name;
    uint8_t kind, attr, open, response;
};

static const struct argument arguments[] = {
#define X(name, kind, attr, open, response)                                                        \
    {name, KIND_##kind, ATTR_##attr, ON_##open, ON_##response},
    OTEL_ARGUMENTS(X)
#undef X
};
#define N_ARGUMENTS (sizeof arguments / sizeof arguments[0])

/* Their names' lengths side by side: few names share one, so few are compared. */
static const uint8_t lengths[] = {
#define X(name, ...) sizeof name - 1,
    OTEL_ARGUMENTS(X)
#undef X
};

static const struct argument *look_up(struct spoe_span name)
{
    for (size_t i = 0; name.n <= UINT8_MAX && i < N_ARGUMENTS; i++) {
        const uint8_t *at = memchr(lengths + i, (int)name.n, N_ARGUMENTS - i);

        if (at == NULL)
            return NULL;
        i = (size_t)(at - lengths);
        if (memcmp(arguments[i].name, name.p, name.n) == 0)
            return &arguments[i];
    }
    return NULL;
}

/* One message's work. */
struct work {
    const struct policy *policy;
    const struct spoe_message *msg;
    struct span *spans[2]; /* SERVER, CLIENT; NULL: not of this message */
    int64_t end_unix_ns;   /* 0: HAProxy told none */
};

/* ---- values ------------------------------------------------------------------------------- */

/* Any value as text. @param buf  at least HTTP_ADDRESS_MAX bytes. @return false: there is none */
static bool get_text(const struct spoe_value *value, char *buf, struct spoe_span *ret)
{
    int64_t i;

    _Static_assert(HTTP_ADDRESS_MAX >= NUMBER_MAX, "a number fits");
    switch (value->type) {
    case SPOE_T_NULL:
        return false;
    case SPOE_T_BOOL:
        *ret = spoe_str(value->u.b ? "true" : "false");
        return true;
    case SPOE_T_STR:
    case SPOE_T_BIN:
        *ret = value->u.s;
        return true;
    case SPOE_T_IPV4:
    case SPOE_T_IPV6:
        return http_get_address(value, buf, ret);
    default:
        if (spoe_get_int(value, &i))
            (void)snprintf(buf, NUMBER_MAX, "%" PRId64, i);
        else if (value->type == SPOE_T_UINT64)
            (void)snprintf(buf, NUMBER_MAX, "%" PRIu64, value->u.u64);
        else
            return false;
        *ret = spoe_str(buf);
        return true;
    }
}

/* "HTTP/2.0", "2.0", 2 to "2"; "1.1" stays. A bare 1 may be 1.0 or 1.1, so it is neither. */
static bool get_version(const struct spoe_value *value, char *buf, struct spoe_span *ret,
                        struct spoe_span *ret_old)
{
    int64_t major;

    if (spoe_get_int(value, &major)) {
        if (major < 2 || major > 9)
            return false;
        (void)snprintf(buf, NUMBER_MAX, "%d.0", (int)major);
        *ret_old = spoe_str(buf);
    } else if (value->type == SPOE_T_STR && value->u.s.n > 0) {
        *ret_old = value->u.s;
        if (ret_old->n > 5 && memcmp(ret_old->p, "HTTP/", 5) == 0)
            *ret_old = (struct spoe_span){ret_old->p + 5, ret_old->n - 5};
    } else {
        return false;
    }
    *ret = *ret_old;
    if (ret->n == 3 && ret->p[0] >= '2' && memcmp(ret->p + 1, ".0", 2) == 0)
        ret->n = 1;
    return true;
}

/* A moment in microseconds since 1970, if it can be this message's. */
static bool get_moment(const struct work *work, const struct spoe_value *value, int64_t *ret)
{
    const int64_t now = work->msg->recv_unix_ns;
    const int64_t age_max = work->policy->moment_age_max_ns > 0 ? work->policy->moment_age_max_ns
                                                                : ARGUMENTS_AGE_MAX_NS;
    int64_t us;

    if (!spoe_get_int(value, &us) || us <= 0 || us > INT64_MAX / 1000)
        return false;
    if (us * 1000 > now || now - us * 1000 > age_max)
        return false;
    *ret = us * 1000;
    return true;
}

/* ---- conventional attributes -------------------------------------------------------------- */

/* "TLSv1.3" is protocol tls, version 1.3. */
static void set_tls_version(enum semconv_mode mode, struct span *span,
                            const struct spoe_value *value)
{
    const struct spoe_span text = value->u.s;

    if (value->type != SPOE_T_STR || text.n < 5 || text.p[3] != 'v')
        return;
    if (memcmp(text.p, "TLS", 3) == 0)
        attr_set_text(mode, span, ATTR_TLS_NAME, spoe_str("tls"));
    else if (memcmp(text.p, "SSL", 3) == 0)
        attr_set_text(mode, span, ATTR_TLS_NAME, spoe_str("ssl"));
    else
        return;
    attr_set_text(mode, span, ATTR_TLS_VERSION, (struct spoe_span){text.p + 4, text.n - 4});
}

/* http.route, and the name "{method} {route}". */
static void set_route(enum semconv_mode mode, struct span *span, struct spoe_span route)
{
    char name[SPAN_VALUE_MAX];
    size_t n;
    const char *old = span_name(span, &n);
    const char *space = n > 0 ? memchr(old, ' ', n) : NULL;

    if (space != NULL)
        n = (size_t)(space - old); /* a route that comes twice takes the first one's place */
    if (n < sizeof name) {
        const size_t room = sizeof name - n - 1;
        const size_t len = route.n < room ? route.n : room;

        memcpy(name, old, n);
        name[n] = ' ';
        memcpy(name + n + 1, route.p, len);
        span_set_name(span, name, n + 1 + len);
    }
    attr_set_text(mode, span, ATTR_ROUTE, route);
}

static void set_redacted(const struct work *work, struct span *span, enum otel_attr attr,
                         enum kind kind, struct spoe_span text)
{
    const char *keys = work->policy->redact_query;
    char buf[SPAN_VALUE_MAX];
    size_t n;

    if (text.n == 0)
        return;
    n = kind == KIND_QUERY ? query_redact(keys, text, buf, sizeof buf)
                           : query_redact_url(keys, text, buf, sizeof buf);
    attr_set_text(work->policy->semconv, span, attr, (struct spoe_span){buf, n});
}

static void set_number(enum semconv_mode mode, struct span *span, const struct argument *arg,
                       const struct spoe_value *value)
{
    int64_t n;

    if ((arg->kind == KIND_PORT || arg->kind == KIND_PEER) ? !http_get_port(value, &n)
                                                           : !http_get_size(value, &n))
        return;
    if (arg->kind == KIND_COUNT && n == 0)
        return;
    attr_set_int(mode, span, arg->attr, n);
    if (arg->kind == KIND_PEER)
        attr_set_int(mode, span, ATTR_PEER_PORT, n);
}

static void set_conventional(const struct work *work, struct span *span, const struct argument *arg,
                             const struct spoe_value *value)
{
    const enum semconv_mode mode = work->policy->semconv;
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text, old;
    int64_t moment;

    switch ((enum kind)arg->kind) {
    case KIND_TEXT:
        if (get_text(value, buf, &text) && text.n > 0)
            attr_set_text(mode, span, arg->attr, text);
        break;
    case KIND_INT:
    case KIND_COUNT:
    case KIND_PORT:
    case KIND_PEER:
        set_number(mode, span, arg, value);
        break;
    case KIND_BOOL:
        if (value->type == SPOE_T_BOOL)
            attr_set_bool(mode, span, arg->attr, value->u.b != 0);
        break;
    case KIND_ADDRESS:
        if (!http_get_address(value, buf, &text))
            break;
        attr_set_text(mode, span, arg->attr, text);
        if (arg->attr == ATTR_CLIENT_ADDRESS)
            span->notes |= NOTE_CLIENT_TOLD;
        else if (arg->attr == ATTR_SERVER_ADDRESS)
            span->notes |= NOTE_ADDRESS_TOLD;
        break;
    case KIND_VERSION:
        if (get_version(value, buf, &text, &old))
            attr_set_texts(mode, span, arg->attr, text, old);
        break;
    case KIND_TLS:
        if (value->type == SPOE_T_BOOL)
            attr_set_text(mode, span, arg->attr, spoe_str(value->u.b ? "https" : "http"));
        break;
    case KIND_TLSVER:
        set_tls_version(mode, span, value);
        break;
    case KIND_QUERY:
    case KIND_URL:
        if (value->type == SPOE_T_STR)
            set_redacted(work, span, arg->attr, arg->kind, value->u.s);
        break;
    case KIND_ROUTE:
        if (value->type == SPOE_T_STR && value->u.s.n > 0)
            set_route(mode, span, value->u.s);
        break;
    case KIND_START:
        if (get_moment(work, value, &moment))
            span->start_unix_ns = moment;
        break;
    case KIND_END:
    case KIND_NONE:
        break;
    }
}

/* ---- everything else ---------------------------------------------------------------------- */

static void set_own(struct span *span, struct spoe_span name, const struct spoe_value *value)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;
    int64_t i;

    if (value->type == SPOE_T_BOOL)
        span_set_bool(span, name.p, name.n, value->u.b != 0);
    else if (value->type == SPOE_T_BIN)
        span_set_bytes(span, name.p, name.n, value->u.s.p, value->u.s.n);
    else if (spoe_get_int(value, &i))
        span_set_int(span, name.p, name.n, i);
    else if (get_text(value, buf, &text)) /* a text, an address, an integer above OTLP's */
        span_set_str(span, name.p, name.n, text.p, text.n);
}

static bool begins(struct spoe_span name, const char *prefix, struct spoe_span *ret_rest)
{
    const size_t n = strlen(prefix);

    if (name.n <= n || memcmp(name.p, prefix, n) != 0)
        return false;
    *ret_rest = (struct spoe_span){name.p + n, name.n - n};
    return true;
}

static bool add_header(const struct work *work, struct span *span, const struct spoe_arg *arg)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span key, value;
    const char *prefix;

    if (begins(arg->name, HEADER_OF_REQUEST, &key))
        prefix = HEADER_OF_REQUEST;
    else if (begins(arg->name, HEADER_OF_RESPONSE, &key))
        prefix = HEADER_OF_RESPONSE;
    else
        return false;
    if (get_text(&arg->value, buf, &value))
        attr_add_header(work->policy->semconv, span, prefix, key, value);
    return true;
}

static void set_argument(struct work *work, const struct spoe_arg *arg)
{
    struct span *const server = work->spans[0], *const client = work->spans[1];
    struct span *const first = server != NULL ? server : client;
    const bool is_response = work->msg->index == MESSAGE_RESPONSE;
    const struct argument *row;
    unsigned on;

    if (arg->name.n == 0 || first == NULL)
        return;
    row = look_up(arg->name);
    if (row != NULL && row->kind == KIND_QUERY && !is_response)
        first->notes |= NOTE_QUERY_KNOWN;
    if (arg->value.type == SPOE_T_NULL)
        return;
    if (row == NULL) {
        if (!add_header(work, first, arg))
            set_own(first, arg->name, &arg->value);
        return;
    }
    if (row->kind == KIND_NONE)
        return;
    if (row->kind == KIND_END || row->kind == KIND_START) {
        if (is_response && row->kind == KIND_END)
            (void)get_moment(work, &arg->value, &work->end_unix_ns);
        else if (!is_response && row->kind == KIND_START)
            set_conventional(work, first, row, &arg->value);
        return;
    }
    on = is_response ? row->response : row->open;
    if (server != NULL && (on & ON_S) != 0)
        set_conventional(work, server, row, &arg->value);
    if (client != NULL && (on & ON_C) != 0)
        set_conventional(work, client, row, &arg->value);
    if (!is_response && (on & (first == server ? ON_S : ON_C)) == 0)
        set_own(first, arg->name, &arg->value);
}

int64_t arguments_set(const struct policy *policy, const struct spoe_message *msg,
                      struct span *server, struct span *client)
{
    struct work work = {policy, msg, {server, client}, 0};

    for (uint32_t i = 0; i < msg->n_args; i++)
        set_argument(&work, &msg->args[i]);
    if (server != NULL && (server->notes & NOTE_CLIENT_TOLD) != 0)
        attr_remove(policy->semconv, server,
                    ATTR_CLIENT_PORT); /* of HAProxy's peer, not of this one */
    return work.end_unix_ns;
}

/* ---- url.full ------------------------------------------------------------------------------ */

static bool find_text(const struct policy *policy, const struct span *span, enum otel_attr attr,
                      struct span_attr *ret)
{
    return attr_find(policy->semconv, span, attr, ret) && ret->type == SPAN_STRING &&
           ret->str_len > 0;
}

static bool is_text(const struct span_attr *attr, const char *text)
{
    return attr->str_len == strlen(text) && memcmp(attr->str, text, attr->str_len) == 0;
}

void arguments_set_full_url(const struct policy *policy, struct span *client)
{
    struct span_attr scheme, address, port, path, query = {.str_len = 0};
    char text[SPAN_VALUE_MAX], port_text[NUMBER_MAX] = "";
    bool has_query, v6;
    int n;

    if ((client->notes & NOTE_QUERY_KNOWN) == 0 ||
        attr_find(policy->semconv, client, ATTR_URL_FULL,
                  &scheme) || /* HAProxy's configuration knew */
        !find_text(policy, client, ATTR_URL_SCHEME, &scheme) ||
        !find_text(policy, client, ATTR_SERVER_ADDRESS, &address) ||
        !attr_find(policy->semconv, client, ATTR_SERVER_PORT, &port) || port.type != SPAN_INT ||
        !find_text(policy, client, ATTR_URL_PATH, &path) || path.str[0] != '/')
        return;
    /* The old http.target has the query already. */
    has_query = policy->semconv != SEMCONV_OLD && find_text(policy, client, ATTR_URL_QUERY, &query);
    v6 = memchr(address.str, ':', address.str_len) != NULL;
    if (port.i != (is_text(&scheme, "https") ? 443 : 80))
        (void)snprintf(port_text, sizeof port_text, ":%" PRId64, port.i);
    n = snprintf(text, sizeof text, "%.*s://%s%.*s%s%s%.*s%s%.*s", (int)scheme.str_len, scheme.str,
                 v6 ? "[" : "", (int)address.str_len, address.str, v6 ? "]" : "", port_text,
                 (int)path.str_len, path.str, has_query ? "?" : "", (int)query.str_len,
                 has_query ? query.str : "");
    if (n > 0 && (size_t)n < sizeof text) /* a URL that is cut is none */
        attr_set_text(policy->semconv, client, ATTR_URL_FULL, (struct spoe_span){text, (size_t)n});
}
