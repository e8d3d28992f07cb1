/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/dispatch.c - frame -> message -> plugin -> actions, for one worker; no I/O. */
#include "core/dispatch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * HAProxy sends the arguments of a message in the same order every time. A layout remembers, per
 * place in that order, which argument was there and which slot it has in each target, so that one
 * comparison finds the slots; where the order has changed they are searched, and remembered anew.
 */
struct layout_entry {
    const char *name; /* of the declaration; NULL: not remembered */
    size_t name_len;
};

struct layout {
    struct layout_entry entry[PLUGIN_ARGUMENTS_MAX];
    int8_t *slots; /* [place * n_targets + target], -1: that target does not declare it */
};

#define POOL_SPARE 4096u /* requests beyond max-pending: the messages of frames being handled */

int worker_core_init(struct spoe_worker *worker, struct host_shared *shared, uint32_t index,
                     exchange_done_fn *on_done)
{
    const struct route_table *routes = shared->routes;

    *worker = (struct spoe_worker){
        .index = index, .shared = shared, .on_done = on_done, .mailbox = {.fd = -1}};
    if (mailbox_init(&worker->mailbox) != 0 ||
        request_pool_init(&worker->pool, (size_t)shared->conf->max_pending + POOL_SPARE,
                          routes->max_slots) != 0)
        goto fail;
    worker->layouts = calloc(routes->n, sizeof *worker->layouts);
    worker->targets = calloc(routes->n_targets, sizeof *worker->targets);
    if (worker->layouts == NULL || worker->targets == NULL)
        goto fail;
    for (size_t i = 0; i < routes->n; i++) {
        worker->layouts[i].slots =
            malloc(PLUGIN_ARGUMENTS_MAX * (size_t)routes->routes[i].n_targets);
        if (worker->layouts[i].slots == NULL)
            goto fail;
    }
    request_register_worker(index, worker);
    return 0;
fail:
    worker_core_fini(worker);
    return -1;
}

void worker_core_fini(struct spoe_worker *worker)
{
    request_register_worker(worker->index, NULL);
    for (size_t i = 0; worker->layouts != NULL && i < worker->shared->routes->n; i++)
        free(worker->layouts[i].slots);
    free(worker->layouts);
    worker->layouts = NULL;
    free(worker->targets);
    worker->targets = NULL;
    request_pool_fini(&worker->pool);
    mailbox_fini(&worker->mailbox);
}

int worker_core_start(struct spoe_worker *worker, const char **reterr_id)
{
    const struct plugin_set *set = worker->shared->plugins;

    for (size_t i = 0; i < set->n; i++) {
        struct spoe_instance *plugin = set->plugin[i];

        worker->wctx[i] = plugin->inst;
        if (SPOE_HAS(plugin->desc, worker_start)) {
            void *wctx = NULL;

            if (plugin->desc->worker_start(plugin->inst, worker, worker->index, &wctx) != SPOE_OK) {
                *reterr_id = plugin->desc->id;
                return -1;
            }
            worker->wctx[i] = wctx;
        }
        worker->n_started++;
    }
    return 0;
}

void worker_core_stop(struct spoe_worker *worker)
{
    const struct plugin_set *set = worker->shared->plugins;

    mailbox_close(&worker->mailbox);
    for (size_t i = worker->n_started; i-- > 0;) {
        const struct spoe_plugin *desc = set->plugin[i]->desc;

        if (SPOE_HAS(desc, worker_stop) && SPOE_HAS(desc, worker_start))
            desc->worker_stop(worker->wctx[i]);
    }
    worker->n_started = 0;
}

static struct target_counters *counters_of(const struct request *request)
{
    return &request->worker->targets[request->target->index];
}

static spoe_status status_of(const struct request *request)
{
    return atomic_load_explicit(&request->status, memory_order_relaxed);
}

