/* SPDX-License-Identifier: Apache-2.0 */
/* No plugin: it exports nothing, and a constructor of it tells on standard error that it ran. */
#include <unistd.h>

static void tell(void) __attribute__((constructor));
static void tell(void)
{
    (void)!write(2, "a constructor ran\n", 18);
}
