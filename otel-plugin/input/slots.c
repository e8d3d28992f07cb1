/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/slots.c - from declared arguments to attributes. */
#include "input/slots.h"

#include <string.h>

#include <spoe/util.h>

#include "input/attributes.h"
#include "record/custom_attrs.h"
#include "record/http_parts.h"
#include "input/messages.h"

/* Set an attribute from an argument that HAProxy sent, if it did. */
static void set_text(const struct policy *policy, struct span *span, enum otel_attr attr,
                     const struct spoe_value *value)
{
    if (value->type == SPOE_T_STR && value->u.s.n > 0)
        attr_set_text(policy->semconv, span, attr, value->u.s);
}

static void set_port(const struct policy *policy, struct span *span, enum otel_attr attr,
                     const struct spoe_value *value)
{
    int64_t port;

    if (http_get_port(value, &port))
        attr_set_int(policy->semconv, span, attr, port);
}

struct spoe_span slots_name(const struct policy *policy, const struct spoe_value *method)
{
    /* Names are to be few, so HTTP where the method is not known. */
    if (method->type == SPOE_T_STR && http_method_known(policy->known_methods, method->u.s))
        return method->u.s;
    return spoe_str("HTTP");
}

/* @param name  slots_name(): the method itself where it is known */
static void set_method(const struct policy *policy, struct span *span,
                       const struct spoe_value *method, struct spoe_span name)
{
    if (method->type != SPOE_T_STR || method->u.s.n == 0)
        return;
    if (name.p == method->u.s.p) {
        attr_set_text(policy->semconv, span, ATTR_METHOD, name);
        return;
    }
    attr_set_text(policy->semconv, span, ATTR_METHOD, spoe_str("_OTHER"));
    attr_set_text(policy->semconv, span, ATTR_METHOD_ORIGINAL, method->u.s);
}

/* "OPTIONS *", of which HAProxy's `path` says nothing (RFC 9110, 7.1: its target is no path). */
static bool is_asterisk(const struct spoe_value *method, const struct spoe_value *path)
{
    return (path->type != SPOE_T_STR || path->u.s.n == 0) && method->type == SPOE_T_STR &&
           method->u.s.n == 7 && memcmp(method->u.s.p, "OPTIONS", 7) == 0;
}

void slots_set_request(const struct policy *policy, struct span *server, struct spoe_span name,
                       const struct spoe_value *slot)
{
    const struct spoe_value *host = &slot[REQUEST_HOST], *tls = &slot[REQUEST_SSL_FC];
    const struct spoe_value *path = &slot[REQUEST_PATH];
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;
    uint32_t port;

    set_method(policy, server, &slot[REQUEST_METHOD], name);
    if (is_asterisk(&slot[REQUEST_METHOD], path))
        attr_set_text(policy->semconv, server, ATTR_URL_PATH, spoe_str("*"));
    else
        set_text(policy, server, ATTR_URL_PATH, path);
    if (tls->type == SPOE_T_BOOL)
        attr_set_text(policy->semconv, server, ATTR_URL_SCHEME,
                      spoe_str(tls->u.b ? "https" : "http"));
    if (host->type == SPOE_T_STR && http_split_host(host->u.s, &text, &port)) {
        attr_set_text(policy->semconv, server, ATTR_SERVER_ADDRESS, text);
        /* Without a port the host means its scheme's; without the scheme nobody knows. */
        if (port != 0)
            server->notes |= NOTE_HOST_PORT;
        else if (tls->type == SPOE_T_BOOL)
            port = tls->u.b ? 443 : 80;
        if (port != 0)
            attr_set_int(policy->semconv, server, ATTR_SERVER_PORT, port);
    }
    if (http_get_address(&slot[REQUEST_SRC], buf, &text)) {
        attr_set_text(policy->semconv, server, ATTR_CLIENT_ADDRESS, text);
        attr_set_text(policy->semconv, server, ATTR_PEER_ADDRESS, text);
    }
    set_text(policy, server, ATTR_FRONTEND_NAME, &slot[REQUEST_FE_NAME]);
    set_port(policy, server, ATTR_FRONTEND_PORT, &slot[REQUEST_FE_PORT]);
}

void slots_set_backend(const struct policy *policy, struct span *client, struct spoe_span name,
                       const struct spoe_value *slot)
{
    set_method(policy, client, &slot[BACKEND_METHOD], name);
}

/* Status code and status; `error_from` is the first code that is an error for the span's kind. */
static void set_status(const struct policy *policy, struct span *span,
                       const struct spoe_value *value, int64_t error_from)
{
    char text[4];
    int64_t code;

    if (!spoe_get_int(value, &code))
        return;
    if (code < 100 || code > 999) { /* not interpretable, so an error without a code */
        span->status = SPAN_STATUS_ERROR;
        attr_set_text(policy->semconv, span, ATTR_ERROR_TYPE, spoe_str("_OTHER"));
        return;
    }
    attr_set_int(policy->semconv, span, ATTR_STATUS_CODE, code);
    if (code < error_from)
        return;
    span->status = SPAN_STATUS_ERROR;
    for (int i = 2; i >= 0; i--, code /= 10)
        text[i] = (char)('0' + code % 10);
    attr_set_text(policy->semconv, span, ATTR_ERROR_TYPE, (struct spoe_span){text, 3});
}

