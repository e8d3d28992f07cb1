/* SPDX-License-Identifier: Apache-2.0 */
/* A constructor of it calls exit() while it is loaded. */
#include <stdlib.h>

#include <spoe/plugin.h>

static void leave(void) __attribute__((constructor));
static void leave(void)
{
    exit(0); // NOLINT(concurrency-mt-unsafe)
}

#define PLUGIN_ID "exit-constructor"
#include "base.h"
