/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/texts.h - the arguments of a message of the log: texts by name, turned into values of
 * the declared types and put into the slots of its requests.
 *
 * HAProxy writes the pairs of a line in the same order every time, those without a value too; a
 * text_order, one per route and worker, remembers which slot each place goes to. Threads: the
 * worker's.
 */
#ifndef HOST_CORE_TEXTS_H
#define HOST_CORE_TEXTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/request.h"
#include "core/route.h"

/* One argument as text. */
struct text_arg {
    struct spoe_span name, value;
    bool only_declared; /* where nobody declares it, it is left out instead of passed on by name */
    uint8_t place;      /* in the line; UINT8_MAX: far behind */
};

struct text_order;

/** @return [give: texts_destroy] one order per route; NULL: no memory */
struct text_order *texts_create(const struct route_table *routes);
/** Takes NULL. */
void texts_destroy(struct text_order *orders, const struct route_table *routes);

/**
 * The value of a text, of the first of these types that is accepted and that it is a value of: an
 * address, an integer, a bool, a string, bytes. A number with a + before it, as HAProxy writes one
 * that goes on growing, is a number only where no string is accepted.
 * @return false: of none
 */
bool texts_value(struct spoe_span text, uint32_t types, struct spoe_value *ret);

/**
 * Put texts into the slots of the requests of all plugins that take the message, `first` and what
 * follows it in the exchange. Of one that comes twice the first counts, the others are passed on
 * like those that nobody declares.
 * @return false: no memory
 */
bool texts_place(struct spoe_worker *worker, const struct route *route, struct request *first,
                 const struct text_arg *texts, uint32_t n);

#endif
