/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/check/memory.h - malloc(), calloc() and realloc() of this process, of which one that the
 * plugin's own file calls fails. With a sanitizer, which has its own, none does. Threads: [any].
 */
#ifndef HOST_CHECK_MEMORY_H
#define HOST_CHECK_MEMORY_H

#include <stdbool.h>

/** From now on the n-th of them fails, once, where code of this file calls. [main] */
void memory_fail_nth(const char *path, unsigned n);
/** Whether it has come to that. */
bool memory_has_failed(void);

#endif
