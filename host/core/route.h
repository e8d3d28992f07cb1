/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/route.h - which plugins take a message, by the name that HAProxy sends.
 *
 * Built once after configuration, then constant: workers read it without a lock.
 */
#ifndef HOST_CORE_ROUTE_H
#define HOST_CORE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/plugin.h"
#include "spop/wire.h"

/* One plugin that takes a message. */
struct route_target {
    struct spoe_instance *plugin;
    const struct spoe_message_decl *decl;
    uint32_t message; /* index in the plugin's messages[] */
    uint32_t n_slots;
    int64_t timeout_ns;          /* processing-timeout of its own; 0: the host's */
    uint32_t deadlines;          /* the list of those that wait as long as it */
    uint64_t slots, required;    /* a bit per slot: all of them, those with SPOE_ARG_REQUIRED */
    uint32_t index;              /* among the targets of all routes */
    struct spoe_metric *seconds; /* how long its handler takes, sampled; NULL: not measured */
};

/*
 * One name that HAProxy may send: that of a message, which reaches all plugins that declare it, or
 * "PLUGIN.message", which reaches this one alone and may be any that is declared.
 */
struct route {
    const char *name;
    size_t name_len;
    struct spoe_span message;     /* its name as it is declared */
    char *own_name;               /* of the second kind; else NULL */
    uint32_t index;               /* of this route in the table */
    uint32_t n_targets;           /* in configuration order */
    bool from_log;                /* SPOE_MESSAGE_FROM_LOG */
    struct route_target *targets; /* of the second kind: the message's */
};

/* Different processing-timeouts, the host's among them. */
#define ROUTE_TIMEOUTS_MAX 16u

struct route_table {
    struct route *routes; /* those of messages first */
    size_t n, n_messages;
    uint32_t max_slots; /* of any target */
    uint32_t n_targets; /* of all routes */
    bool any_from_log;
    int64_t
        timeouts_ns[ROUTE_TIMEOUTS_MAX]; /* by route_target.deadlines; the first is the host's */
    uint32_t n_timeouts;
};

/**
 * Build the table. Two plugins that name the same argument of the same message must fill it by
 * the same expression and event. What one names as another's own message
 * must not be one that is declared.
 * @return 0; -1 with *reterr naming both plugins
 */
int route_table_build(struct route_table *table, const struct plugin_set *set,
                      struct error *reterr);
void route_table_free(struct route_table *table);

/** @return NULL: no plugin takes this message */
static inline const struct route *route_find(const struct route_table *table, struct spoe_span name)
{
    /* A host has a handful of messages: comparing lengths first beats hashing the name. */
    for (size_t i = 0; i < table->n; i++) {
        const struct route *route = &table->routes[i];

        if (route->name_len == name.n && wire_same_bytes(route->name, name.p, name.n))
            return route;
    }
    return NULL;
}

#endif
