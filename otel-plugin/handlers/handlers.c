/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/handlers/handlers.c - attributes, names and status by the stable HTTP semantic
 * conventions (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
 */
#include "handlers/handlers.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <spoe/util.h>

#include "handlers/custom_attrs.h"
#include "handlers/http_parts.h"
#include "handlers/messages.h"

#define VARIABLE "traceparent"

_Static_assert(REQUEST_UNIQUE_ID == 0 && BACKEND_UNIQUE_ID == 0 && RESPONSE_UNIQUE_ID == 0,
               "unique_id() reads the first slot");

static void set_span(struct span *span, const char *key, struct spoe_span value)
{
    span_set_str(span, key, strlen(key), value.p, value.n);
}

static void set_int(struct span *span, const char *key, int64_t value)
{
    span_set_int(span, key, strlen(key), value);
}

/* Set an attribute from an argument that HAProxy sent, if it did. */
static void set_text(struct span *span, const char *key, const struct spoe_value *value)
{
    if (value->type == SPOE_T_STR && value->u.s.n > 0)
        set_span(span, key, value->u.s);
}

static void set_port(struct span *span, const char *key, const struct spoe_value *value)
{
    int64_t port;

    if (http_get_port(value, &port))
        set_int(span, key, port);
}

/* Most often HAProxy's configuration lacks a line, and nothing else would say why traces lack. */
static void on_missing_id(struct handlers *h, int64_t now_mono_ns)
{
    uint64_t n;

    count(&h->counters->missing_id, 1);
    if (warn_limit_pass(&h->_warn_missing_id, now_mono_ns, 1, &n))
        spoe_logf(h->host, h->self, SPOE_LOG_WARNING,
                  "%" PRIu64 " messages without a unique-id are ignored: does the frontend have "
                  "unique-id-format?",
                  n);
}

/* The unique-id, which is the first argument of every message, or an empty span. */
static struct spoe_span unique_id(struct handlers *h, const struct spoe_message *msg)
{
    const struct spoe_value *value = &msg->slot[0];
    const struct spoe_span none = {NULL, 0};

    if (value->type != SPOE_T_STR || value->u.s.n == 0) {
        on_missing_id(h, msg->recv_mono_ns);
        return none;
    }
    if (value->u.s.n > STORE_KEY_MAX) {
        count(&h->counters->long_id, 1);
        return none;
    }
    return value->u.s;
}

static void answer(struct handlers *h, struct spoe_request *req,
                   const struct trace_context *context)
{
    char text[TRACEPARENT_LEN];
    struct spoe_value value;

    traceparent_format(context, text);
    value = spoe_value_str((struct spoe_span){text, sizeof text});
    if (h->host->set_var(req, SPOE_SCOPE_TXN, spoe_str(VARIABLE), &value) != SPOE_OK)
        count(&h->counters->unanswered, 1);
}

/* The span's name is the method; HTTP where that is not known, since names are to be few. */
static struct spoe_span span_name_of(const struct handlers *h, const struct spoe_value *method)
{
    if (method->type == SPOE_T_STR && http_method_known(h->known_methods, method->u.s))
        return method->u.s;
    return spoe_str("HTTP");
}

static void set_method(const struct handlers *h, struct span *span, const struct spoe_value *method)
{
    if (method->type != SPOE_T_STR || method->u.s.n == 0)
        return;
    if (http_method_known(h->known_methods, method->u.s)) {
        set_span(span, "http.request.method", method->u.s);
        return;
    }
    set_span(span, "http.request.method", spoe_str("_OTHER"));
    set_span(span, "http.request.method_original", method->u.s);
}

/* ---- request ----------------------------------------------------------------------------- */

/* Continue the inbound trace, or begin one. @return the parent's id in buf, or NULL for a root */
static const uint8_t *new_context(struct handlers_worker *worker, const struct spoe_value *inbound,
                                  struct trace_context *ret, uint8_t buf[8])
{
    struct trace_context parent;
    const uint8_t *parent_id = NULL;

    if (inbound->type == SPOE_T_STR && traceparent_parse(inbound->u.s.p, inbound->u.s.n, &parent)) {
        memcpy(buf, parent.span_id, sizeof parent.span_id);
        parent_id = buf;
        *ret = parent;
        /* Every request is sampled; the random flag goes on as it came (trace-context-2, 4.3). */
        ret->flags |= TRACE_FLAG_SAMPLED;
    } else {
        id_trace(&worker->ids, ret->trace_id);
        ret->flags = TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM;
    }
    id_span(&worker->ids, ret->span_id);
    return parent_id;
}

static void set_request_attributes(const struct handlers *h, struct span *span,
                                   const struct spoe_value *slot)
{
    const struct spoe_value *host = &slot[REQUEST_HOST], *tls = &slot[REQUEST_SSL_FC];
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;
    uint32_t port;

    set_method(h, span, &slot[REQUEST_METHOD]);
    set_text(span, "url.path", &slot[REQUEST_PATH]);
    if (tls->type == SPOE_T_BOOL)
        set_span(span, "url.scheme", spoe_str(tls->u.b ? "https" : "http"));
    if (host->type == SPOE_T_STR && http_split_host(host->u.s, &text, &port)) {
        set_span(span, "server.address", text);
        /* Without a port the host means its scheme's; without the scheme nobody knows. */
        if (port == 0 && tls->type == SPOE_T_BOOL)
            port = tls->u.b ? 443 : 80;
        if (port != 0)
            set_int(span, "server.port", port);
    }
    if (http_get_address(&slot[REQUEST_SRC], buf, &text)) {
        set_span(span, "client.address", text);
        set_span(span, "network.peer.address", text);
    }
    set_text(span, "haproxy.frontend.name", &slot[REQUEST_FE_NAME]);
    set_port(span, "haproxy.frontend.port", &slot[REQUEST_FE_PORT]);
}

static void on_refused(struct handlers *h, int64_t now_mono_ns)
{
    uint64_t n;

    count(&h->counters->refused, 1);
    if (warn_limit_pass(&h->_warn_refused, now_mono_ns, 1, &n))
        spoe_logf(h->host, h->self, SPOE_LOG_WARNING,
                  "%" PRIu64 " requests are not traced: span-store-max is reached", n);
}

static void on_request(struct handlers_worker *worker, struct spoe_request *req,
                       const struct spoe_message *msg)
{
    struct handlers *h = worker->shared;
    const struct spoe_value *slot = msg->slot;
    const struct spoe_span id = unique_id(h, msg);
    struct spoe_span name;
    struct trace_context context;
    uint8_t parent_buf[8];
    const uint8_t *parent;
    struct span *span;

    if (id.n == 0)
        return;
    parent = new_context(worker, &slot[REQUEST_TRACEPARENT], &context, parent_buf);
    name = span_name_of(h, &slot[REQUEST_METHOD]);
    span = span_create(SPAN_SERVER, &context, parent, parent != NULL, msg->recv_unix_ns, name.p,
                       name.n);
    if (span == NULL) {
        count(&h->counters->no_memory, 1);
        return;
    }
    set_request_attributes(h, span, slot);

    switch (store_open(h->store, id.p, id.n, span, msg->recv_mono_ns, msg->recv_unix_ns)) {
    case STORE_OK:
        count(&h->counters->opened, 1);
        answer(h, req, &context);
        return; /* the store's now */
    case STORE_DUPLICATE:
        count(&h->counters->duplicate_id, 1);
        break;
    case STORE_FULL:
        on_refused(h, msg->recv_mono_ns);
        break;
    default:
        count(&h->counters->no_memory, 1);
        break;
    }
    span_destroy(span);
}

/* ---- backend request --------------------------------------------------------------------- */

static void on_backend(struct handlers_worker *worker, struct spoe_request *req,
                       const struct spoe_message *msg)
{
    struct handlers *h = worker->shared;
    const struct spoe_value *slot = msg->slot;
    const struct spoe_span id = unique_id(h, msg);
    const struct spoe_span name = span_name_of(h, &slot[BACKEND_METHOD]);
    struct trace_context context = {.flags = 0};
    struct span *span;

    if (id.n == 0)
        return;
    id_span(&worker->ids, context.span_id); /* the rest comes from the SERVER span */
    span = span_create(SPAN_CLIENT, &context, NULL, false, msg->recv_unix_ns, name.p, name.n);
    if (span == NULL) {
        count(&h->counters->no_memory, 1);
        return;
    }
    set_method(h, span, &slot[BACKEND_METHOD]);
    set_text(span, "url.path", &slot[BACKEND_PATH]);

    switch (store_attach(h->store, id.p, id.n, span, msg->recv_unix_ns, &context)) {
    case STORE_OK:
        answer(h, req, &context);
        return; /* the store's now */
    case STORE_DUPLICATE:
        count(&h->counters->duplicate_backend, 1);
        break;
    default:
        count(&h->counters->unknown_id, 1);
        break;
    }
    span_destroy(span);
}

/* ---- response ---------------------------------------------------------------------------- */

/* Status code and status; `error_from` is the first code that is an error for the span's kind. */
static void set_status(struct span *span, const struct spoe_value *value, int64_t error_from)
{
    char text[4];
    int64_t code;

    if (!spoe_get_int(value, &code))
        return;
    if (code < 100 || code > 999) { /* not interpretable, so an error without a code */
        span->status = SPAN_STATUS_ERROR;
        set_span(span, "error.type", spoe_str("_OTHER"));
        return;
    }
    set_int(span, "http.response.status_code", code);
    if (code < error_from)
        return;
    span->status = SPAN_STATUS_ERROR;
    for (int i = 2; i >= 0; i--, code /= 10)
        text[i] = (char)('0' + code % 10);
    set_span(span, "error.type", (struct spoe_span){text, 3});
}

static void set_client_attributes(struct span *client, const struct spoe_value *slot)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    set_status(client, &slot[RESPONSE_STATUS], 400);
    set_text(client, "haproxy.backend.name", &slot[RESPONSE_BE_NAME]);
    set_text(client, "haproxy.server.name", &slot[RESPONSE_SRV_NAME]);
    if (!http_get_address(&slot[RESPONSE_BC_DST], buf, &text))
        return;
    set_span(client, "server.address", text);
    set_span(client, "network.peer.address", text);
    set_port(client, "server.port", &slot[RESPONSE_BC_DST_PORT]);
    set_port(client, "network.peer.port", &slot[RESPONSE_BC_DST_PORT]);
}

