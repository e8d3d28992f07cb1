/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/handlers.c - the life of a request's spans; message_fill.c fills them,
 * ending.c hands them over.
 */
#include "input/handlers.h"

#include <assert.h>

#include <spoe/util.h>

#include "input/ending.h"
#include "input/log_line.h"
#include "input/message_fill.h"
#include "input/messages.h"
#include "record/http_parts.h"

_Static_assert(REQUEST_UNIQUE_ID == 0 && BACKEND_UNIQUE_ID == 0 && RESPONSE_UNIQUE_ID == 0,
               "unique_id() reads the first slot");

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

    if (!http_is_text(value) || value->u.s.n == 0) {
        on_missing_id(h);
        return none;
    }
    if (value->u.s.n > STORE_KEY_MAX) {
        count(&h->counters->long_id, 1);
        return none;
    }
    return value->u.s;
}

/* One message on its way through. */
struct turn {
    struct handlers_worker *worker;
    const struct policy *policy;
    struct spoe_request *req; /* NULL in tests, too */
    const struct spoe_message *msg;
    struct spoe_span id;
    bool late;  /* it waited for its request, and was answered long ago */
    bool again; /* it was not kept, since its request came meanwhile */
};

static void handle(struct turn *turn);

/* ---- messages that do not find their request ---------------------------------------------- */

/* Apply messages that waited for a request, in the order in which they should have come. */
static void apply_kept(const struct turn *turn, struct kept *list)
{
    static const uint32_t order[] = {MESSAGE_BACKEND, MESSAGE_RESPONSE};

    for (size_t i = 0; list != NULL && i < sizeof order / sizeof order[0]; i++) {
        const struct spoe_message *msg = kept_find(list, order[i]);
        struct turn its = *turn;

        if (msg == NULL)
            continue;
        count(&turn->worker->shared->counters->reordered, 1);
        its.msg = msg;
        its.late = true;
        handle(&its);
    }
    kept_free(list);
}

static void count_untraced(struct handlers *h, enum untraced why, uint64_t n)
{
    count(why == UNTRACED_EXCLUDED ? &h->counters->excluded_later : &h->counters->refused_later, n);
}

/* Messages of a request that opens nothing, which came before it. @param kept  [own] */
static void drop_kept(struct handlers *h, enum untraced why, struct kept *kept)
{
    for (const struct kept *one = kept; one != NULL; one = one->next)
        count_untraced(h, why, 1);
    kept_free(kept);
}

/* A request that opens nothing: its later messages are known by its id, also those that are here.
 */
static void leave_untraced(const struct turn *turn, enum untraced why)
{
    struct handlers *h = turn->worker->shared;

    if (h->untraced == NULL)
        return;
    untraced_remember(h->untraced, turn->id, why);
    drop_kept(h, why, store_take_kept(h->store, turn->id.p, turn->id.n));
}

/* Keep a message for its request. @return whether it is somebody's now, or counted */
static bool keep(struct turn *turn)
{
    struct handlers *h = turn->worker->shared;
    struct kept *kept;
    enum store_result result;

    if (!h->reorder || turn->late || turn->again)
        return false;
    kept = kept_copy(turn->msg);
    if (kept == NULL) {
        count(&h->counters->no_memory, 1);
        return true;
    }
    result = store_keep(h->store, turn->id.p, turn->id.n, kept, turn->msg->recv_mono_ns);
    if (result == STORE_OK)
        return true;
    kept_free(kept);
    if (result == STORE_AGAIN) { /* it came between two looks */
        turn->again = true;
        handle(turn);
        return true;
    }
    if (result != STORE_FULL)
        return false;
    count(&h->counters->reorder_full, 1);
    return true;
}

/* A message whose request is not open: an untraced one's, one that came early, or a stray. */
static void on_unknown_id(struct turn *turn, bool last)
{
    struct handlers *h = turn->worker->shared;
    const enum untraced why =
        h->untraced != NULL ? untraced_find(h->untraced, turn->id, last) : UNTRACED_NOT;

    if (why != UNTRACED_NOT)
        count_untraced(h, why, 1);
    else if (!keep(turn))
        count(&h->counters->unknown_id, 1);
}

/* ---- request ----------------------------------------------------------------------------- */

static void answer(const struct turn *turn, const struct new_context *context)
{
    context_answer(turn->worker->shared, turn->policy, turn->req, context);
}

/* Answer a request, and open nothing: nobody below is to be the child of a span that never is. */
static void refuse(const struct turn *turn, struct new_context *begun)
{
    if (begun->sampled)
        context_pass_on(begun, turn->msg);
    answer(turn, begun);
    leave_untraced(turn, UNTRACED_REFUSED);
}

/* How long HAProxy wants a request to be held, in seconds. */
static int64_t read_hold(const struct spoe_value *value)
{
    int64_t seconds;

    if (!http_get_size(value, &seconds) || seconds > HANDLERS_HOLD_MAX_S)
        return 0;
    return seconds * INT64_C(1000000000);
}

