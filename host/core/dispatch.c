/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/dispatch.c - frame -> message -> plugin -> actions, for one worker; no I/O. */
#include "core/dispatch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "spop/wire.h"

/*
 * HAProxy sends the arguments of a message in the same order every time. A layout remembers, per
 * place in that order, which argument was there and which slot it has in each target, so that one
 * comparison finds the slots; where the order has changed they are searched, and remembered anew.
 */
struct layout_slot {
    int32_t slot;   /* -1: this target does not declare the argument */
    uint32_t types; /* that it accepts */
};

/*
 * The name as it is on the wire: a byte for its length, then itself. The first eight bytes of both
 * are compared as one word, where a shorter name's mask leaves out what follows it.
 */
#define WORD 8u
struct layout_place {
    struct layout_slot first; /* of the first target, which is nearly always the only one */
    uint32_t size;            /* of the name with its length */
    uint32_t need;            /* bytes that must be there to compare; UINT32_MAX: never */
    uint64_t word, mask;
    char rest[PLUGIN_NAME_MAX + 1 - WORD];
};

struct layout {
    struct layout_place place[PLUGIN_ARGUMENTS_MAX];
    struct layout_slot *more; /* of the other targets: [place * (n_targets - 1) + target - 1] */
};

_Static_assert(PLUGIN_NAME_MAX >= WORD && PLUGIN_NAME_MAX < WIRE_VARINT_ONE_BYTE,
               "a name's length is one byte");

#define POOL_SPARE 4096u /* requests beyond max-pending: the messages of frames being handled */

static int layout_init(struct layout *layout, const struct route *route)
{
    size_t n = (size_t)PLUGIN_ARGUMENTS_MAX * (route->n_targets - 1);

    layout->more = malloc((n + 1) * sizeof *layout->more); /* never nothing */
    if (layout->more == NULL)
        return -1;
    for (size_t i = 0; i < PLUGIN_ARGUMENTS_MAX; i++)
        layout->place[i].need = UINT32_MAX;
    return 0;
}

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
        if (layout_init(&worker->layouts[i], &routes->routes[i]) != 0)
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
        free(worker->layouts[i].more);
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

static struct layout_slot search_target(const struct route_target *target, struct spoe_span name)
{
    for (uint32_t s = 0; s < target->n_slots; s++) {
        const struct spoe_arg_decl *decl = target->decl->args[s];

        if (strlen(decl->name) == name.n && memcmp(decl->name, name.p, name.n) == 0)
            return (struct layout_slot){(int32_t)s, decl->types};
    }
    return (struct layout_slot){.slot = -1};
}

static void remember(struct layout_place *place, struct spoe_span name)
{
    uint8_t wire[PLUGIN_NAME_MAX + 1 + WORD] = {0};
    uint8_t mask[WORD] = {0};

    place->need = UINT32_MAX;
    if (name.n > PLUGIN_NAME_MAX) /* no declared name is longer */
        return;
    place->size = (uint32_t)name.n + 1;
    place->need = place->size > WORD ? place->size : WORD;
    wire[0] = (uint8_t)name.n;
    if (name.n != 0)
        memcpy(wire + 1, name.p, name.n);
    memset(mask, 0xff, place->size < WORD ? place->size : WORD);
    memcpy(&place->word, wire, WORD);
    memcpy(&place->mask, mask, WORD);
    memcpy(place->rest, wire + WORD, sizeof place->rest);
}

/*
 * Another argument than the one that is remembered for this place: read its name, search every
 * target's declaration for it, and remember what was found.
 */
static __attribute__((noinline)) const uint8_t *search(const struct route *route,
                                                       struct layout *layout, size_t number,
                                                       const uint8_t *p, const uint8_t *end)
{
    struct layout_place *place = &layout->place[number];
    struct layout_slot *more = layout->more + number * (route->n_targets - 1);
    struct spoe_span name;

    p = wire_read_string(p, end, &name);
    if (p == NULL)
        return NULL;
    place->first = search_target(&route->targets[0], name);
    for (uint32_t t = 1; t < route->n_targets; t++)
        *more++ = search_target(&route->targets[t], name);
    remember(place, name);
    return p;
}

static inline bool is_remembered(const struct layout_place *place, const uint8_t *p,
                                 const uint8_t *end)
{
    uint64_t word;

    if ((size_t)(end - p) < place->need)
        return false;
    memcpy(&word, p, sizeof word);
    if (((word ^ place->word) & place->mask) != 0)
        return false;
    return place->size <= WORD ||
           wire_same_bytes(place->rest, (const char *)p + WORD, place->size - WORD);
}

