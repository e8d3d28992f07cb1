/* SPDX-License-Identifier: Apache-2.0 */
/* host/base/container_of.h - from a member to what holds it. */
#ifndef HOST_BASE_CONTAINER_OF_H
#define HOST_BASE_CONTAINER_OF_H

#include <stddef.h>

/** The `type` whose `member` `ptr` points to; does not compile where `ptr` points to another type.
 */
#define container_of(ptr, type, member)                                                            \
    ((type *)(void *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#endif
