/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/arguments.c - the arguments of a message, from the wire into the slots of its requests.
 */
#include "core/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "core/worker_core.h"
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

static int init_layout(struct layout *layout, const struct route *route)
{
    size_t n = (size_t)PLUGIN_ARGUMENTS_MAX * (route->n_targets - 1);

    layout->more = malloc((n + 1) * sizeof *layout->more); /* never nothing */
    if (layout->more == NULL)
        return -1;
    for (size_t i = 0; i < PLUGIN_ARGUMENTS_MAX; i++)
        layout->place[i].need = UINT32_MAX;
    return 0;
}

struct layout *arguments_create(const struct route_table *routes)
{
    struct layout *layouts = calloc(routes->n, sizeof *layouts);

    for (size_t i = 0; layouts != NULL && i < routes->n; i++) {
        if (init_layout(&layouts[i], &routes->routes[i]) != 0) {
            arguments_destroy(layouts, routes);
            return NULL;
        }
    }
    return layouts;
}

void arguments_destroy(struct layout *layouts, const struct route_table *routes)
{
    for (size_t i = 0; layouts != NULL && i < routes->n; i++)
        free(layouts[i].more);
    free(layouts);
}

static struct layout_slot search_target(const struct route_target *target, struct spoe_span name)
{
    for (uint32_t s = 0; s < target->n_slots; s++) {
        const struct spoe_arg_decl *decl = target->decl->args[s];

        if ((decl->flags & SPOE_ARG_BY_NAME) == 0 && strlen(decl->name) == name.n &&
            memcmp(decl->name, name.p, name.n) == 0)
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

bool arguments_add(struct request *request, const struct spoe_arg *arg)
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
    uint64_t missing = request->target->slots & request->dirty & ~request->came;

    request->dirty &= ~missing;
    for (; missing != 0; missing &= missing - 1)
        request->slot[__builtin_ctzll(missing)] = (struct spoe_value){.type = SPOE_T_NULL};
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
    if (!arguments_add(request, &arg)) {
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
    const uint64_t bit = UINT64_C(1) << slot->slot;

    request->dirty |= bit;
    p = wire_read_value(p, end, value);
    if (p != NULL && accept(worker, slot, value->type))
        request->came |= bit;
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
        return arguments_add(request, arg); /* undeclared, or sent twice */
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

int arguments_decode(struct spoe_worker *worker, const struct route *route, struct request *first,
                     struct spop_cursor *cursor, uint32_t n_args)
{
    int error;

    assert(IS(worker, WORKER_CORE_MAGIC) && IS(first, REQUEST_MAGIC));
    error = first->next == NULL ? decode_for_one(worker, route, first, cursor, n_args)
                                : decode_for_all(worker, route, first, cursor, n_args);
    if (error != 0)
        return error;
    for (struct request *request = first; request != NULL; request = request->next) {
        request->message.args = request->args;
        clear_missing(request);
    }
    return 0;
}

void arguments_clear_missing(struct request *request)
{
    clear_missing(request);
}

int arguments_skip(struct spop_cursor *cursor, uint32_t n_args)
{
    for (uint32_t i = 0; i < n_args; i++) {
        struct spoe_arg arg;
        int error = spop_get_arg(cursor, &arg);

        if (error != 0)
            return error;
    }
    return 0;
}