static void set_custom_attributes(struct span *span, const struct spoe_value *value)
{
    struct custom_attrs attrs;
    struct custom_attr attr;

    if (value->type != SPOE_T_STR || value->u.s.n == 0)
        return;
    attrs = (struct custom_attrs){.p = value->u.s.p, .end = value->u.s.p + value->u.s.n};
    while (custom_attrs_next(&attrs, &attr))
        span_set_str(span, attr.key, attr.key_len, attr.value, attr.value_len);
}

static void on_response(struct handlers_worker *worker, const struct spoe_message *msg)
{
    struct handlers *h = worker->shared;
    const struct spoe_value *slot = msg->slot;
    const struct spoe_span id = unique_id(h, msg);
    struct store_request request;
    struct span *list;
    int64_t end = msg->recv_unix_ns;

    if (id.n == 0)
        return;
    if (store_take(h->store, id.p, id.n, &request) != STORE_OK) {
        count(&h->counters->unknown_id, 1);
        return;
    }
    if (end < request.last_unix_ns)
        end = request.last_unix_ns; /* the clock was set back */
    request.server->next = NULL;
    list = request.server;
    if (request.client != NULL) {
        set_client_attributes(request.client, slot);
        span_end(request.client, end);
        if (end < request.client->end_unix_ns)
            end = request.client->end_unix_ns; /* CLIENT stays inside SERVER */
        request.client->next = request.server;
        list = request.client;
    }
    set_status(request.server, &slot[RESPONSE_STATUS], 500);
    set_custom_attributes(request.server, &slot[RESPONSE_CUSTOM_ATTRS]);
    span_end(request.server, end);
    count(&h->counters->ended, 1);
    sink_push(h->sink, list);
}

spoe_status handlers_handle(struct handlers_worker *worker, struct spoe_request *req,
                            const struct spoe_message *msg)
{
    struct counters *counters = worker->shared->counters;

    switch (msg->index) {
    case MESSAGE_REQUEST:
        assert(msg->n_slots == REQUEST_SLOTS);
        count(&counters->requests, 1);
        on_request(worker, req, msg);
        return SPOE_OK;
    case MESSAGE_BACKEND:
        assert(msg->n_slots == BACKEND_SLOTS);
        count(&counters->backends, 1);
        on_backend(worker, req, msg);
        return SPOE_OK;
    case MESSAGE_RESPONSE:
        assert(msg->n_slots == RESPONSE_SLOTS);
        count(&counters->responses, 1);
        on_response(worker, msg);
        return SPOE_OK;
    default:
        return SPOE_E_INVAL;
    }
}
