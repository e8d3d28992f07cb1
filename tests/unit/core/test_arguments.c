/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments: from the wire into slots and the undeclared ones, in any order, of any length, and cut
 * anywhere.
 */
#include "dispatch_rig.h"

#define CORE_TEST(name) Test(arguments, name, .timeout = 30)

CORE_TEST(fills_slots_in_any_order_and_passes_on_what_is_not_declared)
{
    static const char *const orders[][4] = {{"url", "count", "who", "more"},
                                            {"more", "who", "count", "url"},
                                            {"count", "more", "url", "who"},
                                            {"url", "count", "who", "more"}};
    int result;

    start(false);
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        struct payload p = {.n = 0};

        put_message(&p, "check", 4);
        for (size_t i = 0; i < 4; i++) {
            const char *name = orders[o][i];

            put_arg(&p, name,
                    strcmp(name, "count") == 0 ? i32(42)
                    : strcmp(name, "who") == 0 ? ip4()
                                               : str(name));
        }
        struct exchange *x = dispatch(&p, &result);
        cr_assert_eq(result, 0);
        cr_assert_str_eq(a.url, "url", "order %zu", o);
        cr_assert_eq(a.count, 42, "order %zu", o);
        cr_assert_eq(a.types[WHO], SPOE_T_IPV4, "order %zu", o);
        cr_assert_str_eq(a.args, "more;", "order %zu", o);
        cr_assert_str_eq(ack(x), "a");
        exchange_release(&worker, x);
    }
    finish();
}

/* 3.10: declared only to be printed. */
CORE_TEST(an_argument_by_name_comes_among_the_undeclared_ones)
{
    static const struct spoe_arg_decl named = {
        sizeof named, SPOE_ACCEPT_ANY, SPOE_ARG_BY_NAME, 0, "count", "rand", ""};
    static const struct spoe_arg_decl *const args[] = {&arg_url, &named, &arg_who, NULL};
    static const struct spoe_message_decl message = {
        sizeof message, 0, "check", "on-frontend-http-request", "", args};
    static const struct spoe_message_decl *const messages[] = {&message, NULL};
    static const struct spoe_plugin desc = DESCRIPTOR("a", messages, handle_a, cancel_a);
    struct payload p = {.n = 0};
    int result;

    plugin_a.desc = &desc;
    start(false);
    put_message(&p, "check", 3);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "count", i32(42));
    put_arg(&p, "who", ip4());
    for (int i = 0; i < 2; i++) { /* the order is known the second time */
        struct exchange *x = dispatch(&p, &result);

        cr_assert_eq(result, 0);
        cr_expect_str_eq(a.args, "count;");
        cr_expect_eq(a.types[COUNT_ARG], SPOE_T_NULL);
        cr_expect_eq(a.types[WHO], SPOE_T_IPV4);
        exchange_release(&worker, x);
    }
    cr_expect_eq(worker.counters.bad_types, 0);
    finish();
}

CORE_TEST(a_wrong_type_counts_as_absent_and_is_counted)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "count", str("forty-two"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(a.types[COUNT_ARG], SPOE_T_NULL);
    cr_assert_eq(a.n_args, 0);
    cr_assert_eq(worker.counters.bad_types, 1);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(the_first_of_a_repeated_argument_fills_the_slot)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "check", 3);
    put_arg(&p, "url", str("/1"));
    put_arg(&p, "url", str("/2"));
    put_arg(&p, "url", str("/3"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_str_eq(a.url, "/1");
    cr_assert_str_eq(a.args, "url;url;");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_message_without_a_required_argument_is_not_handed_over)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    put_message(&p, "check", 1);
    put_arg(&p, "who", ip4());
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_eq(a.n_calls, 0);
    cr_assert_eq(b.n_calls, 1, "the other plugin does not require it");
    cr_assert_eq(worker.counters.missing_arguments, 1);
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_malformed_payload_is_an_error_at_every_cut)
{
    struct payload p = {.n = 0};

    start(true);
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "who", ip4());
    for (size_t n = 1; n < p.n; n++) {
        struct payload cut = p;
        int result;

        cut.n = n;
        struct exchange *x = dispatch(&cut, &result);
        cr_assert_eq(result, -SPOP_ERR_INVALID, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    cr_assert_eq(a.n_calls, 0);
    finish();
}

CORE_TEST(a_payload_whose_order_is_known_is_malformed_at_every_cut)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "check", 4);
    put_arg(&p, "more", str("undeclared"));
    put_arg(&p, "url", str("/"));
    put_arg(&p, "count", i32(300));
    put_arg(&p, "who", ip4());
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    exchange_release(&worker, x);
    for (size_t n = 1; n < p.n; n++) {
        struct payload cut = p;

        cut.n = n;
        x = dispatch(&cut, &result);
        cr_assert_eq(result, -SPOP_ERR_INVALID, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    cr_assert_eq(a.n_calls, 1);
    finish();
}

/* 9.1: each length of a string's length, where it is read as one byte and where it is not. */
CORE_TEST(strings_of_every_length_arrive_whole)
{
    static char text[2300];
    int result;

    memset(text, 'u', sizeof text);
    for (int with_b = 0; with_b < 2; with_b++) {
        start(with_b != 0);
        for (size_t n = 0; n < sizeof text; n = n == 262 ? 2285 : n + 1) {
            struct payload p = {.n = 0};

            put_message(&p, "check", 2);
            put_arg(&p, "url", (struct spoe_value){.type = SPOE_T_STR, .u.s = {text, n}});
            put_arg(&p, "count", i32(7)); /* what follows is found */
            struct exchange *x = dispatch(&p, &result);
            cr_assert_eq(result, 0, "length %zu", n);
            cr_assert_eq(a.url_len, n, "got %zu, want %zu", a.url_len, n);
            cr_assert_eq(a.count, 7, "length %zu", n);
            exchange_release(&worker, x);
        }
        finish();
    }
}

/* 9.1: names are compared in words of four and eight bytes. */
CORE_TEST(names_that_differ_in_one_byte_are_not_the_same)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    for (size_t n = 0; n < sizeof name; n++) {
        char other[sizeof name];

        memcpy(other, name, sizeof name);
        cr_assert(wire_same_bytes(name, other, n), "length %zu", n);
        for (size_t i = 0; i < sizeof name - 1; i++) {
            other[i] ^= 1;
            cr_assert_eq(wire_same_bytes(name, other, n), i >= n, "length %zu, byte %zu", n, i);
            other[i] ^= 1;
        }
    }
}

