/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_traceparent.c - what parses comes out as it was read. */
#include <stdlib.h>
#include <string.h>

#include "context/trace_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct trace_context context, again;
    char out[TRACEPARENT_LEN];

    if (!traceparent_parse(text, size, &context))
        return 0;
    if (size < TRACEPARENT_LEN || (context.flags & ~3u) != 0)
        abort();
    traceparent_format(&context, out);
    if (memcmp(out + 2, text + 2, 51) != 0) /* ids and separators */
        abort();
    if (!traceparent_parse(out, sizeof out, &again) ||
        memcmp(&context, &again, sizeof context) != 0)
        abort();
    return 0;
}
