/* SPDX-License-Identifier: Apache-2.0 */
/* worker_start() fails on worker 1, so with two workers one has to be undone. */
#include <spoe/plugin.h>

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    (void)worker;
    if (index == 1)
        return SPOE_E_LIMIT;
    *ret_wctx = inst;
    return SPOE_OK;
}

#define PLUGIN_WORKER_START worker_start
#define PLUGIN_ID "worker-start-fails"
#include "base.h"
