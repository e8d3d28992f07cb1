/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin commits before it is done, and the pointer that it keeps with a request. Issue 12,
 * section 2.
 */
#include "dispatch_rig.h"

#define COMMIT_TEST(name) Test(commit, name, .timeout = 30)

static int asks; /* whoever waits for the ACK: its address does */

/* A message that a holds, after it has set "a"; b has set "b". */
static struct exchange *hold(void)
{
    struct payload p = {.n = 0};
    struct exchange *x;
    int result;

    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    x = dispatch(&p, &result);
    cr_assert_eq(result, 1);
    x->owner = &asks;
    return x;
}

static spoe_status set_int(const char *name)
{
    const struct spoe_value value = i32(1);

    return request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){name, strlen(name)},
                           &value);
}

static void complete_late(struct exchange *x, spoe_status status)
{
    request_complete(a.request, status);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_eq(done, x);
    exchange_release(&worker, x);
}

COMMIT_TEST(what_was_committed_is_the_answer_at_the_deadline)
{
    struct exchange *x;

    start(true);
    x = hold();
    cr_assert_eq(request_commit(a.request), SPOE_OK);
    cr_assert_eq(set_int("c"), SPOE_OK); /* not committed */
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_eq(a.n_cancels, 1);
    cr_assert_str_eq(ack(x), "ab");
    exchange_answered(&worker, x);
    cr_assert_eq(worker.counters.timeouts, 1);
    cr_assert_eq(worker.counters.committed, 1);
    cr_assert_eq(request_commit(a.request), SPOE_E_STALE);
    complete_late(x, SPOE_OK);
    finish();
}

COMMIT_TEST(the_last_commit_takes_the_place_of_those_before)
{
    struct exchange *x;

    start(true);
    x = hold();
    cr_assert_eq(request_commit(a.request), SPOE_OK);
    cr_assert_eq(set_int("c"), SPOE_OK);
    cr_assert_eq(request_commit(a.request), SPOE_OK);
    a.fill = 0;
    for (int i = 0; i < 40; i++) { /* each a copy that is longer than the one before */
        cr_assert_eq(set_int("d"), SPOE_OK);
        cr_assert_eq(request_commit(a.request), SPOE_OK);
    }
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_str_eq(ack(x), "acddddddddddddddddddddddddddddddddddddddddb");
    exchange_answered(&worker, x);
    complete_late(x, SPOE_OK);
    finish();
}

COMMIT_TEST(a_commit_is_the_answer_at_the_end_of_the_host)
{
    struct exchange *x;

    start(true);
    x = hold();
    cr_assert_eq(request_commit(a.request), SPOE_OK);
    exchange_cancel(&worker, x, SPOE_CANCEL_DRAIN);
    cr_assert_str_eq(ack(x), "ab");
    x->owner = NULL;
    exchange_answered(&worker, x);
    cr_assert_eq(request_commit(a.request), SPOE_OK, "it is not late, but of no use any more");
    complete_late(x, SPOE_OK);
    finish();
}

COMMIT_TEST(nobody_is_answered_when_the_connection_is_gone)
{
    struct exchange *x;

    start(true);
    x = hold();
    cr_assert_eq(request_commit(a.request), SPOE_OK);
    x->owner = NULL;
    exchange_cancel(&worker, x, SPOE_CANCEL_CONN_CLOSED);
    exchange_answered(&worker, x);
    cr_assert_eq(worker.counters.committed, 0);
    complete_late(x, SPOE_OK);
    finish();
}

COMMIT_TEST(a_completion_in_time_counts_as_without_a_commit)
{
    struct exchange *x;

    start(true);
    x = hold();
    cr_assert_eq(request_commit(a.request), SPOE_OK);
    cr_assert_eq(set_int("c"), SPOE_OK);
    request_complete(a.request, SPOE_OK);
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE); /* its mail has not been read */
    cr_assert_str_eq(ack(x), "acb");
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    x = hold();
    cr_assert_eq(request_commit(a.request), SPOE_OK);
    request_complete(a.request, SPOE_E_INTERNAL);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_str_eq(ack(x), "b", "an error leaves out what was committed as well");
    exchange_release(&worker, x);
    cr_assert_eq(worker.counters.committed, 0);
    finish();
}

COMMIT_TEST(a_request_that_is_reused_has_nothing_committed)
{
    struct exchange *x;
    struct spoe_request *first;

    start(false);
    x = hold();
    first = a.request;
    cr_assert_eq(request_commit(first), SPOE_OK);
    complete_late(x, SPOE_OK);
    cr_assert_eq(request_commit(first), SPOE_E_STALE);
    x = hold();
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_str_eq(ack(x), "-");
    exchange_answered(&worker, x);
    complete_late(x, SPOE_OK);
    finish();
}

COMMIT_TEST(a_pointer_stays_with_its_request_until_it_is_completed)
{
    struct exchange *x;
    int mine;

    start(false);
    x = hold();
    cr_assert_null(request_get_data(a.request));
    cr_assert_eq(request_set_data(a.request, &mine), SPOE_OK);
    cr_assert_eq(request_get_data(a.request), &mine);
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    exchange_answered(&worker, x);
    cr_assert_eq(request_get_data(a.request), &mine, "also after its deadline");
    cr_assert_eq(request_set_data(a.request, &x), SPOE_OK);
    cr_assert_eq(request_get_data(a.request), &x);
    request_complete(a.request, SPOE_OK);
    cr_assert_null(request_get_data(a.request));
    cr_assert_eq(request_set_data(a.request, &mine), SPOE_E_STALE);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    cr_assert_null(request_get_data(a.request));
    x = hold();
    cr_assert_null(request_get_data(a.request), "the next one has none");
    complete_late(x, SPOE_OK);
    finish();
}
