/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spop/test_frame.c - frames, messages and arguments: found, read, cut at every byte.
 */
#include <criterion/criterion.h>

#include <spoe/util.h>

#include "lib/codec.h"
#include "bytes.h"

#define MAX_FRAME 16380u

/* One NOTIFY: stream 300, frame 1, messages "a" (x = "GET", y = true) and "b" (no arguments). */
static const uint8_t notify[] = {
    0,    0,    0, 24,                                         /* length */
    3,    0,    0, 0,  1,                                      /* NOTIFY, FIN */
    0xfc, 0x03, 1,                                             /* stream-id 300, frame-id */
    1,    'a',  2, 1,  'x', 8, 3, 'G', 'E', 'T', 1, 'y', 0x11, /* message a */
    1,    'b',  0,                                             /* message b */
    1,    'c',                                                 /* cut: no NB-ARGS */
};
#define NOTIFY_WHOLE (sizeof notify - 2)

static int find(const uint8_t *bytes, size_t n, size_t max, size_t *ret_size)
{
    uint8_t *in = exact_copy(bytes, n);
    int r = wire_frame_find(in, n, max, ret_size);

    free(in);
    return r;
}

Test(spop_frame, is_found_only_when_whole, .timeout = 60)
{
    const size_t whole = SPOP_LENGTH_BYTES + notify[3];

    for (size_t n = 0; n <= sizeof notify; n++) {
        size_t size = 0;
        int r = find(notify, n, MAX_FRAME, &size);

        cr_expect_eq(r, n >= whole, "%zu bytes: got %d", n, r);
        cr_expect_eq(size, n < SPOP_LENGTH_BYTES ? SPOP_LENGTH_BYTES : whole, "%zu bytes: got %zu",
                     n, size);
    }
}

Test(spop_frame, length_is_bounded_both_ways, .timeout = 60)
{
    static const struct {
        uint32_t length;
        int want;
    } rows[] = {
        {0, -SPOP_ERR_INVALID},
        {SPOP_FRAME_HEAD_MIN - 1, -SPOP_ERR_INVALID},
        {SPOP_FRAME_HEAD_MIN, 0},
        {MAX_FRAME, 0},
        {MAX_FRAME + 1, -SPOP_ERR_TOO_BIG},
        {INT32_MAX, -SPOP_ERR_TOO_BIG},
        {UINT32_MAX - 3, -SPOP_ERR_TOO_BIG},
        {UINT32_MAX, -SPOP_ERR_TOO_BIG},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint8_t in[] = {(uint8_t)(rows[i].length >> 24), (uint8_t)(rows[i].length >> 16),
                              (uint8_t)(rows[i].length >> 8), (uint8_t)rows[i].length};
        size_t size = 0;
        int r = find(in, sizeof in, MAX_FRAME, &size);

        cr_expect_eq(r, rows[i].want, "row %zu: got %d", i, r);
        if (r == 0)
            cr_expect_eq(size, (size_t)rows[i].length + SPOP_LENGTH_BYTES, "row %zu", i);
    }
}

Test(spop_frame, largest_length_does_not_wrap, .timeout = 60)
{
    const uint8_t in[] = {0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 1, 0, 0};
    size_t size = 0;

    cr_expect_eq(find(in, sizeof in, SIZE_MAX, &size), 0);
    cr_expect_eq(size, (size_t)UINT32_MAX + SPOP_LENGTH_BYTES);
}

Test(spop_frame, head_is_decoded, .timeout = 60)
{
    struct spop_frame f;

    cr_assert_eq(wire_frame_decode(notify + 4, NOTIFY_WHOLE - 4, &f), 0);
    cr_expect_eq(f.type, SPOP_NOTIFY);
    cr_expect_eq(f.flags, SPOP_FLAG_FIN);
    cr_expect_eq(f.stream_id, 300u);
    cr_expect_eq(f.frame_id, 1u);
    cr_expect_eq(f.payload, notify + 12);
    cr_expect_eq(f.payload_len, NOTIFY_WHOLE - 12);
}

Test(spop_frame, head_keeps_all_of_flags_and_ids, .timeout = 60)
{
    const uint8_t in[] = {
        0xab, 0x80, 0x40, 0x20, 0x03,                               /* type, flags */
        0xff, 0xf0, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0x0e, /* UINT64_MAX */
        0xef,
    };
    struct spop_frame f;

    cr_assert_eq(wire_frame_decode(in, sizeof in, &f), 0);
    cr_expect_eq(f.type, 0xab);
    cr_expect_eq(f.flags, 0x80402003u);
    cr_expect_eq(f.stream_id, UINT64_MAX);
    cr_expect_eq(f.frame_id, 239u);
    cr_expect_eq(f.payload_len, 0u);
}

