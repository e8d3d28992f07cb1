/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/dispatch.c - frame -> message -> plugin, for one worker; no I/O. */
#include "core/dispatch.h"

#include <assert.h>

#include "base/clock.h"
#include "base/thread.h"
#include "core/arguments.h"
#include "core/handler_log.h"
#include "core/texts.h"
#include "spop/wire.h"

/* So many handlers at most between two looks at the clock. */
#define UNTIMED_MAX 16u

/* Frames were read: that is a look at the clock, too. */
static void set_clock(struct spoe_worker *worker, const struct dispatch_input *input)
{
    if (input->mono_ns <= worker->clock_ns)
        return;
    worker->clock_ns = input->mono_ns;
    worker->n_untimed = 0;
}

/*
 * Whether a handler that returned may have been slow, so that the clock is to be looked at. A slow
 * one is never missed: it lasts longer than a tick of the coarse clock, which stands at a time
 * before the last look until it ticks.
 */
static bool may_be_slow(struct spoe_worker *worker, int64_t slow_ns)
{
    if (slow_ns <= 0)
        return false;
    return slow_ns < worker->tick_ns || clock_mono_coarse_ns() > worker->clock_ns ||
           ++worker->n_untimed >= UNTIMED_MAX;
}

/*
 * handle(), timed now and then for the histogram: each message has a count of its own, so that
 * messages which take turns are all sampled alike. The slow ones are found roughly: from the last
 * look at the clock, when the frame was read or after a handler before. There are fewer than
 * UNTIMED_MAX between, all within one tick of the kernel's.
 */
static spoe_status handle(struct spoe_worker *worker, struct request *request)
{
    const struct spoe_instance *plugin = request->target->plugin;
    struct spoe_metric *seconds = request->target->seconds;
    struct target_counters *counters = request_counters(request);
    bool timed =
        seconds != NULL &&
        atomic_load_explicit(&counters->messages, memory_order_relaxed) % HANDLER_SAMPLE == 0;
    const int64_t slow_ns = worker->shared->conf->slow_handle_ns;
    int64_t begin_ns = timed ? clock_mono_ns() : worker->clock_ns;
    spoe_status status;

    thread_enter(&plugin->callee, "handle()");
    request_in_hand = (struct request_in_hand){request_handle(request), request};
    status = plugin->desc->handle(worker->wctx[plugin->index], request_in_hand.handle,
                                  &request->message);
    request_in_hand.handle = NULL;
    thread_leave();
    if (may_be_slow(worker, slow_ns) || timed) {
        worker->clock_ns = clock_mono_ns();
        worker->n_untimed = 0;
        if (timed)
            metric_observe(seconds, (double)(worker->clock_ns - begin_ns) / 1e9);
        if (slow_ns > 0 && worker->clock_ns - begin_ns > slow_ns)
            handler_was_slow(request, worker->clock_ns - begin_ns);
    }
    COUNT(counters, messages);
    return status;
}

/* Call the plugin. @return 1 if the request is pending, else 0 */
static int call_handler(struct spoe_worker *worker, struct request *request)
{
    spoe_status status = handle(worker, request);

    if (status != SPOE_PENDING) {
        if (request_finish(request)) {
            request->in_ack = status == SPOE_OK;
            if (status != SPOE_OK) {
                handler_failed(request, "handle() returned", status);
                exchange_drop_actions(request);
            }
            return 0;
        }
        /* It called complete() and then did not say PENDING: the completion is on its way. */
        handler_contradicts(request, status);
    }
    request->pending = true;
    request->waited = true;
    request->exchange->n_waited++;
    request->exchange->outstanding++;
    worker->n_outstanding++;
    COUNT_ADD(worker, in_flight[request->target->plugin->index], 1);
    request->has_place = true;
    worker->n_places++;
    (void)atomic_fetch_add(&worker->shared->n_pending, 1);
    COUNT(&worker->counters, pending);
    COUNT(request_counters(request), pending);
    return 1;
}

/* Take a request for one target of a message and put it at the end of the exchange. */
static struct request *begin(struct spoe_worker *worker, struct exchange *exchange,
                             const struct route *route, const struct route_target *target,
                             const struct dispatch_input *input)
{
    struct request *request = request_get(worker, exchange);
    struct spoe_message *message;

    if (request == NULL)
        return NULL;
    message = &request->message;
    request->mail.run = exchange_on_complete;
    request->target = target;
    /* Every member by itself: as one assignment it is cleared first, which costs more. size and
     * slot are set for good. */
    message->index = target->message;
    message->n_slots = target->n_slots;
    message->n_args = 0;
    message->args = NULL;
    message->name = route->message;
    message->engine_id = input->engine_id;
    message->stream_id = exchange->stream_id;
    message->frame_id = exchange->frame_id;
    message->recv_unix_ns = input->unix_ns;
    message->recv_mono_ns = input->mono_ns;
    message->deadline_mono_ns =
        target->timeout_ns != 0 ? input->mono_ns + target->timeout_ns : input->deadline_ns;
    request->dirty |= request->came;
    request->came = 0;
    if (exchange->last != NULL)
        exchange->last->next = request;
    else
        exchange->first = request;
    exchange->last = request;
    return request;
}