/*
 * Pass over the name of an argument; what is known of it is in its place of the layout then.
 * @return the place in the input after it, or NULL
 */
static inline const uint8_t *pass_name(const struct route *route, struct layout *layout,
                                       size_t number, const uint8_t *p, const uint8_t *end)
{
    const struct layout_place *place = &layout->place[number];

    if (__builtin_expect(is_remembered(place, p, end), 1))
        return p + place->size;
    return search(route, layout, number, p, end);
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

/* Whether a value counts that was read into a free slot. */
static inline bool accept(struct spoe_worker *worker, const struct layout_slot *slot, uint32_t type)
{
    if ((slot->types & SPOE_MASK(type)) != 0)
        return true;
    if (type != SPOE_T_NULL)
        COUNT(&worker->counters, bad_types);
    return false;
}

static inline bool is_free(uint64_t came, const struct layout_slot *slot)
{
    return slot->slot >= 0 && (came >> slot->slot & 1) == 0;
}

/* The slots for which nothing came, or nothing of an accepted type, are NULL. */
static inline void clear_missing(struct request *request)
{
    uint64_t missing = request->target->slots & ~request->came;

    for (; missing != 0; missing &= missing - 1)
        request->slot[__builtin_ctzll(missing)] = (struct spoe_value){.type = SPOE_T_NULL};
}

static inline bool has_required(const struct request *request)
{
    return (request->target->required & ~request->came) == 0;
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
    int64_t begin_ns = timed ? clock_mono_ns() : 0;
    spoe_status status = plugin->desc->handle(worker->wctx[plugin->index], request_handle(request),
                                              &request->message);

    if (timed)
        metric_observe(seconds, (double)(clock_mono_ns() - begin_ns) / 1e9);
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
    struct spoe_message *message;

    if (request == NULL)
        return NULL;
    message = &request->message;
    request->mail.run = on_complete;
    request->target = target;
    /* Every member by itself: as one assignment it is cleared first, which costs more. size and
     * slot are set for good. */
    message->index = target->message;
    message->n_slots = target->n_slots;
    message->n_args = 0;
    message->args = NULL;
    message->name = (struct spoe_span){route->name, route->name_len};
    message->engine_id = input->engine_id;
    message->stream_id = exchange->stream_id;
    message->frame_id = exchange->frame_id;
    message->recv_unix_ns = input->unix_ns;
    message->recv_mono_ns = input->mono_ns;
    message->deadline_mono_ns = input->deadline_ns;
    request->came = 0;
    if (exchange->last != NULL)
        exchange->last->next = request;
    else
        exchange->first = request;
    exchange->last = request;
    return request;
}

/*
 * An argument that goes among the undeclared ones: it is, or it was sent twice.
 * @return the place after it, or NULL: malformed, but where *reterr is set
 */
static __attribute__((noinline)) const uint8_t *
read_undeclared(struct request *request, const uint8_t *p, const uint8_t *end, int *reterr)
{
    struct spop_cursor cursor = {p, end};
    struct spoe_arg arg;

    if (spop_get_arg(&cursor, &arg) != 0)
        return NULL;
    if (!add_argument(request, &arg)) {
        *reterr = -SPOP_ERR_RESOURCE;
        return NULL;
    }
    return cursor.p;
}

/* Read any value into a slot that is free. @return the place after it, or NULL */
static const uint8_t *decode_value(struct spoe_worker *worker, struct request *request,
                                   const struct layout_slot *slot, const uint8_t *p,
                                   const uint8_t *end)
{
    struct spoe_value *value = &request->slot[slot->slot];

    p = wire_read_value(p, end, value);
    if (p != NULL && accept(worker, slot, value->type))
        request->came |= UINT64_C(1) << slot->slot;
    return p;
}

/*
 * An argument that is not the one that is remembered for its place, or goes to no slot.
 * @return the place after it, or NULL: malformed, but where *reterr is set
 */
static __attribute__((noinline)) const uint8_t *
decode_unusual(struct spoe_worker *worker, const struct route *route, struct request *request,
               size_t number, const uint8_t *p, const uint8_t *end, int *reterr)
{
    struct layout *layout = &worker->layouts[route->index];
    const struct layout_slot *slot = &layout->place[number].first;
    const uint8_t *at = pass_name(route, layout, number, p, end);

    if (at == NULL)
        return NULL;
    if (!is_free(request->came, slot))
        return read_undeclared(request, p, end, reterr);
    return decode_value(worker, request, slot, at, end);
}

/* Decode the arguments of a message that one plugin takes: each value where it belongs. */
static int decode_for_one(struct spoe_worker *worker, const struct route *route,
                          struct request *request, struct spop_cursor *cursor, uint32_t n_args)
{
    struct layout *layout = &worker->layouts[route->index];
    const uint8_t *p = cursor->p, *const end = cursor->end;
    size_t number = 0;
    int error = -SPOP_ERR_INVALID;

    for (; n_args > 0; n_args--, number = (number + 1) % PLUGIN_ARGUMENTS_MAX) {
        const struct layout_place *place = &layout->place[number];
        const struct layout_slot *slot = &place->first;

        if (is_remembered(place, p, end) && is_free(request->came, slot)) {
            const uint8_t *at = p + place->size;

            p = (slot->types & SPOE_ACCEPT_STR) != 0
                    ? wire_read_short_string(at, end, &request->slot[slot->slot])
                    : NULL;
            if (p != NULL)
                request->came |= UINT64_C(1) << slot->slot;
            else
                p = decode_value(worker, request, slot, at, end);
        } else {
            p = decode_unusual(worker, route, request, number, p, end, &error);
        }
        if (p == NULL)
            return error;
    }
    cursor->p = p;
    return 0;
}

/* Give an argument to the request of one target. */
static bool place_argument(struct spoe_worker *worker, struct request *request,
                           const struct layout_slot *slot, const struct spoe_arg *arg)
{
    if (!is_free(request->came, slot))
        return add_argument(request, arg); /* undeclared, or sent twice */
    if (accept(worker, slot, arg->value.type)) {
        request->slot[slot->slot] = arg->value;
        request->came |= UINT64_C(1) << slot->slot;
    }
    return true;
}

/* The same for the requests of several targets, `first` and on. */
static __attribute__((noinline)) int decode_for_all(struct spoe_worker *worker,
                                                    const struct route *route,
                                                    struct request *first,
                                                    struct spop_cursor *cursor, uint32_t n_args)
{
    struct layout *layout = &worker->layouts[route->index];

    for (uint32_t i = 0; i < n_args; i++) {
        size_t number = i % PLUGIN_ARGUMENTS_MAX;
        const struct layout_slot *more = layout->more + number * (route->n_targets - 1);
        struct spoe_arg arg;
        const uint8_t *p = pass_name(route, layout, number, cursor->p, cursor->end);
        int error = spop_get_arg(cursor, &arg);

        if (p == NULL || error != 0)
            return -SPOP_ERR_INVALID;
        if (!place_argument(worker, first, &layout->place[number].first, &arg))
            return -SPOP_ERR_RESOURCE;
        for (struct request *r = first->next; r != NULL; r = r->next) {
            if (!place_argument(worker, r, more++, &arg))
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
    struct request *const first = begin(worker, exchange, route, &route->targets[0], input);
    int error, n_pending = 0;

    if (first == NULL)
        return -SPOP_ERR_RESOURCE;
    for (uint32_t t = 1; t < route->n_targets; t++) {
        if (begin(worker, exchange, route, &route->targets[t], input) == NULL)
            return -SPOP_ERR_RESOURCE;
    }
    error = first->next == NULL ? decode_for_one(worker, route, first, cursor, n_args)
                                : decode_for_all(worker, route, first, cursor, n_args);
    if (error != 0)
        return error;
    /* Once set it is not written again: a plugin's thread may be reading it. */
    if (!exchange->shared && (exchange->first != exchange->last || cursor->p != cursor->end))
        exchange->shared = true;
    for (struct request *request = first; request != NULL; request = request->next) {
        request->message.args = request->args;
        clear_missing(request);
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
    return n_pending;
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
    /* What all requests have set, whether it will be in the ACK or not. */
    return SPOP_ACK_HEAD_MAX + SPOP_FILLER_MAX +
           atomic_load_explicit(&exchange->action_bytes, memory_order_relaxed);
}

size_t exchange_encode(struct spoe_worker *worker, struct exchange *exchange, uint8_t *p,
                       size_t size)
{
    size_t n_actions = actions_size(exchange);
    size_t n = n_actions != 0 ? n_actions : SPOP_FILLER_MAX;
    size_t used = spop_put_ack_head(p, size, exchange->stream_id, exchange->frame_id, n);

    assert(used != 0 && size - used >= n);
    COUNT(&worker->counters, acks);
    if (n_actions == 0)
        return used + spop_put_filler(p + used, size - used);
    for (const struct request *r = exchange->first; r != NULL; r = r->next) {
        if (!r->in_ack || r->actions_len == 0)
            continue;
        memcpy(p + used, r->actions, r->actions_len);
        used += r->actions_len;
    }
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
