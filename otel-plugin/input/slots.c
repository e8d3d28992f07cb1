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
static void set_text(const struct handlers *h, struct span *span, enum otel_attr attr,
                     const struct spoe_value *value)
{
    if (value->type == SPOE_T_STR && value->u.s.n > 0)
        attr_set_text(h->semconv, span, attr, value->u.s);
}

static void set_port(const struct handlers *h, struct span *span, enum otel_attr attr,
                     const struct spoe_value *value)
{
    int64_t port;

    if (http_get_port(value, &port))
        attr_set_int(h->semconv, span, attr, port);
}

struct spoe_span slots_name(const struct handlers *h, const struct spoe_value *method)
{
    /* Names are to be few, so HTTP where the method is not known. */
    if (method->type == SPOE_T_STR && http_method_known(h->known_methods, method->u.s))
        return method->u.s;
    return spoe_str("HTTP");
}

/* @param name  slots_name(): the method itself where it is known */
static void set_method(const struct handlers *h, struct span *span, const struct spoe_value *method,
                       struct spoe_span name)
{
    if (method->type != SPOE_T_STR || method->u.s.n == 0)
        return;
    if (name.p == method->u.s.p) {
        attr_set_text(h->semconv, span, ATTR_METHOD, name);
        return;
    }
    attr_set_text(h->semconv, span, ATTR_METHOD, spoe_str("_OTHER"));
    attr_set_text(h->semconv, span, ATTR_METHOD_ORIGINAL, method->u.s);
}

/* "OPTIONS *", of which HAProxy's `path` says nothing (RFC 9110, 7.1: its target is no path). */
static bool is_asterisk(const struct spoe_value *method, const struct spoe_value *path)
{
    return (path->type != SPOE_T_STR || path->u.s.n == 0) && method->type == SPOE_T_STR &&
           method->u.s.n == 7 && memcmp(method->u.s.p, "OPTIONS", 7) == 0;
}

void slots_set_request(const struct handlers *h, struct span *server, struct spoe_span name,
                       const struct spoe_value *slot)
{
    const struct spoe_value *host = &slot[REQUEST_HOST], *tls = &slot[REQUEST_SSL_FC];
    const struct spoe_value *path = &slot[REQUEST_PATH];
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;
    uint32_t port;

    set_method(h, server, &slot[REQUEST_METHOD], name);
    if (is_asterisk(&slot[REQUEST_METHOD], path))
        attr_set_text(h->semconv, server, ATTR_URL_PATH, spoe_str("*"));
    else
        set_text(h, server, ATTR_URL_PATH, path);
    if (tls->type == SPOE_T_BOOL)
        attr_set_text(h->semconv, server, ATTR_URL_SCHEME, spoe_str(tls->u.b ? "https" : "http"));
    if (host->type == SPOE_T_STR && http_split_host(host->u.s, &text, &port)) {
        attr_set_text(h->semconv, server, ATTR_SERVER_ADDRESS, text);
        /* Without a port the host means its scheme's; without the scheme nobody knows. */
        if (port == 0 && tls->type == SPOE_T_BOOL)
            port = tls->u.b ? 443 : 80;
        if (port != 0)
            attr_set_int(h->semconv, server, ATTR_SERVER_PORT, port);
    }
    if (http_get_address(&slot[REQUEST_SRC], buf, &text)) {
        attr_set_text(h->semconv, server, ATTR_CLIENT_ADDRESS, text);
        attr_set_text(h->semconv, server, ATTR_PEER_ADDRESS, text);
    }
    set_text(h, server, ATTR_FRONTEND_NAME, &slot[REQUEST_FE_NAME]);
    set_port(h, server, ATTR_FRONTEND_PORT, &slot[REQUEST_FE_PORT]);
}

void slots_set_backend(const struct handlers *h, struct span *client, struct spoe_span name,
                       const struct spoe_value *slot)
{
    set_method(h, client, &slot[BACKEND_METHOD], name);
}

/* Status code and status; `error_from` is the first code that is an error for the span's kind. */
static void set_status(const struct handlers *h, struct span *span, const struct spoe_value *value,
                       int64_t error_from)
{
    char text[4];
    int64_t code;

    if (!spoe_get_int(value, &code))
        return;
    if (code < 100 || code > 999) { /* not interpretable, so an error without a code */
        span->status = SPAN_STATUS_ERROR;
        attr_set_text(h->semconv, span, ATTR_ERROR_TYPE, spoe_str("_OTHER"));
        return;
    }
    attr_set_int(h->semconv, span, ATTR_STATUS_CODE, code);
    if (code < error_from)
        return;
    span->status = SPAN_STATUS_ERROR;
    for (int i = 2; i >= 0; i--, code /= 10)
        text[i] = (char)('0' + code % 10);
    attr_set_text(h->semconv, span, ATTR_ERROR_TYPE, (struct spoe_span){text, 3});
}

static void set_client(const struct handlers *h, struct span *client, const struct spoe_value *slot)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    set_status(h, client, &slot[RESPONSE_STATUS], 400);
    set_text(h, client, ATTR_BACKEND_NAME, &slot[RESPONSE_BE_NAME]);
    set_text(h, client, ATTR_SERVER_NAME, &slot[RESPONSE_SRV_NAME]);
    if (!http_get_address(&slot[RESPONSE_BC_DST], buf, &text))
        return;
    attr_set_text(h->semconv, client, ATTR_SERVER_ADDRESS, text);
    attr_set_text(h->semconv, client, ATTR_PEER_ADDRESS, text);
    set_port(h, client, ATTR_SERVER_PORT, &slot[RESPONSE_BC_DST_PORT]);
    set_port(h, client, ATTR_PEER_PORT, &slot[RESPONSE_BC_DST_PORT]);
}

void slots_set_response(const struct handlers *h, struct span *server, struct span *client,
                        const struct spoe_value *slot)
{
    if (client != NULL)
        set_client(h, client, slot);
    set_status(h, server, &slot[RESPONSE_STATUS], 500);
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