/* Whether a plugin keeps messages and does not complete them, though their time is over. */
static bool holds_too_many(const struct spoe_worker *worker, const struct spoe_instance *plugin)
{
    static struct log_limit limit;

    if (worker->n_overdue[plugin->index] < OVERDUE_MAX)
        return false;
    log_limited(&limit, SPOE_LOG_WARNING, "host",
                "plugin %s has not completed %u messages whose time is over; it gets no more until "
                "it does",
                plugin_name(plugin), OVERDUE_MAX);
    return true;
}

/* Plugins have been, or are being, drained. */
static bool is_closed(const struct spoe_worker *worker)
{
    return atomic_load_explicit(&worker->shared->closed, memory_order_acquire);
}

/* Requests for all plugins that take a message. @return the first; NULL: no memory, or the pool's
 * limit */
static struct request *begin_all(struct spoe_worker *worker, const struct route *route,
                                 struct exchange *exchange, const struct dispatch_input *input)
{
    struct request *const first = begin(worker, exchange, route, &route->targets[0], input);

    if (first == NULL)
        return NULL;
    for (uint32_t t = 1; t < route->n_targets; t++) {
        if (begin(worker, exchange, route, &route->targets[t], input) == NULL)
            return NULL;
    }
    return first;
}

/* All is in its place: call the plugins, `first` and what follows. @return pending ones */
static int hand_over(struct spoe_worker *worker, struct request *first)
{
    int n_pending = 0;

    /* A request that is not handed over has no handle out, and goes with its exchange. */
    for (struct request *request = first; request != NULL; request = request->next) {
        /* The one before may have taken its time. */
        if (request != first && is_closed(worker)) {
            COUNT(&worker->counters, refused_messages);
            (void)request_finish(request);
        } else if (holds_too_many(worker, request->target->plugin)) {
            COUNT(&worker->counters, withheld_messages);
        } else if (arguments_suffice(request)) {
            n_pending += call_handler(worker, request);
        } else {
            COUNT(&worker->counters, missing_arguments);
            COUNT(request_counters(request), missing_arguments);
        }
    }
    return n_pending;
}

/* One message to all plugins that take it. @return pending ones; -SPOP_ERR_* */
static int dispatch_message(struct spoe_worker *worker, const struct route *route,
                            struct exchange *exchange, struct spop_cursor *cursor, uint32_t n_args,
                            const struct dispatch_input *input)
{
    struct request *const first = begin_all(worker, route, exchange, input);
    int error;

    if (first == NULL)
        return -SPOP_ERR_RESOURCE;
    error = arguments_decode(worker, route, first, cursor, n_args);
    if (error != 0)
        return error;
    /* Once set it is not written again: a plugin's thread may be reading it. */
    if (!exchange->shared && (exchange->first != exchange->last || cursor->p != cursor->end))
        exchange->shared = true;
    return hand_over(worker, first);
}

int dispatch_notify(struct spoe_worker *worker, const struct spop_frame *frame,
                    struct exchange *exchange, const struct dispatch_input *input)
{
    struct spop_cursor cursor = {frame->payload, frame->payload + frame->payload_len};
    unsigned n_messages = 0;
    int n_pending = 0;

    assert(IS(worker, WORKER_CORE_MAGIC) && IS(exchange, EXCHANGE_MAGIC));
    set_clock(worker, input);
    while (cursor.p != cursor.end) {
        struct spoe_span name;
        uint32_t n_args;
        const struct route *route;
        int result;

        cursor.p = wire_read_message(cursor.p, cursor.end, &name, &n_args);
        if (cursor.p == NULL || ++n_messages > SPOP_MESSAGES_MAX)
            return -SPOP_ERR_INVALID;
        COUNT(&worker->counters, messages);
        route = route_find(worker->shared->routes, name);
        if (is_closed(worker)) {
            COUNT(&worker->counters, refused_messages);
            result = arguments_skip(&cursor, n_args);
        } else if (route == NULL || route->from_log) {
            COUNT(&worker->counters, unknown_messages);
            result = arguments_skip(&cursor, n_args);
        } else {
            result = dispatch_message(worker, route, exchange, &cursor, n_args, input);
        }
        if (result < 0)
            return result;
        n_pending += result;
    }
    if (n_pending > 0)
        exchange_fold(worker, exchange);
    return n_pending;
}

int dispatch_texts(struct spoe_worker *worker, struct spoe_span name, const struct text_arg *texts,
                   uint32_t n, struct exchange *exchange, const struct dispatch_input *input)
{
    const struct route *route;
    struct request *first;

    assert(IS(worker, WORKER_CORE_MAGIC) && IS(exchange, EXCHANGE_MAGIC));
    set_clock(worker, input);
    exchange->silent = true;
    COUNT(&worker->counters, messages);
    if (is_closed(worker)) {
        COUNT(&worker->counters, refused_messages);
        return 0;
    }
    route = route_find(worker->shared->routes, name);
    if (route == NULL || !route->from_log) {
        COUNT(&worker->counters, unknown_messages);
        return 0;
    }
    first = begin_all(worker, route, exchange, input);
    if (first == NULL || !texts_place(worker, route, first, texts, n))
        return -SPOP_ERR_RESOURCE;
    exchange->shared = exchange->first != exchange->last;
    return hand_over(worker, first);
}