/* The SERVER span of a request. @return NULL: out of memory */
static struct span *make_server(const struct turn *turn, const struct new_context *begun)
{
    const struct spoe_span name =
        fill_name(&turn->policy->conventions, &turn->msg->slot[REQUEST_METHOD]);
    struct span *span = span_create_from(&turn->worker->spans, SPAN_SERVER, &begun->context,
                                         begun->has_parent ? begun->parent.span_id : NULL,
                                         begun->has_parent, 0, name.p, name.n);

    if (span == NULL)
        return NULL;
    span_set_trace_state(span, begun->tracestate, begun->tracestate_len);
    (void)message_fill(turn->policy, turn->msg, span, NULL);
    return span;
}

/*
 * Open a request.
 * @param server  [own]; NULL: it has no span
 */
static void open_request(const struct turn *turn, struct new_context *begun, struct span *server)
{
    struct handlers *h = turn->worker->shared;
    const struct spoe_message *msg = turn->msg;
    const struct store_opening opening = {.server = server,
                                          .context = &begun->context,
                                          .mono_ns = msg->recv_mono_ns,
                                          .unix_ns = msg->recv_unix_ns,
                                          .hold_ns = read_hold(&msg->slot[REQUEST_HOLD])};
    const bool sampled = server != NULL && context_is_sampled(&begun->context);
    struct kept *kept;
    const enum store_result result = store_open(h->store, turn->id.p, turn->id.n, &opening, &kept);

    if (result == STORE_OK) { /* the span is the store's now */
        if (sampled)
            COUNT_OWN(turn->worker, opened);
        else if (server != NULL)
            COUNT_OWN(turn->worker, passed_over);
        answer(turn, begun);
        apply_kept(turn, kept);
        return;
    }
    span_recycle(&turn->worker->spans, server);
    drop_kept(h, UNTRACED_REFUSED, kept);
    if (result == STORE_DUPLICATE) {
        count(&h->counters->duplicate_id, 1);
        return;
    }
    if (result == STORE_NOMEM)
        count(&h->counters->no_memory, 1);
    else if (sampled) /* the export's line about losses tells it */
        count(&h->counters->refused, 1);
    refuse(turn, begun);
}

static void on_request(struct turn *turn)
{
    struct handlers *h = turn->worker->shared;
    const struct spoe_value *path = &turn->msg->slot[REQUEST_PATH];
    struct new_context begun;
    struct span *server;

    if (turn->policy->exclude != NULL && http_is_text(path) &&
        exclude_path(turn->policy->exclude, path->u.s)) {
        count(&h->counters->excluded, 1);
        leave_untraced(turn, UNTRACED_EXCLUDED);
        return;
    }
    context_begin(turn->worker, turn->policy, turn->msg, &begun);
    if (atomic_load_explicit(&h->quiet, memory_order_relaxed)) {
        count(&h->counters->stopping, 1);
        refuse(turn, &begun);
        return;
    }
    if (!begun.record) {
        open_request(turn, &begun, NULL);
        return;
    }
    server = make_server(turn, &begun);
    if (server != NULL) {
        open_request(turn, &begun, server);
        return;
    }
    count(&h->counters->no_memory, 1);
    refuse(turn, &begun);
}

/* ---- response ---------------------------------------------------------------------------- */

/*
 * Whether a response that finds no CLIENT span is to wait for the backend's message: it names a
 * server, so there was one, if HAProxy sends them.
 */
static bool waits_for_backend(const struct turn *turn)
{
    struct handlers *h = turn->worker->shared;
    const struct spoe_value *server = &turn->msg->slot[RESPONSE_SERVER_NAME];

    return h->reorder && !turn->again && http_is_text(server) && server->u.s.n > 0 &&
           atomic_load_explicit(&h->_backends_come, memory_order_relaxed);
}

static void on_response(struct turn *turn)
{
    struct handlers *h = turn->worker->shared;
    struct store_request request;
    enum store_result result =
        store_take(h->store, turn->id.p, turn->id.n, waits_for_backend(turn), &request);

    if (result == STORE_WAIT) {
        struct kept *kept = kept_copy(turn->msg);

        if (kept != NULL &&
            store_keep(h->store, turn->id.p, turn->id.n, kept, turn->msg->recv_mono_ns) == STORE_OK)
            return;
        kept_free(kept);
        turn->again = true;
        result = store_take(h->store, turn->id.p, turn->id.n, false, &request);
    }
    if (result == STORE_OK)
        ending_by_response(turn->worker, turn->msg, &request);
    else if (result == STORE_LATE)
        ending_late(turn->worker, turn->msg, &request);
    else
        on_unknown_id(turn, true);
}

/* ---- backend request --------------------------------------------------------------------- */

