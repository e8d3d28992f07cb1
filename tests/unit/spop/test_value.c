/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spop/test_value.c - strings and typed values (SPOE.txt 3.1), both ways.
 */
#include <criterion/criterion.h>

#include <spoe/util.h>

#include "lib/codec.h"
#include "bytes.h"
#include "same_value.h"

#define BYTES(s) s, sizeof(s) - 1

struct row {
    const char *bytes;
    size_t n;
    struct spoe_value value;
};

/* Each type as HAProxy writes it, which is also how we write it. */
static const struct row rows[] = {
    {BYTES("\x00"), {.type = SPOE_T_NULL}},
    {BYTES("\x01"), {.type = SPOE_T_BOOL, .u.b = 0}},
    {BYTES("\x11"), {.type = SPOE_T_BOOL, .u.b = 1}},
    {BYTES("\x02\x00"), {.type = SPOE_T_INT32, .u.i32 = 0}},
    {BYTES("\x02\xef"), {.type = SPOE_T_INT32, .u.i32 = 239}},
    {BYTES("\x02\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e"), {.type = SPOE_T_INT32, .u.i32 = -1}},
    {BYTES("\x03\xfc\xf0\x06"), {.type = SPOE_T_UINT32, .u.u32 = 16380}},
    {BYTES("\x03\xff\xf0\xfe\xfe\x7e"), {.type = SPOE_T_UINT32, .u.u32 = UINT32_MAX}},
    {BYTES("\x04\x05"), {.type = SPOE_T_INT64, .u.i64 = 5}},
    {BYTES("\x04\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e"), {.type = SPOE_T_INT64, .u.i64 = -1}},
    {BYTES("\x05\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e"),
     {.type = SPOE_T_UINT64, .u.u64 = UINT64_MAX}},
    {BYTES("\x06\x7f\x00\x00\x01"), {.type = SPOE_T_IPV4, .u.ip4 = {127, 0, 0, 1}}},
    {BYTES("\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
     {.type = SPOE_T_IPV6, .u.ip6 = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}},
    {BYTES("\x08\x00"), {.type = SPOE_T_STR, .u.s = {NULL, 0}}},
    {BYTES("\x08\x03GET"), {.type = SPOE_T_STR, .u.s = {"GET", 3}}},
    {BYTES("\x09\x00"), {.type = SPOE_T_BIN, .u.s = {NULL, 0}}},
    {BYTES("\x09\x04\x00\xff\x00\x0a"), {.type = SPOE_T_BIN, .u.s = {"\x00\xff\x00\x0a", 4}}},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

Test(spop_value, decodes_each_type, .timeout = 60)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        uint8_t *in = exact_copy(rows[i].bytes, rows[i].n);
        struct spop_cursor c = cursor_of(in, rows[i].n);
        struct spoe_value v;

        cr_assert_eq(codec_get_value(&c, &v), 0, "row %zu", i);
        cr_expect(same_value(&v, &rows[i].value), "row %zu", i);
        cr_expect_eq(c.p, c.end, "row %zu: %td bytes left over", i, c.end - c.p);
        free(in);
    }
}

/* A value as the host writes it, into room for no more than cap bytes of it. */
#define BEFORE 5u /* of a set-var of "n": action, arguments, scope, name */
static size_t put_value(uint8_t *p, size_t cap, const struct spoe_value *v)
{
    size_t n;
    uint8_t *out = malloc(BEFORE + cap);

    cr_assert_not_null(out);
    n = spop_put_set_var(out, BEFORE + cap, SPOE_SCOPE_TXN, spoe_str("n"), v);
    cr_assert(n == 0 || (n > BEFORE && n <= BEFORE + cap));
    if (n != 0)
        memcpy(p, out + BEFORE, n - BEFORE);
    free(out);
    return n == 0 ? 0 : n - BEFORE;
}

