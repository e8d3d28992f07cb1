/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/magic.h - a word in an object that says what it is, so that a pointer to something
 * else, or to what is free already, ends the process at the first function that is handed it
 * rather than somewhere later.
 */
#ifndef HOST_BASE_MAGIC_H
#define HOST_BASE_MAGIC_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/** Four letters as a magic word; 0 is that of no object. */
#define MAGIC(a, b, c, d)                                                                          \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/** Whether *ptr, which has a member `magic`, is what it should be; for assert(). NULL ends the
 * process here as well, by the fault. */
#define IS(ptr, word) ((ptr)->magic == (word))

#endif
