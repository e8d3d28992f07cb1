/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spop/test_encode.c - actions and the agent's frames: their bytes, what a decoder makes
 * of them, and every room that is too small.
 */
#include <criterion/criterion.h>

#include <spoe/util.h>

#include "lib/codec.h"
#include "bytes.h"
#include "same_value.h"

/* Read a frame of ours as a peer would; its payload points into `bytes`. */
static struct spop_frame read_frame(const uint8_t *bytes, size_t n)
{
    struct spop_frame f = {0};
    size_t size = 0;

    cr_assert_eq(wire_frame_find(bytes, n, n, &size), 1);
    cr_assert_eq(size, n, "the length prefix says %zu of %zu", size, n);
    cr_assert_eq(wire_frame_decode(bytes + SPOP_LENGTH_BYTES, n - SPOP_LENGTH_BYTES, &f), 0);
    cr_expect_eq(f.flags, SPOP_FLAG_FIN);
    return f;
}

Test(spop_encode, set_var_has_the_bytes_of_the_specification, .timeout = 60)
{
    static const char want[] = "\x01\x03\x02\x0btraceparent\x08\x03"
                               "00-";
    const struct spoe_value v = spoe_value_str(spoe_str("00-"));
    uint8_t out[64];
    size_t n = spop_put_set_var(out, sizeof out, SPOE_SCOPE_TXN, spoe_str("traceparent"), &v);

    cr_assert_eq(n, sizeof want - 1);
    cr_expect_arr_eq(out, want, n);
}

Test(spop_encode, set_var_takes_every_type_and_scope, .timeout = 60)
{
    const struct spoe_value values[] = {
        {.type = SPOE_T_NULL},
        {.type = SPOE_T_BOOL, .u.b = 1},
        {.type = SPOE_T_INT32, .u.i32 = -5},
        {.type = SPOE_T_UINT32, .u.u32 = 5},
        {.type = SPOE_T_INT64, .u.i64 = INT64_MIN},
        {.type = SPOE_T_UINT64, .u.u64 = UINT64_MAX},
        {.type = SPOE_T_IPV4, .u.ip4 = {1, 2, 3, 4}},
        {.type = SPOE_T_IPV6, .u.ip6 = {1, [15] = 16}},
        {.type = SPOE_T_STR, .u.s = {"abc", 3}},
        {.type = SPOE_T_BIN, .u.s = {"a\0c", 3}},
    };

    for (uint32_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const uint32_t scope = i % (SPOE_SCOPE_RES + 1);
        uint8_t out[64];
        size_t n = spop_put_set_var(out, sizeof out, scope, spoe_str("name"), &values[i]);
        struct spop_cursor c = cursor_of(out + 3, n - 3);
        struct spoe_arg arg;

        cr_assert_gt(n, 3u);
        cr_expect_eq(out[0], 1);
        cr_expect_eq(out[1], 3);
        cr_expect_eq(out[2], scope);
        cr_assert_eq(spop_get_arg(&c, &arg), 0, "type %u", i);
        cr_expect(spoe_span_is(arg.name, "name"));
        cr_expect(same_value(&arg.value, &values[i]), "type %u", i);
        cr_expect_eq(c.p, c.end);
    }
}

Test(spop_encode, unset_var_has_the_bytes_of_the_specification, .timeout = 60)
{
    static const char want[] = "\x02\x02\x01\x01x";
    uint8_t out[16];
    size_t n = spop_put_unset_var(out, sizeof out, SPOE_SCOPE_SESS, spoe_str("x"));

    cr_assert_eq(n, sizeof want - 1);
    cr_expect_arr_eq(out, want, n);
}

Test(spop_encode, filler_is_one_unset_var, .timeout = 60)
{
    uint8_t out[SPOP_FILLER_MAX];
    size_t n = spop_put_filler(out, sizeof out);
    struct spop_cursor c;
    struct spoe_span name;

    cr_assert_gt(n, 3u);
    cr_expect_eq(out[0], 2);
    cr_expect_eq(out[1], 2);
    cr_expect_eq(out[2], SPOE_SCOPE_TXN);
    c = cursor_of(out + 3, n - 3);
    cr_assert_eq(codec_get_string(&c, &name), 0);
    cr_expect_gt(name.n, 0u);
    cr_expect_eq(c.p, c.end);
}

Test(spop_encode, ack_is_head_and_actions, .timeout = 60)
{
    static const uint64_t ids[] = {0, 1, 239, 240, 2288, UINT32_MAX, UINT64_MAX};

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        uint8_t actions[SPOP_FILLER_MAX], out[SPOP_ACK_HEAD_MAX + SPOP_FILLER_MAX];
        size_t actions_len = spop_put_filler(actions, sizeof actions);
        size_t n = spop_put_ack_head(out, SPOP_ACK_HEAD_MAX, ids[i], ids[i] / 2, actions_len);
        struct spop_frame f;

        cr_assert_gt(n, 0u, "row %zu", i);
        memcpy(out + n, actions, actions_len);
        f = read_frame(out, n + actions_len);
        cr_expect_eq(f.type, SPOP_ACK);
        cr_expect_eq(f.stream_id, ids[i]);
        cr_expect_eq(f.frame_id, ids[i] / 2);
        cr_expect_eq(f.payload_len, actions_len);
    }
}

