/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/evict.c - requests without a response. */
#include "input/evict.h"

#include "input/arguments.h"

/* Requests that expire within this time are ended together; also the pause while there is no room.
 */
#define STEP_NS INT64_C(100000000)
#define DRAIN_STEP_NS INT64_C(10000000)

static void mark(struct span *span, int64_t end_unix_ns)
{
    span_set_bool(span, ATTR_INCOMPLETE, sizeof ATTR_INCOMPLETE - 1, true);
    span_end(span, end_unix_ns);
    span_add_event(span, EVENT_NO_RESPONSE, span->end_unix_ns);
}

/* End a request at the last moment that is known of it. @return its spans, linked */
static struct span *end_incomplete(const struct store_request *request)
{
    int64_t end = request->last_unix_ns;

    request->server->next = NULL;
    if (request->client == NULL) {
        mark(request->server, end);
        return request->server;
    }
    arguments_complete_client(request->server, request->client);
    mark(request->client, end);
    if (end < request->client->end_unix_ns)
        end = request->client->end_unix_ns; /* the clock was set back: CLIENT stays inside */
    mark(request->server, end);
    request->client->next = request->server;
    return request->client;
}

static bool is_sampled(const struct store_request *request)
{
    return request->server != NULL && (request->server->context.flags & TRACE_FLAG_SAMPLED) != 0;
}

int64_t evictor_run(struct evictor *evictor, int64_t now_mono_ns)
{
    const int draining = atomic_load(&evictor->draining);
    struct counters *counters = evictor->sink->counters;
    struct store_request request;
    int64_t next;
    bool left;

    while (store_expire(evictor->store, draining ? INT64_MAX : now_mono_ns,
                        span_queue_room(evictor->sink->queue), &request, &left)) {
        if (is_sampled(&request)) { /* else whether it ended in an error is not known */
            sink_push(evictor->sink, evictor->writer, end_incomplete(&request));
            count(draining ? &counters->ended_at_stop : &counters->evicted, 1);
        } else if (request.server != NULL) {
            count(&counters->unsampled_spans, request.client != NULL ? 2 : 1);
        }
        span_destroy(request.client);
        span_destroy(request.server);
    }

    if (draining)
        return left ? now_mono_ns + DRAIN_STEP_NS : INT64_MAX;
    next = left ? now_mono_ns : store_next_expiry(evictor->store);
    if (next > now_mono_ns + evictor->ttl_ns)
        next = now_mono_ns + evictor->ttl_ns; /* nothing is open: what opens now expires then */
    return next < now_mono_ns + STEP_NS ? now_mono_ns + STEP_NS : next;
}

int64_t evictor_refill(void *arg)
{
    struct evictor *evictor = arg;

    return evictor_run(evictor, evictor->now_mono_ns());
}
