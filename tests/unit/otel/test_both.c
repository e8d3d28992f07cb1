/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_both.c - messages and a line of the log for the same request (issue
 * 11, 2.3): each span is exported exactly once, in whatever order they come, over whatever
 * connections, whoever reads them; and the decision is the agent's.
 */
#include "both_rig.h"

TestSuite(both, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- 2.3: in every order -------------------------------------------------------------------- */

Test(both, in_each_order_over_each_worker)
{
    uint64_t out = 0;

    for (unsigned round = 0; round < 24 * 16; round++) {
        uint32_t order[N_KINDS];
        char before_line[64] = "";

        order_of(round / 16, order);
        fresh(spoe_value_bool(1));
        add(&x.request, "tenant", text("a"));
        add(&x.backend, "pool", text("b"));
        for (unsigned i = 0; i < N_KINDS; i++) {
            send_to(&first.worker[round >> i & 1], order[i], (100 + i) * S / 100);
            if (order[i] == MESSAGE_LOG)
                (void)snprintf(before_line, sizeof before_line, "%s", told.traceparent);
        }
        expect_one_pair("order", round / 16);
        expect_whole("order", round / 16);
        expect_str(ended_server, "tenant", "a"); /* what only messages tell */
        expect_str(ended_client, "pool", "b");
        if (before_line[0] != '\0') /* what the server was sent is one of the spans */
            cr_expect(has_ids_of(before_line, ended_client) ||
                      has_ids_of(before_line, ended_server));
        out += exported.servers + exported.clients;
    }
    cr_expect_eq(counted(&counters.opened), 24 * 16);
    cr_expect_eq(counted(&counters.ended), 24 * 16);
    cr_expect_eq(counted(&counters.evicted), 0);
    cr_expect_eq(counted(&counters.lines_late), 0);
    cr_expect_eq(counted(&counters.lines_without_context), 0);
    expect_accounts(out);
}

/* Issue 11, 3.1: an exemplar is a span that is exported. */
Test(both, exemplars_are_the_spans_in_each_order)
{
    for (unsigned round = 0; round < 24; round++) {
        uint32_t order[N_KINDS];

        tear_down();
        set_up(); /* with a meter that knows no other request */
        order_of(round, order);
        fresh(spoe_value_bool(1));
        for (unsigned i = 0; i < N_KINDS; i++)
            send_to(&first.worker[i & 1], order[i], (100 + i) * S / 100);
        (void)newly_counted();
        expire(&first, 500 * S);
        count_exported();
        cr_assert(exported.servers == 1 && exported.clients == 1);
        cr_expect(has_exemplar(METER_SERVER_DURATION, ended_server), "%u", round);
        cr_expect(has_exemplar(METER_CLIENT_DURATION, ended_client), "%u", round);
    }
}

/* The agent is restarted before, between or after them; the line makes what nobody has any more. */
Test(both, with_a_restart_at_each_point_of_each_order)
{
    uint8_t process = 10;
    uint64_t out = 0;

    for (unsigned round = 0; round < 24 * 5; round++) {
        const unsigned when = round % 5;
        uint32_t order[N_KINDS];
        unsigned request = 0, log = 0;

        order_of(round / 5, order);
        restart(&first, process++); /* which remembers nothing of the last round */
        fresh(spoe_value_bool(1));
        for (unsigned i = 0; i <= N_KINDS; i++) {
            if (i == when)
                restart(&first, process++);
            if (i == N_KINDS)
                break;
            send_to(&first.worker[0], order[i], (100 + i) * S / 100);
            request = order[i] == MESSAGE_REQUEST ? i : request;
            log = order[i] == MESSAGE_LOG ? i : log;
        }
        if (log < request && log < when && when <= request) {
            /* The line was there before anybody knew of the request, and who kept it is gone. So
             * the request waits for a line in vain. */
            expire(&first, 500 * S);
            count_exported();
            cr_assert(exported.servers == 1 && exported.clients <= 1 && exported.others == 0);
            cr_expect_eq(newly_counted(), 1); /* the stray line counts */
            expect_bool(ended_server, ATTR_INCOMPLETE, true);
        } else {
            expect_one_pair("restart", round);
            expect_whole("restart", round);
        }
        out += exported.servers + exported.clients;
    }
    expect_accounts(out);
    cr_expect_gt(counted(&counters.left_to_line), 0);
    cr_expect_eq(counted(&counters.ended_at_stop), 0);
}

/* Two agents, each message to either: where the line may go to any, none keeps spans for it. */
Test(both, with_two_agents_in_each_order)
{
    uint64_t out = 0;

    for (unsigned round = 0; round < 24 * 16; round++) {
        uint32_t order[N_KINDS];
        bool answered = false;

        order_of(round / 16, order);
        fresh(text("any"));
        for (unsigned i = 0; i < N_KINDS; i++) {
            struct agent *to = (round >> i & 1) != 0 ? &first : &second;

            if (order[i] == MESSAGE_LOG)
                answered = told.mark[0] != '\0';
            send_to(&to->worker[0], order[i], (100 + i) * S / 100);
        }
        if (!answered) { /* the line could not say what nobody had told HAProxy */
            expire(&first, 500 * S);
            expire(&second, 500 * S);
            count_exported();
            cr_assert(exported.servers <= 1 && exported.clients <= 1 && exported.others == 0);
            cr_expect_eq(newly_counted(), 1);
        } else {
            expect_one_pair("agents", round);
            expect_whole("agents", round);
        }
        out += exported.servers + exported.clients;
    }
    cr_expect_eq(counted(&counters.opened), 0);
    expect_accounts(out);
}

/* The other agent was asked, and is gone: its mark makes the spans here. */
Test(both, another_agents_line_makes_the_spans)
{
    fresh(spoe_value_bool(1));
    x.request.slot[REQUEST_TRACEPARENT] =
        text("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
    x.request.slot[REQUEST_TRACESTATE] = text("a=1");
    send_to(&second.worker[0], MESSAGE_REQUEST, 1 * S);
    send_to(&second.worker[0], MESSAGE_BACKEND, 1 * S);
    restart(&second, 3);
    line.slot[LOG_TRACESTATE] = text("a=1");
    send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
    expect_one_pair("another", 0);
    expect_whole("another", 0);
    cr_expect(has_ids_of(told.traceparent, ended_client));
    expect_str(ended_server, "http.request.method", "GET");
    cr_expect(ended_server->parent_remote && ended_server->parent_id[0] == 0x00 &&
              ended_server->parent_id[1] == 0xf0);
    cr_expect_eq(counted(&counters.left_to_line), 1);
    cr_expect_eq(counted(&counters.superseded), 2);
    expect_accounts(2);
}

/* ---- 2.3: the decision is the agent's -------------------------------------------------------- */

static void never(void)
{
    policy.sampler = (struct sampler){.kind = SAMPLER_ALWAYS_OFF};
}

Test(both, what_is_not_sampled_stays_so)
{
    never();
    for (unsigned round = 0; round < 24 * 5; round++) {
        uint32_t order[N_KINDS];

        order_of(round / 5, order);
        fresh(round % 2 == 0 ? spoe_value_bool(1) : text("any"));
        for (unsigned i = 0; i < N_KINDS; i++) {
            if (i == round % 5)
                restart(&first, (uint8_t)(round + 10));
            send_to(&first.worker[0], order[i], (100 + i) * S / 100);
        }
        expect_nothing();
    }
    expect_accounts(0);
}

/* keep-errors sees what HAProxy answers itself, whoever opened the request. */
Test(both, an_error_is_kept_for_its_line)
{
    never();
    policy.keep_errors = true;
    for (unsigned round = 0; round < 6; round++) {
        fresh(round < 3 ? spoe_value_bool(1) : text("any"));
        line.slot[LOG_STATUS] = spoe_value_int(503);
        line.slot[LOG_TERMINATION_STATE] = text("SC--");
        line.slot[LOG_RESPONSE_MS] = spoe_value_int(-1);
        line.slot[LOG_CONNECT_MS] = spoe_value_int(-1);
        send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
        send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
        if (round % 3 == 1)
            restart(&first, (uint8_t)(20 + round));
        if (round % 3 == 2)
            policy.keep_errors = false; /* SIGHUP */
        send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
        if (round % 3 == 2) {
            expect_nothing();
            cr_expect_eq(newly_counted(), 1); /* before sampling */
            policy.keep_errors = true;
            continue;
        }
        expect_one_pair("kept", round);
        expect_str(ended_server, "haproxy.sampling.kept", "error");
        expect_str(ended_client, "error.type", "connect_failed");
        expect_int(ended_server, "http.response.status_code", 503);
        expect_none(ended_client, "http.response.status_code");
    }
    cr_expect_eq(counted(&counters.kept_errors), 4);
    expect_accounts(8);
}

/* 2.4: how long it took is the line's, and where that has no times, from message to line. */
Test(both, a_slow_one_is_kept_for_its_line)
{
    const struct spoe_value none = {.type = SPOE_T_NULL};

    never();
    for (unsigned round = 0; round < 4; round++) {
        const bool timed = round < 2, kept = round % 2 == 0;
        int64_t took;

        fresh(spoe_value_bool(1));
        took = timed ? (line.slot[LOG_END_AT].u.i64 - line.slot[LOG_REQUEST_AT].u.i64) * US : 3 * S;
        if (!timed)
            line.slot[LOG_REQUEST_AT] = line.slot[LOG_END_AT] = line.slot[LOG_ACTIVE_MS] = none;
        else
            line.slot[LOG_HEADERS_MS] = line.slot[LOG_ACTIVE_MS] = none;
        policy.keep_slower_ns = kept ? took - 1 : took;
        send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
        send_to(&first.worker[0], MESSAGE_BACKEND, 2 * S);
        send_to(&first.worker[0], MESSAGE_LOG, 4 * S);
        if (!kept) {
            expect_nothing();
            cr_expect_eq(newly_counted(), 1); /* before sampling */
            continue;
        }
        expect_one_pair("kept", round);
        expect_str(ended_server, "haproxy.sampling.kept", "slow");
        expect_str(ended_client, "haproxy.sampling.kept", "slow");
    }
    cr_expect_eq(counted(&counters.kept_slow), 2);
    expect_accounts(4);
}

Test(both, what_is_excluded_or_refused_stays_so)
{
    fresh(spoe_value_bool(1));
    excluded = exclude_create("/hello");
    cr_assert_not_null(excluded);
    policy.exclude = excluded;
    for (uint32_t i = 0; i < N_KINDS; i++)
        send_to(&first.worker[0], i, 1 * S);
    expect_nothing();
    cr_expect_str_eq(told.mark, "", "nothing was opened");
    cr_expect_eq(counted(&counters.excluded), 1);
    cr_expect_eq(counted(&counters.excluded_later), 3);
    restart(&first, 9); /* which forgets the id */
    send_to(&first.worker[0], MESSAGE_LOG, 1 * S);
    cr_expect_eq(counted(&counters.excluded_later), 4);
    cr_expect_eq(counted(&counters.lines_without_context), 0);
    cr_expect_eq(newly_counted(), 0);
    policy.exclude = NULL;

    store_set_limits(first.handlers.store, 1, 0); /* and that is taken */
    fresh(spoe_value_bool(1));
    x.request.slot[REQUEST_UNIQUE_ID] = text("another");
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    fresh(spoe_value_bool(1));
    x.request.slot[REQUEST_TRACEPARENT] =
        text("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    cr_expect_str_eq(told.mark, "");
    send_to(&first.worker[0], MESSAGE_LOG, 1 * S);
    count_exported();
    cr_expect_eq(exported.servers, 0);
    cr_expect_eq(counted(&counters.refused), 1);
    cr_expect_eq(counted(&counters.refused_later), 1);
    cr_expect_eq(newly_counted(), 1); /* there was no room for spans alone */
    memset(&told, 0, sizeof told);
    x.request.slot[REQUEST_UNIQUE_ID] = line.slot[LOG_UNIQUE_ID] = text("u2"); /* the line first */
    line.slot[LOG_TRACEPARENT] = (struct spoe_value){.type = SPOE_T_NULL};
    send_to(&first.worker[0], MESSAGE_LOG, 1 * S);
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    cr_expect_eq(counted(&counters.refused_later), 2);
    cr_expect_eq(newly_counted(), 1);
}
