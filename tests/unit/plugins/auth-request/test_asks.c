/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, questions and answers (issue 12, 4). */
#include "rig.h"

TestSuite(auth_asks, .timeout = 10);

#define YES "HTTP/1.1 200 OK|X-User: alice||"
#define NO "HTTP/1.1 403 Forbidden||"

Test(auth_asks, a_yes_and_a_no)
{
    begin();
    cr_assert_eq(ask(0, "/a"), SPOE_PENDING);
    cr_assert_eq(ask(1, "/b"), SPOE_PENDING);
    cr_expect_str_eq(transfers[0].lines, "X-Original-URI: /a|X-Forwarded-Uri: /a|");
    cr_expect_eq(requests[0].n_completed, 0);
    answer(1, REASON_DENIED, NO);
    answer(0, REASON_ALLOWED, YES);
    EXPECT(0, "yes", "allowed");
    cr_expect_str_eq(requests[0].user, "alice");
    cr_expect_eq(requests[0].status, 200);
    EXPECT(1, "no", "denied");
    cr_expect_eq(requests[1].status, 403);
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(requests[i].n_completed, 1);
        cr_expect_eq(requests[i].result, SPOE_OK);
    }
    end();
}

/* request_commit() before anything is known (issue 12, 2). */
Test(auth_asks, what_holds_without_an_answer_is_committed)
{
    for (unsigned open = 0; open < 2; open++) {
        const unsigned n = 2 * open;

        auth.conf = (struct auth_conf){.fail_open = open == 1};
        begin();
        (void)ask(n, "/a");
        EXPECT(n, open ? "yes" : "no", "deadline");
        cr_expect_eq(requests[n].n_committed, 1);
        cr_expect_str_eq(requests[n].committed, "deadline");
        asks_cancel(asks, &requests[n], SPOE_CANCEL_DEADLINE);
        cr_expect_eq(requests[n].n_completed, 1);
        /* Its question goes on, and answers nobody; a second request would share it. */
        (void)ask(n + 1, "/a");
        cr_expect_eq(n_asked, open + 1);
        answer(open, REASON_ALLOWED, YES);
        EXPECT(n + 1, "yes", "allowed");
        end();
    }
}

Test(auth_asks, equal_questions_share_an_answer)
{
    begin();
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(ask(i, i == 5 ? "/other" : "/same"), SPOE_PENDING);
    cr_expect_eq(n_asked, 2);
    asks_cancel(asks, &requests[3], SPOE_CANCEL_CONN_CLOSED);
    cr_expect_eq(requests[3].n_completed, 1);
    answer(0, REASON_ALLOWED, YES);
    for (unsigned i = 0; i < 10; i++)
        cr_expect_eq(requests[i].n_completed, i != 5, "%u", i);
    cr_assert_eq(ask(10, "/same"), SPOE_PENDING, "that one is over");
    cr_expect_eq(n_asked, 3);
    answer(1, REASON_DENIED, NO);
    EXPECT(5, "no", "denied");
    end();
}

Test(auth_asks, equal_questions_do_not_where_that_is_off)
{
    auth.conf.coalesce = true; /* see begin() */
    begin();
    (void)ask(0, "/same");
    (void)ask(1, "/same");
    cr_expect_eq(n_asked, 2);
    answer(1, REASON_ALLOWED, YES);
    cr_expect_eq(requests[0].n_completed, 0);
    cr_expect_eq(requests[1].n_completed, 1);
    end();
}

Test(auth_asks, each_question_has_its_time)
{
    begin();
    (void)ask(0, "/a");
    pass(300 * MS);
    (void)ask(1, "/b");
    pass(199 * MS);
    cr_expect_eq(requests[0].n_completed, 0);
    pass(1 * MS);
    EXPECT(0, "no", "timeout");
    cr_expect_eq(requests[0].n_completed, 1);
    cr_expect_eq(requests[1].n_completed, 0);
    cr_expect_eq(n_aborted, 1);
    answer(1, REASON_ALLOWED, YES);
    EXPECT(1, "yes", "allowed");
    cr_expect_eq(timer.at_ns, SPOE_TIMER_OFF);
    end();
}

