/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_hdrs.c - HAProxy's binary headers (spoe/hdrs.h) of any bytes: what is found lies
 * inside them, in order, and there is an end.
 */
#include <assert.h>

#include <spoe/hdrs.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const end = (const char *)data + size;
    struct spoe_hdrs hdrs = spoe_hdrs_of((struct spoe_span){(const char *)data, size});
    struct spoe_span name, value, found;
    const char *last = (const char *)data;
    unsigned sum = 0;

    while (spoe_hdrs_next(&hdrs, &name, &value)) {
        assert(name.n > 0 && name.p > last && name.p + name.n < value.p);
        assert(value.p <= end && value.n <= (size_t)(end - value.p));
        for (size_t i = 0; i < value.n; i++)
            sum += (unsigned char)value.p[i];
        last = value.p;
    }
    assert(!spoe_hdrs_next(&hdrs, &name, &value));
    (void)spoe_hdrs_find((struct spoe_span){(const char *)data, size}, "host", &found);
    return sum == 1 ? 0 : 0; /* the bytes are read */
}
