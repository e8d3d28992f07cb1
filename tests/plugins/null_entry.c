/* SPDX-License-Identifier: Apache-2.0 */
/* Its entry returns nothing. */
#include <spoe/plugin.h>

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    return NULL;
}
