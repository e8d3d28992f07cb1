/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler never returns, so that its worker is lost. */
#include <unistd.h>

#include <spoe/plugin.h>

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    (void)req;
    (void)msg;
    for (;;)
        (void)pause();
    return SPOE_OK;
}

#define PLUGIN_HANDLE handle
#define PLUGIN_ID "blocks"
#include "base.h"
