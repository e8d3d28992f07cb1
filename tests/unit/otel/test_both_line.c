/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_both_line.c - a line beside messages (issue 11, 2.3): which request it is
 * of, if any, and what it tells of one.
 */
#include "both_rig.h"

TestSuite(both, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- 2.3: no open request ------------------------------------------------------------------- */

/* A line that does not come costs what only it knows; one that comes later adds to it. */
Test(both, without_its_line_a_request_ends_once)
{
    fresh(spoe_value_bool(1));
    for (uint32_t i = 0; i < MESSAGE_LOG; i++)
        send_to(&first.worker[0], i, 1 * S);
    expire(&first, 1 * S + TTL);
    count_exported();
    cr_assert(exported.servers == 1 && exported.clients == 1);
    expect_bool(ended_server, ATTR_INCOMPLETE, true);
    expect_int(ended_server, "http.response.status_code", 200);
    cr_expect_eq(ended_server->n_events, 0, "there was a response");
    cr_expect_eq(counted(&counters.evicted), 1);
    cr_expect_eq(counted(&counters.without_line), 1);

    send_to(&first.worker[0], MESSAGE_RESPONSE, 40 * S); /* the line has the last word */
    send_to(&first.worker[0], MESSAGE_LOG, 41 * S);
    count_exported();
    cr_expect(exported.servers == 0 && exported.clients == 0 && exported.others == 1);
    cr_expect_eq(counted(&counters.late), 1);
    send_to(&first.worker[0], MESSAGE_LOG, 42 * S); /* twice */
    count_exported();
    cr_expect_eq(exported.servers + exported.clients + exported.others, 0);
    cr_expect_eq(counted(&counters.lines_late), 1);
    expect_accounts(3);
}

Test(both, a_line_that_comes_twice_counts_once)
{
    fresh(spoe_value_bool(1));
    for (uint32_t i = 0; i < N_KINDS; i++)
        send_to(&first.worker[0], i, 1 * S);
    send_to(&first.worker[1], MESSAGE_LOG, 2 * S);
    expect_one_pair("twice", 0);
    cr_expect_eq(counted(&counters.lines_late), 1);
    expect_accounts(2);
}

/* Both came before the backend's message, for which the first one waited. */
Test(both, a_line_that_waits_and_comes_again_is_counted)
{
    fresh(spoe_value_bool(1));
    for (uint32_t i = 0; i < N_KINDS; i++)
        send_to(&first.worker[0], i, 1 * S);
    expect_one_pair("backends come", 0);
    cr_expect_eq(counted(&counters.lines_late), 0);
    fresh(spoe_value_bool(1));
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
    cr_expect_eq(store_kept(first.handlers.store), 1);
    send_to(&first.worker[1], MESSAGE_LOG, 2 * S);
    expect_one_pair("again", 0);
    cr_expect_eq(counted(&counters.lines_late), 1);
}

/* Ids that repeat: the second request is not answered, and its line brings no mark. */
Test(both, a_line_does_not_end_the_request_of_another)
{
    char mark[sizeof told.mark];

    for (unsigned backend = 0; backend < 2; backend++) {
        fresh(spoe_value_bool(1));
        send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
        if (backend != 0)
            send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
        (void)snprintf(mark, sizeof mark, "%s", told.mark);
        memset(&told, 0, sizeof told);
        send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
        cr_expect_str_eq(told.mark, "", "the second one is not answered");
        line.slot[LOG_STATUS] = spoe_value_int(503);
        send_to(&first.worker[1], MESSAGE_LOG, 2 * S);
        cr_expect_eq(store_count(first.handlers.store), 1, "the first one is open");
        cr_expect_eq(store_kept(first.handlers.store), 0, "and nothing waits for it");
        cr_expect_eq(newly_counted(), 1);
        (void)snprintf(told.mark, sizeof told.mark, "%s", mark);
        if (backend == 0)
            send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
        line.slot[LOG_STATUS] = spoe_value_int(200);
        send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
        expect_one_pair("the first", backend);
        expect_whole("the first", backend);
    }
    cr_expect_eq(counted(&counters.duplicate_id), 2);
    cr_expect_eq(counted(&counters.lines_without_context), 2);
    cr_expect_eq(counted(&counters.lines_late), 0);
    expect_accounts(4);
}

/* The mark names the span that the request was given: an id alone is not enough where it has one.
 */
Test(both, a_mark_of_another_request_ends_nothing)
{
    char mark[sizeof told.mark], traceparent[sizeof told.traceparent];

    for (unsigned ours = 0; ours < 2; ours++) {
        struct agent *const other = ours != 0 ? &first : &second;

        fresh(spoe_value_bool(1)); /* another agent's; or of this one, and over for long */
        send_to(&other->worker[0], MESSAGE_REQUEST, 1 * S);
        (void)snprintf(mark, sizeof mark, "%s", told.mark);
        (void)snprintf(traceparent, sizeof traceparent, "%s", told.traceparent);
        if (ours != 0) {
            send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
            send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
        } else {
            restart(&second, 3);
        }
        count_exported();
        (void)newly_counted();

        fresh(spoe_value_bool(1)); /* has the same id */
        send_to(&first.worker[0], MESSAGE_REQUEST, 3 * S);
        line.slot[LOG_MARK] = text(mark);
        line.slot[LOG_TRACEPARENT] = text(traceparent);
        told.mark[0] = told.traceparent[0] = '\0';
        send_to(&first.worker[0], MESSAGE_LOG, 4 * S);
        cr_expect_eq(store_count(first.handlers.store), 1, "it is open");
        cr_expect_eq(store_kept(first.handlers.store), 0);
        count_exported();
        cr_expect_eq(exported.servers, ours != 0 ? 0 : 1, "the other agent's spans are made of it");
        cr_expect_eq(counted(&counters.lines_late), ours);
        expire(&first, 500 * S);
        count_exported();
        cr_expect_eq(exported.servers, 1);
        (void)newly_counted();
    }
}

/* ---- an id only joins ------------------------------------------------------------------------ */

/* 2.2: a line whose id is no key has its spans, and counts, as one without an id. */
Test(both, a_line_with_an_id_that_is_no_key_is_one_without)
{
    static char long_id[STORE_KEY_MAX + 2];

    memset(long_id, 'i', STORE_KEY_MAX + 1);
    for (unsigned round = 0; round < 3; round++) {
        fresh(spoe_value_bool(1));
        line.slot[LOG_UNIQUE_ID] = round == 0   ? text("")
                                   : round == 1 ? text(long_id)
                                                : (struct spoe_value){.type = SPOE_T_NULL};
        line.slot[LOG_TRACEPARENT] =
            text("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
        send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
        expect_one_pair("no key", round);
        expect_whole("no key", round);

        line.slot[LOG_TRACEPARENT] = (struct spoe_value){.type = SPOE_T_NULL};
        send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
        expect_nothing();
        cr_expect_eq(newly_counted(), 1);
    }
    cr_expect_eq(counted(&counters.lines_without_context), 3);
    cr_expect_eq(counted(&counters.missing_id), 0, "its request message has told");
    cr_expect_eq(counted(&counters.long_id), 1 + 1);
}

/* The mark's process has the spans, which end without the line that nobody can join to them. */
Test(both, without_an_id_a_mark_says_whose_the_spans_are)
{
    fresh(spoe_value_bool(1));
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
    line.slot[LOG_UNIQUE_ID] = (struct spoe_value){.type = SPOE_T_NULL};
    send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
    cr_expect_eq(store_count(first.handlers.store), 1);
    cr_expect_eq(counted(&counters.lines_late), 1);
    expect_one_pair("by span-ttl", 0);
    expect_bool(ended_server, ATTR_INCOMPLETE, true);

    fresh(spoe_value_bool(1)); /* and of a process that is gone it makes them */
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
    restart(&first, 9);
    line.slot[LOG_UNIQUE_ID] = text("");
    send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
    expect_one_pair("after a restart", 0);
    expect_whole("after a restart", 0);
}

/* No agent was asked: nobody decided, and there is no context. */
Test(both, a_line_that_nobody_was_asked_about)
{
    fresh(spoe_value_bool(1));
    send_to(&first.worker[0], MESSAGE_LOG, 1 * S);
    cr_expect_eq(store_kept(first.handlers.store), 1);
    expect_nothing();
    cr_expect_eq(counted(&counters.lines_without_context), 1);
    cr_expect_eq(counted(&counters.unknown_id), 0);
    cr_expect_eq(newly_counted(), 1);
}

/* ---- what the line tells of an open request -------------------------------------------------- */

Test(both, only_a_line_knows_how_it_ended)
{
    /* a deny: nobody was asked */
    fresh(spoe_value_bool(1));
    line.slot[LOG_STATUS] = spoe_value_int(403);
    line.slot[LOG_TERMINATION_STATE] = text("PR--");
    line.slot[LOG_SERVER_NAME] = text("<NOSRV>");
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
    count_exported();
    cr_assert(exported.servers == 1 && exported.clients == 0);
    expect_int(ended_server, "http.response.status_code", 403);
    expect_str(ended_server, "haproxy.termination_state", "PR");

    /* no server: the backend's message had opened CLIENT */
    fresh(spoe_value_bool(1));
    line.slot[LOG_STATUS] = spoe_value_int(503);
    line.slot[LOG_TERMINATION_STATE] = text("SC--");
    line.slot[LOG_SERVER_NAME] = text("<NOSRV>");
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
    send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
    count_exported();
    cr_assert(exported.servers == 1 && exported.clients == 0);
    expect_str(ended_server, "error.type", "503");
    cr_expect_eq(counted(&counters.superseded), 1);

    /* the body was cut behind a 200 */
    fresh(spoe_value_bool(1));
    line.slot[LOG_TERMINATION_STATE] = text("SD--");
    for (uint32_t i = 0; i < N_KINDS; i++)
        send_to(&first.worker[0], i, 1 * S);
    count_exported();
    cr_assert(exported.servers == 1 && exported.clients == 1);
    expect_str(ended_server, "error.type", "response_truncated");
    expect_int(ended_client, "http.response.status_code", 200);

    /* retried, to another server in the end */
    fresh(spoe_value_bool(1));
    line.slot[LOG_RETRIES] = text("+2");
    line.slot[LOG_CUSTOM] = text("team=storefront");
    for (uint32_t i = 0; i < N_KINDS; i++)
        send_to(&first.worker[0], i, 1 * S);
    count_exported();
    expect_int(ended_client, "http.request.resend_count", 2);
    expect_bool(ended_client, "haproxy.redispatched", true);
    expect_str(ended_server, "team", "storefront");
    expect_accounts(6);
}

/* A response that HAProxy denied: the server's 500 is CLIENT's, the client saw 403. */
Test(both, the_line_has_the_last_word)
{
    fresh(spoe_value_bool(1));
    x.response.slot[RESPONSE_STATUS] = spoe_value_int(500);
    line.slot[LOG_STATUS] = spoe_value_int(403);
    line.slot[LOG_TERMINATION_STATE] = text("PR--");
    for (uint32_t i = 0; i < N_KINDS; i++)
        send_to(&first.worker[0], i, 1 * S);
    count_exported();
    cr_assert(exported.servers == 1 && exported.clients == 1);
    expect_int(ended_server, "http.response.status_code", 403);
    expect_none(ended_server, "error.type");
    cr_expect_eq(ended_server->status, SPAN_STATUS_UNSET);
}

/* Where nobody keeps spans for the line, nothing is late, and nothing needs HAProxy's answer. */
Test(both, any_agents_line_may_come_at_any_time)
{
    fresh(text("any"));
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
    expire(&first, 1 * S + TTL);
    count_exported();
    cr_expect_eq(exported.servers + exported.clients, 0);
    send_to(&first.worker[0], MESSAGE_LOG, 40 * S);
    expect_one_pair("after span-ttl", 0);
    cr_expect(has_ids_of(told.traceparent, ended_client));

    fresh(text("any"));
    send_to(&first.worker[0], MESSAGE_REQUEST, 41 * S);
    send_to(&first.worker[0], MESSAGE_BACKEND, 41 * S);
    memset(&told.mark, 0, sizeof told.mark); /* it came too late for HAProxy */
    (void)snprintf(told.traceparent, sizeof told.traceparent, "%s", "");
    send_to(&first.worker[0], MESSAGE_LOG, 42 * S);
    expect_one_pair("unanswered", 0);
}

/* A request of a minute: who opened it waited for span-ttl, and there was a restart since. */
Test(both, what_was_ended_before_a_restart_is_not_made_again)
{
    static const struct {
        int64_t end_s, began_s, hold_s; /* of the line, of the second process, asked for */
        bool sampled, again;
    } cases[] = {{50, 40, 0, true, false}, /* due at 31 s: it was ended */
                 {50, 20, 0, true, true},  /* who opened it was gone by then */
                 {20, 40, 0, true, true},  /* it ended before */
                 {50, 40, 35, true, true}, /* it was to be held for 60 s */
                 {70, 65, 35, true, false}, {50, 40, 0, false, true}};

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        restart(&first, 1);
        fresh(spoe_value_bool(1));
        policy.sampler.kind = cases[i].sampled ? SAMPLER_ALWAYS_ON : SAMPLER_ALWAYS_OFF;
        policy.keep_errors = !cases[i].sampled;
        line.slot[LOG_STATUS] = spoe_value_int(cases[i].sampled ? 200 : 503);
        x.request.slot[REQUEST_HOLD] = spoe_value_int(cases[i].hold_s);
        send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
        send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
        restart(&first, 2);
        first.handlers.started_unix_ns = EXCHANGE_NOW + cases[i].began_s * S;
        line.slot[LOG_END_AT] = spoe_value_int((EXCHANGE_NOW + cases[i].end_s * S) / US);
        send_to(&first.worker[0], MESSAGE_LOG, 80 * S);
        count_exported();
        cr_expect(exported.servers == cases[i].again && exported.clients == cases[i].again &&
                      exported.others == !cases[i].again,
                  "%u: %u SERVER, %u CLIENT, %u others", i, exported.servers, exported.clients,
                  exported.others);
        cr_expect_eq(newly_counted(), 1);
    }
    cr_expect_eq(counted(&counters.late), 2);
}

/* A mark that this program would not write, without a moment: there is none that a span could begin
 * at. */
Test(both, a_mark_without_a_due_moment)
{
    fresh(spoe_value_bool(1));
    first.handlers.started_unix_ns = EXCHANGE_NOW;
    line.slot[LOG_TRACEPARENT] = text("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
    line.slot[LOG_MARK] = text("1111111111111111-2222222222222222-00000000");
    send_to(&first.worker[0], MESSAGE_LOG, 2 * S);
    expect_one_pair("no due", 0);
}

/* A line without times ends the request when it comes. */
Test(both, a_line_without_times)
{
    fresh(spoe_value_bool(1));
    line.slot[LOG_REQUEST_AT] = line.slot[LOG_END_AT] = line.slot[LOG_ACTIVE_MS] =
        (struct spoe_value){.type = SPOE_T_NULL};
    send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
    send_to(&first.worker[0], MESSAGE_BACKEND, 2 * S);
    send_to(&first.worker[0], MESSAGE_LOG, 4 * S);
    count_exported();
    cr_expect_eq(ended_server->start_unix_ns, EXCHANGE_NOW + 1 * S);
    cr_expect_eq(ended_client->start_unix_ns, EXCHANGE_NOW + 2 * S);
    cr_expect_eq(ended_server->end_unix_ns, EXCHANGE_NOW + 4 * S);
}

/* A request that asks for no line has no mark, and its response ends it. */
Test(both, without_log_line_nothing_changes)
{
    const struct spoe_value no[] = {
        {.type = SPOE_T_NULL}, spoe_value_bool(0), text("off"), text("nonsense")};

    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        fresh(no[i]);
        send_to(&first.worker[0], MESSAGE_REQUEST, 1 * S);
        cr_expect_str_eq(told.mark, "");
        send_to(&first.worker[0], MESSAGE_BACKEND, 1 * S);
        send_to(&first.worker[0], MESSAGE_RESPONSE, 2 * S);
        expect_one_pair("three messages", (unsigned)i);
        cr_expect_eq(ended_server->end_unix_ns, EXCHANGE_NOW + 2 * S);
    }
}

/* ---- the mark -------------------------------------------------------------------------------- */

Test(both, a_mark_is_read_as_it_was_written)
{
    struct mark mark = {.process = {1, 2}, .server_id = {3}, .parent_id = {4}, .due_s = 0x81020304};
    struct mark got;
    char written[MARK_LEN_MAX];

    for (unsigned parent = 0; parent < 2; parent++) {
        struct spoe_value value;
        size_t n;

        mark.has_parent = parent != 0;
        n = mark_write(&mark, written);
        cr_expect_eq(n, parent != 0 ? 59 : 42);
        value = spoe_value_str((struct spoe_span){written, n});
        cr_assert(mark_read(&value, &got));
        cr_expect_arr_eq(got.process, mark.process, 8);
        cr_expect_arr_eq(got.server_id, mark.server_id, 8);
        cr_expect_eq(got.has_parent, mark.has_parent);
        cr_expect_eq(got.due_s, mark.due_s);
        if (parent != 0)
            cr_expect_arr_eq(got.parent_id, mark.parent_id, 8);
        for (size_t i = 0; i < n; i++) { /* a letter that is none, at each place, and each length */
            const char kept = written[i];

            written[i] = 'x';
            cr_expect_not(mark_read(&value, &got), "at %zu", i);
            written[i] = kept;
            value.u.s.n = i;
            cr_expect(!mark_read(&value, &got) || i == 42, "of %zu", i);
            value.u.s.n = n;
        }
    }
    memset(written, '0', 16);
    memset(written + 17, '0', 16);
    cr_expect_not(mark_read(&(struct spoe_value){.type = SPOE_T_STR, .u.s = {written, 42}}, &got));
    cr_expect_not(mark_read(&(struct spoe_value){.type = SPOE_T_NULL}, &got));
}