/* complete() has arrived on the worker's thread. */
static void on_complete(struct mail *mail)
{
    struct request *request = (struct request *)(void *)mail;
    struct spoe_worker *worker = request->worker;
    struct exchange *exchange = request->exchange;

    assert(request->pending && exchange->outstanding > 0);
    if (status_of(request) != SPOE_OK) {
        COUNT(&worker->counters, handler_errors);
        COUNT(counters_of(request), errors);
    } else {
        request->in_ack = !request->expired;
    }
    request->pending = false;
    worker->n_outstanding--;
    (void)atomic_fetch_sub(&worker->shared->n_pending, 1);
    if (--exchange->outstanding == 0)
        worker->on_done(worker, exchange);
}

static const struct spoe_arg_decl *argument(const struct route_target *target, uint32_t slot)
{
    return target->decl->args[slot];
}

/* Search every target's declaration for an argument and remember what was found. */
static const int8_t *search(const struct route *route, struct layout *layout, size_t place,
                            struct spoe_span name)
{
    int8_t *slots = layout->slots + place * route->n_targets;
    const char *found = NULL;

    for (uint32_t t = 0; t < route->n_targets; t++) {
        slots[t] = -1;
        for (uint32_t s = 0; s < route->targets[t].n_slots; s++) {
            const char *declared = argument(&route->targets[t], s)->name;

            if (strlen(declared) == name.n && memcmp(declared, name.p, name.n) == 0) {
                slots[t] = (int8_t)s;
                found = declared;
                break;
            }
        }
    }
    layout->entry[place] = (struct layout_entry){found, name.n};
    return found != NULL ? slots : NULL;
}

/* The slots of an argument in each target; NULL: no target declares it. */
static const int8_t *find_slots(const struct route *route, struct layout *layout, uint32_t i,
                                struct spoe_span name)
{
    size_t place = i % PLUGIN_ARGUMENTS_MAX;
    const struct layout_entry *entry = &layout->entry[place];

    if (entry->name != NULL && entry->name_len == name.n &&
        memcmp(entry->name, name.p, name.n) == 0)
        return layout->slots + place * route->n_targets;
    return search(route, layout, place, name);
}

/* Put an argument where no slot takes it: among the undeclared ones. */
static bool add_argument(struct request *request, const struct spoe_arg *arg)
{
    uint32_t n = request->message.n_args;

    if (n == request->args_size) {
        size_t size = request->args_size != 0 ? request->args_size * 2 : 8;
        struct spoe_arg *grown = realloc(request->args, size * sizeof *grown);

        if (grown == NULL)
            return false;
        request->args = grown;
        request->args_size = size;
    }
    request->args[n] = *arg;
    request->message.n_args = n + 1;
    return true;
}

/* Give one argument to one target's request. */
static bool place_argument(struct spoe_worker *worker, struct request *request, int slot,
                           const struct spoe_arg *arg)
{
    if (slot < 0 || request->slot[slot].type != SPOE_T_NULL)
        return add_argument(request, arg); /* undeclared, or sent twice */
    if (arg->value.type == SPOE_T_NULL)
        return true;
    if ((argument(request->target, (uint32_t)slot)->types & SPOE_MASK(arg->value.type)) != 0)
        request->slot[slot] = arg->value;
    else
        COUNT(&worker->counters, bad_types);
    return true;
}

static bool has_required(const struct request *request)
{
    const struct route_target *target = request->target;

    for (uint32_t s = 0; s < target->n_slots; s++) {
        if (request->slot[s].type == SPOE_T_NULL &&
            (argument(target, s)->flags & SPOE_ARG_REQUIRED) != 0)
            return false;
    }
    return true;
}

/* The plugin failed on this message: its actions are dropped. */
static void drop_actions(struct spoe_worker *worker, struct request *request)
{
    COUNT(&worker->counters, handler_errors);
    COUNT(counters_of(request), errors);
    (void)atomic_fetch_sub_explicit(&request->exchange->action_bytes, request->actions_len,
                                    memory_order_relaxed);
    request->actions_len = 0;
}

/*
 * handle(), timed now and then. Each message has a count of its own, so that messages which take
 * turns are all sampled alike.
 */
