/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/check/messages.h - what a plugin is handed: the lines of a script, or, without one, each
 * message that it declares, once with all of its arguments and once with those that are required.
 * Threads: [main].
 */
#ifndef HOST_CHECK_MESSAGES_H
#define HOST_CHECK_MESSAGES_H

#include "core/plugin.h"
#include "core/route.h"
#include "try/frame.h"
#include "try/script.h"

/* One of them, ready to be sent. */
struct message {
    struct script_line line;
    struct spoe_arg args[SCRIPT_WORDS_MAX];
    bool from_log;
    char *text; /* that all of it points into */
};

struct messages {
    struct message **item;
    size_t n;
    bool of_script;
};

/**
 * @param script  NULL: there is none
 * @return 0; -1 with *reterr. messages_free() is due in both cases
 */
int messages_read(struct messages *ret, const char *script, const struct spoe_instance *plugin,
                  const struct route_table *routes, struct error *reterr);
void messages_free(struct messages *messages);

#endif
