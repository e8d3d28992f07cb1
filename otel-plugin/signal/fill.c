/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/signal/fill.c - the table of record/fields.h at work. */
#include "signal/fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <spoe/util.h>

#include "record/custom_attrs.h"
#include "record/http_parts.h"
#include "record/query.h"
#include "signal/attributes.h"

/* What is known of a span beside its attributes: struct span's notes. */
#define NOTE_QUERY_KNOWN 1u   /* HAProxy told the query, or that there is none */
#define NOTE_CLIENT_TOLD 2u   /* client.address is another's word than src_port is (3.7) */
#define NOTE_HOST 4u          /* server.address is the Host's */
#define NOTE_HOST_PORT 8u     /* and so is server.port */
#define NOTE_ADDRESS_TOLD 16u /* HAProxy's configuration told CLIENT's server.address */
#define NOTE_PORT_TOLD 32u    /* and its server.port */

#define HEADER_OF_REQUEST "http.request.header."
#define HEADER_OF_RESPONSE "http.response.header."
#define NAME_OF_OTHERS "HTTP" /* of spans whose method is not known */
#define NUMBER_MAX 24         /* text of a 64-bit integer */

enum kind {
    KIND_NONE,
    KIND_TEXT,
    KIND_INT,
    KIND_COUNT,
    KIND_BOOL,
    KIND_ADDRESS,
    KIND_PORT,
    KIND_METHOD,
    KIND_HOST,
    KIND_STATUS,
    KIND_SOURCE,
    KIND_ORIGIN,
    KIND_ORIGIN_PORT,
    KIND_PEER,
    KIND_VERSION,
    KIND_TLS,
    KIND_TLSVER,
    KIND_QUERY,
    KIND_URL,
    KIND_ROUTE,
    KIND_START,
    KIND_END,
    KIND_CUSTOM
};

enum { ON_NO = 0, ON_S = 1, ON_C = 2, ON_SC = 3 };

struct row {
    const char *name; /* NULL: it has none */
    uint8_t kind, attr;
    uint8_t on[4]; /* by enum fill_phase: the spans that get it */
};

#define FIELD_ROW(id, name, kind, attr, open, response, line)                                      \
    [FIELD_##                                                                                      \
        id] = {name, KIND_##kind, ATTR_##attr, {ON_##open, ON_##open, ON_##response, ON_##line}},
#define UNNAMED_ROW(id, ...) FIELD_ROW(id, NULL, __VA_ARGS__)
static const struct row rows[N_FIELDS] = {OTEL_FIELDS(UNNAMED_ROW, FIELD_ROW)};

/* The names' lengths side by side: few names share one, so few are compared. 0: no name. */
#define LENGTH(id, name, ...) sizeof name - 1,
#define NO_LENGTH(...) 0,
static const uint8_t lengths[N_FIELDS] = {OTEL_FIELDS(NO_LENGTH, LENGTH)};

/* @param name  not empty */
static const struct row *look_up(struct spoe_span name)
{
    for (size_t i = 0; name.n <= UINT8_MAX && i < N_FIELDS; i++) {
        const uint8_t *at = memchr(lengths + i, (int)name.n, N_FIELDS - i);

        if (at == NULL)
            return NULL;
        i = (size_t)(at - lengths);
        if (memcmp(rows[i].name, name.p, name.n) == 0)
            return &rows[i];
    }
    return NULL;
}

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

/* A moment in microseconds since 1970, if it can be one of these fields'. */
static bool get_moment(const struct filling *filling, const struct spoe_value *value, int64_t *ret)
{
    const int64_t now = filling->received_unix_ns;
    const int64_t age_max = filling->age_max_ns > 0 ? filling->age_max_ns : FILL_AGE_MAX_NS;
    int64_t us;

    if (!spoe_get_int(value, &us) || us <= 0 || us > INT64_MAX / 1000)
        return false;
    if (us * 1000 > now || now - us * 1000 > age_max)
        return false;
    *ret = us * 1000;
    return true;
}

/* ---- one field on one span, by its kind ----------------------------------------------------- */

/*
 * Each kind has its function, so that none pays for the buffers of another; those with large ones
 * are not inlined. @param value  not NULL's type
 */
typedef void set_field(struct filling *filling, struct span *span, const struct row *row,
                       const struct spoe_value *value);

static enum semconv_mode mode_of(const struct filling *filling)
{
    return filling->conventions->semconv;
}

static void set_nothing(struct filling *filling, struct span *span, const struct row *row,
                        const struct spoe_value *value)
{
    (void)filling;
    (void)span;
    (void)row;
    (void)value;
}

static void set_text(struct filling *filling, struct span *span, const struct row *row,
                     const struct spoe_value *value)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    if (get_text(value, buf, &text) && text.n > 0)
        attr_set_text(mode_of(filling), span, row->attr, text);
}