static spoe_status handle(struct spoe_worker *worker, struct request *request)
{
    const struct spoe_instance *plugin = request->target->plugin;
    struct spoe_metric *seconds = request->target->seconds;
    struct target_counters *counters = counters_of(request);
    bool timed =
        seconds != NULL &&
        atomic_load_explicit(&counters->messages, memory_order_relaxed) % HANDLER_SAMPLE == 0;
    int64_t begin_ns = timed ? host_table.now_mono_ns() : 0;
    spoe_status status = plugin->desc->handle(worker->wctx[plugin->index], request_handle(request),
                                              &request->message);

    if (timed)
        metric_observe(seconds, (double)(host_table.now_mono_ns() - begin_ns) / 1e9);
    COUNT(counters, messages);
    return status;
}

/* Call the plugin. @return 1 if the request is pending, else 0 */
static int call_handler(struct spoe_worker *worker, struct request *request)
{
    spoe_status status = handle(worker, request);

    if (status != SPOE_PENDING) {
        if (request_finish(request)) {
            if (status == SPOE_OK)
                request->in_ack = true;
            else
                drop_actions(worker, request);
            return 0;
        }
        /* It called complete() and then did not say PENDING: the completion is on its way. */
        COUNT_SHARED(&worker->counters, misbehaviour);
    }
    request->pending = true;
    request->exchange->outstanding++;
    worker->n_outstanding++;
    (void)atomic_fetch_add(&worker->shared->n_pending, 1);
    COUNT(&worker->counters, pending);
    COUNT(counters_of(request), pending);
    return 1;
}

/* Take a request for one target of a message and put it at the end of the exchange. */
static struct request *begin(struct spoe_worker *worker, struct exchange *exchange,
                             const struct route *route, const struct route_target *target,
                             const struct dispatch_input *input)
{
    struct request *request = request_get(worker, exchange);

    if (request == NULL)
        return NULL;
    request->mail.run = on_complete;
    request->target = target;
    request->message = (struct spoe_message){
        .size = sizeof(struct spoe_message),
        .index = target->message,
        .n_slots = target->n_slots,
        .slot = request->slot,
        .name = {route->name, route->name_len},
        .engine_id = input->engine_id,
        .stream_id = exchange->stream_id,
        .frame_id = exchange->frame_id,
        .recv_unix_ns = input->unix_ns,
        .recv_mono_ns = input->mono_ns,
        .deadline_mono_ns = input->deadline_ns,
    };
    for (uint32_t s = 0; s < target->n_slots; s++)
        request->slot[s].type = SPOE_T_NULL;
    if (exchange->last != NULL)
        exchange->last->next = request;
    else
        exchange->first = request;
    exchange->last = request;
    return request;
}

/* Decode the arguments of one message into the requests of its targets, `first` and on. */
static int decode_arguments(struct spoe_worker *worker, const struct route *route,
                            struct request *first, struct spop_cursor *cursor, uint32_t n_args)
{
    struct layout *layout = &worker->layouts[route->index];

    for (uint32_t i = 0; i < n_args; i++) {
        struct spoe_arg arg;
        const int8_t *slots;
        struct request *request = first;
        int error = spop_get_arg(cursor, &arg);

        if (error != 0)
            return error;
        slots = find_slots(route, layout, i, arg.name);
        for (uint32_t t = 0; t < route->n_targets; t++, request = request->next) {
            if (!place_argument(worker, request, slots != NULL ? slots[t] : -1, &arg))
                return -SPOP_ERR_RESOURCE;
        }
    }
    return 0;
}

static int skip_arguments(struct spop_cursor *cursor, uint32_t n_args)
{
    for (uint32_t i = 0; i < n_args; i++) {
        struct spoe_arg arg;
        int error = spop_get_arg(cursor, &arg);

        if (error != 0)
            return error;
    }
    return 0;
}

