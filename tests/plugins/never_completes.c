/* SPDX-License-Identifier: Apache-2.0 */
/* It promises to complete and never does, not even in stop(). The host must get over it. */
#include <spoe/plugin.h>

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    (void)req;
    (void)msg;
    return SPOE_PENDING;
}

#define PLUGIN_HANDLE handle
#define PLUGIN_ID "never"
#include "base.h"
