/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_script.c - a line of --try: what is found lies within it, its values become a
 * frame that reads back as what went in.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "spop/spop.h"
#include "spop/wire.h"
#include "try/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct spoe_span span, const char *p, size_t n)
{
    assert(span.n <= n && span.p >= p && span.p + span.n <= p + n);
}

static void read_back(const uint8_t *frame, size_t size, const struct script_line *line,
                      const struct spoe_arg *args)
{
    const uint8_t *const end = frame + size;
    struct spop_frame decoded;
    struct spoe_span name;
    const uint8_t *p;
    uint32_t n;

    assert(wire_frame_decode(frame + SPOP_LENGTH_BYTES, size - SPOP_LENGTH_BYTES, &decoded) == 0);
    assert(decoded.type == SPOP_NOTIFY && decoded.stream_id == 1 && decoded.frame_id == 2);
    p = wire_read_message(decoded.payload, end, &name, &n);
    assert(p != NULL && n == line->n && name.n == line->message.n);
    for (uint32_t i = 0; i < n; i++) {
        struct spoe_value value;

        p = wire_read_string(p, end, &name);
        assert(p != NULL && name.n == args[i].name.n &&
               memcmp(name.p, args[i].name.p, name.n) == 0);
        p = wire_read_value(p, end, &value);
        assert(p != NULL && value.type == args[i].value.type);
    }
    assert(p == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct script_line line;
    static uint8_t frame[FRAME_SIZE + SPOP_LENGTH_BYTES];
    struct spoe_arg args[SCRIPT_WORDS_MAX];
    struct error wrong;
    char *copy = malloc(size > 0 ? size : 1); /* its end is guarded */

    assert(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    if (script_read(copy, size, &line, &wrong) == 0 && line.kind != SCRIPT_NOTHING) {
        if (line.kind == SCRIPT_FRAME) {
            within((struct spoe_span){(const char *)line.frame, line.frame_len}, copy, size);
        } else {
            within(line.message, copy, size);
            for (uint32_t i = 0; i < line.n; i++) {
                within(line.word[i].name, copy, size);
                within(line.word[i].value, copy, size);
            }
            if (frame_values(NULL, &line, args, &wrong) == 0) {
                const size_t n = frame_notify(frame, 1, 2, line.message, args, line.n);

                assert(n <= sizeof frame);
                if (n != 0)
                    read_back(frame, n, &line, args);
            }
        }
    }
    free(copy);
    return 0;
}