/* 9.1: HAProxy sends NULL for what it could not fetch: absent, and nobody's error. */
CORE_TEST(null_leaves_the_slot_empty_and_is_no_bad_type)
{
    int result;

    for (int with_b = 0; with_b < 2; with_b++) {
        struct payload p = {.n = 0};

        start(with_b != 0);
        put_message(&p, "check", 3);
        put_arg(&p, "url", str("/"));
        put_arg(&p, "count", (struct spoe_value){.type = SPOE_T_NULL});
        put_arg(&p, "who", (struct spoe_value){.type = SPOE_T_NULL});
        struct exchange *x = dispatch(&p, &result);
        cr_assert_eq(a.types[COUNT_ARG], SPOE_T_NULL);
        cr_assert_eq(a.types[WHO], SPOE_T_NULL);
        cr_assert_eq(a.n_args, 0);
        cr_assert_eq(worker.counters.bad_types, 0);
        exchange_release(&worker, x);
        finish();
    }
}

/* 9.1 */
CORE_TEST(an_unknown_message_is_malformed_at_every_cut_as_well)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "nobody", 2);
    put_arg(&p, "x", i32(300));
    put_arg(&p, "y", str("text"));
    for (size_t n = 1; n <= p.n; n++) {
        struct payload cut = p;

        cut.n = n;
        struct exchange *x = dispatch(&cut, &result);
        cr_assert_eq(result, n == p.n ? 0 : -SPOP_ERR_INVALID, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    finish();
}

/* 9.1: the handler has not been called when what follows its arguments turns out to be cut. */
CORE_TEST(an_undeclared_argument_that_is_cut_is_malformed)
{
    struct payload p = {.n = 0};
    size_t declared;
    int result;

    start(false);
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    declared = p.n;
    put_arg(&p, "more", str("undeclared"));
    for (size_t n = declared; n <= p.n; n++) {
        struct payload cut = p;

        cut.n = n;
        struct exchange *x = dispatch(&cut, &result);
        cr_assert_eq(result, n == p.n ? 0 : -SPOP_ERR_INVALID, "cut at %zu", n);
        cr_assert_eq(a.n_calls, n == p.n ? 1u : 0u, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    finish();
}

/* 9.1 */
CORE_TEST(a_frame_holds_so_many_messages_and_no_more)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    for (unsigned i = 0; i < 256; i++)
        put_message(&p, "check", 0);
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_eq(worker.counters.messages, 256);
    exchange_release(&worker, x);
    put_message(&p, "check", 0);
    x = dispatch(&p, &result);
    cr_assert_eq(result, -SPOP_ERR_INVALID);
    exchange_release(&worker, x);
    finish();
}

/* 9.1 HAProxy sends NULL for what it does not have. */
CORE_TEST(null_in_a_slot_is_no_bad_type)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "count", (struct spoe_value){.type = SPOE_T_NULL});
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_eq(a.types[COUNT_ARG], SPOE_T_NULL);
    cr_assert_eq(worker.counters.bad_types, 0);
    exchange_release(&worker, x);
    finish();
}

/* 9.1 */
CORE_TEST(arguments_of_an_unknown_message_are_checked_as_well)
{
    struct payload p = {.n = 0};

    start(false);
    put_message(&p, "nobody", 2);
    put_arg(&p, "x", str("text"));
    put_arg(&p, "y", ip4());
    for (size_t n = 1; n < p.n; n++) {
        struct payload cut = p;
        int result;

        cut.n = n;
        struct exchange *x = dispatch(&cut, &result);
        cr_assert_eq(result, -SPOP_ERR_INVALID, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    finish();
}

/* 9.1 */
CORE_TEST(a_notify_may_have_256_messages)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    for (unsigned i = 0; i < SPOP_MESSAGES_MAX; i++)
        put_message(&p, "nobody", 0);
    cr_assert_eq(SPOP_MESSAGES_MAX, 256);
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    exchange_release(&worker, x);
    put_message(&p, "nobody", 0);
    x = dispatch(&p, &result);
    cr_assert_eq(result, -SPOP_ERR_INVALID);
    exchange_release(&worker, x);
    finish();
}