/* One that joins late has the time of the question that it joins. */
Test(auth_asks, who_shares_a_question_shares_its_time)
{
    begin();
    (void)ask(0, "/a");
    pass(499 * MS);
    (void)ask(1, "/a");
    pass(1 * MS);
    EXPECT(0, "no", "timeout");
    EXPECT(1, "no", "timeout");
    end();
}

Test(auth_asks, questions_under_way_are_bounded)
{
    auth.conf.in_flight = 2;
    begin();
    (void)ask(0, "/0");
    (void)ask(1, "/1");
    cr_assert_eq(ask(2, "/2"), SPOE_OK);
    EXPECT(2, "no", "busy");
    cr_expect_eq(requests[2].n_completed, 0, "it was not pending");
    cr_assert_eq(ask(3, "/1"), SPOE_PENDING, "it needs no place");
    answer(0, REASON_ALLOWED, YES);
    cr_assert_eq(ask(4, "/4"), SPOE_PENDING);
    end();
}

Test(auth_asks, bytes_under_way_are_bounded)
{
    auth.conf.in_flight_bytes = 3 * (ANSWER_HEADERS_MAX + 400);
    begin();
    for (unsigned i = 0; i < 3; i++) {
        char path[] = "/0";

        path[1] = (char)('0' + i);
        cr_assert_eq(ask(i, path), SPOE_PENDING);
    }
    cr_assert_eq(ask(3, "/3"), SPOE_OK);
    EXPECT(3, "no", "busy");
    pass(500 * MS); /* all of them end */
    cr_assert_eq(ask(4, "/4"), SPOE_PENDING);
    end();
}

/* The bounds are for all workers together. */
Test(auth_asks, each_worker_has_its_share)
{
    auth.conf.in_flight = 4;
    begin();
    auth.n_workers = 2;
    (void)ask(0, "/0");
    (void)ask(1, "/1");
    cr_assert_eq(ask(2, "/2"), SPOE_OK);
    EXPECT(2, "no", "busy");
    cr_expect_eq(connections_told, 32);
    auth.n_workers = 1000;
    cr_expect_eq(auth_share(&auth, 4), 1, "never none");
    end();
}

Test(auth_asks, failures_go_by_the_option)
{
    static const enum reason reasons[] = {REASON_STATUS,  REASON_BAD_ANSWER, REASON_TIMEOUT,
                                          REASON_CONNECT, REASON_TLS,        REASON_PROTOCOL,
                                          REASON_MEMORY};
    const unsigned n = sizeof reasons / sizeof reasons[0];

    for (unsigned open = 0; open < 2; open++) {
        auth.conf = (struct auth_conf){.fail_open = open == 1};
        begin();
        for (unsigned i = 0; i < n; i++) {
            (void)ask(open * n + i, "/a");
            answer(open * n + i, reasons[i], "HTTP/1.1 500 No|X-User: alice||");
            EXPECT(open * n + i, open ? "yes" : "no", reason_texts[reasons[i]]);
            cr_expect_str_empty(requests[open * n + i].user);
        }
        end();
    }
}

Test(auth_asks, what_cannot_be_asked_is_denied_in_any_case)
{
    auth.conf.fail_open = true;
    begin();
    cr_assert_eq(ask(0, ""), SPOE_OK);
    EXPECT(0, "no", "invalid");
    cr_assert_eq(ask(1, "/a\r\nX-User: root"), SPOE_OK);
    EXPECT(1, "no", "invalid");
    cr_expect_eq(n_asked, 0);
    end();
}

Test(auth_asks, kept_for_its_time)
{
    auth.conf.ttl_ns = 1000 * MS;
    begin();
    (void)ask(0, "/a");
    answer(0, REASON_ALLOWED, YES);
    pass(999 * MS);
    cr_assert_eq(ask(1, "/a"), SPOE_OK, "it is kept");
    EXPECT(1, "yes", "allowed");
    cr_expect_str_eq(requests[1].user, "alice");
    cr_expect_eq(requests[1].status, 200);
    cr_expect_eq(requests[1].n_committed, 0);
    cr_assert_eq(ask(2, "/b"), SPOE_PENDING);
    pass(1 * MS);
    cr_assert_eq(ask(3, "/a"), SPOE_PENDING, "its time is over");
    end();
}