static void set_size(struct filling *filling, struct span *span, const struct row *row,
                     const struct spoe_value *value)
{
    int64_t n;

    if (http_get_size(value, &n))
        attr_set_int(mode_of(filling), span, row->attr, n);
}

static void set_count(struct filling *filling, struct span *span, const struct row *row,
                      const struct spoe_value *value)
{
    int64_t n;

    if (http_get_size(value, &n) && n != 0)
        attr_set_int(mode_of(filling), span, row->attr, n);
}

static void set_port(struct filling *filling, struct span *span, const struct row *row,
                     const struct spoe_value *value)
{
    int64_t n;

    if (!http_get_port(value, &n))
        return;
    attr_set_int(mode_of(filling), span, row->attr, n);
    if (row->attr == ATTR_SERVER_PORT)
        span->notes |= NOTE_PORT_TOLD;
}

static void set_peer_port(struct filling *filling, struct span *span, const struct row *row,
                          const struct spoe_value *value)
{
    int64_t n;

    if (!http_get_port(value, &n))
        return;
    attr_set_int(mode_of(filling), span, row->attr, n);
    attr_set_int(mode_of(filling), span, ATTR_PEER_PORT, n);
}

static void set_bool(struct filling *filling, struct span *span, const struct row *row,
                     const struct spoe_value *value)
{
    bool b;

    if (http_get_bool(value, &b))
        attr_set_bool(mode_of(filling), span, row->attr, b);
}

static void set_address(struct filling *filling, struct span *span, const struct row *row,
                        const struct spoe_value *value)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    if (!http_get_address(value, buf, &text))
        return;
    attr_set_text(mode_of(filling), span, row->attr, text);
    if (row->attr == ATTR_CLIENT_ADDRESS)
        span->notes |= NOTE_CLIENT_TOLD;
    else if (row->attr == ATTR_SERVER_ADDRESS)
        span->notes |= NOTE_ADDRESS_TOLD;
}

static void set_source(struct filling *filling, struct span *span, const struct row *row,
                       const struct spoe_value *value)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    if (!http_get_address(value, buf, &text))
        return;
    attr_set_text(mode_of(filling), span, row->attr, text);
    attr_set_text(mode_of(filling), span, ATTR_PEER_ADDRESS, text);
}

/* fill_name() has looked already: the name of a method that is known begins with it. */
static bool is_name_of(const struct span *span, struct spoe_span method)
{
    size_t n;
    const char *name = span_name(span, &n);

    return n == method.n && memcmp(name, method.p, n) == 0 &&
           !(n == sizeof NAME_OF_OTHERS - 1 && memcmp(name, NAME_OF_OTHERS, n) == 0);
}

static void set_method(struct filling *filling, struct span *span, const struct row *row,
                       const struct spoe_value *value)
{
    if (!http_is_text(value) || value->u.s.n == 0)
        return;
    filling->_is_options = spoe_span_is(value->u.s, "OPTIONS");
    if (is_name_of(span, value->u.s) ||
        http_method_known(filling->conventions->known_methods, value->u.s)) {
        attr_set_text(mode_of(filling), span, row->attr, value->u.s);
        return;
    }
    attr_set_text(mode_of(filling), span, row->attr, spoe_str("_OTHER"));
    if (!http_is_unknown(value))
        attr_set_text(mode_of(filling), span, ATTR_METHOD_ORIGINAL, value->u.s);
}

static void set_host(struct filling *filling, struct span *span, const struct row *row,
                     const struct spoe_value *value)
{
    struct spoe_span host;
    uint32_t port;

    if (!http_is_text(value) || !http_split_host(value->u.s, &host, &port))
        return;
    attr_set_text(mode_of(filling), span, row->attr, host);
    span->notes |= NOTE_HOST;
    if (port == 0)
        return;
    attr_set_int(mode_of(filling), span, ATTR_SERVER_PORT, port);
    span->notes |= NOTE_HOST_PORT;
}

