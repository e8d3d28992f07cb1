/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/handlers.c - the life of a request's spans; slots.c and arguments.c fill
 * them.
 */
#include "input/handlers.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <spoe/util.h>

#include "input/arguments.h"
#include "input/messages.h"
#include "input/slots.h"

/* What marks spans that the sampler passed over and that were exported for a 5xx; its value. */
#define ATTR_KEPT "haproxy.sampling.kept"
#define KEPT_ERROR "error"

_Static_assert(REQUEST_UNIQUE_ID == 0 && BACKEND_UNIQUE_ID == 0 && RESPONSE_UNIQUE_ID == 0,
               "unique_id() reads the first slot");

/* Count what each message counts. */
#define COUNT_OWN(worker, name)                                                                    \
    ((worker)->counters != NULL ? count_own(&(worker)->counters->name, 1)                          \
                                : count(&(worker)->shared->counters->name, 1))

/*
 * Most often HAProxy's configuration lacks a line, and nothing else would say what to do. Once: how
 * many there are is said by the exporter's line about losses.
 */
static void on_missing_id(struct handlers *h)
{
    count(&h->counters->missing_id, 1);
    if (!atomic_load_explicit(&h->_missing_id_told, memory_order_relaxed) &&
        !atomic_exchange(&h->_missing_id_told, true))
        spoe_logf(h->host, h->self, SPOE_LOG_WARNING,
                  "messages without a unique-id are ignored: does the frontend have "
                  "unique-id-format?");
}

/* The unique-id, which is the first argument of every message, or an empty span. */
static struct spoe_span unique_id(struct handlers *h, const struct spoe_message *msg)
{
    const struct spoe_value *value = &msg->slot[0];
    const struct spoe_span none = {NULL, 0};

    if (value->type != SPOE_T_STR || value->u.s.n == 0) {
        on_missing_id(h);
        return none;
    }
    if (value->u.s.n > STORE_KEY_MAX) {
        count(&h->counters->long_id, 1);
        return none;
    }
    return value->u.s;
}

/* Whether a request is not to be traced. Its later messages are known by its id then. */
static bool is_excluded(struct handlers *h, struct spoe_span id, const struct spoe_value *path)
{
    if (h->exclude == NULL || path->type != SPOE_T_STR || !exclude_path(h->exclude, path->u.s))
        return false;
    exclude_remember(h->exclude, id);
    count(&h->counters->excluded, 1);
    return true;
}

/* A message whose request is not open: an excluded one's, or something is wrong. */
static void on_unknown_id(struct handlers *h, struct spoe_span id, bool last)
{
    if (h->exclude != NULL && exclude_remembers(h->exclude, id, last))
        count(&h->counters->excluded_later, 1);
    else
        count(&h->counters->unknown_id, 1);
}

/* ---- request ----------------------------------------------------------------------------- */

/* A request without spans: an entry in the store, so that its backend message finds its context. */
static void open_unsampled(struct handlers *h, struct spoe_request *req,
                           const struct spoe_message *msg, struct spoe_span id,
                           const struct new_context *begun)
{
    if (store_open_unsampled(h->store, id.p, id.n, &begun->context, msg->recv_mono_ns,
                             msg->recv_unix_ns) == STORE_DUPLICATE)
        count(&h->counters->duplicate_id, 1);
    else
        context_answer(h, req, begun); /* with a full store, too: nothing is lost but the child */
}

static void on_request(struct handlers_worker *worker, struct spoe_request *req,
                       const struct spoe_message *msg)
{
    struct handlers *h = worker->shared;
    const struct spoe_value *slot = msg->slot;
    const struct spoe_span id = unique_id(h, msg);
    struct spoe_span name;
    struct new_context begun;
    struct span *span;

    if (id.n == 0)
        return;
    if (is_excluded(h, id, &slot[REQUEST_PATH]))
        return;
    context_begin(worker, msg, &begun);
    if (!begun.record) {
        open_unsampled(h, req, msg, id, &begun);
        return;
    }
    name = slots_name(h, &slot[REQUEST_METHOD]);
    span = span_create_from(&worker->spans, SPAN_SERVER, &begun.context,
                            begun.has_parent ? begun.parent_id : NULL, begun.has_parent,
                            msg->recv_unix_ns, name.p, name.n);
    if (span == NULL) {
        count(&h->counters->no_memory, 1);
        return;
    }
    span_set_trace_state(span, begun.tracestate, begun.tracestate_len);
    slots_set_request(h, span, name, slot);
    (void)arguments_set(h, msg, span, NULL);

    switch (store_open(h->store, id.p, id.n, span, msg->recv_mono_ns, msg->recv_unix_ns)) {
    case STORE_OK:
        if (context_is_sampled(&begun.context))
            COUNT_OWN(worker, opened);
        else
            COUNT_OWN(worker, passed_over);
        context_answer(h, req, &begun);
        return; /* the store's now */
    case STORE_DUPLICATE:
        count(&h->counters->duplicate_id, 1);
        break;
    case STORE_FULL:
        count(&h->counters->refused, 1); /* the export's line about losses tells it */
        break;
    default:
        count(&h->counters->no_memory, 1);
        break;
    }
    span_recycle(&worker->spans, span);
}

