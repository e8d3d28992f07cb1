/* SPDX-License-Identifier: Apache-2.0 */
/* configure() fails without a reason. */
#include <spoe/plugin.h>

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)host;
    (void)self;
    (void)cfg;
    (void)ret_inst;
    return SPOE_E_NOMEM;
}

#define PLUGIN_CONFIGURE configure
#define PLUGIN_ID "configure-fails"
#include "base.h"
