/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/handlers.c - the life of a request's spans; message_fill.c fills them,
 * ending.c hands them over.
 */
#include "input/handlers.h"

#include <assert.h>
#include <string.h>

#include <spoe/util.h>

#include "input/ending.h"
#include "input/log_line.h"
#include "input/message_fill.h"
#include "input/metering.h"
#include "input/messages.h"
#include "record/http_parts.h"

#define NS_PER_S INT64_C(1000000000)
/* What is due is ended within this time; and a DUE is cut to seconds. */
#define DUE_MARGIN_NS (2 * NS_PER_S)

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

/* The unique-id, or an empty span. A line goes without, and is not ignored. */
static struct spoe_span unique_id(struct handlers *h, const struct spoe_message *msg)
{
    static const uint8_t slots[] = {[MESSAGE_REQUEST] = REQUEST_UNIQUE_ID,
                                    [MESSAGE_BACKEND] = BACKEND_UNIQUE_ID,
                                    [MESSAGE_RESPONSE] = RESPONSE_UNIQUE_ID,
                                    [MESSAGE_LOG] = LOG_UNIQUE_ID};
    const struct spoe_value *value = &msg->slot[slots[msg->index]];
    const struct spoe_span none = {NULL, 0};

    if (!http_is_text(value) || value->u.s.n == 0) {
        if (msg->index != MESSAGE_LOG)
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
    struct log_line *line; /* of a line, what it tells */
    struct mark mark;      /* and brings back; */
    bool marked;           /* if it does */
    struct spoe_span id;
    bool late;  /* it waited for its request, and was answered long ago */
    bool again; /* it was not kept, since its request came meanwhile */
};

static void handle(struct turn *turn);
static void handle_kept(const struct turn *turn);

/* ---- messages that do not find their request ---------------------------------------------- */

/* Apply messages that waited for a request, in the order in which they should have come. */
static void apply_kept(const struct turn *turn, struct kept *list)
{
    static const uint32_t order[] = {MESSAGE_BACKEND, MESSAGE_RESPONSE, MESSAGE_LOG};

    for (size_t i = 0; list != NULL && i < sizeof order / sizeof order[0]; i++) {
        const struct spoe_message *msg = kept_find(list, order[i]);
        struct turn its = *turn;

        if (msg == NULL)
            continue;
        count(&turn->worker->shared->counters->reordered, 1);
        its.msg = msg;
        its.late = true;
        handle_kept(&its);
    }
    kept_free(list);
}

static bool is_excluded(const struct policy *policy, struct spoe_span path)
{
    return policy->exclude != NULL && path.n > 0 && exclude_path(policy->exclude, path);
}

/* A line that ends no request counts one all the same. */
static void meter_line(struct handlers_worker *worker, const struct policy *policy,
                       const struct log_line *line, const struct store_begun *told)
{
    if (!is_excluded(policy, line->record.path))
        metering_record(worker, policy, &line->record, told);
}

static void count_untraced(struct handlers *h, enum untraced why, uint64_t n)
{
    count(why == UNTRACED_EXCLUDED ? &h->counters->excluded_later : &h->counters->refused_later, n);
}

/* A message of a request that opens nothing. */
static void on_untraced(const struct turn *turn, enum untraced why, const struct spoe_message *msg)
{
    struct log_line line;

    count_untraced(turn->worker->shared, why, 1);
    if (msg->index != MESSAGE_LOG || why == UNTRACED_EXCLUDED)
        return;
    log_read(msg, &line);
    meter_line(turn->worker, turn->policy, &line, NULL);
}

/* Messages of a request that opens nothing, which came before it. @param kept  [own] */
static void drop_kept(const struct turn *turn, enum untraced why, struct kept *kept)
{
    for (const struct kept *one = kept; one != NULL; one = one->next)
        on_untraced(turn, why, &one->msg);
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
    drop_kept(turn, why, store_take_kept(h->store, turn->id.p, turn->id.n));
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

/* A message that is nobody's. */
static void count_stray(struct handlers_worker *worker, const struct policy *policy,
                        const struct spoe_message *msg)
{
    struct handlers *h = worker->shared;
    struct log_line line;

    if (msg->index == MESSAGE_LOG) {
        log_read(msg, &line);
        meter_line(worker, policy, &line, NULL);
    }
    count(msg->index == MESSAGE_LOG ? &h->counters->lines_without_context
                                    : &h->counters->unknown_id,
          1);
}

/* A message whose request is not open: an untraced one's, one that came early, or a stray. */
static void on_unknown_id(struct turn *turn, bool last)
{
    struct handlers *h = turn->worker->shared;
    enum untraced why =
        h->untraced != NULL ? untraced_find(h->untraced, turn->id, last) : UNTRACED_NOT;

    /* A line tells its path, and an id may be forgotten: by a restart, for one. */
    if (why == UNTRACED_NOT && turn->line != NULL &&
        is_excluded(turn->policy, turn->line->record.path))
        why = UNTRACED_EXCLUDED;
    if (why != UNTRACED_NOT)
        on_untraced(turn, why, turn->msg);
    else if (!keep(turn))
        count_stray(turn->worker, turn->policy, turn->msg);
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
    return seconds * NS_PER_S;
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

/* When a request ends without its line: not before that. */
static uint32_t due_s(const struct turn *turn, const struct store_opening *opening)
{
    const int64_t hold_ns =
        opening->hold_ns > turn->policy->hold_ns ? opening->hold_ns : turn->policy->hold_ns;
    const int64_t due_ns =
        opening->unix_ns + store_lifetime_ns(turn->worker->shared->store, hold_ns);

    return (uint32_t)(due_ns / NS_PER_S);
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
                                          .hold_ns = read_hold(&msg->slot[REQUEST_HOLD]),
                                          .logged = begun->logged != LOGGED_NOT,
                                          .begun = metering_begin(turn->worker, turn->policy, msg)};
    const bool sampled = server != NULL && context_is_sampled(&begun->context);
    struct kept *kept;
    const enum store_result result = store_open(h->store, turn->id.p, turn->id.n, &opening, &kept);

    begun->due_s = due_s(turn, &opening);
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
    drop_kept(turn, UNTRACED_REFUSED, kept);
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

    if (http_is_text(path) && is_excluded(turn->policy, path->u.s)) {
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
    if (!begun.record || begun.logged == LOGGED_ANY) {
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

/* ---- response and line ------------------------------------------------------------------- */

/*
 * Whether what ends a request and finds no CLIENT span is to wait for the backend's message: it
 * names a server, so there was one, if HAProxy sends them.
 */
static bool waits_for_backend(const struct turn *turn)
{
    struct handlers *h = turn->worker->shared;
    const struct spoe_value *server = &turn->msg->slot[RESPONSE_SERVER_NAME];

    if (!h->reorder || turn->again ||
        !atomic_load_explicit(&h->_backends_come, memory_order_relaxed))
        return false;
    if (turn->msg->index == MESSAGE_LOG)
        return turn->line->record.tried;
    return http_is_text(server) && server->u.s.n > 0;
}

static enum store_result take_now(const struct turn *turn, bool wait, struct store_request *ret)
{
    struct store *store = turn->worker->shared->store;

    if (turn->msg->index != MESSAGE_LOG)
        return store_take(store, turn->id.p, turn->id.n, wait, ret);
    return store_take_by_line(store, turn->id.p, turn->id.n, wait,
                              turn->marked ? turn->mark.server_id : NULL, ret);
}

/* Take out the request that a message ends. @return STORE_WAIT: the message waits with it */
static enum store_result take(struct turn *turn, struct store_request *ret)
{
    const enum store_result result = take_now(turn, waits_for_backend(turn), ret);
    struct kept *kept;

    if (result != STORE_WAIT)
        return result;
    kept = kept_copy(turn->msg);
    if (kept != NULL && store_keep(turn->worker->shared->store, turn->id.p, turn->id.n, kept,
                                   turn->msg->recv_mono_ns) == STORE_OK)
        return STORE_WAIT;
    kept_free(kept);
    turn->again = true;
    return take_now(turn, false, ret);
}

/* A response of a request that its line will end. */
static void fill_response(void *arg, struct span *server, struct span *client)
{
    const struct turn *turn = arg;

    (void)message_fill(turn->policy, turn->msg, server, client);
}

static void on_response(struct turn *turn)
{
    struct handlers *h = turn->worker->shared;
    struct store_request request;

    switch (take(turn, &request)) {
    case STORE_OK:
        ending_by_response(turn->worker, turn->msg, &request);
        break;
    case STORE_LATE:
        ending_late(turn->worker, turn->msg, &request);
        break;
    case STORE_LOGGED: /* the line may have taken it meanwhile, and knows better */
        if (store_update(h->store, turn->id.p, turn->id.n, turn->msg->recv_mono_ns, fill_response,
                         turn) == STORE_FULL)
            count(&h->counters->refused_response, 1);
        break;
    case STORE_WAIT:
        break;
    default: /* a line may follow */
        on_unknown_id(turn, !atomic_load_explicit(&h->_lines_come, memory_order_relaxed));
        break;
    }
}

/*
 * One whose request was ended without it counts it; one of a request that is forgotten may be here
 * for the second time.
 * @param request  NULL: it is forgotten
 */
static void on_late_line(struct turn *turn, struct store_request *request)
{
    if (request == NULL) {
        count(&turn->worker->shared->counters->lines_late, 1);
        return;
    }
    meter_line(turn->worker, turn->policy, turn->line, &request->begun);
    ending_late(turn->worker, turn->msg, request);
}

/*
 * The line of a request that another process opened makes its spans; but for one that lasted longer
 * than that process waited, and was ended there before this one began: its spans are exported.
 */
static void on_line_of_another(struct turn *turn)
{
    const int64_t due_ns = turn->mark.due_s * NS_PER_S,
                  began_ns = turn->msg->recv_mono_ns - (turn->msg->recv_unix_ns - due_ns);
    struct log_line *line = turn->line;
    struct store_request request = {
        .opened_unix_ns = due_ns, .opened_mono_ns = began_ns, .evicted_mono_ns = began_ns};

    if (!mark_has_process(&turn->mark) || due_ns == 0 ||
        line->record.end_unix_ns <= due_ns + DUE_MARGIN_NS ||
        turn->worker->shared->started_unix_ns <= due_ns + DUE_MARGIN_NS ||
        !log_read_context(line, &turn->worker->ids) || !line->record.sampled) {
        log_line_handle(turn->worker, turn->policy, line);
        return;
    }
    request.context = line->server;
    on_late_line(turn, &request);
}

/* Whether the process that keeps spans for a line is this one. */
static bool is_ours(const struct turn *turn)
{
    return turn->marked && memcmp(turn->mark.process, turn->worker->shared->process,
                                  sizeof turn->mark.process) == 0;
}

/*
 * A line without an id, which only joins: its spans are made of it, unless messages opened some
 * here. Those end by span-ttl, since nobody can tell which they are.
 */
static void on_line_alone(struct turn *turn)
{
    if (is_ours(turn)) {
        count(&turn->worker->shared->counters->lines_late, 1);
        meter_line(turn->worker, turn->policy, turn->line, NULL);
    } else if (turn->marked) {
        on_line_of_another(turn);
    } else {
        log_line_handle(turn->worker, turn->policy, turn->line);
    }
}

/*
 * A line ends its request. One whose request is not open was here before it, or was ended without
 * it, or belongs to a request that another process opened: then its spans are made of it.
 */
static void on_line(struct turn *turn)
{
    struct handlers *h = turn->worker->shared;
    const bool ours = is_ours(turn);
    struct store_request request;
    const enum store_result result = take(turn, &request);

    if (!atomic_load_explicit(&h->_lines_come, memory_order_relaxed))
        atomic_store_explicit(&h->_lines_come, true, memory_order_relaxed);
    if (result == STORE_WAIT)
        return;
    if (result == STORE_OK) {
        if (kept_find(request.kept, MESSAGE_LOG) != NULL) /* one that waited: of two, one counts */
            count(&h->counters->lines_late, 1);
        log_line_end(turn->worker, turn->policy, turn->line, &request);
    } else if (turn->marked && !ours)
        on_line_of_another(turn);
    else if (result == STORE_OTHER && !ours) /* which was not answered: nothing waits for it */
        count_stray(turn->worker, turn->policy, turn->msg);
    else if (result != STORE_LATE && !ours)
        on_unknown_id(turn, true);
    else
        on_late_line(turn, result == STORE_LATE ? &request : NULL);
}

/* ---- backend request --------------------------------------------------------------------- */

/* By the response or the line that waited for the backend's message. @return false: there is none
 */
static bool end_by_kept(struct handlers_worker *worker, const struct policy *policy,
                        struct store_request *request)
{
    const struct spoe_message *line = kept_find(request->kept, MESSAGE_LOG);
    const struct spoe_message *response = kept_find(request->kept, MESSAGE_RESPONSE);
    struct log_line read;

    if (line != NULL) {
        log_read(line, &read);
        log_line_end(worker, policy, &read, request);
    } else if (response != NULL) {
        ending_by_response(worker, response, request);
    }
    return line != NULL || response != NULL;
}

/* The response was here before the backend's message. */
static void end_with_kept(const struct turn *turn)
{
    struct store_request request;

    if (store_take_attached(turn->worker->shared->store, turn->id.p, turn->id.n, &request) !=
        STORE_OK)
        return; /* another response took it, or its time was over */
    count(&turn->worker->shared->counters->reordered, 1);
    if (!end_by_kept(turn->worker, turn->policy, &request))
        /* another request with this id is in the place of the first */
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

    if (store_unsampled(h->store, turn->id.p, turn->id.n, msg->recv_mono_ns, &context)) {
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
    case MESSAGE_RESPONSE:
        on_response(turn);
        break;
    default:
        on_line(turn);
        break;
    }
}

/* What a line tells. @param line  where it goes */
static void read_line(struct turn *turn, struct log_line *line)
{
    log_read(turn->msg, line);
    turn->line = line;
    turn->marked = mark_read(&turn->msg->slot[LOG_MARK], &turn->mark);
}

/* One that waited. */
static void handle_kept(const struct turn *turn)
{
    struct turn its = *turn;
    struct log_line line;

    if (its.msg->index == MESSAGE_LOG)
        read_line(&its, &line);
    handle(&its);
}

spoe_status handlers_handle(struct handlers_worker *worker, struct spoe_request *req,
                            const struct spoe_message *msg)
{
    struct log_line line;
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
        read_line(&turn, &line);
        if (!log_is_request(&line)) {
            log_line_handle(worker, turn.policy, &line);
            return SPOE_OK;
        }
        break;
    default:
        return SPOE_E_INVAL;
    }
    turn.id = unique_id(worker->shared, msg);
    if (turn.id.n > 0)
        handle(&turn);
    else if (turn.line != NULL)
        on_line_alone(&turn);
    return SPOE_OK;
}

bool handlers_expire(struct handlers_worker *worker, int64_t now_mono_ns)
{
    struct handlers *h = worker->shared;
    struct store_request request;

    if (!store_expire(h->store, now_mono_ns, &request))
        return false;
    if (request.never_opened) {
        for (const struct kept *kept = request.kept; kept != NULL; kept = kept->next)
            count_stray(worker, handlers_policy(h), &kept->msg);
        kept_free(request.kept);
        return true;
    }
    /* Perhaps one waited for a backend message that did not come. */
    if (!end_by_kept(worker, handlers_policy(h), &request))
        ending_without_response(worker, &request, now_mono_ns == INT64_MAX);
    return true;
}