Test(spop_value, encodes_each_type, .timeout = 60)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        uint8_t out[64];

        for (size_t cap = rows[i].n; cap <= sizeof out; cap++) {
            cr_assert_eq(put_value(out, cap, &rows[i].value), rows[i].n, "row %zu cap %zu", i, cap);
            cr_expect_arr_eq(out, rows[i].bytes, rows[i].n, "row %zu", i);
        }
        /* What the other tests write with. */
        cr_assert_eq(codec_put_value(out, sizeof out, &rows[i].value), rows[i].n, "row %zu", i);
        cr_expect_arr_eq(out, rows[i].bytes, rows[i].n, "row %zu", i);
    }
}

Test(spop_value, rejects_each_cut_both_ways, .timeout = 60)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t cut = 0; cut < rows[i].n; cut++) {
            uint8_t *mem = exact_copy(rows[i].bytes, cut);
            struct spop_cursor c = cursor_of(mem, cut);
            struct spoe_value v = {.type = 77};

            cr_expect_eq(codec_get_value(&c, &v), -SPOP_ERR_INVALID, "row %zu cut %zu", i, cut);
            cr_expect_eq(c.p, mem, "row %zu cut %zu: the cursor moved", i, cut);
            cr_expect_eq(v.type, 77u, "row %zu cut %zu: the result was touched", i, cut);
            cr_expect_eq(put_value(mem, cut, &rows[i].value), 0u, "row %zu cap %zu", i, cut);
            free(mem);
        }
    }
}

/* A 32-bit integer keeps the low 32 bits of its varint. */
Test(spop_value, cuts_wide_varints_to_32_bits, .timeout = 60)
{
    const uint64_t wide[] = {UINT32_MAX, UINT64_C(0x1ffffffff), UINT64_C(0x180000001), UINT64_MAX};

    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        uint8_t in[1 + SPOP_VARINT_MAX];
        size_t n = 1 + codec_put_varint(in + 1, sizeof in - 1, wide[i]);
        struct spop_cursor c = cursor_of(in, n);
        struct spoe_value v;

        in[0] = SPOE_T_INT32;
        cr_assert_eq(codec_get_value(&c, &v), 0);
        cr_expect_eq(v.u.i32, (int32_t)(uint32_t)wide[i], "row %zu", i);
        in[0] = SPOE_T_UINT32;
        c = cursor_of(in, n);
        cr_assert_eq(codec_get_value(&c, &v), 0);
        cr_expect_eq(v.u.u32, (uint32_t)wide[i], "row %zu", i);
    }
}

Test(spop_value, round_trips_extreme_integers, .timeout = 60)
{
    const struct spoe_value values[] = {
        {.type = SPOE_T_INT32, .u.i32 = INT32_MIN},   {.type = SPOE_T_INT32, .u.i32 = INT32_MAX},
        {.type = SPOE_T_INT32, .u.i32 = -240},        {.type = SPOE_T_INT64, .u.i64 = INT64_MIN},
        {.type = SPOE_T_INT64, .u.i64 = INT64_MAX},   {.type = SPOE_T_INT64, .u.i64 = -241},
        {.type = SPOE_T_UINT64, .u.u64 = 4328786160}, {.type = SPOE_T_UINT32, .u.u32 = 33818864},
    };

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t out[1 + SPOP_VARINT_MAX];
        size_t n = put_value(out, sizeof out, &values[i]);
        struct spop_cursor c = cursor_of(out, n);
        struct spoe_value v;

        cr_assert_eq(codec_get_value(&c, &v), 0, "row %zu", i);
        cr_expect(same_value(&v, &values[i]), "row %zu", i);
    }
}

Test(spop_value, ignores_flags_of_other_types, .timeout = 60)
{
    const uint8_t in[] = {0xf8, 0x01, 'x', 0xf1, 0xe1};
    struct spop_cursor c = cursor_of(in, sizeof in);
    struct spoe_value v;

    cr_assert_eq(codec_get_value(&c, &v), 0);
    cr_expect_eq(v.type, (uint32_t)SPOE_T_STR);
    cr_expect_eq(v.flags, 0u);
    cr_assert_eq(codec_get_value(&c, &v), 0);
    cr_expect_eq(v.u.b, 1, "a bool is 0 or 1, whatever its other flags");
    cr_assert_eq(codec_get_value(&c, &v), 0);
    cr_expect_eq(v.u.b, 0);
}

