/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/engine.c - what a plugin is called at HAProxy. */
#include "core/engine.h"

#include <stdio.h>
#include <string.h>

const char *engine_label(const struct spoe_instance *plugin)
{
    return plugin_name(plugin);
}

/* HAProxy takes letters, digits, _ and . in a prefix. A label has no _, so this makes no two alike
 * but for instances, which engine_check() compares. */
static void make_prefix(const char *section, char ret[ENGINE_NAME_SIZE])
{
    size_t n = 0;

    for (; section[n] != '\0' && n + 1 < ENGINE_NAME_SIZE; n++)
        ret[n] = section[n] == '-' || section[n] == ':' ? '_' : section[n];
    ret[n] = '\0';
}

struct engine engine_of(const struct plugin_set *set, const char *engine,
                        const struct spoe_instance *plugin)
{
    struct engine names;
    const char *label = engine_label(plugin);

    if (engine == NULL)
        (void)snprintf(names.section, sizeof names.section, "%s", label);
    else if (set->n == 1)
        (void)snprintf(names.section, sizeof names.section, "%s", engine);
    else
        (void)snprintf(names.section, sizeof names.section, "%s.%s", engine, label);
    make_prefix(names.section, names.prefix);
    return names;
}

void engine_own_message(const struct spoe_instance *plugin, const struct spoe_message_decl *decl,
                        char ret[ENGINE_MESSAGE_SIZE])
{
    (void)snprintf(ret, ENGINE_MESSAGE_SIZE, "%s.%s", engine_label(plugin), decl->name);
}

static bool declares(const struct spoe_instance *plugin, const char *message)
{
    for (uint32_t m = 0; m < plugin->n_messages; m++) {
        if (strcmp(plugin->desc->messages[m]->name, message) == 0)
            return true;
    }
    return false;
}

void engine_message(const struct plugin_set *set, const struct spoe_instance *plugin,
                    const struct spoe_message_decl *decl, char ret[ENGINE_MESSAGE_SIZE])
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->plugin[i] != plugin && declares(set->plugin[i], decl->name)) {
            engine_own_message(plugin, decl, ret);
            return;
        }
    }
    (void)snprintf(ret, ENGINE_MESSAGE_SIZE, "%s", decl->name);
}

/* The first variable that both declare; the one that HAProxy sets, which all have, if none. */
static const char *common_variable(const struct spoe_plugin *a, const struct spoe_plugin *b)
{
    const bool both = SPOE_HAS(a, variables) && SPOE_HAS(b, variables);

    for (size_t i = 0; both && a->variables[i] != NULL; i++) {
        for (size_t j = 0; b->variables[j] != NULL; j++) {
            if (a->variables[i]->scope == b->variables[j]->scope &&
                strcmp(a->variables[i]->name, b->variables[j]->name) == 0)
                return a->variables[i]->name;
        }
    }
    return SPOE_VARIABLE_STATUS;
}

int engine_check(const struct plugin_set *set, struct error *reterr)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct engine mine = engine_of(set, NULL, set->plugin[i]);

        for (size_t j = 0; j < i; j++) {
            const struct engine other = engine_of(set, NULL, set->plugin[j]);

            if (strcmp(mine.prefix, other.prefix) != 0)
                continue;
            return error_set(
                reterr, "plugins %s and %s would set the same variables at HAProxy, such as %s.%s",
                engine_label(set->plugin[j]), engine_label(set->plugin[i]), mine.prefix,
                common_variable(set->plugin[j]->desc, set->plugin[i]->desc));
        }
    }
    return 0;
}
