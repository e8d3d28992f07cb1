/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_frame.c - a stream of bytes, cut into frames; the payload of each is read by
 * every decoder, whatever its type, since all of them must stand whatever a peer sends.
 */
#include <assert.h>
#include <stdbool.h>

#include "lib/codec.h"

#define MAX_FRAME 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read every byte of a span, so that the sanitizer sees one that leaves the input. */
static void touch(struct spoe_span s)
{
    static volatile unsigned char sink;

    for (size_t i = 0; i < s.n; i++)
        sink = (unsigned char)s.p[i];
    (void)sink;
}

static void touch_value(const struct spoe_value *v)
{
    assert(v->type <= SPOE_T_BIN && v->flags == 0);
    if (v->type == SPOE_T_STR || v->type == SPOE_T_BIN)
        touch(v->u.s);
}

/* A decoder that fails must leave the cursor where it was. */
static bool walk_message(struct spop_cursor *c, uint32_t n_args)
{
    struct spoe_arg arg;

    for (uint32_t i = 0; i < n_args; i++) {
        const uint8_t *before = c->p;

        if (spop_get_arg(c, &arg) != 0) {
            assert(c->p == before);
            return false;
        }
        assert(c->p > before && c->p <= c->end);
        touch(arg.name);
        touch_value(&arg.value);
    }
    return true;
}

static void walk_notify(const struct spop_frame *f)
{
    struct spop_cursor c = {f->payload, f->payload + f->payload_len};
    struct spoe_span name;
    uint32_t n_args;
    int r;

    while ((r = codec_next_message(&c, &name, &n_args)) == 1) {
        touch(name);
        if (!walk_message(&c, n_args))
            return;
    }
    assert(r == -SPOP_ERR_INVALID || c.p == c.end);
}

static void read_payload(const struct spop_frame *f)
{
    struct spop_hello hello;
    struct spoe_span message;
    uint32_t status;
    int r;

    walk_notify(f);
    r = spop_decode_hello(f->payload, f->payload_len, &hello);
    if (r == 0) {
        assert(hello.max_frame_size >= SPOP_FRAME_SIZE_MIN);
        touch(hello.engine_id);
    } else {
        assert(r == -SPOP_ERR_INVALID ||
               (r <= -SPOP_ERR_NO_VERSION && r >= -SPOP_ERR_BAD_FRAME_SIZE));
    }
    if (spop_decode_disconnect(f->payload, f->payload_len, &status, &message) == 0)
        touch(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size > 0) {
        struct spop_frame f;
        size_t n = 0;
        int r = wire_frame_find(data, size, MAX_FRAME, &n);

        if (r <= 0) {
            assert(r < 0 || (n > size && n >= SPOP_LENGTH_BYTES));
            return 0;
        }
        assert(n <= size && n <= MAX_FRAME + SPOP_LENGTH_BYTES);
        if (wire_frame_decode(data + SPOP_LENGTH_BYTES, n - SPOP_LENGTH_BYTES, &f) == 0) {
            assert(f.payload + f.payload_len == data + n);
            read_payload(&f);
        }
        data += n;
        size -= n;
    }
    return 0;
}