Test(spop_encode, ack_refuses_a_length_over_32_bits, .timeout = 60)
{
    const size_t head = 1 + 4 + 1 + 1; /* type, flags, two ids of one byte */
    uint8_t out[SPOP_ACK_HEAD_MAX];

    cr_expect_eq(spop_put_ack_head(out, sizeof out, 1, 1, SIZE_MAX), 0u);
    cr_expect_eq(spop_put_ack_head(out, sizeof out, 1, 1, SIZE_MAX - head), 0u);
    cr_expect_eq(spop_put_ack_head(out, sizeof out, 1, 1, UINT32_MAX - head + 1), 0u);
    cr_expect_eq(spop_put_ack_head(out, sizeof out, 1, 1, UINT32_MAX - head),
                 SPOP_LENGTH_BYTES + head);
}

Test(spop_encode, agent_hello_says_version_size_and_capabilities, .timeout = 60)
{
    uint8_t out[128];
    size_t n = spop_put_agent_hello(out, sizeof out, 16380);
    struct spop_frame f = read_frame(out, n);
    struct spop_cursor c = cursor_of(f.payload, f.payload_len);
    struct spoe_arg item;

    cr_expect_eq(f.type, SPOP_AGENT_HELLO);
    cr_expect_eq(f.stream_id, 0u);
    cr_expect_eq(f.frame_id, 0u);
    cr_assert_eq(spop_get_arg(&c, &item), 0);
    cr_expect(spoe_span_is(item.name, "version") && spoe_span_is(item.value.u.s, "2.0"));
    cr_assert_eq(spop_get_arg(&c, &item), 0);
    cr_expect(spoe_span_is(item.name, "max-frame-size"));
    cr_expect_eq(item.value.type, (uint32_t)SPOE_T_UINT32);
    cr_expect_eq(item.value.u.u32, 16380u);
    cr_assert_eq(spop_get_arg(&c, &item), 0);
    cr_expect(spoe_span_is(item.name, "capabilities"));
    cr_expect(spoe_span_is(item.value.u.s, "pipelining"));
    cr_expect_eq(c.p, c.end);
}

Test(spop_encode, agent_disconnect_says_status_and_text, .timeout = 60)
{
    for (int status = SPOP_OK; status <= SPOP_ERR_UNKNOWN; status++) {
        uint8_t out[128];
        size_t n = spop_put_agent_disconnect(out, sizeof out, status);
        struct spop_frame f = read_frame(out, n);
        struct spoe_span message;
        uint32_t got;

        cr_expect_eq(f.type, SPOP_AGENT_DISCONNECT);
        cr_assert_eq(spop_decode_disconnect(f.payload, f.payload_len, &got, &message), 0);
        cr_expect_eq(got, (uint32_t)status);
        cr_expect(spoe_span_is(message, spop_status_text(status)));
    }
}

/* One of everything that is written; 0 where it does not fit. */
static size_t put_any(unsigned which, uint8_t *p, size_t cap)
{
    const struct spoe_value v = spoe_value_str(spoe_str("a value"));
    const struct spoe_value long_v =
        spoe_value_str(spoe_str("a value of no less than forty letters as well"));

    switch (which) {
    case 0:
        return spop_put_agent_hello(p, cap, 16380);
    case 1:
        return spop_put_agent_disconnect(p, cap, SPOP_ERR_INVALID);
    case 2:
        return spop_put_set_var(p, cap, SPOE_SCOPE_TXN, spoe_str("name"), &v);
    case 3:
        return spop_put_unset_var(p, cap, SPOE_SCOPE_TXN, spoe_str("name"));
    case 4:
        return spop_put_ack_head(p, cap, UINT64_MAX, UINT64_MAX, 1);
    case 5: /* 9.1: longer than what a short set-var needs at most */
        return spop_put_set_var(p, cap, SPOE_SCOPE_TXN,
                                spoe_str("a_name_of_no_less_than_forty_letters_here"), &v);
    case 6:
        return spop_put_set_var(p, cap, SPOE_SCOPE_TXN, spoe_str("name"), &long_v);
    default:
        return spop_put_filler(p, cap);
    }
}

Test(spop_encode, writes_all_or_reports_that_it_does_not_fit, .timeout = 60)
{
    for (unsigned which = 0; which <= 7; which++) {
        uint8_t whole[256];
        size_t need = put_any(which, whole, sizeof whole);

        cr_assert_gt(need, 0u, "encoder %u", which);
        for (size_t cap = 0; cap <= need; cap++) {
            uint8_t *out = exact_copy(whole, cap);

            memset(out, 0xaa, cap);
            cr_expect_eq(put_any(which, out, cap), cap == need ? need : 0, "encoder %u cap %zu",
                         which, cap);
            if (cap == need)
                cr_expect_arr_eq(out, whole, need, "encoder %u", which);
            free(out);
        }
    }
}

/* A room near SIZE_MAX must not become an address; only `p` and what is written count. */
Test(spop_encode, huge_room_is_room, .timeout = 60)
{
    uint8_t out[16];

    cr_expect_eq(spop_put_unset_var(out, SIZE_MAX, SPOE_SCOPE_TXN, spoe_str("x")), 5u);
    cr_expect_eq(spop_put_filler(out, SIZE_MAX), spop_put_filler(out, sizeof out));
}
