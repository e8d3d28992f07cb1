/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spop/test_varint.c - varints at each of their boundaries (SPOE.txt 3.1), both ways.
 */
#include <criterion/criterion.h>

#include "lib/codec.h"
#include "bytes.h"

struct row {
    uint64_t value;
    size_t n;
    uint8_t bytes[SPOP_VARINT_MAX];
};

/*
 * A further byte adds seven bits: each length ends where the next one begins. The bytes follow
 * from the table of SPOE.txt 3.1, worked out apart from the encoder under test.
 */
static const struct row rows[] = {
    {0, 1, {0x00}},
    {1, 1, {0x01}},
    {239, 1, {0xef}},
    {240, 2, {0xf0, 0x00}},
    {241, 2, {0xf1, 0x00}},
    {255, 2, {0xff, 0x00}},
    {256, 2, {0xf0, 0x01}},
    {2287, 2, {0xff, 0x7f}},
    {2288, 3, {0xf0, 0x80, 0x00}},
    {16380, 3, {0xfc, 0xf0, 0x06}}, /* as HAProxy writes its max-frame-size */
    {264431, 3, {0xff, 0xff, 0x7f}},
    {264432, 4, {0xf0, 0x80, 0x80, 0x00}},
    {33818863, 4, {0xff, 0xff, 0xff, 0x7f}},
    {33818864, 5, {0xf0, 0x80, 0x80, 0x80, 0x00}},
    {UINT32_MAX, 5, {0xff, 0xf0, 0xfe, 0xfe, 0x7e}},
    {UINT64_C(4328786159), 5, {0xff, 0xff, 0xff, 0xff, 0x7f}},
    {UINT64_C(4328786160), 6, {0xf0, 0x80, 0x80, 0x80, 0x80, 0x00}},
    {UINT64_C(554084600047), 6, {0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
    {UINT64_C(554084600048), 7, {0xf0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}},
    {UINT64_C(70922828777711), 7, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
    {UINT64_C(70922828777712), 8, {0xf0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}},
    {UINT64_C(9078122083518703), 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
    {UINT64_C(9078122083518704), 9, {0xf0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}},
    {UINT64_C(1161999626690365679), 9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
    {UINT64_C(1161999626690365680), 10, {0xf0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}},
    {UINT64_MAX, 10, {0xff, 0xf0, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0x0e}},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

Test(spop_varint, decodes_each_boundary, .timeout = 60)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        uint8_t *in = exact_copy(rows[i].bytes, rows[i].n);
        struct spop_cursor c = cursor_of(in, rows[i].n);
        uint64_t v = 0;

        cr_expect_eq(codec_get_varint(&c, &v), 0, "row %zu", i);
        cr_expect_eq(v, rows[i].value, "row %zu: got %ju, want %ju", i, (uintmax_t)v,
                     (uintmax_t)rows[i].value);
        cr_expect_eq(c.p, c.end, "row %zu: bytes left over", i);
        free(in);
    }
}

Test(spop_varint, encodes_each_boundary, .timeout = 60)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        uint8_t out[SPOP_VARINT_MAX], plain[SPOP_VARINT_MAX];
        size_t n = (size_t)(wire_put_varint(out, rows[i].value) - out);

        cr_expect_eq(n, rows[i].n, "row %zu: got %zu bytes, want %zu", i, n, rows[i].n);
        cr_expect_arr_eq(out, rows[i].bytes, rows[i].n, "row %zu", i);
        cr_expect_eq(wire_varint_size(rows[i].value), rows[i].n, "row %zu", i);
        /* What the other tests write with. */
        cr_assert_eq(codec_put_varint(plain, sizeof plain, rows[i].value), n, "row %zu", i);
        cr_expect_arr_eq(plain, rows[i].bytes, n, "row %zu", i);
    }
}

Test(spop_varint, rejects_each_cut, .timeout = 60)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t cut = 0; cut < rows[i].n; cut++) {
            uint8_t *in = exact_copy(rows[i].bytes, cut);
            struct spop_cursor c = cursor_of(in, cut);
            uint64_t v = 77;

            cr_expect_eq(codec_get_varint(&c, &v), -SPOP_ERR_INVALID, "row %zu cut %zu", i, cut);
            cr_expect_eq(c.p, in, "row %zu cut %zu: the cursor moved", i, cut);
            cr_expect_eq(v, 77u, "row %zu cut %zu: the result was touched", i, cut);
            free(in);
        }
    }
}

Test(spop_varint, leaves_what_follows, .timeout = 60)
{
    const uint8_t in[] = {0xf0, 0x00, 0x05};
    struct spop_cursor c = cursor_of(in, sizeof in);
    uint64_t v;

    cr_assert_eq(codec_get_varint(&c, &v), 0);
    cr_expect_eq(v, 240u);
    cr_assert_eq(codec_get_varint(&c, &v), 0);
    cr_expect_eq(v, 5u);
    cr_expect_eq(codec_get_varint(&c, &v), -SPOP_ERR_INVALID);
}

Test(spop_varint, rejects_over_64_bits, .timeout = 60)
{
    static const uint8_t over[][12] = {
        /* UINT64_MAX + 1: the sum overflows although each byte fits */
        {0xf0, 0xf1, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0x0e + 1, 0, 0},
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0},
        {0xf0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0}, /* bit 64 */
        {0xf0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0, 0},
        {0xf0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0}, /* eleven bytes */
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
    };

    for (size_t i = 0; i < sizeof over / sizeof over[0]; i++) {
        struct spop_cursor c = cursor_of(over[i], sizeof over[i]);
        uint64_t v;

        cr_expect_eq(codec_get_varint(&c, &v), -SPOP_ERR_INVALID, "row %zu", i);
        cr_expect_eq(c.p, over[i], "row %zu: the cursor moved", i);
    }
}

Test(spop_varint, round_trips_around_each_power_of_two, .timeout = 60)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int d = -1; d <= 1; d++) {
            uint64_t want = (UINT64_C(1) << bit) + (uint64_t)(int64_t)d, got = 0;
            uint8_t out[SPOP_VARINT_MAX];
            size_t n = (size_t)(wire_put_varint(out, want) - out);
            struct spop_cursor c = cursor_of(out, n);

            cr_expect_eq(codec_get_varint(&c, &got), 0, "2^%u%+d", bit, d);
            cr_expect_eq(got, want, "2^%u%+d", bit, d);
            cr_expect_eq(c.p, c.end, "2^%u%+d", bit, d);
        }
    }
}
