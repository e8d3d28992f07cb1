/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_value.c - typed values: what was read is written and read again, and must be the
 * same. The writer also gets too little room, at each size.
 */
#include <assert.h>
#include <stdlib.h>

#include "lib/codec.h"
#include "unit/spop/same_value.h"

#define CAP 8192u   /* more than any input re-encoded */
#define CUT_MAX 64u /* writes into each room up to this */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The host writes values behind a scope and a name. */
#define BEFORE 4u /* bytes of a set-var without a name: action, arguments, scope, length */
static size_t put_value(uint8_t *p, size_t cap, const struct spoe_value *v)
{
    return spop_put_set_var(p, cap, SPOE_SCOPE_TXN, (struct spoe_span){NULL, 0}, v);
}

static void round_trip(const struct spoe_value *v)
{
    static uint8_t out[CAP];
    struct spoe_value again;
    struct spop_cursor c;
    size_t n = put_value(out, sizeof out, v);

    assert(n > BEFORE);
    c = (struct spop_cursor){out + BEFORE, out + n};
    assert(codec_get_value(&c, &again) == 0);
    assert(c.p == c.end);
    assert(same_value(v, &again));

    for (size_t cap = 0; cap < n && cap < CUT_MAX; cap++) {
        uint8_t *exact = malloc(cap + 1); /* its end is guarded */

        assert(exact != NULL);
        assert(put_value(exact, cap, v) == 0);
        free(exact);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spop_cursor c = {data, data + size};
    struct spoe_value v;

    while (c.p != c.end) {
        const uint8_t *before = c.p;

        if (codec_get_value(&c, &v) != 0) {
            assert(c.p == before);
            break;
        }
        assert(c.p > before && c.p <= c.end);
        round_trip(&v);
    }
    return 0;
}
