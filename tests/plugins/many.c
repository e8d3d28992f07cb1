/* SPDX-License-Identifier: Apache-2.0 */
/* Each copy of this file has an id of its own: "many-1", "many-2", ... in the order of loading. */
#include <stdio.h>
#include <stdlib.h>

#include <spoe/plugin.h>

static char id[32];

__attribute__((constructor)) static void choose_id(void)
{
    const char *text = getenv("SPOE_TEST_MANY");
    const int n = text != NULL ? (int)strtol(text, NULL, 10) + 1
                               : 1; /* copies know of each other by it alone */
    char next[16];

    (void)snprintf(next, sizeof next, "%d", n);
    (void)setenv("SPOE_TEST_MANY", next, 1);
    (void)snprintf(id, sizeof id, "many-%d", n);
}

static const struct spoe_message_decl message = {
    sizeof message, 0, "many", "on-frontend-http-request", "", NULL};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

#define PLUGIN_ID id
#define PLUGIN_MESSAGES messages
#include "base.h"
