/* SPDX-License-Identifier: Apache-2.0 */
/* start() fails. */
#include <spoe/plugin.h>

static spoe_status start(void *inst)
{
    (void)inst;
    return SPOE_E_INTERNAL;
}

#define PLUGIN_START start
#define PLUGIN_ID "start-fails"
#include "base.h"
