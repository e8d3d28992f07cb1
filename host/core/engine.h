/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/engine.h - what a plugin is called at HAProxy: its engine, which is its section of the
 * SPOE file, the prefix of its variables, and the messages that are its own.
 *
 * Each plugin has an engine to itself, so that messages of different plugins share no frame: one
 * that does not fit costs all that are in it.
 */
#ifndef HOST_CORE_ENGINE_H
#define HOST_CORE_ENGINE_H

#include <stdbool.h>

#include "core/plugin.h"

/* What a user names, a dot, what the plugin is called; and its end. */
#define ENGINE_NAME_SIZE 256u
#define ENGINE_MESSAGE_SIZE 256u

struct engine {
    char section[ENGINE_NAME_SIZE]; /* between [ and ], and behind `filter spoe engine` */
    char prefix[ENGINE_NAME_SIZE];  /* variables come back as txn.PREFIX.NAME */
};

/**
 * Its names: the plugin's own, behind `engine` and a dot where there is one and several plugins;
 * the only plugin's engine is `engine` itself.
 * @param engine  the option; NULL: it is not set
 */
struct engine engine_of(const struct plugin_set *set, const char *engine,
                        const struct spoe_instance *plugin);

/* What a plugin is called among those that are loaded: its id, or "ID:INSTANCE". No two have the
 * same. */
const char *engine_label(const struct spoe_instance *plugin);

/* "PLUGIN.message", which goes to this plugin alone. */
void engine_own_message(const struct spoe_instance *plugin, const struct spoe_message_decl *decl,
                        char ret[ENGINE_MESSAGE_SIZE]);

/* The message's name in the plugin's section: its own where another plugin declares it too. */
void engine_message(const struct plugin_set *set, const struct spoe_instance *plugin,
                    const struct spoe_message_decl *decl, char ret[ENGINE_MESSAGE_SIZE]);

/**
 * Whether no two plugins would set the same variable of HAProxy's.
 * @return 0; -1 with *reterr naming both and the variable
 */
int engine_check(const struct plugin_set *set, struct error *reterr);

#endif
