/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_tracestate.c - what comes out is a tracestate that stays as it is when it is read
 * again, also with another threshold. A line end in the input begins the next of the lines.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "context/tracestate.h"

#define LINES 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_threshold(const char *p, size_t n, bool all)
{
    char text[TRACESTATE_MAX], again[TRACESTATE_MAX];
    struct text line = {text, 0};

    memcpy(text, p, n);
    line.n = tracestate_set_threshold(text, n, all);
    if (line.n > n || tracestate_read(&line, 1, again) != line.n ||
        memcmp(text, again, line.n) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *const end = p + size;
    struct text lines[LINES] = {{NULL, 0}}, again;
    char out[TRACESTATE_MAX], twice[TRACESTATE_MAX];
    size_t n;

    for (size_t i = 0; i < LINES && p != end; i++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));

        if (stop == NULL || i == LINES - 1)
            stop = end;
        lines[i] = (struct text){p, (size_t)(stop - p)};
        p = stop != end ? stop + 1 : end;
    }
    n = tracestate_read(lines, LINES, out);
    if (n > TRACESTATE_MAX || (n > 0 && memchr(out, '=', n) == NULL))
        abort();
    for (size_t i = 0; i < n; i++)
        if (out[i] < 0x20 || out[i] > 0x7e)
            abort();
    again = (struct text){out, n};
    if (tracestate_read(&again, 1, twice) != n || memcmp(out, twice, n) != 0)
        abort();
    check_threshold(out, n, true);
    check_threshold(out, n, false);
    return 0;
}