/* Status code and status: 4xx is an error of CLIENT alone. */
static void set_status(struct filling *filling, struct span *span, const struct row *row,
                       const struct spoe_value *value)
{
    const int64_t error_from = span->kind == SPAN_CLIENT ? 400 : 500;
    char text[4];
    int64_t code;

    if (!spoe_get_int(value, &code))
        return;
    if (code < 100 || code > 999) { /* not interpretable, so an error without a code */
        span->status = SPAN_STATUS_ERROR;
        attr_set_text(mode_of(filling), span, ATTR_ERROR_TYPE, spoe_str("_OTHER"));
        return;
    }
    attr_set_int(mode_of(filling), span, row->attr, code);
    if (code < error_from)
        return;
    span->status = SPAN_STATUS_ERROR;
    for (int i = 2; i >= 0; i--, code /= 10)
        text[i] = (char)('0' + code % 10);
    attr_set_text(mode_of(filling), span, ATTR_ERROR_TYPE, (struct spoe_span){text, 3});
}

/* Whom HAProxy connected to. It is CLIENT's server as well, where the authority is not to be. */
static void set_origin(struct filling *filling, struct span *span, const struct row *row,
                       const struct spoe_value *value)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    if (!http_get_address(value, buf, &text))
        return;
    filling->_origin_is_server =
        filling->server != NULL && (span->notes & NOTE_ADDRESS_TOLD) == 0 &&
        (filling->conventions->client_address != CLIENT_ADDRESS_AUTHORITY ||
         !attr_was_set(mode_of(filling), filling->server, ATTR_SERVER_ADDRESS));
    filling->_has_origin = true;
    if (filling->_origin_is_server)
        attr_set_text(mode_of(filling), span, ATTR_SERVER_ADDRESS, text);
    attr_set_text(mode_of(filling), span, row->attr, text);
}

static void set_origin_port(struct filling *filling, struct span *span, const struct row *row,
                            const struct spoe_value *value)
{
    int64_t port;

    if (!filling->_has_origin || !http_get_port(value, &port))
        return;
    if (filling->_origin_is_server && (span->notes & NOTE_PORT_TOLD) == 0)
        attr_set_int(mode_of(filling), span, ATTR_SERVER_PORT, port);
    attr_set_int(mode_of(filling), span, row->attr, port);
}

static void set_version(struct filling *filling, struct span *span, const struct row *row,
                        const struct spoe_value *value)
{
    char buf[HTTP_VERSION_MAX];
    struct spoe_span text, old;

    if (http_get_version(value, buf, &text, &old))
        attr_set_texts(mode_of(filling), span, row->attr, text, old);
}

static void set_tls(struct filling *filling, struct span *span, const struct row *row,
                    const struct spoe_value *value)
{
    bool b;

    if (http_get_bool(value, &b))
        attr_set_text(mode_of(filling), span, row->attr, spoe_str(b ? "https" : "http"));
}

/* "TLSv1.3" is protocol tls, version 1.3. */
static void set_tls_version(struct filling *filling, struct span *span, const struct row *row,
                            const struct spoe_value *value)
{
    const struct spoe_span text = value->u.s;

    if (!http_is_text(value) || text.n < 5 || text.p[3] != 'v')
        return;
    if (memcmp(text.p, "TLS", 3) == 0)
        attr_set_text(mode_of(filling), span, ATTR_TLS_NAME, spoe_str("tls"));
    else if (memcmp(text.p, "SSL", 3) == 0)
        attr_set_text(mode_of(filling), span, ATTR_TLS_NAME, spoe_str("ssl"));
    else
        return;
    attr_set_text(mode_of(filling), span, row->attr, (struct spoe_span){text.p + 4, text.n - 4});
}

__attribute__((noinline)) static void set_redacted(struct filling *filling, struct span *span,
                                                   const struct row *row,
                                                   const struct spoe_value *value)
{
    const char *keys = filling->conventions->redact_query;
    char buf[SPAN_VALUE_MAX];
    size_t n;

    if (!http_is_text(value) || value->u.s.n == 0)
        return;
    n = row->kind == KIND_QUERY ? query_redact(keys, value->u.s, buf, sizeof buf)
                                : query_redact_url(keys, value->u.s, buf, sizeof buf);
    attr_set_text(mode_of(filling), span, row->attr, (struct spoe_span){buf, n});
}

