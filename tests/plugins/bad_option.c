/* SPDX-License-Identifier: Apache-2.0 */
/* An option of a type that does not exist. */
#include <spoe/plugin.h>

static const struct spoe_option odd = {sizeof odd,   99,   0,    0, "odd", NULL,
                                       "of type 99", NULL, NULL, 0, 0,     NULL};
static const struct spoe_option *const options[] = {&odd, NULL};

#define PLUGIN_OPTIONS options
#define PLUGIN_ID "bad-option"
#include "base.h"