/* One message to all plugins that take it. @return pending ones; -SPOP_ERR_* */
static int dispatch_message(struct spoe_worker *worker, const struct route *route,
                            struct exchange *exchange, struct spop_cursor *cursor, uint32_t n_args,
                            const struct dispatch_input *input)
{
    struct request *first = NULL, *request;
    int error, n_pending = 0;

    for (uint32_t t = 0; t < route->n_targets; t++) {
        request = begin(worker, exchange, route, &route->targets[t], input);
        if (request == NULL)
            return -SPOP_ERR_RESOURCE;
        if (first == NULL)
            first = request;
    }
    error = decode_arguments(worker, route, first, cursor, n_args);
    if (error != 0)
        return error;
    request = first;
    for (uint32_t t = 0; t < route->n_targets; t++, request = request->next) {
        request->message.args = request->args;
        if (has_required(request)) {
            n_pending += call_handler(worker, request);
        } else {
            COUNT(&worker->counters, missing_arguments);
            COUNT(counters_of(request), missing_arguments);
            (void)request_finish(request);
        }
    }
    return n_pending;
}

int dispatch_notify(struct spoe_worker *worker, const struct spop_frame *frame,
                    struct exchange *exchange, const struct dispatch_input *input)
{
    struct spop_cursor cursor = {frame->payload, frame->payload + frame->payload_len};
    unsigned n_messages = 0;
    int n_pending = 0;

    for (;;) {
        struct spoe_span name;
        uint32_t n_args;
        const struct route *route;
        int result = spop_next_message(&cursor, &name, &n_args);

        if (result <= 0)
            return result < 0 ? result : n_pending;
        if (++n_messages > SPOP_MESSAGES_MAX)
            return -SPOP_ERR_INVALID;
        COUNT(&worker->counters, messages);
        route = route_find(worker->shared->routes, name);
        if (route == NULL) {
            COUNT(&worker->counters, unknown_messages);
            result = skip_arguments(&cursor, n_args);
        } else {
            result = dispatch_message(worker, route, exchange, &cursor, n_args, input);
        }
        if (result < 0)
            return result;
        n_pending += result;
    }
}

static size_t actions_size(const struct exchange *exchange)
{
    size_t n = 0;

    for (const struct request *r = exchange->first; r != NULL; r = r->next) {
        if (r->in_ack)
            n += r->actions_len;
    }
    return n;
}

size_t exchange_encoded_max(const struct exchange *exchange)
{
    return SPOP_ACK_HEAD_MAX + SPOP_FILLER_MAX + actions_size(exchange);
}

size_t exchange_encode(struct spoe_worker *worker, struct exchange *exchange, uint8_t *p,
                       size_t size)
{
    uint8_t filler[SPOP_FILLER_MAX];
    size_t n_actions = actions_size(exchange);
    size_t n_filler = n_actions == 0 ? spop_put_filler(filler, sizeof filler) : 0;
    size_t used =
        spop_put_ack_head(p, size, exchange->stream_id, exchange->frame_id, n_actions + n_filler);

    assert(used != 0 && size - used >= n_actions + n_filler);
    memcpy(p + used, filler, n_filler);
    used += n_filler;
    for (const struct request *r = exchange->first; r != NULL; r = r->next) {
        if (!r->in_ack || r->actions_len == 0)
            continue;
        memcpy(p + used, r->actions, r->actions_len);
        used += r->actions_len;
    }
    COUNT(&worker->counters, acks);
    return used;
}

void exchange_cancel(struct spoe_worker *worker, struct exchange *exchange, int32_t why)
{
    for (struct request *r = exchange->first; r != NULL; r = r->next) {
        const struct spoe_plugin *desc = r->target->plugin->desc;

        if (!r->pending)
            continue;
        if (why == SPOE_CANCEL_DEADLINE) {
            if (!request_expire(r)) { /* completed just now: its mail has yet to be read */
                r->in_ack = status_of(r) == SPOE_OK;
                continue;
            }
            r->expired = true;
            COUNT(&worker->counters, timeouts);
            COUNT(counters_of(r), timeouts);
        }
        if (!r->cancelled && SPOE_HAS(desc, cancel)) {
            r->cancelled = true;
            desc->cancel(worker->wctx[r->target->plugin->index], request_handle(r), why);
        }
    }
}

void exchange_release(struct spoe_worker *worker, struct exchange *exchange)
{
    struct request *request = exchange->first;

    assert(exchange->outstanding == 0);
    while (request != NULL) {
        struct request *next = request->next;

        request_put(worker, request);
        request = next;
    }
    exchange->first = exchange->last = NULL;
    exchange_put(worker, exchange);
}
