/* SPDX-License-Identifier: Apache-2.0 */
/* Its option can change at run time, it says, and it has no reconfigure(). */
#include <spoe/plugin.h>

static const struct spoe_option word = {
    sizeof word, SPOE_OPT_STRING, SPOE_OPTION_RELOADABLE, 0, "word", "old", "", NULL, NULL, 0, 0,
    NULL};
static const struct spoe_option *const options[] = {&word, NULL};

#define PLUGIN_OPTIONS options
#define PLUGIN_ID "reloadable-only"
#include "base.h"
