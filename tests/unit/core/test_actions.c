/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions: the variables that plugins set, and the room of an ACK that they share.
 */
#include "dispatch_rig.h"

#include <pthread.h>

#include "core/request.h"

#define CORE_TEST(name) Test(actions, name, .timeout = 30)

CORE_TEST(actions_over_the_frame_size_are_refused_and_those_before_stay)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    b.fill = 1500; /* the budget is 1000 */
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(b.set_result, SPOE_E_TOOBIG);
    cr_assert_str_eq(ack(x), "a");
    exchange_release(&worker, x);

    a.fill = 600; /* each fits, both do not */
    b.fill = 600;
    x = dispatch(&p, &result);
    cr_assert_eq(a.set_result, SPOE_OK);
    cr_assert_eq(b.set_result, SPOE_E_TOOBIG);
    cr_assert_str_eq(ack(x), "a");
    exchange_release(&worker, x);
    cr_assert_eq(worker.counters.refused_actions, 2);
    finish();
}

CORE_TEST(set_var_refuses_bad_names_scopes_and_types)
{
    static const struct {
        uint32_t scope;
        const char *name;
        uint32_t type;
    } bad[] = {{5, "v", SPOE_T_INT32},
               {SPOE_SCOPE_TXN, "", SPOE_T_INT32},
               {SPOE_SCOPE_TXN, "a-b", SPOE_T_INT32},
               {SPOE_SCOPE_TXN, "a b", SPOE_T_INT32},
               {SPOE_SCOPE_TXN, "v", 10},
               {SPOE_SCOPE_TXN, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                SPOE_T_INT32}};
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct spoe_value value = {.type = bad[i].type};

        cr_assert_eq(request_set_var(a.request, bad[i].scope,
                                     (struct spoe_span){bad[i].name, strlen(bad[i].name)}, &value),
                     SPOE_E_INVAL, "case %zu", i);
    }
    cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_REQ, (struct spoe_span){"old", 3}),
                 SPOE_OK);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* Issue 12, 1: names that HAProxy itself sets; plugins of 1.0 did not know. */
CORE_TEST(names_of_haproxys_own_are_refused_from_1_1_on)
{
    static const struct {
        const char *name;
        spoe_status of_1_1;
    } cases[] = {{"spoe.status", SPOE_E_INVAL},
                 {"spoe.", SPOE_E_INVAL},
                 {"spoe", SPOE_OK},
                 {"spoe_status", SPOE_OK},
                 {"Spoe.x", SPOE_OK},
                 {"x.spoe.status", SPOE_OK},
                 {"status", SPOE_OK}};
    struct payload p = {.n = 0};
    struct spoe_value value = i32(1);
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    for (uint16_t minor = 0; minor <= 1; minor++) {
        struct spoe_plugin desc = desc_a;

        desc.abi_minor = minor;
        plugin_a.desc = &desc;
        struct exchange *x = dispatch(&p, &result);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const struct spoe_span name = {cases[i].name, strlen(cases[i].name)};
            const spoe_status want = minor == 0 ? SPOE_OK : cases[i].of_1_1;

            cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, name, &value), want, "%s",
                         cases[i].name);
            cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_TXN, name), want, "%s",
                         cases[i].name);
        }
        request_complete(a.request, SPOE_OK);
        (void)mailbox_run(&worker.mailbox);
        exchange_release(&worker, x);
    }
    plugin_a.desc = &desc_a;
    finish();
}

/* 9.1: 0 to 4 are the scopes of SPOE.txt 3.4. */
CORE_TEST(set_var_takes_every_scope_and_type_and_names_up_to_64)
{
    static const char longest[] =
        "aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09";
    struct payload p = {.n = 0};
    int result;

    cr_assert_eq(sizeof longest - 1, 64);
    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    for (uint32_t i = 0; i <= SPOE_SCOPE_RES; i++) {
        struct spoe_value value = i32(1);

        cr_assert_eq(request_set_var(a.request, i, (struct spoe_span){"v", 1}, &value), SPOE_OK,
                     "scope %u", i);
        cr_assert_eq(request_unset_var(a.request, i, (struct spoe_span){"v", 1}), SPOE_OK);
    }
    for (uint32_t type = SPOE_T_NULL; type <= SPOE_T_BIN; type++) {
        struct spoe_value value = {.type = type};

        cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                     SPOE_OK, "type %u", type);
    }
    for (size_t n = 61; n <= sizeof longest - 1; n++)
        cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){longest, n}),
                     SPOE_OK, "a name of %zu", n);
    cr_assert_eq(worker.counters.refused_actions, 0);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* 9.1: every place of a name is looked at, in fours and what remains of them. */
CORE_TEST(one_bad_byte_anywhere_in_a_name_is_refused)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    for (size_t n = 1; n <= 9; n++) {
        for (size_t i = 0; i < n; i++) {
            char name[] = "abcdefghi";

            name[i] = '-';
            cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){name, n}),
                         SPOE_E_INVAL, "byte %zu of %zu", i, n);
        }
    }
    cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){NULL, 1}),
                 SPOE_E_INVAL);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* Bytes of a set-var of a name of one byte and a string of 240 to 2287. */
