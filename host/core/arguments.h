/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/arguments.h - the arguments of a message, from the wire into the slots of its requests.
 *
 * HAProxy sends the arguments of a message in the same order every time; a layout, one per route
 * and worker, remembers that order. Threads: the worker's.
 */
#ifndef HOST_CORE_ARGUMENTS_H
#define HOST_CORE_ARGUMENTS_H

#include <stdint.h>

#include "core/request.h"
#include "core/route.h"
#include "spop/spop.h"

struct layout; /* the order in which HAProxy sends one message's arguments */

/** @return [give: arguments_destroy] one layout per route; NULL: no memory */
struct layout *arguments_create(const struct route_table *routes);
void arguments_destroy(struct layout *layouts, const struct route_table *routes);

/**
 * Decode the arguments of one message for the requests of all plugins that take it, `first` and
 * what follows it in the exchange.
 * @param cursor  at the first argument; on success behind the last
 * @return 0; -SPOP_ERR_INVALID malformed; -SPOP_ERR_RESOURCE no memory
 */
int arguments_decode(struct spoe_worker *worker, const struct route *route, struct request *first,
                     struct spop_cursor *cursor, uint32_t n_args);

/** Put an argument where no slot takes it: among the undeclared ones. @return false: no memory */
bool arguments_add(struct request *request, const struct spoe_arg *arg);
/** The slots for which nothing came, or nothing of an accepted type, are NULL from here on. */
void arguments_clear_missing(struct request *request);

/** Pass over the arguments of a message that nobody takes. @return 0; -SPOP_ERR_INVALID */
int arguments_skip(struct spop_cursor *cursor, uint32_t n_args);

/** Whether everything came that the plugin requires. */
static inline bool arguments_suffice(const struct request *request)
{
    return (request->target->required & ~request->came) == 0;
}

#endif
