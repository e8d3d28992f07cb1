/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/route.c - which plugins take a message, by its name. */
#include "core/route.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine.h"

static const struct spoe_arg_decl *find_argument(const struct spoe_message_decl *decl,
                                                 const char *name)
{
    for (size_t i = 0; decl->args != NULL && decl->args[i] != NULL; i++) {
        if (strcmp(decl->args[i]->name, name) == 0)
            return decl->args[i];
    }
    return NULL;
}

static bool is_from_log(const struct spoe_message_decl *decl)
{
    return (decl->flags & SPOE_MESSAGE_FROM_LOG) != 0;
}

static int check_agreement(const struct route_target *a, const struct route_target *b,
                           struct error *reterr)
{
    if (is_from_log(a->decl) != is_from_log(b->decl))
        return error_set(reterr, "plugins %s and %s disagree on message %s: from %s and from %s",
                         plugin_name(a->plugin), plugin_name(b->plugin), a->decl->name,
                         is_from_log(a->decl) ? "the log" : "SPOP",
                         is_from_log(b->decl) ? "the log" : "SPOP");
    if (strcmp(a->decl->event, b->decl->event) != 0) {
        (void)snprintf(reterr->text, sizeof reterr->text,
                       "plugins %s and %s disagree on message %s: event %s and %s",
                       plugin_name(a->plugin), plugin_name(b->plugin), a->decl->name,
                       a->decl->event, b->decl->event);
        return -1;
    }
    for (size_t i = 0; a->decl->args != NULL && a->decl->args[i] != NULL; i++) {
        const struct spoe_arg_decl *mine = a->decl->args[i];
        const struct spoe_arg_decl *theirs = find_argument(b->decl, mine->name);

        if (theirs != NULL && strcmp(mine->expression, theirs->expression) != 0) {
            (void)snprintf(reterr->text, sizeof reterr->text,
                           "plugins %s and %s disagree on argument %s of message %s: %s and %s",
                           plugin_name(a->plugin), plugin_name(b->plugin), mine->name,
                           a->decl->name, mine->expression, theirs->expression);
            return -1;
        }
    }
    return 0;
}

static struct route *find_route(const struct route_table *table, const char *name)
{
    for (size_t i = 0; i < table->n; i++) {
        if (strcmp(table->routes[i].name, name) == 0)
            return &table->routes[i];
    }
    return NULL;
}

static struct route *new_route(struct route_table *table, const char *name)
{
    struct route *grown = realloc(table->routes, (table->n + 1) * sizeof *grown);

    if (grown == NULL)
        return NULL;
    table->routes = grown;
    grown[table->n] =
        (struct route){.name = name, .name_len = strlen(name), .index = (uint32_t)table->n};
    return &grown[table->n++];
}

static struct route *get_route(struct route_table *table, const char *name)
{
    struct route *route = find_route(table, name);

    if (route != NULL || (route = new_route(table, name)) == NULL)
        return route;
    route->message = (struct spoe_span){route->name, route->name_len};
    return route;
}

_Static_assert(PLUGIN_ARGUMENTS_MAX <= 64, "an argument needs a bit");

static void set_masks(struct route_target *target)
{
    assert(target->n_slots <= PLUGIN_ARGUMENTS_MAX);
    for (uint32_t s = 0; s < target->n_slots; s++) {
        target->slots |= UINT64_C(1) << s;
        if ((target->decl->args[s]->flags & SPOE_ARG_REQUIRED) != 0)
            target->required |= UINT64_C(1) << s;
    }
}

/* The list of deadlines for a time-out. @return ROUTE_TIMEOUTS_MAX: there are too many */
static uint32_t deadlines_of(struct route_table *table, int64_t timeout_ns)
{
    uint32_t i = 0;

    if (table->n_timeouts == 0)
        table->n_timeouts = 1; /* the host's, 0 */
    while (i < table->n_timeouts && table->timeouts_ns[i] != timeout_ns)
        i++;
    if (i == table->n_timeouts && i < ROUTE_TIMEOUTS_MAX)
        table->timeouts_ns[table->n_timeouts++] = timeout_ns;
    return i;
}