/* http.route, and the name "{method} {route}". */
__attribute__((noinline)) static void set_route(struct filling *filling, struct span *span,
                                                const struct row *row,
                                                const struct spoe_value *value)
{
    const struct spoe_span route = value->u.s;
    char name[SPAN_VALUE_MAX];
    const char *old, *space;
    size_t n;

    if (!http_is_text(value) || route.n == 0)
        return;
    old = span_name(span, &n);
    space = n > 0 ? memchr(old, ' ', n) : NULL;
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
    attr_set_text(mode_of(filling), span, row->attr, route);
}

static void set_start(struct filling *filling, struct span *span, const struct row *row,
                      const struct spoe_value *value)
{
    int64_t moment;

    (void)row;
    if (get_moment(filling, value, &moment))
        span->start_unix_ns = moment;
}

static set_field *const setters[] = {
    [KIND_NONE] = set_nothing,
    [KIND_TEXT] = set_text,
    [KIND_INT] = set_size,
    [KIND_COUNT] = set_count,
    [KIND_BOOL] = set_bool,
    [KIND_ADDRESS] = set_address,
    [KIND_PORT] = set_port,
    [KIND_METHOD] = set_method,
    [KIND_HOST] = set_host,
    [KIND_STATUS] = set_status,
    [KIND_SOURCE] = set_source,
    [KIND_ORIGIN] = set_origin,
    [KIND_ORIGIN_PORT] = set_origin_port,
    [KIND_PEER] = set_peer_port,
    [KIND_VERSION] = set_version,
    [KIND_TLS] = set_tls,
    [KIND_TLSVER] = set_tls_version,
    [KIND_QUERY] = set_redacted,
    [KIND_URL] = set_redacted,
    [KIND_ROUTE] = set_route,
    [KIND_START] = set_start,
    [KIND_END] = set_nothing,
    [KIND_CUSTOM] = set_nothing,
};

static inline void set_conventional(struct filling *filling, struct span *span,
                                    const struct row *row, const struct spoe_value *value)
{
    if (row->kind != KIND_TEXT || !http_is_text(value))
        setters[row->kind](filling, span, row, value);
    else if (value->u.s.n > 0)
        attr_set_text(mode_of(filling), span, row->attr, value->u.s);
}

/* Whether CLIENT's server.address is the request's Host, and it is known. */
static bool by_authority(const struct conventions *conventions, const struct span *server,
                         struct span_attr *ret)
{
    return conventions->client_address == CLIENT_ADDRESS_AUTHORITY &&
           attr_find(conventions->semconv, server, ATTR_SERVER_ADDRESS, ret) &&
           ret->type == SPAN_STRING;
}

/* ---- everything else ------------------------------------------------------------------------ */

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

static bool add_header(const struct filling *filling, struct span *span, struct spoe_span name,
                       const struct spoe_value *from)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span key, value;
    const char *prefix;

    if (begins(name, HEADER_OF_REQUEST, &key))
        prefix = HEADER_OF_REQUEST;
    else if (begins(name, HEADER_OF_RESPONSE, &key))
        prefix = HEADER_OF_RESPONSE;
    else
        return false;
    if (get_text(from, buf, &value))
        attr_add_header(filling->conventions->semconv, span, prefix, key, value);
    return true;
}

/* ---- fields, as they come -------------------------------------------------------------------- */

struct spoe_span fill_name(const struct conventions *conventions, const struct spoe_value *method)
{
    /* Names are to be few, so HTTP where the method is not known. */
    if (http_is_text(method) && http_method_known(conventions->known_methods, method->u.s))
        return method->u.s;
    return spoe_str(NAME_OF_OTHERS);
}

/* A field on the spans that the table names. @return which these are */
static inline __attribute__((always_inline)) unsigned
set_on_spans(struct filling *filling, const struct row *row, const struct spoe_value *value)
{
    const unsigned on = row->on[filling->phase];

    if (filling->server != NULL && (on & ON_S) != 0)
        set_conventional(filling, filling->server, row, value);
    if (filling->client != NULL && (on & ON_C) != 0)
        set_conventional(filling, filling->client, row, value);
    return on;
}

void fill_field(struct filling *filling, enum field field, const struct spoe_value *value)
{
    if (value->type != SPOE_T_NULL)
        (void)set_on_spans(filling, &rows[field], value);
}