#define SET_VAR_SIZE(n) (3u + 2u + 1u + 2u + (n))
#define BUDGET 1000u

/* 9.1: the last byte of the budget can be used, by one request and by several. */
CORE_TEST(the_budget_is_used_up_to_its_last_byte)
{
    struct payload p = {.n = 0};
    int result;

    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    start(false);
    for (int more = 0; more < 2; more++) {
        a.fill = BUDGET - SET_VAR_SIZE(0) + (size_t)more;
        struct exchange *x = dispatch(&p, &result);
        cr_assert_eq(a.set_result, more ? SPOE_E_TOOBIG : SPOE_OK);
        exchange_release(&worker, x);
    }
    cr_assert_eq(worker.counters.truncated_actions, 1);
    finish();

    start(true);
    for (int more = 0; more < 2; more++) {
        a.fill = 400;
        b.fill = BUDGET - SET_VAR_SIZE(400) - SET_VAR_SIZE(0) + (size_t)more;
        struct exchange *x = dispatch(&p, &result);
        cr_assert_eq(a.set_result, SPOE_OK);
        cr_assert_eq(b.set_result, more ? SPOE_E_TOOBIG : SPOE_OK);
        exchange_release(&worker, x);
    }
    finish();
}

/* 9.1: what did not fit, and what a failed plugin had set, is there for the others. */
CORE_TEST(budget_that_is_not_used_is_given_back)
{
    struct payload p = {.n = 0};
    int result;

    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    start(true);
    a.fill = 980; /* fits beside nothing else */
    a.result = SPOE_E_INTERNAL;
    b.fill = 900;
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(a.set_result, SPOE_OK);
    cr_assert_eq(b.set_result, SPOE_OK, "the first plugin failed: its bytes are free");
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);

    a.result = SPOE_OK;
    a.fill = BUDGET; /* a byte more with its head than there is: refused */
    x = dispatch(&p, &result);
    cr_assert_eq(a.set_result, SPOE_E_TOOBIG);
    cr_assert_eq(b.set_result, SPOE_OK, "what was refused takes no room");
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    finish();
}

/* 9.1: one plugin alone has the same budget as several. */
CORE_TEST(one_request_may_not_pass_the_budget_piece_by_piece)
{
    static char text[300];
    const struct spoe_value value = {.type = SPOE_T_STR, .u.s = {text, 300}};
    struct payload p = {.n = 0};
    int result;

    memset(text, 't', sizeof text);
    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                     i < 3 ? SPOE_OK : SPOE_E_TOOBIG, "piece %u", i);
    cr_assert_eq(worker.counters.truncated_actions, 1);
    cr_assert_eq(worker.counters.refused_actions, 1);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_str_eq(ack(x), "avvv");
    exchange_release(&worker, x);
    finish();
}

/* Set a variable with a value of n bytes. */
static spoe_status set_bytes(struct spoe_request *request, size_t n)
{
    static char bytes[2000];
    const struct spoe_value value = {.type = SPOE_T_BIN, .u.s = {bytes, n}};

    cr_assert_leq(n, sizeof bytes);
    return request_set_var(request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value);
}

/* A message "check" that both plugins hold, or, without b, only a. */
static struct exchange *hold(struct payload *p)
{
    int result;

    a.result = b.result = SPOE_PENDING;
    put_message(p, "check", 1);
    put_arg(p, "url", str("/"));
    return dispatch(p, &result);
}

static void release(struct exchange *x, bool with_b)
{
    request_complete(a.request, SPOE_OK);
    if (with_b)
        request_complete(b.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* 9.1 */
CORE_TEST(set_var_takes_every_scope_every_type_and_a_name_of_64_bytes)
{
    static const char name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct payload p = {.n = 0};
    struct exchange *x;

    start(false);
    x = hold(&p);
    for (uint32_t scope = 0; scope <= 5; scope++) {
        const struct spoe_value value = i32(1);
        const spoe_status want = scope <= SPOE_SCOPE_RES ? SPOE_OK : SPOE_E_INVAL;

        cr_assert_eq(request_set_var(a.request, scope, (struct spoe_span){"v", 1}, &value), want);
        cr_assert_eq(request_unset_var(a.request, scope, (struct spoe_span){"v", 1}), want);
    }
    for (uint32_t type = 0; type <= 10; type++) {
        const struct spoe_value value = {.type = type};

        cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_REQ, (struct spoe_span){"v", 1}, &value),
                     type <= SPOE_T_BIN ? SPOE_OK : SPOE_E_INVAL);
    }
    cr_assert_eq(sizeof name, 64 + 1);
    cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_REQ, (struct spoe_span){name, 64}),
                 SPOE_OK);
    release(x, false);
}

/* 9.1 An action that was refused takes nothing of the ACK. */
CORE_TEST(what_was_too_big_leaves_its_room_to_others)
{
    struct payload p = {.n = 0};
    struct exchange *x;

    start(true);
    x = hold(&p);
    cr_assert_eq(set_bytes(a.request, 600), SPOE_OK);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(set_bytes(b.request, 600), SPOE_E_TOOBIG);
    cr_assert_eq(set_bytes(b.request, 300), SPOE_OK);
    release(x, true);
}

