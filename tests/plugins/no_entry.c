/* SPDX-License-Identifier: Apache-2.0 */
/* It exports no entry. */
#include <spoe/plugin.h>

int no_entry_at_all(void);
int no_entry_at_all(void)
{
    return SPOE_ABI_MAJOR;
}
