/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/message_options.h - the host's own options in a plugin's section: how long an answer
 * may take, and what HAProxy's side has of a message in place of what the plugin declares, so that
 * nobody edits what is printed.
 *
 *   message."NAME".event = EVENT
 *   message."NAME".if = CONDITION           behind the event
 *   message."NAME".args = NAME=EXPRESSION ...  in place of the argument of that name, or one more;
 *                                           without an expression it is taken away
 *
 *   message."NAME".processing-timeout = DURATION
 *   processing-timeout = DURATION           for all messages of the plugin that have none
 *
 * They come from the file or from --set. Threads: [main].
 */
#ifndef HOST_CORE_MESSAGE_OPTIONS_H
#define HOST_CORE_MESSAGE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <spoe/plugin.h>

#include "base/error.h"
#include "conf/conf.h"

struct spoe_instance; /* core/plugin.h */

enum message_option { MESSAGE_EVENT, MESSAGE_IF, MESSAGE_ARGS, MESSAGE_TIMEOUT, N_MESSAGE_OPTIONS };

/** How many options there are for a plugin's messages. */
size_t message_options_count(const struct spoe_plugin *desc);
/** Make them. @return 0; -1 out of memory, message_options_free() is due all the same */
int message_options_make(const struct spoe_plugin *desc, struct spoe_option *options);
void message_options_free(struct spoe_option *options, size_t n);

/** What they are, of any message, as options_json() writes it. */
void message_options_json(FILE *out);

/** Put them in use, and collect what is wrong with those that are set. */
void message_options_take(struct spoe_instance *plugin, struct conf *conf);

/** @return [borrow from plugin->settings] NULL: it is not set */
const char *message_option(const struct spoe_instance *plugin, uint32_t message,
                           enum message_option which);

/* One argument in the text of MESSAGE_ARGS, or a word of HAProxy's. */
struct message_arg {
    struct spoe_span name;       /* empty: the word has none */
    struct spoe_span expression; /* as HAProxy reads it, with its quotes */
};

/**
 * The next word, split as HAProxy splits its lines.
 * @param at  in and out
 * @return 1; 0 at the end; -1 with *reterr
 */
int message_arg_next(const char **at, struct message_arg *ret, struct error *reterr);
/** @param args  NULL: there are none. @return whether one has this name */
bool message_arg_find(const char *args, struct spoe_span name, struct message_arg *ret);

#endif