void fill_fields(struct filling *filling, const struct fill_slot *fields, size_t n,
                 const struct spoe_value *slots)
{
    for (size_t i = 0; i < n; i++)
        if (slots[fields[i].slot].type != SPOE_T_NULL)
            (void)set_on_spans(filling, &rows[fields[i].field], &slots[fields[i].slot]);
}

/* The spans that a message is about: a line tells of both, be there a CLIENT or not. */
static unsigned own_spans(const struct filling *filling)
{
    if (filling->server == NULL)
        return ON_C;
    return filling->phase == FILL_LINE ? ON_S | ON_C : ON_S;
}

void fill_named(struct filling *filling, struct spoe_span name, const struct spoe_value *value)
{
    struct span *const first = filling->server != NULL ? filling->server : filling->client;
    const bool is_response = filling->phase == FILL_RESPONSE;
    const struct row *row;
    unsigned on;

    if (name.n == 0 || first == NULL)
        return;
    row = look_up(name);
    if (row != NULL && row->kind == KIND_QUERY && !is_response)
        first->notes |= NOTE_QUERY_KNOWN;
    if (value->type == SPOE_T_NULL)
        return;
    if (row == NULL) {
        if (!add_header(filling, first, name, value))
            set_own(first, name, value);
        return;
    }
    if (row->kind == KIND_NONE)
        return;
    if (row->kind == KIND_END || row->kind == KIND_START) {
        if (is_response && row->kind == KIND_END)
            (void)get_moment(filling, value, &filling->end_unix_ns);
        else if (row->on[filling->phase] != ON_NO && row->kind == KIND_START)
            set_conventional(filling, first, row, value);
        return;
    }
    on = set_on_spans(filling, row, value);
    if (!is_response && (on & own_spans(filling)) == 0)
        set_own(first, name, value);
}

/* ---- when all of them are in ------------------------------------------------------------------
 */

/* Attributes of the user's own, which win over all others. */
static void set_custom(struct span *span, struct spoe_span text)
{
    struct custom_attrs attrs = {.p = text.p, .end = text.p + text.n};
    struct custom_attr attr;

    while (custom_attrs_next(&attrs, &attr))
        span_set_str(span, attr.key, attr.key_len, attr.value, attr.value_len);
}

/* Without a port the host means that of the scheme; without the scheme nobody knows. */
static void set_default_port(enum semconv_mode mode, struct span *span)
{
    struct span_attr scheme;

    if (!attr_find(mode, span, ATTR_URL_SCHEME, &scheme) || scheme.type != SPAN_STRING)
        return;
    if (spoe_span_is((struct spoe_span){scheme.str, scheme.str_len}, "https"))
        attr_set_int(mode, span, ATTR_SERVER_PORT, 443);
    else if (spoe_span_is((struct spoe_span){scheme.str, scheme.str_len}, "http"))
        attr_set_int(mode, span, ATTR_SERVER_PORT, 80);
}

void fill_end(struct filling *filling)
{
    const enum semconv_mode mode = filling->conventions->semconv;
    struct span *const server = filling->server;
    struct span *const first = server != NULL ? server : filling->client;

    if (server != NULL && (filling->phase == FILL_REQUEST || filling->phase == FILL_LINE)) {
        /* "OPTIONS *", of which HAProxy's `path` says nothing (RFC 9110, 7.1: it is no path). */
        if (filling->_is_options && !attr_was_set(mode, server, ATTR_URL_PATH))
            attr_set_text(mode, server, ATTR_URL_PATH, spoe_str("*"));
        if ((server->notes & (NOTE_HOST | NOTE_HOST_PORT)) == NOTE_HOST)
            set_default_port(mode, server);
    }
    if (server != NULL && (server->notes & NOTE_CLIENT_TOLD) != 0)
        attr_remove(mode, server, ATTR_CLIENT_PORT); /* of HAProxy's peer, not of this one */
    if (first != NULL && filling->custom.n > 0)
        set_custom(first, filling->custom);
}

void fill_error(const struct conventions *conventions, struct span *span, const char *type)
{
    span->status = SPAN_STATUS_ERROR;
    attr_set_text(conventions->semconv, span, ATTR_ERROR_TYPE, spoe_str(type));
}

