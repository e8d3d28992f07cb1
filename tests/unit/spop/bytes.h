/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spop/bytes.h - input bytes of the codec's tests, in memory of exactly their size, so
 * that the sanitizer build sees a read past their end.
 */
#ifndef TESTS_BYTES_H
#define TESTS_BYTES_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spop/spop.h"

/* The first n bytes in memory of their own; free() gives it back. */
static inline uint8_t *exact_copy(const void *bytes, size_t n)
{
    uint8_t *p = calloc(1, n != 0 ? n : 1);

    assert(p != NULL);
    if (n != 0)
        memcpy(p, bytes, n);
    return p;
}

static inline struct spop_cursor cursor_of(const uint8_t *p, size_t n)
{
    return (struct spop_cursor){p, p + n};
}

#endif