Test(spop_value, rejects_reserved_types_both_ways, .timeout = 60)
{
    for (unsigned type = SPOE_T_BIN + 1; type <= 15; type++) {
        const uint8_t in[] = {(uint8_t)type, 0, 0, 0, 0};
        struct spop_cursor c = cursor_of(in, sizeof in);
        const struct spoe_value bad = {.type = type};
        struct spoe_value v;
        uint8_t out[32];

        cr_expect_eq(codec_get_value(&c, &v), -SPOP_ERR_INVALID, "type %u", type);
        cr_expect_eq(put_value(out, sizeof out, &bad), 0u, "type %u", type);
    }
}

/* Adding any of these to a pointer would wrap around (HAProxy commit bd03f0500). */
Test(spop_value, rejects_hostile_lengths, .timeout = 60)
{
    const uint64_t hostile[] = {4,         SIZE_MAX,   SIZE_MAX - 1,     SIZE_MAX - 15,
                                INT64_MAX, UINT32_MAX, UINT64_C(1) << 63};

    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        uint8_t in[1 + SPOP_VARINT_MAX + 3] = {SPOE_T_STR};
        size_t n = 1 + codec_put_varint(in + 1, SPOP_VARINT_MAX, hostile[i]);
        uint8_t *copy = exact_copy(in, n + 3);
        struct spop_cursor c = cursor_of(copy, n + 3);
        struct spop_cursor bare = cursor_of(copy + 1, n + 2);
        struct spoe_value v;
        struct spoe_span s;

        cr_expect_eq(codec_get_value(&c, &v), -SPOP_ERR_INVALID, "row %zu", i);
        cr_expect_eq(c.p, copy, "row %zu: the cursor moved", i);
        cr_expect_eq(codec_get_string(&bare, &s), -SPOP_ERR_INVALID, "row %zu", i);
        cr_expect_eq(bare.p, copy + 1, "row %zu: the cursor moved", i);
        free(copy);
    }
}

Test(spop_value, strings_point_into_the_input, .timeout = 60)
{
    const uint8_t in[] = "\x05hello\x00";
    struct spop_cursor c = cursor_of(in, sizeof in - 1);
    struct spoe_span s;

    cr_assert_eq(codec_get_string(&c, &s), 0);
    cr_expect_eq((const uint8_t *)s.p, in + 1);
    cr_expect(spoe_span_is(s, "hello"));
    cr_assert_eq(codec_get_string(&c, &s), 0);
    cr_expect_eq(s.n, 0u);
    cr_expect_eq(c.p, c.end);
}

/* A string whose length needs one, two and three bytes, into each room around its size. */
Test(spop_value, strings_fit_exactly_or_not_at_all, .timeout = 60)
{
    static const size_t sizes[] = {0, 1, 239, 240, 2287, 2288};
    char text[2288];

    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct spoe_value v = spoe_value_str((struct spoe_span){text, sizes[i]});
        const size_t need = 1 + sizes[i] + (sizes[i] < 240 ? 1 : sizes[i] < 2288 ? 2 : 3);
        uint8_t *out = malloc(need);
        struct spoe_value again;
        struct spop_cursor c;

        cr_assert_not_null(out);
        cr_expect_eq(put_value(out, need - 1, &v), 0u, "size %zu", sizes[i]);
        cr_assert_eq(put_value(out, need, &v), need, "size %zu", sizes[i]);
        c = cursor_of(out, need);
        cr_assert_eq(codec_get_value(&c, &again), 0, "size %zu", sizes[i]);
        cr_expect(same_value(&again, &v), "size %zu", sizes[i]);
        cr_expect_eq(c.p, c.end);
        free(out);
    }
}