/* The response was here before the backend's message. */
static void end_with_kept(const struct turn *turn)
{
    struct store_request request;
    const struct spoe_message *response;

    if (store_take(turn->worker->shared->store, turn->id.p, turn->id.n, false, &request) !=
        STORE_OK)
        return; /* another response took it, or its time was over */
    count(&turn->worker->shared->counters->reordered, 1);
    response = kept_find(request.kept, MESSAGE_RESPONSE);
    if (response != NULL)
        ending_by_response(turn->worker, response, &request);
    else /* another request with this id is in the place of the first */
        ending_without_response(turn->worker, &request, false);
}

static void on_attached(struct turn *turn, const struct store_attached *attached)
{
    struct handlers *h = turn->worker->shared;

    COUNT_OWN(turn->worker, attached);
    if (!atomic_load_explicit(&h->_backends_come, memory_order_relaxed))
        atomic_store_explicit(&h->_backends_come, true, memory_order_relaxed);
    if (!turn->late)
        context_answer_child(h, turn->policy, turn->req, &attached->context);
    if (attached->response_waits)
        end_with_kept(turn);
}

static void on_backend(struct turn *turn)
{
    struct handlers_worker *worker = turn->worker;
    struct handlers *h = worker->shared;
    const struct spoe_message *msg = turn->msg;
    const struct spoe_span name = fill_name(&turn->policy->conventions, &msg->slot[BACKEND_METHOD]);
    struct trace_context context = {.flags = 0};
    struct store_attached attached;
    struct span *span;

    if (store_unsampled(h->store, turn->id.p, turn->id.n, &context)) {
        id_span(&worker->ids, context.span_id);
        if (!turn->late)
            context_answer_child(h, turn->policy, turn->req, &context);
        return;
    }
    id_span(&worker->ids, context.span_id); /* the rest comes from the SERVER span */
    span = span_create_from(&worker->spans, SPAN_CLIENT, &context, NULL, false, 0, name.p, name.n);
    if (span == NULL) {
        count(&h->counters->no_memory, 1);
        return;
    }
    (void)message_fill(turn->policy, msg, NULL, span);

    switch (store_attach(h->store, turn->id.p, turn->id.n, span, msg->recv_mono_ns,
                         turn->policy->hold_ns, &attached)) {
    case STORE_OK:
        on_attached(turn, &attached);
        return; /* the span is the store's now */
    case STORE_DUPLICATE:
        count(&h->counters->duplicate_backend, 1);
        break;
    case STORE_LATE:
        count(&h->counters->late_backend, 1);
        break;
    case STORE_FULL: /* the SERVER span's context, which HAProxy has, goes on */
        count(&h->counters->refused_client, 1);
        break;
    default:
        on_unknown_id(turn, false);
        break;
    }
    span_recycle(&worker->spans, span);
}

/* ---- all of them ------------------------------------------------------------------------- */

static void handle(struct turn *turn)
{
    switch (turn->msg->index) {
    case MESSAGE_REQUEST:
        on_request(turn);
        break;
    case MESSAGE_BACKEND:
        on_backend(turn);
        break;
    default:
        on_response(turn);
        break;
    }
}

spoe_status handlers_handle(struct handlers_worker *worker, struct spoe_request *req,
                            const struct spoe_message *msg)
{
    struct turn turn = {
        .worker = worker, .policy = handlers_policy(worker->shared), .req = req, .msg = msg};

    switch (msg->index) {
    case MESSAGE_REQUEST:
        assert(msg->n_slots == REQUEST_SLOTS);
        COUNT_OWN(worker, requests);
        break;
    case MESSAGE_BACKEND:
        assert(msg->n_slots == BACKEND_SLOTS);
        COUNT_OWN(worker, backends);
        break;
    case MESSAGE_RESPONSE:
        assert(msg->n_slots == RESPONSE_SLOTS);
        COUNT_OWN(worker, responses);
        break;
    case MESSAGE_LOG:
        assert(msg->n_slots == LOG_SLOTS);
        COUNT_OWN(worker, lines);
        log_line_handle(worker, turn.policy, msg);
        return SPOE_OK;
    default:
        return SPOE_E_INVAL;
    }
    turn.id = unique_id(worker->shared, msg);
    if (turn.id.n > 0)
        handle(&turn);
    return SPOE_OK;
}

bool handlers_expire(struct handlers_worker *worker, int64_t now_mono_ns)
{
    struct handlers *h = worker->shared;
    struct store_request request;
    const struct spoe_message *response;

    if (!store_expire(h->store, now_mono_ns, &request))
        return false;
    if (request.never_opened) {
        for (const struct kept *kept = request.kept; kept != NULL; kept = kept->next)
            count(&h->counters->unknown_id, 1);
        kept_free(request.kept);
        return true;
    }
    response = kept_find(request.kept, MESSAGE_RESPONSE);
    if (response != NULL) /* it waited for a backend message that did not come */
        ending_by_response(worker, response, &request);
    else
        ending_without_response(worker, &request, now_mono_ns == INT64_MAX);
    return true;
}
