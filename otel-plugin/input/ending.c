/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/ending.c - spans get their end and go into the queue. */
#include "input/ending.h"

#include <assert.h>
#include <string.h>

#include <spoe/util.h>

#include "input/log_line.h"
#include "input/logging.h"
#include "input/message_fill.h"
#include "input/metering.h"
#include "input/messages.h"
#include "input/recent.h"

/* What marks spans that the sampler passed over and that were exported all the same; its values. */
#define ATTR_KEPT "haproxy.sampling.kept"
#define KEPT_ERROR "error"
#define KEPT_SLOW "slow"

void ending_free(struct handlers_worker *worker, struct store_request *request)
{
    span_recycle(&worker->spans, request->client);
    span_recycle(&worker->spans, request->server);
    kept_free(request->kept);
    request->client = request->server = NULL;
    request->kept = NULL;
}

/* A request's spans are complete. @param spans  [borrow] linked, the first may be CLIENT */
void ending_hand_over(struct handlers_worker *worker, struct store_request *request,
                      struct span *spans)
{
    if (!worker->waits) {
        sink_push(worker->shared->sink, worker->writer, spans);
        return;
    }
    assert(worker->held == NULL);
    worker->held = spans;
    request->client = request->server = NULL;
    (void)ending_held(worker);
}

static void free_held(struct handlers_worker *worker)
{
    while (worker->held != NULL) {
        struct span *span = worker->held;

        worker->held = span->next;
        span_recycle(&worker->spans, span);
    }
}

bool ending_held(struct handlers_worker *worker)
{
    if (worker->held == NULL)
        return true;
    if (!sink_offer(worker->shared->sink, worker->writer, worker->held))
        return false;
    free_held(worker);
    return true;
}

void ending_give_up(struct handlers_worker *worker)
{
    worker->waits = false;
    for (const struct span *span = worker->held; span != NULL; span = span->next)
        count(&worker->shared->counters->still_open, 1);
    free_held(worker);
}

/* Spans of a request that was passed over, made to be kept. */
void ending_count_unsampled(struct handlers *h, const struct store_request *request)
{
    if (request->server != NULL)
        count(&h->counters->unsampled_spans, request->client != NULL ? 2 : 1);
}

/* ---- by its response ---------------------------------------------------------------------- */

bool ending_may_keep(const struct policy *policy)
{
    return policy->keep_errors || policy->keep_slower_ns > 0;
}

enum kept_for ending_kept_for(const struct policy *policy, bool is_error, int64_t duration_ns)
{
    if (policy->keep_errors && is_error)
        return KEPT_FOR_ERROR;
    if (policy->keep_slower_ns > 0 && duration_ns > policy->keep_slower_ns)
        return KEPT_FOR_TIME;
    return KEPT_FOR_NOTHING;
}

void ending_mark_kept(struct handlers *h, enum kept_for why, struct span *server,
                      struct span *client)
{
    const char *value = why == KEPT_FOR_ERROR ? KEPT_ERROR : KEPT_SLOW;

    span_set_str(server, ATTR_KEPT, sizeof ATTR_KEPT - 1, value, strlen(value));
    if (client != NULL)
        span_set_str(client, ATTR_KEPT, sizeof ATTR_KEPT - 1, value, strlen(value));
    count(why == KEPT_FOR_ERROR ? &h->counters->kept_errors : &h->counters->kept_slow, 1);
}

/* Where HAProxy does not say when the response was there. */
static int64_t received_unix_ns(const struct store_request *request,
                                const struct spoe_message *response)
{
    const bool behind =
        response->recv_mono_ns < request->last_mono_ns; /* another worker's message */

    return store_unix_ns(request, behind ? request->last_mono_ns : response->recv_mono_ns);
}

/* A response that ends its request counts it; where a line is to come that does. */
static void meter(struct handlers_worker *worker, const struct spoe_message *response,
                  const struct store_request *request, int64_t end_unix_ns)
{
    if (!request->logged)
        metering_response(worker, request, response, end_unix_ns);
}

/* Complete a request's spans. @return them, linked */
static struct span *complete(struct handlers_worker *worker, const struct policy *policy,
                             const struct spoe_message *msg, const struct store_request *request)
{
    struct span *const server = request->server, *const client = request->client;
    int64_t end;

    assert(worker->held == NULL); /* who would have the rooms */
    span_use_room(server, &worker->server_room);
    if (client != NULL)
        span_use_room(client, &worker->client_room);
    end = message_fill(policy, msg, server, client);
    if (end == 0)
        end = received_unix_ns(request, msg);
    if (client != NULL) {
        fill_complete_client(&policy->conventions, server, client);
        fill_full_url(&policy->conventions, client);
        span_end(client, end);
        if (end < client->end_unix_ns)
            end = client->end_unix_ns; /* CLIENT stays inside SERVER */
        client->next = server;
    }
    span_end(server, end);
    meter(worker, msg, request, server->end_unix_ns);
    if (!request->logged) /* else the line tells more */
        logging_request(worker, server, client, NULL, msg->recv_unix_ns);
    return client != NULL ? client : server;
}

/* To whoever looks at requests. Where a line is to come that does. */
static void show(struct handlers_worker *worker, const struct store_request *request, bool exported)
{
    if (!request->logged)
        recent_request(worker->shared, request->server, request->client, exported, false);
}

