/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/texts.c - see texts.h. */
#include "core/texts.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/arguments.h"
#include "core/worker_core.h"

#define PLACES 64u /* that are remembered; later ones are searched */
#define ANY_INT (SPOE_ACCEPT_INT)

struct text_place {
    bool known;
    uint8_t n;
    char name[PLUGIN_NAME_MAX];
};

struct text_order {
    struct text_place place[PLACES];
    int16_t *slot; /* [place * n_targets + target]; -1: this target does not declare it */
};

/* ---- values ---- */

static bool is_text(struct spoe_span text, const char *word)
{
    return strlen(word) == text.n && memcmp(text.p, word, text.n) == 0;
}

/* As inet_pton() has it, which wants a string and costs three times as much on a path where each
 * line has some. */
static bool to_ipv4(struct spoe_span text, uint8_t ret[4])
{
    size_t i = 0;

    for (unsigned part = 0; part < 4; part++) {
        const size_t from = i;
        unsigned v = 0;

        for (; i < text.n && i - from < 3 && text.p[i] >= '0' && text.p[i] <= '9'; i++)
            v = v * 10 + (unsigned)(text.p[i] - '0');
        if (i == from || v > 255 || (text.p[from] == '0' && i - from > 1))
            return false;
        ret[part] = (uint8_t)v;
        if (part < 3 && (i == text.n || text.p[i++] != '.'))
            return false;
    }
    return i == text.n;
}

static bool to_address(struct spoe_span text, uint32_t types, struct spoe_value *ret)
{
    char copy[INET6_ADDRSTRLEN];

    if ((types & SPOE_MASK(SPOE_T_IPV4)) != 0 && to_ipv4(text, ret->u.ip4)) {
        ret->type = SPOE_T_IPV4;
        return true;
    }
    if ((types & SPOE_MASK(SPOE_T_IPV6)) == 0 || text.n >= sizeof copy)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    ret->type = SPOE_T_IPV6;
    return inet_pton(AF_INET6, copy, ret->u.ip6) == 1;
}

#define DIGITS_THAT_FIT 19u /* of 2^64, whatever they are */
#define WORD 8u

/*
 * The number of eight decimal digits at p. A line has some 60 digits in its times: two of them
 * become a number below 100, two of those one below 10000, and two of those the whole.
 * @return false: something else is among them
 */
