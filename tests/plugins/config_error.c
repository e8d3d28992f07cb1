/* SPDX-License-Identifier: Apache-2.0 */
/* configure() dislikes both of its options. */
#include <spoe/plugin.h>
#include <spoe/util.h>

static const char *const one_env[] = {"TEST_ONE", NULL};
static const struct spoe_option one = {sizeof one, SPOE_OPT_INT, 0,    0, "one", "1",
                                       "first",    one_env,      NULL, 0, 100,   NULL};
static const struct spoe_option two = {
    sizeof two, SPOE_OPT_STRING, SPOE_OPTION_SECRET, 0, "two", "x", "second", NULL, NULL, 0, 0,
    NULL};
static const struct spoe_option *const options[] = {&one, &two, NULL};

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)self;
    (void)ret_inst;
    host->config_error(cfg, 0, spoe_str("too small for me"));
    host->config_error(cfg, 1, spoe_str("not to my taste"));
    return SPOE_E_CONFIG;
}

#define PLUGIN_CONFIGURE configure
#define PLUGIN_OPTIONS options
#define PLUGIN_ID "config-error"
#include "base.h"