/* A request that the sampler passed over: its spans go nowhere, unless they are kept. */
static void end_unsampled(struct handlers_worker *worker, const struct policy *policy,
                          const struct spoe_message *response, struct store_request *request)
{
    const struct span *const server = request->server;
    const int64_t received = received_unix_ns(request, response);
    enum kept_for why = KEPT_FOR_NOTHING;
    struct span *spans;
    bool is_error;
    int64_t code;

    is_error = spoe_get_int(&response->slot[RESPONSE_STATUS], &code) && code >= 500 && code <= 599;
    if (server !=
        NULL) /* what HAProxy says of the end is never later; it costs filling the spans */
        why = ending_kept_for(policy, is_error, received - server->start_unix_ns);
    if (server == NULL || (why == KEPT_FOR_NOTHING && !logging_or_recent(worker))) {
        meter(worker, response, request, received);
        ending_count_unsampled(worker->shared, request);
        return;
    }
    spans = complete(worker, policy, response, request);
    why = ending_kept_for(policy, is_error, server->end_unix_ns - server->start_unix_ns);
    if (why != KEPT_FOR_NOTHING)
        ending_mark_kept(worker->shared, why, request->server, request->client);
    show(worker, request, why != KEPT_FOR_NOTHING);
    if (why == KEPT_FOR_NOTHING) {
        ending_count_unsampled(worker->shared, request);
        return;
    }
    ending_hand_over(worker, request, spans);
}

void ending_by_response(struct handlers_worker *worker, const struct spoe_message *response,
                        struct store_request *request)
{
    const struct policy *policy = handlers_policy(worker->shared);

    if (ending_is_sampled(request)) {
        struct span *spans = complete(worker, policy, response, request);

        COUNT_OWN(worker, ended);
        show(worker, request, true);
        ending_hand_over(worker, request, spans);
    } else {
        end_unsampled(worker, policy, response, request);
    }
    ending_free(worker, request);
}

/* ---- without one -------------------------------------------------------------------------- */

static void mark(const struct store_request *request, struct span *span, int64_t end_unix_ns)
{
    span_set_bool(span, ATTR_INCOMPLETE, sizeof ATTR_INCOMPLETE - 1, true);
    span_end(span, end_unix_ns);
    if (!request->answered) /* else it is the line that did not come */
        span_add_event(span, EVENT_NO_RESPONSE, span->end_unix_ns);
}

/* End a request at the last moment that is known of it. @return its spans, linked */
static struct span *end_incomplete(const struct policy *policy, const struct store_request *request)
{
    int64_t end = store_unix_ns(request, request->last_mono_ns);

    if (request->client == NULL) {
        mark(request, request->server, end);
        return request->server;
    }
    fill_complete_client(&policy->conventions, request->server, request->client);
    mark(request, request->client, end);
    if (end < request->client->end_unix_ns)
        end = request->client->end_unix_ns; /* CLIENT stays inside SERVER */
    mark(request, request->server, end);
    request->client->next = request->server;
    return request->client;
}

/*
 * The shutdown leaves a request to its line, of which the next process makes the spans: to export
 * them here as well would have them twice.
 */
static void leave_to_line(struct handlers *h, const struct store_request *request)
{
    count(&h->counters->left_to_line, 1);
    count(&h->counters->superseded, request->client != NULL ? 2 : 1);
}

void ending_without_response(struct handlers_worker *worker, struct store_request *request,
                             bool at_stop)
{
    struct handlers *h = worker->shared;

    if (at_stop && request->logged && ending_is_sampled(request)) {
        leave_to_line(h, request);
    } else if (ending_is_sampled(request)) { /* else whether it ended in an error is not known */
        struct span *spans = end_incomplete(handlers_policy(h), request);

        logging_request(worker, request->server, request->client, NULL,
                        request->server->end_unix_ns);
        recent_request(h, request->server, request->client, true, true);
        ending_hand_over(worker, request, spans);
        count(at_stop ? &h->counters->ended_at_stop : &h->counters->evicted, 1);
        if (request->logged)
            count(&h->counters->without_line, 1);
    } else {
        ending_count_unsampled(h, request);
    }
    if (request->forgot)
        count(&h->counters->late_forgotten, 1);
    ending_free(worker, request);
}

/* ---- by one that is late ------------------------------------------------------------------ */

void ending_late(struct handlers_worker *worker, const struct spoe_message *msg,
                 struct store_request *request)
{
    struct handlers *h = worker->shared;
    const struct policy *policy = handlers_policy(h);
    struct trace_context context = request->context;
    struct span *span;

    if (msg->index == MESSAGE_RESPONSE)
        meter(worker, msg, request, store_unix_ns(request, msg->recv_mono_ns));
    if (!context_is_sampled(&context))
        return; /* there is no span that this one could be the child of */
    id_span(&worker->ids, context.span_id);
    span = span_create_from(&worker->spans, SPAN_INTERNAL, &context, request->context.span_id,
                            false, store_unix_ns(request, request->evicted_mono_ns), LATE_RESPONSE,
                            sizeof LATE_RESPONSE - 1);
    if (span == NULL) {
        count(&h->counters->no_memory, 1);
        return;
    }
    if (msg->index == MESSAGE_LOG)
        log_line_fill_late(policy, msg, span);
    else
        message_fill_late(policy, msg, span);
    span_end(span, store_unix_ns(request, msg->recv_mono_ns));
    count(&h->counters->late, 1);
    sink_push(h->sink, worker->writer, span);
    span_recycle(&worker->spans, span);
}
