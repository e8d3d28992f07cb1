/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/route.c - which plugins take a message, by its name. */
#include "core/route.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
                         a->plugin->desc->id, b->plugin->desc->id, a->decl->name,
                         is_from_log(a->decl) ? "the log" : "SPOP",
                         is_from_log(b->decl) ? "the log" : "SPOP");
    if (strcmp(a->decl->event, b->decl->event) != 0) {
        (void)snprintf(reterr->text, sizeof reterr->text,
                       "plugins %s and %s disagree on message %s: event %s and %s",
                       a->plugin->desc->id, b->plugin->desc->id, a->decl->name, a->decl->event,
                       b->decl->event);
        return -1;
    }
    for (size_t i = 0; a->decl->args != NULL && a->decl->args[i] != NULL; i++) {
        const struct spoe_arg_decl *mine = a->decl->args[i];
        const struct spoe_arg_decl *theirs = find_argument(b->decl, mine->name);

        if (theirs != NULL && strcmp(mine->expression, theirs->expression) != 0) {
            (void)snprintf(reterr->text, sizeof reterr->text,
                           "plugins %s and %s disagree on argument %s of message %s: %s and %s",
                           a->plugin->desc->id, b->plugin->desc->id, mine->name, a->decl->name,
                           mine->expression, theirs->expression);
            return -1;
        }
    }
    return 0;
}

static struct route *get_route(struct route_table *table, const char *name)
{
    struct spoe_span span = {name, strlen(name)};
    struct route *grown;

    for (size_t i = 0; i < table->n; i++) {
        if (table->routes[i].name_len == span.n && memcmp(table->routes[i].name, name, span.n) == 0)
            return &table->routes[i];
    }
    grown = realloc(table->routes, (table->n + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    table->routes = grown;
    grown[table->n] = (struct route){.name = name, .name_len = span.n, .index = (uint32_t)table->n};
    return &grown[table->n++];
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

static int add_target(struct route_table *table, struct spoe_instance *plugin, uint32_t message,
                      struct error *reterr)
{
    const struct spoe_message_decl *decl = plugin->desc->messages[message];
    struct route_target target = {.plugin = plugin,
                                  .decl = decl,
                                  .message = message,
                                  .n_slots = plugin->n_arguments[message],
                                  .index = table->n_targets};
    struct route *route = get_route(table, decl->name);
    struct route_target *grown;

    if (route == NULL)
        goto nomem;
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

int route_table_build(struct route_table *table, const struct plugin_set *set, struct error *reterr)
{
    *table = (struct route_table){0};
    for (size_t i = 0; i < set->n; i++) {
        for (uint32_t m = 0; m < set->plugin[i]->n_messages; m++) {
            if (add_target(table, set->plugin[i], m, reterr) != 0) {
                route_table_free(table);
                return -1;
            }
        }
    }
    return 0;
}

void route_table_free(struct route_table *table)
{
    for (size_t i = 0; i < table->n; i++)
        free(table->routes[i].targets);
    free(table->routes);
    *table = (struct route_table){0};
}