void fill_no_error(const struct conventions *conventions, struct span *span)
{
    span->status = SPAN_STATUS_UNSET;
    attr_remove(conventions->semconv, span, ATTR_ERROR_TYPE);
}

/* ---- when the request ends ---------------------------------------------------------------------
 */

static void complete_path(const struct span *server, struct span *client)
{
    static const enum span_key keys[] = {SPAN_KEY_URL_PATH, SPAN_KEY_URL_QUERY,
                                         SPAN_KEY_HTTP_TARGET};
    struct span_attr attr;

    if (span_had_known(client, SPAN_KEY_URL_PATH) || span_had_known(client, SPAN_KEY_HTTP_TARGET))
        return;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (!span_had_known(client, keys[i]) && span_find_known(server, keys[i], &attr) &&
            attr.type == SPAN_STRING)
            span_set_known_str(client, keys[i], attr.str, attr.str_len);
    client->notes |= server->notes & NOTE_QUERY_KNOWN;
}

/* Semantic conventions, HTTP client spans, notes 2 and 3. */
static void complete_authority(const struct conventions *conventions, const struct span *server,
                               struct span *client)
{
    struct span_attr authority, attr;

    if ((client->notes & NOTE_ADDRESS_TOLD) != 0 || !by_authority(conventions, server, &authority))
        return;
    attr_set_text(conventions->semconv, client, ATTR_SERVER_ADDRESS,
                  (struct spoe_span){authority.str, authority.str_len});
    if ((server->notes & NOTE_HOST_PORT) != 0) {
        if (attr_find(conventions->semconv, server, ATTR_SERVER_PORT, &attr) &&
            attr.type == SPAN_INT)
            attr_set_int(conventions->semconv, client, ATTR_SERVER_PORT, attr.i);
    } else { /* of HAProxy's own request */
        set_default_port(conventions->semconv, client);
    }
}

void fill_complete_client(const struct conventions *conventions, const struct span *server,
                          struct span *client)
{
    complete_path(server, client);
    complete_authority(conventions, server, client);
}

static bool find_text(const struct conventions *conventions, const struct span *span,
                      enum otel_attr attr, struct span_attr *ret)
{
    return attr_find(conventions->semconv, span, attr, ret) && ret->type == SPAN_STRING &&
           ret->str_len > 0;
}

static bool is_text(const struct span_attr *attr, const char *text)
{
    return attr->str_len == strlen(text) && memcmp(attr->str, text, attr->str_len) == 0;
}

void fill_full_url(const struct conventions *conventions, struct span *client)
{
    struct span_attr scheme, address, port, path, query = {.str_len = 0};
    char text[SPAN_VALUE_MAX], port_text[NUMBER_MAX] = "";
    bool has_query, v6;
    int n;

    if ((client->notes & NOTE_QUERY_KNOWN) == 0 ||
        attr_find(conventions->semconv, client, ATTR_URL_FULL,
                  &scheme) || /* HAProxy's configuration knew */
        !find_text(conventions, client, ATTR_URL_SCHEME, &scheme) ||
        !find_text(conventions, client, ATTR_SERVER_ADDRESS, &address) ||
        !attr_find(conventions->semconv, client, ATTR_SERVER_PORT, &port) ||
        port.type != SPAN_INT || !find_text(conventions, client, ATTR_URL_PATH, &path) ||
        path.str[0] != '/')
        return;
    /* The old http.target has the query already. */
    has_query = conventions->semconv != SEMCONV_OLD &&
                find_text(conventions, client, ATTR_URL_QUERY, &query);
    v6 = memchr(address.str, ':', address.str_len) != NULL;
    if (port.i != (is_text(&scheme, "https") ? 443 : 80))
        (void)snprintf(port_text, sizeof port_text, ":%" PRId64, port.i);
    n = snprintf(text, sizeof text, "%.*s://%s%.*s%s%s%.*s%s%.*s", (int)scheme.str_len, scheme.str,
                 v6 ? "[" : "", (int)address.str_len, address.str, v6 ? "]" : "", port_text,
                 (int)path.str_len, path.str, has_query ? "?" : "", (int)query.str_len,
                 has_query ? query.str : "");
    if (n > 0 && (size_t)n < sizeof text) /* a URL that is cut is none */
        attr_set_text(conventions->semconv, client, ATTR_URL_FULL,
                      (struct spoe_span){text, (size_t)n});
}
