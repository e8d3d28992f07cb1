/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_b3.c - the single header as it is; the four others from the input's lines. What
 * parses comes out as it was read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "context/b3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct inbound *inbound)
{
    const uint8_t sampled = inbound->sampled == SAMPLED_YES ? TRACE_FLAG_SAMPLED : 0;
    struct inbound again;
    char out[B3_SINGLE_LEN];

    if (inbound->parent.flags != sampled || inbound->debug != inbound->parent.debug ||
        (inbound->debug && inbound->sampled != SAMPLED_YES))
        abort();
    if (!inbound->has_parent)
        return;
    b3_write_single(&inbound->parent, out);
    if (!b3_read_single((struct text){out, sizeof out}, &again) ||
        memcmp(&again.parent, &inbound->parent, sizeof again.parent) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *const end = p + size;
    struct text lines[4] = {{NULL, 0}};
    struct inbound inbound;

    if (b3_read_single((struct text){p, size}, &inbound))
        check(&inbound);
    for (size_t i = 0; i < 4 && p != end; i++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));

        if (stop == NULL)
            stop = end;
        lines[i] = (struct text){p, (size_t)(stop - p)};
        p = stop != end ? stop + 1 : end;
    }
    if (b3_read_multi(&(struct b3_headers){lines[0], lines[1], lines[2], lines[3]}, &inbound))
        check(&inbound);
    return 0;
}