Test(auth_asks, not_kept)
{
    static const struct {
        enum reason reason;
        const char *lines;
    } all[] = {
        {REASON_DENIED, NO}, /* cache-deny-ttl is 0 */
        {REASON_STATUS, "HTTP/1.1 500 No||"},
        {REASON_CONNECT, ""},
        {REASON_ALLOWED, "HTTP/1.1 200 OK|Set-Cookie: a=b||"},
        {REASON_ALLOWED, "HTTP/1.1 200 OK|cache-control: public, No-Store||"},
        {REASON_ALLOWED, "HTTP/1.1 200 OK|Cache-Control: max-age=0||"},
        {REASON_ALLOWED, "HTTP/1.1 200 OK|Vary: *||"},
    };

    auth.conf.ttl_ns = 1000 * MS;
    begin();
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        (void)ask(2 * i, "/a");
        answer(2 * i, all[i].reason, all[i].lines);
        cr_assert_eq(ask(2 * i + 1, "/a"), SPOE_PENDING, "%s", all[i].lines);
        answer(2 * i + 1, all[i].reason, all[i].lines);
    }
    end();
}

/* What does not fit into the ACK: a yes does not leave without the headers that belong to it. */
Test(auth_asks, no_room_for_a_header)
{
    begin();
    (void)ask(0, "/a");
    no_room_for_headers = true;
    answer(0, REASON_ALLOWED, YES);
    EXPECT(0, "no", "bad-answer");
    cr_expect_eq(requests[0].result, SPOE_OK);
    (void)ask(1, "/a");
    no_room = true;
    answer(1, REASON_ALLOWED, YES);
    cr_expect_eq(requests[1].result, SPOE_E_TOOBIG, "so that nothing leaves");
    end();
}

Test(auth_asks, no_memory_for_a_question)
{
    service_is_full = true;
    begin();
    cr_assert_eq(ask(0, "/a"), SPOE_OK);
    EXPECT(0, "no", "memory");
    service_is_full = false;
    cr_assert_eq(ask(1, "/a"), SPOE_PENDING);
    end();
}

Test(auth_asks, the_end_completes_what_waits)
{
    begin();
    (void)ask(0, "/a");
    (void)ask(1, "/a");
    (void)ask(2, "/b");
    asks_cancel(asks, &requests[2], SPOE_CANCEL_DRAIN);
    end();
    for (unsigned i = 0; i < 3; i++)
        cr_expect_eq(requests[i].n_completed, 1, "%u", i);
    EXPECT(0, "no", "stopping");
    cr_expect_eq(n_aborted, 2);
}

Test(auth_asks, the_log_hears_of_the_first_failure_and_of_the_end)
{
    begin();
    for (unsigned i = 0; i < 3; i++) {
        (void)ask(i, "/a");
        answer(i, REASON_CONNECT, "");
    }
    cr_expect_str_eq(logged, "http://service/: connect: a reason; requests are denied|");
    (void)ask(3, "/a");
    answer(3, REASON_DENIED, NO);
    cr_expect(strstr(logged, "|the service answers again, after 3 failures|") != NULL);
    end();
}

/* A service that fails for some questions alone: a client can ask for those as often as it likes.
 */
Test(auth_asks, failures_and_answers_in_turn_do_not_fill_the_log)
{
    size_t n;

    begin();
    (void)ask(0, "/a");
    answer(0, REASON_CONNECT, "");
    (void)ask(1, "/a");
    answer(1, REASON_ALLOWED, YES);
    n = strlen(logged);
    cr_assert(strstr(logged, "answers again, after 1 failures|") != NULL);
    (void)ask(2, "/a");
    answer(2, REASON_CONNECT, "");
    (void)ask(3, "/a");
    answer(3, REASON_ALLOWED, YES);
    cr_expect_str_eq(logged + n, "");
    now_ns += 1000 * MS; /* one that goes on is told of */
    (void)ask(4, "/a");
    answer(4, REASON_CONNECT, "");
    cr_expect_str_eq(logged + n, "http://service/: connect: a reason; requests are denied|");
    end();
}