/* 9.1 */
CORE_TEST(a_handler_that_fails_leaves_its_room_to_others)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.fill = b.fill = 600;
    a.result = SPOE_E_INTERNAL;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(b.set_result, SPOE_OK);
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    finish();
}

/* 9.1 The same for one that fails later. */
CORE_TEST(a_completion_with_an_error_leaves_its_room_to_others)
{
    struct payload p = {.n = 0};
    struct exchange *x;

    start(true);
    x = hold(&p);
    cr_assert_eq(set_bytes(a.request, 600), SPOE_OK);
    cr_assert_eq(set_bytes(b.request, 600), SPOE_E_TOOBIG);
    request_complete(a.request, SPOE_E_INTERNAL);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_eq(set_bytes(b.request, 600), SPOE_OK);
    request_complete(b.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_str_eq(ack(x), "bv");
    exchange_release(&worker, x);
    finish();
}

/* 9.1 With one request, and with two that share the ACK. */
CORE_TEST(the_budget_may_be_used_up_to_its_last_byte)
{
    for (int with_b = 0; with_b <= 1; with_b++) {
        struct payload p = {.n = 0};
        struct exchange *x;
        size_t used;

        start(with_b != 0);
        budget = 1000;
        x = hold(&p);
        used = atomic_load(&x->action_bytes);
        cr_assert_eq(set_bytes(a.request, 500), SPOE_OK);
        used = atomic_load(&x->action_bytes) - used; /* of an action with 500 bytes */
        x->budget = atomic_load(&x->action_bytes) + used;
        cr_assert_eq(set_bytes(a.request, 501), SPOE_E_TOOBIG);
        cr_assert_eq(set_bytes(a.request, 500), SPOE_OK);
        cr_assert_eq(set_bytes(a.request, 0), SPOE_E_TOOBIG);
        cr_assert_eq(atomic_load(&x->action_bytes), x->budget);
        release(x, with_b != 0);
    }
}

/* 9.2: a length that no ACK can ever have is refused as such, and no memory is asked for it. */
CORE_TEST(a_value_of_any_length_is_too_big)
{
    static const size_t lengths[] = {BUDGET + 1, (size_t)1 << 31, (size_t)1 << 46, SIZE_MAX - 64,
                                     SIZE_MAX};
    static const char byte = 'x';
    struct payload p = {.n = 0};
    struct exchange *x;

    start(false);
    x = hold(&p);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (uint32_t type = SPOE_T_STR; type <= SPOE_T_BIN; type++) {
            const struct spoe_value value = {.type = type, .u.s = {&byte, lengths[i]}};

            cr_assert_eq(
                request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                SPOE_E_TOOBIG, "%zu", lengths[i]);
        }
    }
    release(x, false);
}

/* 9.2 */
CORE_TEST(a_value_that_is_nowhere_is_refused)
{
    const struct spoe_value nothing = {.type = SPOE_T_STR, .u.s = {NULL, 1}},
                            empty = {.type = SPOE_T_STR, .u.s = {NULL, 0}};
    struct payload p = {.n = 0};
    struct exchange *x;

    start(false);
    x = hold(&p);
    cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &nothing),
                 SPOE_E_INVAL);
    cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, NULL),
                 SPOE_E_INVAL);
    cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &empty),
                 SPOE_OK, "an empty text is one");
    cr_assert_eq(worker.counters.refused_actions, 1);
    release(x, false);
}

#define N_ADDED 100000u

static pthread_barrier_t both_there;

static void *add_many(void *request)
{
    const struct spoe_value value = {.type = SPOE_T_BOOL, .u.u32 = 1};

    (void)pthread_barrier_wait(&both_there);
    for (unsigned i = 0; i < N_ADDED; i++) {
        if (request_set_var(request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value) != SPOE_OK)
            return request;
    }
    return NULL;
}

/* 9.2: what two plugins add at the same time is all counted: the room for the ACK comes of it. */
CORE_TEST(two_plugins_may_add_at_the_same_time)
{
    struct payload p = {.n = 0};
    struct exchange *x;
    pthread_t threads[2];
    size_t n = 0;
    void *failed;
    int result;

    start(true);
    a.result = b.result = SPOE_PENDING;
    budget = SIZE_MAX / 2;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    x = dispatch(&p, &result);
    cr_assert_eq(pthread_barrier_init(&both_there, NULL, 2), 0);
    cr_assert_eq(pthread_create(&threads[0], NULL, add_many, a.request), 0);
    cr_assert_eq(pthread_create(&threads[1], NULL, add_many, b.request), 0);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], &failed), 0);
        cr_assert_null(failed);
    }
    for (const struct request *r = x->first; r != NULL; r = r->next)
        n += r->actions_len;
    cr_assert_gt(n, (size_t)2 * N_ADDED);
    cr_assert_eq(n, atomic_load(&x->action_bytes));
    request_complete(a.request, SPOE_OK);
    request_complete(b.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_eq(done, x);
    exchange_release(&worker, x);
    finish();
}
