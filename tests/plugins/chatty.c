/* SPDX-License-Identifier: Apache-2.0 */
/* Logs as long a line as there may be for each message. */
#include <string.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst);
static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg);

#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_ID "chatty"
#include "base.h"

static const struct spoe_host *the_host;
static char text[2000];

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)cfg;
    the_host = host;
    memset(text, 'c', sizeof text);
    *ret_inst = self;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)req;
    (void)msg;
    the_host->log(wctx, NULL, SPOE_LOG_INFO, (struct spoe_span){text, sizeof text});
    return SPOE_OK;
}