/* Whether CLIENT's server.address is the request's Host, and it is known. */
static bool by_authority(const struct policy *policy, const struct span *server,
                         struct span_attr *ret)
{
    return policy->client_address == CLIENT_ADDRESS_AUTHORITY &&
           attr_find(policy->semconv, server, ATTR_SERVER_ADDRESS, ret) && ret->type == SPAN_STRING;
}

static void set_client(const struct policy *policy, const struct span *server, struct span *client,
                       const struct spoe_value *slot)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;
    struct span_attr authority;

    set_status(policy, client, &slot[RESPONSE_STATUS], 400);
    set_text(policy, client, ATTR_BACKEND_NAME, &slot[RESPONSE_BE_NAME]);
    set_text(policy, client, ATTR_SERVER_NAME, &slot[RESPONSE_SRV_NAME]);
    if (!http_get_address(&slot[RESPONSE_BC_DST], buf, &text))
        return;
    if (!by_authority(policy, server, &authority)) {
        attr_set_text(policy->semconv, client, ATTR_SERVER_ADDRESS, text);
        set_port(policy, client, ATTR_SERVER_PORT, &slot[RESPONSE_BC_DST_PORT]);
    }
    attr_set_text(policy->semconv, client, ATTR_PEER_ADDRESS, text);
    set_port(policy, client, ATTR_PEER_PORT, &slot[RESPONSE_BC_DST_PORT]);
}

void slots_set_response(const struct policy *policy, struct span *server, struct span *client,
                        const struct spoe_value *slot)
{
    if (client != NULL)
        set_client(policy, server, client, slot);
    set_status(policy, server, &slot[RESPONSE_STATUS], 500);
}

void slots_set_late(const struct policy *policy, struct span *span, const struct spoe_value *slot)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    set_status(policy, span, &slot[RESPONSE_STATUS], 500);
    set_text(policy, span, ATTR_BACKEND_NAME, &slot[RESPONSE_BE_NAME]);
    set_text(policy, span, ATTR_SERVER_NAME, &slot[RESPONSE_SRV_NAME]);
    if (http_get_address(&slot[RESPONSE_BC_DST], buf, &text)) {
        attr_set_text(policy->semconv, span, ATTR_PEER_ADDRESS, text);
        set_port(policy, span, ATTR_PEER_PORT, &slot[RESPONSE_BC_DST_PORT]);
    }
    slots_set_custom(span, slot);
}

static void complete_path(const struct span *server, struct span *client)
{
    static const enum span_key keys[] = {SPAN_KEY_URL_PATH, SPAN_KEY_URL_QUERY,
                                         SPAN_KEY_HTTP_TARGET};
    struct span_attr attr, own;

    if (span_find_known(client, SPAN_KEY_URL_PATH, &own) ||
        span_find_known(client, SPAN_KEY_HTTP_TARGET, &own))
        return;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (span_find_known(server, keys[i], &attr) && attr.type == SPAN_STRING &&
            !span_find_known(client, keys[i], &own))
            span_set_known_str(client, keys[i], attr.str, attr.str_len);
    client->notes |= server->notes & NOTE_QUERY_KNOWN;
}

/* Semantic conventions, HTTP client spans, notes 2 and 3. */
static void complete_authority(const struct policy *policy, const struct span *server,
                               struct span *client)
{
    struct span_attr authority, attr;

    if ((client->notes & NOTE_ADDRESS_TOLD) != 0 || !by_authority(policy, server, &authority))
        return;
    attr_set_text(policy->semconv, client, ATTR_SERVER_ADDRESS,
                  (struct spoe_span){authority.str, authority.str_len});
    if ((server->notes & NOTE_HOST_PORT) != 0) {
        if (attr_find(policy->semconv, server, ATTR_SERVER_PORT, &attr) && attr.type == SPAN_INT)
            attr_set_int(policy->semconv, client, ATTR_SERVER_PORT, attr.i);
    } else if (attr_find(policy->semconv, client, ATTR_URL_SCHEME, &attr)) {
        /* Without a port the host means its scheme's, which is that of HAProxy's own request. */
        attr_set_int(policy->semconv, client, ATTR_SERVER_PORT, attr.str_len == 5 ? 443 : 80);
    }
}

void slots_complete_client(const struct policy *policy, const struct span *server,
                           struct span *client)
{
    complete_path(server, client);
    complete_authority(policy, server, client);
}

void slots_set_custom(struct span *server, const struct spoe_value *slot)
{
    const struct spoe_value *value = &slot[RESPONSE_CUSTOM_ATTRS];
    struct custom_attrs attrs;
    struct custom_attr attr;

    if (value->type != SPOE_T_STR || value->u.s.n == 0)
        return;
    attrs = (struct custom_attrs){.p = value->u.s.p, .end = value->u.s.p + value->u.s.n};
    while (custom_attrs_next(&attrs, &attr))
        span_set_str(server, attr.key, attr.key_len, attr.value, attr.value_len);
}
