/* SPDX-License-Identifier: Apache-2.0 */
/* Its stop() never returns. */
#include <unistd.h>

#include <spoe/plugin.h>

static void stop(void *inst, int64_t deadline_mono_ns)
{
    (void)inst;
    (void)deadline_mono_ns;
    for (;;)
        (void)pause(); /* returns only after a signal, then again */
}

#define PLUGIN_STOP stop
#define PLUGIN_ID "stop-hangs"
#include "base.h"
