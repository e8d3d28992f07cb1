/* SPDX-License-Identifier: Apache-2.0 */
/* An option whose default is not one of its choices. */
#include <spoe/plugin.h>

static const char *const choices[] = {"red", "green", NULL};
static const struct spoe_option colour = {
    sizeof colour, SPOE_OPT_ENUM, 0, 0, "colour", "blue", "a colour", NULL, choices, 0, 0, NULL};
static const struct spoe_option *const options[] = {&colour, NULL};

#define PLUGIN_OPTIONS options
#define PLUGIN_ID "bad-default"
#include "base.h"
