/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_value.c - typed values: what was read is written and read again, and must be the
 * same. The writer also gets too little room, at each size.
 */
#include <assert.h>
#include <stdlib.h>

#include "spop/spop.h"
#include "unit/spop/same_value.h"

#define CAP 8192u   /* more than any input re-encoded */
#define CUT_MAX 64u /* writes into each room up to this */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct spoe_value *v)
{
    static uint8_t out[CAP];
    struct spoe_value again;
    struct spop_cursor c;
    size_t n = spop_put_value(out, sizeof out, v);

    assert(n > 0);
    c = (struct spop_cursor){out, out + n};
    assert(spop_get_value(&c, &again) == 0);
    assert(c.p == c.end);
    assert(same_value(v, &again));

    for (size_t cap = 0; cap < n && cap < CUT_MAX; cap++) {
        uint8_t *exact = malloc(cap + 1); /* its end is guarded */

        assert(exact != NULL);
        assert(spop_put_value(exact, cap, v) == 0);
        free(exact);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spop_cursor c = {data, data + size};
    struct spoe_value v;

    while (c.p != c.end) {
        const uint8_t *before = c.p;

        if (spop_get_value(&c, &v) != 0) {
            assert(c.p == before);
            break;
        }
        assert(c.p > before && c.p <= c.end);
        round_trip(&v);
    }
    return 0;
}
