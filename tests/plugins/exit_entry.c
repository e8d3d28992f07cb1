/* SPDX-License-Identifier: Apache-2.0 */
/* Its entry function calls exit(). */
#include <stdlib.h>

#include <spoe/plugin.h>

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    exit(0); // NOLINT(concurrency-mt-unsafe)
}