static int add_target(struct route_table *table, struct spoe_instance *plugin, uint32_t message,
                      struct error *reterr)
{
    const struct spoe_message_decl *decl = plugin->desc->messages[message];
    struct route_target target = {.plugin = plugin,
                                  .decl = decl,
                                  .message = message,
                                  .n_slots = plugin->n_arguments[message],
                                  .timeout_ns = plugin->timeout_ns[message],
                                  .deadlines = deadlines_of(table, plugin->timeout_ns[message]),
                                  .index = table->n_targets};
    struct route *route = get_route(table, decl->name);
    struct route_target *grown;

    if (route == NULL)
        goto nomem;
    if (target.deadlines == ROUTE_TIMEOUTS_MAX)
        return error_set(reterr, "plugin %s: more than %u different processing-timeouts",
                         plugin_name(plugin), ROUTE_TIMEOUTS_MAX);
    set_masks(&target);
    for (uint32_t i = 0; i < route->n_targets; i++) {
        if (check_agreement(&route->targets[i], &target, reterr) != 0)
            return -1;
    }
    grown = realloc(route->targets, (route->n_targets + 1) * sizeof *grown);
    if (grown == NULL)
        goto nomem;
    route->targets = grown;
    grown[route->n_targets++] = target;
    route->from_log = is_from_log(decl);
    table->any_from_log |= route->from_log;
    table->n_targets++;
    if (target.n_slots > table->max_slots)
        table->max_slots = target.n_slots;
    return 0;
nomem:
    (void)snprintf(reterr->text, sizeof reterr->text, "out of memory");
    return -1;
}

/* A second name for message number m, which reaches its target number t alone. */
static int add_own(struct route_table *table, size_t m, uint32_t t, struct error *reterr)
{
    struct route_target *target = &table->routes[m].targets[t];
    const struct route *taken;
    struct route *route;
    char name[ENGINE_MESSAGE_SIZE], *copy;

    engine_own_message(target->plugin, target->decl, name);
    taken = find_route(table, name);
    if (taken != NULL && table->routes[m].n_targets == 1)
        return 0; /* nothing is printed by it */
    if (taken != NULL)
        return error_set(reterr,
                         "plugin %s declares message %s, which is what message %s of plugin %s is "
                         "called where several plugins take it",
                         engine_label(taken->targets[0].plugin), name, target->decl->name,
                         engine_label(target->plugin));
    copy = strdup(name);
    route = copy != NULL ? new_route(table, copy) : NULL;
    if (route == NULL) {
        free(copy);
        return error_set(reterr, "out of memory");
    }
    route->own_name = copy;
    route->message = table->routes[m].message;
    route->from_log = table->routes[m].from_log;
    route->targets = target;
    route->n_targets = 1;
    return 0;
}

/* In two steps: targets stay where they are from then on. */
static int add_all(struct route_table *table, const struct plugin_set *set, struct error *reterr)
{
    for (size_t i = 0; i < set->n; i++) {
        for (uint32_t m = 0; m < set->plugin[i]->n_messages; m++) {
            if (add_target(table, set->plugin[i], m, reterr) != 0)
                return -1;
        }
    }
    table->n_messages = table->n;
    for (size_t m = 0; m < table->n_messages; m++) {
        for (uint32_t t = 0; t < table->routes[m].n_targets; t++) {
            if (add_own(table, m, t, reterr) != 0)
                return -1;
        }
    }
    return 0;
}

int route_table_build(struct route_table *table, const struct plugin_set *set, struct error *reterr)
{
    *table = (struct route_table){0};
    if (add_all(table, set, reterr) == 0)
        return 0;
    route_table_free(table);
    return -1;
}

void route_table_free(struct route_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        if (table->routes[i].own_name == NULL)
            free(table->routes[i].targets);
        free(table->routes[i].own_name);
    }
    free(table->routes);
    *table = (struct route_table){0};
}