/* ---- backend request --------------------------------------------------------------------- */

static void on_backend(struct handlers_worker *worker, struct spoe_request *req,
                       const struct spoe_message *msg)
{
    struct handlers *h = worker->shared;
    const struct spoe_value *slot = msg->slot;
    const struct spoe_span id = unique_id(h, msg);
    const struct spoe_span name = slots_name(h, &slot[BACKEND_METHOD]);
    struct trace_context context = {.flags = 0};
    struct span *span;

    if (id.n == 0)
        return;
    if (store_unsampled(h->store, id.p, id.n, &context)) {
        id_span(&worker->ids, context.span_id);
        context_answer_child(h, req, &context);
        return;
    }
    id_span(&worker->ids, context.span_id); /* the rest comes from the SERVER span */
    span = span_create_from(&worker->spans, SPAN_CLIENT, &context, NULL, false, msg->recv_unix_ns,
                            name.p, name.n);
    if (span == NULL) {
        count(&h->counters->no_memory, 1);
        return;
    }
    slots_set_backend(h, span, name, slot);
    (void)arguments_set(h, msg, NULL, span);

    switch (store_attach(h->store, id.p, id.n, span, msg->recv_unix_ns, &context)) {
    case STORE_OK:
        COUNT_OWN(worker, attached);
        context_answer_child(h, req, &context);
        return; /* the store's now */
    case STORE_DUPLICATE:
        count(&h->counters->duplicate_backend, 1);
        break;
    default:
        on_unknown_id(h, id, false);
        break;
    }
    span_recycle(&worker->spans, span);
}

/* ---- response ---------------------------------------------------------------------------- */

/*
 * A request that the sampler passed over is exported after all if it ended in 5xx, and says so.
 * @return false: it is not
 */
static bool keep_unsampled(struct handlers *h, const struct store_request *request,
                           const struct spoe_value *status)
{
    struct span *const spans[] = {request->client, request->server};
    int64_t code;

    if (!spoe_get_int(status, &code) || code < 500 || code > 599)
        return false;
    for (size_t i = 0; i < 2; i++)
        if (spans[i] != NULL)
            span_set_str(spans[i], ATTR_KEPT, sizeof ATTR_KEPT - 1, KEPT_ERROR,
                         sizeof KEPT_ERROR - 1);
    count(&h->counters->kept_errors, 1);
    return true;
}

/* Complete a request's spans and hand them over. */
static void export_spans(struct handlers_worker *worker, const struct spoe_message *msg,
                         const struct store_request *request)
{
    struct handlers *h = worker->shared;
    struct span *const server = request->server, *const client = request->client;
    int64_t end;

    slots_set_response(h, server, client, msg->slot);
    end = arguments_set(h, msg, server, client);
    slots_set_custom(server, msg->slot);
    if (end == 0) {
        end = msg->recv_unix_ns;
        if (end < request->last_unix_ns)
            end = request->last_unix_ns; /* the clock was set back */
    }
    server->next = NULL;
    if (client != NULL) {
        arguments_complete_client(server, client);
        arguments_set_full_url(h, client);
        span_end(client, end);
        if (end < client->end_unix_ns)
            end = client->end_unix_ns; /* CLIENT stays inside SERVER */
        client->next = server;
    }
    span_end(server, end);
    sink_push(h->sink, worker->writer, client != NULL ? client : server);
}

static void on_response(struct handlers_worker *worker, const struct spoe_message *msg)
{
    struct handlers *h = worker->shared;
    const struct spoe_span id = unique_id(h, msg);
    struct store_request request;

    if (id.n == 0)
        return;
    if (store_take(h->store, id.p, id.n, &request) != STORE_OK) {
        on_unknown_id(h, id, true);
        return;
    }
    if (request.server == NULL)
        return; /* not sampled */
    if (context_is_sampled(&request.server->context)) {
        COUNT_OWN(worker, ended);
        export_spans(worker, msg, &request);
    } else if (keep_unsampled(h, &request, &msg->slot[RESPONSE_STATUS])) {
        export_spans(worker, msg, &request);
    } else {
        count(&h->counters->unsampled_spans, request.client != NULL ? 2 : 1);
    }
    span_recycle(&worker->spans, request.client);
    span_recycle(&worker->spans, request.server);
}

spoe_status handlers_handle(struct handlers_worker *worker, struct spoe_request *req,
                            const struct spoe_message *msg)
{
    switch (msg->index) {
    case MESSAGE_REQUEST:
        assert(msg->n_slots == REQUEST_SLOTS);
        COUNT_OWN(worker, requests);
        on_request(worker, req, msg);
        return SPOE_OK;
    case MESSAGE_BACKEND:
        assert(msg->n_slots == BACKEND_SLOTS);
        COUNT_OWN(worker, backends);
        on_backend(worker, req, msg);
        return SPOE_OK;
    case MESSAGE_RESPONSE:
        assert(msg->n_slots == RESPONSE_SLOTS);
        COUNT_OWN(worker, responses);
        on_response(worker, msg);
        return SPOE_OK;
    default:
        return SPOE_E_INVAL;
    }
}
