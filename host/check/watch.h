/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/check/watch.h - a thread that ends the process where a plugin does not come back: the rule
 * is written down, with the function that it is in.
 */
#ifndef HOST_CHECK_WATCH_H
#define HOST_CHECK_WATCH_H

#include <stdint.h>

#define WATCH_STATUS 3 /* the process ends with it */

/** [main] @return 0; -1 with errno */
int watch_start(void);
/** Whatever begins now has so long. 0: nothing is watched. [main] */
void watch_set(int64_t limit_ns);

#endif