static bool to_eight_digits(const char *p, uint64_t *ret)
{
    const uint64_t zeros = UINT64_C(0x3030303030303030), high = UINT64_C(0xf0f0f0f0f0f0f0f0);
    uint64_t x;

    memcpy(&x, p, sizeof x);
    x = le64toh(x); /* the first digit lowest */
    if ((x & high) != zeros || ((x + UINT64_C(0x0606060606060606)) & high) != zeros)
        return false;
    x -= zeros;
    x = (x * 10 + (x >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x * 100 + (x >> 16)) & UINT64_C(0x0000ffff0000ffff);
    *ret = (x * 10000 + (x >> 32)) & UINT32_MAX;
    return true;
}

/* Decimal digits. @return false: something else, or more than fits */
static bool to_digits(struct spoe_span text, uint64_t *ret)
{
    uint64_t v = 0, eight;
    size_t i = 0;

    if (text.n == 0)
        return false;
    for (; text.n - i >= WORD && i + WORD <= DIGITS_THAT_FIT; i += WORD) {
        if (!to_eight_digits(text.p + i, &eight))
            return false;
        v = v * 100000000 + eight;
    }
    for (; i < text.n; i++) {
        const unsigned digit = (unsigned)text.p[i] - '0';

        if (digit > 9)
            return false;
        if (i < DIGITS_THAT_FIT)
            v = v * 10 + digit;
        else if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *ret = v;
    return true;
}

static bool set_int(bool negative, uint64_t v, uint32_t types, struct spoe_value *ret)
{
    const int64_t i = negative ? (int64_t)(0 - v) : (int64_t)v;
    const bool is_i64 = negative ? v <= (uint64_t)INT64_MAX + 1 : v <= INT64_MAX;

    if (is_i64 && (types & SPOE_MASK(SPOE_T_INT64)) != 0) {
        ret->type = SPOE_T_INT64;
        ret->u.i64 = i;
    } else if ((!negative || v == 0) && (types & SPOE_MASK(SPOE_T_UINT64)) != 0) {
        ret->type = SPOE_T_UINT64;
        ret->u.u64 = v;
    } else if (is_i64 && i >= INT32_MIN && i <= INT32_MAX &&
               (types & SPOE_MASK(SPOE_T_INT32)) != 0) {
        ret->type = SPOE_T_INT32;
        ret->u.i32 = (int32_t)i;
    } else if ((!negative || v == 0) && v <= UINT32_MAX &&
               (types & SPOE_MASK(SPOE_T_UINT32)) != 0) {
        ret->type = SPOE_T_UINT32;
        ret->u.u32 = (uint32_t)v;
    } else {
        return false;
    }
    return true;
}

static bool to_int(struct spoe_span text, uint32_t types, struct spoe_value *ret)
{
    bool negative = false;
    uint64_t v;

    if ((types & ANY_INT) == 0 || text.n == 0)
        return false;
    if (text.p[0] == '-' || (text.p[0] == '+' && (types & SPOE_ACCEPT_STR) == 0)) {
        negative = text.p[0] == '-';
        text.p++;
        text.n--;
    }
    return to_digits(text, &v) && set_int(negative, v, types, ret);
}

static bool to_bool(struct spoe_span text, uint32_t types, struct spoe_value *ret)
{
    if ((types & SPOE_ACCEPT_BOOL) == 0)
        return false;
    ret->type = SPOE_T_BOOL;
    ret->u.b = is_text(text, "1") || is_text(text, "true");
    return ret->u.b != 0 || is_text(text, "0") || is_text(text, "false");
}

bool texts_value(struct spoe_span text, uint32_t types, struct spoe_value *ret)
{
    if ((types & ~SPOE_ACCEPT_STR) != 0 &&
        (to_address(text, types, ret) || to_int(text, types, ret) || to_bool(text, types, ret)))
        return true;
    if ((types & (SPOE_ACCEPT_STR | SPOE_ACCEPT_BIN)) == 0)
        return false;
    ret->type = (types & SPOE_ACCEPT_STR) != 0 ? SPOE_T_STR : SPOE_T_BIN;
    ret->u.s = text;
    return true;
}

/* ---- slots ---- */

void texts_destroy(struct text_order *orders, const struct route_table *routes)
{
    for (size_t i = 0; orders != NULL && i < routes->n; i++)
        free(orders[i].slot);
    free(orders);
}

struct text_order *texts_create(const struct route_table *routes)
{
    struct text_order *orders = calloc(routes->n, sizeof *orders);

    for (size_t i = 0; orders != NULL && i < routes->n; i++) {
        if (!routes->routes[i].from_log)
            continue;
        /* A row more, for what is beyond the places. */
        orders[i].slot =
            calloc((size_t)(PLACES + 1) * routes->routes[i].n_targets, sizeof *orders[i].slot);
        if (orders[i].slot == NULL) {
            texts_destroy(orders, routes);
            return NULL;
        }
    }
    return orders;
}

static int16_t search(const struct route_target *target, struct spoe_span name)
{
    for (uint32_t s = 0; s < target->n_slots; s++) {
        const struct spoe_arg_decl *decl = target->decl->args[s];

        if ((decl->flags & SPOE_ARG_BY_NAME) == 0 && is_text(name, decl->name))
            return (int16_t)s;
    }
    return -1;
}

/* The slots of a name, one per target. */
static const int16_t *slots_of(struct text_order *order, const struct route *route, uint32_t number,
                               struct spoe_span name)
{
    struct text_place *place = number < PLACES ? &order->place[number] : NULL;
    int16_t *slots = order->slot + (size_t)(number < PLACES ? number : PLACES) * route->n_targets;

    if (place != NULL && place->known && place->n == name.n &&
        wire_same_bytes(place->name, name.p, name.n))
        return slots;
    for (uint32_t t = 0; t < route->n_targets; t++)
        slots[t] = search(&route->targets[t], name);
    if (place != NULL && name.n <= PLUGIN_NAME_MAX) {
        memcpy(place->name, name.p, name.n);
        place->n = (uint8_t)name.n;
        place->known = true;
    } else if (place != NULL) {
        place->known = false;
    }
    return slots;
}

/* @return false: no memory */
static bool place_text(struct spoe_worker *worker, struct request *request, int16_t slot,
                       const struct text_arg *text)
{
    const struct spoe_arg arg = {text->name, {.type = SPOE_T_STR, .u.s = text->value}};
    uint32_t types;
    uint64_t bit;

    if (slot < 0)
        return text->only_declared || arguments_add(request, &arg);
    bit = UINT64_C(1) << slot;
    if ((request->came & bit) != 0)
        return arguments_add(request, &arg);
    request->dirty |= bit;
    types = request->target->decl->args[slot]->types;
    if (types == SPOE_ACCEPT_STR) { /* as most are */
        request->slot[slot] = arg.value;
        request->came |= bit;
    } else if (texts_value(text->value, types, &request->slot[slot]))
        request->came |= bit;
    else if (text->value.n != 0) /* "" is how an absent value looks in quotes */
        COUNT(&worker->counters, bad_types);
    return true;
}

bool texts_place(struct spoe_worker *worker, const struct route *route, struct request *first,
                 const struct text_arg *texts, uint32_t n)
{
    struct text_order *order;

    assert(IS(worker, WORKER_CORE_MAGIC) && IS(first, REQUEST_MAGIC) && route->from_log);
    order = &worker->orders[route->index];
    for (uint32_t i = 0; i < n; i++) {
        const int16_t *slot = slots_of(order, route, texts[i].place, texts[i].name);

        for (struct request *request = first; request != NULL; request = request->next) {
            if (!place_text(worker, request, *slot++, &texts[i]))
                return false;
        }
    }
    for (struct request *request = first; request != NULL; request = request->next) {
        request->message.args = request->args;
        arguments_clear_missing(request);
    }
    return true;
}