Test(spop_frame, head_cut_at_every_byte_is_invalid, .timeout = 60)
{
    const uint8_t head[] = {3, 0, 0, 0, 1, 0xf0, 0x80, 0x00, 0xf0, 0x80, 0x00};

    for (size_t n = 0; n < sizeof head; n++) {
        uint8_t *in = exact_copy(head, n);
        struct spop_frame f;

        cr_expect_eq(wire_frame_decode(in, n, &f), -SPOP_ERR_INVALID, "%zu bytes", n);
        free(in);
    }
}

/* 9.1 */
Test(spop_frame, each_bit_of_a_length_has_its_place, .timeout = 60)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        const uint32_t want = UINT32_C(1) << bit;
        uint8_t bytes[5] = {0, 0, 0, 0, 0xaa};

        cr_expect_eq(wire_put_be32(bytes, want), bytes + 4);
        for (unsigned i = 0; i < 4; i++)
            cr_expect_eq(bytes[i], i == 3 - bit / 8 ? 1u << bit % 8 : 0u, "bit %u byte %u", bit, i);
        cr_expect_eq(bytes[4], 0xaa);
        cr_expect_eq(wire_load_be32(bytes), want);
    }
}

Test(spop_notify, messages_and_arguments_are_walked, .timeout = 60)
{
    struct spop_cursor c = cursor_of(notify + 12, NOTIFY_WHOLE - 12);
    struct spoe_span name;
    struct spoe_arg arg;
    uint32_t n_args;

    cr_assert_eq(codec_next_message(&c, &name, &n_args), 1);
    cr_expect(spoe_span_is(name, "a"));
    cr_expect_eq(n_args, 2u);
    cr_assert_eq(spop_get_arg(&c, &arg), 0);
    cr_expect(spoe_span_is(arg.name, "x"));
    cr_expect_eq(arg.value.type, (uint32_t)SPOE_T_STR);
    cr_expect(spoe_span_is(arg.value.u.s, "GET"));
    cr_assert_eq(spop_get_arg(&c, &arg), 0);
    cr_expect(spoe_span_is(arg.name, "y"));
    cr_expect_eq(arg.value.type, (uint32_t)SPOE_T_BOOL);
    cr_expect_eq(arg.value.u.b, 1);
    cr_assert_eq(codec_next_message(&c, &name, &n_args), 1);
    cr_expect(spoe_span_is(name, "b"));
    cr_expect_eq(n_args, 0u);
    cr_expect_eq(codec_next_message(&c, &name, &n_args), 0, "the end");
    cr_expect_eq(codec_next_message(&c, &name, &n_args), 0, "and it stays the end");
}

Test(spop_notify, empty_payload_has_no_message, .timeout = 60)
{
    struct spop_cursor c = cursor_of(notify, 0);
    struct spoe_span name;
    uint32_t n_args;

    cr_expect_eq(codec_next_message(&c, &name, &n_args), 0);
}

Test(spop_notify, message_without_its_count_is_invalid, .timeout = 60)
{
    struct spop_cursor c = cursor_of(notify + NOTIFY_WHOLE, 2);
    struct spoe_span name;
    uint32_t n_args;

    cr_expect_eq(codec_next_message(&c, &name, &n_args), -SPOP_ERR_INVALID);
    cr_expect_eq(c.p, notify + NOTIFY_WHOLE, "the cursor moved");
}

/* Walk a payload; 0 where it ends at the end of a message. */
static int walk(const uint8_t *p, size_t n)
{
    struct spop_cursor c = cursor_of(p, n);
    struct spoe_span name;
    struct spoe_arg arg;
    uint32_t n_args;
    int r;

    while ((r = codec_next_message(&c, &name, &n_args)) == 1)
        for (uint32_t i = 0; i < n_args; i++)
            if (spop_get_arg(&c, &arg) != 0)
                return -SPOP_ERR_INVALID;
    return r;
}

Test(spop_notify, payload_cut_inside_a_message_is_invalid, .timeout = 60)
{
    const size_t len = NOTIFY_WHOLE - 12, after_a = 13;

    for (size_t n = 0; n <= len; n++) {
        uint8_t *in = exact_copy(notify + 12, n);
        int want = n == 0 || n == after_a || n == len ? 0 : -SPOP_ERR_INVALID;

        cr_expect_eq(walk(in, n), want, "%zu bytes", n);
        free(in);
    }
}

Test(spop_notify, takes_255_arguments, .timeout = 60)
{
    uint8_t in[3 + 255 * 3] = {1, 'm', 255};

    for (size_t i = 0; i < 255; i++) {
        in[3 + 3 * i] = 1;
        in[4 + 3 * i] = 'k';
        in[5 + 3 * i] = SPOE_T_NULL;
    }
    cr_expect_eq(walk(in, sizeof in), 0);
    cr_expect_eq(walk(in, sizeof in - 3), -SPOP_ERR_INVALID, "one argument is missing");
}
