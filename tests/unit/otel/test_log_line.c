/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_log_line.c - what the keys of a log line become. How the line of a kind of
 * request looks is HAProxy's: tests/e2e/test_log_spans.py.
 */
#include <criterion/criterion.h>

#include "base/hex.h"
#include "exchange.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define OWN "00-" TRACE "-b7ad6b7169203331-01"
#define CALLERS "00-" TRACE "-00f067aa0ba902b7-01"

#define US INT64_C(1700000000000000) /* when the headers were there */
#define NS(us) ((us)*INT64_C(1000))

TestSuite(log_line, .init = exchange_set_up, .fini = exchange_tear_down);

static struct exchange_message line;

/* A request of 50 ms that a server answered. */
static void fresh(void)
{
    line = exchange_line(US, US + 50000);
    line.slot[LOG_TRACEPARENT] = text(OWN);
}

static void run(void)
{
    send_message(MESSAGE_LOG, LOG_SLOTS, &line, NS(US + 60000));
    take_ended();
}

static void expect_id(const uint8_t *id, size_t n, const char *digits)
{
    char got[33] = "";

    hex_write(id, n, got);
    cr_expect_str_eq(got, digits);
}

Test(log_line, one_id_is_clients_where_a_server_was_tried)
{
    fresh();
    line.slot[LOG_INBOUND] = text(CALLERS);
    run();
    cr_assert(ended_server != NULL && ended_client != NULL);
    expect_id(ended_client->context.span_id, 8, "b7ad6b7169203331");
    expect_id(ended_client->context.trace_id, 16, TRACE);
    cr_expect_arr_eq(ended_client->parent_id, ended_server->context.span_id, 8);
    expect_id(ended_server->parent_id, 8, "00f067aa0ba902b7");
    cr_expect(ended_server->parent_remote && !ended_client->parent_remote);
    fresh();
    line.slot[LOG_SERVER_NAME] = text("<NOSRV>");
    run();
    cr_assert(ended_server != NULL && ended_client == NULL);
    expect_id(ended_server->context.span_id, 8, "b7ad6b7169203331");
    expect_id(ended_server->parent_id, 8, "0000000000000000");
}

Test(log_line, both_ids_can_be_told)
{
    fresh();
    line.slot[LOG_SERVER_ID] = text("1111111111111111");
    line.slot[LOG_CLIENT_ID] = text("b7ad6b7169203331");
    run();
    expect_id(ended_server->context.span_id, 8, "1111111111111111");
    expect_id(ended_client->context.span_id, 8, "b7ad6b7169203331");
    line.slot[LOG_SERVER_NAME] = text("<NOSRV>"); /* a deny: the id in tp is nobody's */
    run();
    cr_assert_null(ended_client);
    expect_id(ended_server->context.span_id, 8, "1111111111111111");
    fresh(); /* the same for both cannot be */
    line.slot[LOG_SERVER_ID] = text("b7ad6b7169203331");
    run();
    expect_id(ended_server->context.span_id, 8, "b7ad6b7169203331");
    cr_expect_arr_neq(ended_client->context.span_id, ended_server->context.span_id, 8);
    fresh(); /* what is no id is none */
    line.slot[LOG_SERVER_ID] = text("0000000000000000");
    line.slot[LOG_CLIENT_ID] = text("xyz");
    run();
    expect_id(ended_client->context.span_id, 8, "b7ad6b7169203331");
    cr_expect_not(hex_is_zero(ended_server->context.span_id, 8));
}

Test(log_line, a_parent_is_of_the_same_trace)
{
    fresh();
    line.slot[LOG_INBOUND] = text("00-ffffffffffffffffffffffffffffffff-00f067aa0ba902b7-01");
    run();
    expect_id(ended_server->parent_id, 8, "0000000000000000");
    cr_expect_not(ended_server->parent_remote);
}

/* 2.2 */
Test(log_line, attributes_by_prefix)
{
    static const char *const absent[] = {"traceparent", "start", "lc", "ti", "nothing", "srv_addr"};

    fresh();
    add(&line, "attr.tenant", text("t1"));
    add(&line, "attr.route", text("/users/{id}"));
    add(&line, "attr.http.request.header.X-Plan", text("gold"));
    add(&line, "attr.srv_addr", text("origin.example.org"));
    add(&line, "attr.traceparent", text(CALLERS)); /* reserved */
    add(&line, "attr.start", spoe_value_int(US - 1000000));
    add(&line, "attr.", text("no name"));
    add(&line, "attr.nothing", (struct spoe_value){.type = SPOE_T_NULL});
    add(&line, "lc", text("17")); /* keys of the host's, and those of nobody */
    add(&line, "ti", text("3"));
    run();
    cr_assert(ended_server != NULL && ended_client != NULL);
    expect_str(ended_server, "tenant", "t1");
    expect_str(ended_server, "http.route", "/users/{id}");
    expect_list(ended_server, "http.request.header.x-plan", "gold");
    expect_str(ended_client, "server.address", "origin.example.org");
    expect_name(ended_server, "GET /users/{id}");
    cr_expect_eq(ended_server->start_unix_ns, NS(US - 2000));
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        expect_none(ended_server, absent[i]);
        expect_none(ended_client, absent[i]);
    }
}

/* A line has texts only: what a boolean is written as is one. 2.2 */
Test(log_line, booleans_by_prefix)
{
    fresh();
    add(&line, "attr.ssl_bc", text("0"));
    add(&line, "attr.tls_resumed", text("1"));
    add(&line, "attr.bc_reused", text("false"));
    add(&line, "attr.cache_hit", text("maybe"));
    run();
    cr_assert(ended_server != NULL && ended_client != NULL);
    expect_str(ended_client, "url.scheme", "http");
    expect_bool(ended_server, "tls.resumed", true);
    expect_bool(ended_client, "haproxy.connection.reused", false);
    expect_none(ended_server, "haproxy.cache.hit");
    expect_none(ended_server, "ssl_bc"); /* CLIENT's */
}

Test(log_line, the_tracestate_is_both_spans)
{
    size_t n;

    fresh();
    line.slot[LOG_TRACESTATE] = text("a=1,b=2");
    run();
    cr_expect(span_trace_state(ended_server, &n) != NULL && n == 7);
    cr_expect(span_trace_state(ended_client, &n) != NULL && n == 7);
    line.slot[LOG_TRACESTATE] = text("no list");
    run();
    (void)span_trace_state(ended_server, &n);
    cr_expect_eq(n, 0);
}

Test(log_line, spans_are_as_long_as_the_request)
{
    fresh();
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US - 2000)); /* the first byte */
    cr_expect_eq(ended_server->end_unix_ns, NS(US + 50000));
    cr_expect_eq(ended_client->start_unix_ns, NS(US));
    cr_expect_eq(ended_client->end_unix_ns, NS(US + 50000));
    line.slot[LOG_BACKEND_AT] = spoe_value_int(US + 7); /* it is told */
    run();
    cr_expect_eq(ended_client->start_unix_ns, NS(US + 7));
    fresh(); /* rules held it up for 200 ms */
    line.slot[LOG_END_AT] = spoe_value_int(US + 250000);
    line.slot[LOG_RESPONSE_AT] = spoe_value_int(US + 241000);
    run();
    cr_expect_eq(ended_client->start_unix_ns, NS(US + 200000));
    line.slot[LOG_RESPONSE_AT] = spoe_value_int(US + 43000); /* less than timers can be off */
    run();
    cr_expect_eq(ended_client->start_unix_ns, NS(US));
    fresh(); /* moments are not told: by the timers, from when the line came */
    line.slot[LOG_REQUEST_AT].type = line.slot[LOG_END_AT].type = SPOE_T_NULL;
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US + 60000 - 52000));
    cr_expect_eq(ended_server->end_unix_ns, NS(US + 60000));
    cr_expect_eq(ended_client->start_unix_ns, NS(US + 60000 - 50000));
    fresh(); /* no timer ran, and clocks that stand still */
    line.slot[LOG_HEADERS_MS] = line.slot[LOG_ACTIVE_MS] = spoe_value_int(-1);
    line.slot[LOG_END_AT] = line.slot[LOG_REQUEST_AT];
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US));
    cr_expect_eq(ended_server->end_unix_ns, NS(US));
    fresh(); /* 2.6: the first byte is told, to the microsecond */
    line.slot[LOG_START] = spoe_value_int(US - 2345);
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US - 2345));
    cr_expect_eq(ended_client->start_unix_ns, NS(US));
    line.slot[LOG_START] = spoe_value_int(US + 400); /* HAProxy adds up milliseconds */
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US));
    fresh(); /* 2.6: a deny takes no time by HAProxy's clock, which stands still within one loop */
    line.slot[LOG_START] = line.slot[LOG_REQUEST_AT] = line.slot[LOG_END_AT] = spoe_value_int(US);
    line.slot[LOG_SERVER_NAME] = text("<NOSRV>");
    line.slot[LOG_TERMINATION_STATE] = text("PR--");
    line.slot[LOG_STATUS] = spoe_value_int(403);
    line.slot[LOG_HEADERS_MS] = line.slot[LOG_ACTIVE_MS] = spoe_value_int(0);
    run();
    cr_expect_null(ended_client);
    cr_expect_eq(ended_server->start_unix_ns, NS(US));
    cr_expect_eq(ended_server->end_unix_ns, NS(US));
    fresh(); /* an end before the start */
    line.slot[LOG_END_AT] = spoe_value_int(US - 5000);
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US - 5000));
    cr_expect_eq(ended_client->end_unix_ns, NS(US - 5000));
}

/* Whatever a line says, no sum overflows (UBSan), no span ends before it begins, and none begins at
 * 0, which is to say that its start is not known. */
Test(log_line, hostile_times)
{
    static const int64_t moments[] = {1, US, (INT64_C(1) << 52) - 1, INT64_MAX / 1000 - 1,
                                      INT64_MAX};
    static const int64_t timers[] = {0, (INT64_C(1) << 40) - 1, INT64_MAX};
    static const unsigned at[] = {LOG_START, LOG_REQUEST_AT, LOG_RESPONSE_AT, LOG_BACKEND_AT};
    static const unsigned during[] = {LOG_HEADERS_MS, LOG_ACTIVE_MS, LOG_QUEUE_MS, LOG_CONNECT_MS};
    const unsigned n_at = sizeof at / sizeof at[0], n_during = sizeof during / sizeof during[0];

    for (unsigned i = 0; i < 5 * 5 * 16; i++) {
        for (unsigned j = 0; j < 3 * 16; j++) {
            fresh();
            line.slot[LOG_END_AT] = spoe_value_int(moments[i % 5]);
            for (unsigned k = 0; k < n_at; k++) {
                if ((i / 25 >> k & 1) != 0)
                    line.slot[at[k]] = spoe_value_int(moments[i / 5 % 5]);
                else if (at[k] != LOG_REQUEST_AT || j % 2 == 0)
                    line.slot[at[k]] = (struct spoe_value){.type = SPOE_T_NULL};
            }
            for (unsigned k = 0; k < n_during; k++) {
                if ((j / 3 >> k & 1) != 0)
                    line.slot[during[k]] = spoe_value_int(timers[j % 3]);
            }
            run();
            cr_assert_not_null(ended_server);
            cr_assert_leq(ended_server->start_unix_ns, ended_server->end_unix_ns);
            cr_assert_gt(ended_server->start_unix_ns, 0);
        }
    }
}

Test(log_line, a_target_is_path_and_query)
{
    static const struct {
        const char *target, *path, *query;
    } cases[] = {{"/hello?a=1", "/hello", "a=REDACTED"},
                 {"/hello", "/hello", NULL},
                 {"/?", "/", NULL},
                 {"https://example.org/x/y?z", "/x/y", "z"},
                 {"https://example.org", NULL, NULL},
                 {"example.org:443", NULL, NULL}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fresh();
        line.slot[LOG_TARGET] = text(cases[i].target);
        run();
        if (cases[i].path != NULL)
            expect_str(ended_server, "url.path", cases[i].path);
        else
            expect_none(ended_server, "url.path");
        if (cases[i].query != NULL)
            expect_str(ended_server, "url.query", cases[i].query);
        else
            expect_none(ended_server, "url.query");
    }
    fresh();
    line.slot[LOG_METHOD] = text("OPTIONS");
    line.slot[LOG_TARGET] = text("*");
    run();
    expect_str(ended_server, "url.path", "*");
}

Test(log_line, retries_and_redispatches)
{
    struct span_attr attr;

    fresh();
    line.slot[LOG_RETRIES] = text("+3");
    run();
    expect_int(ended_client, "http.request.resend_count", 3);
    expect_bool(ended_client, "haproxy.redispatched", true);
    line.slot[LOG_RETRIES] = text("2");
    run();
    expect_int(ended_client, "http.request.resend_count", 2);
    cr_expect_not(span_find(ended_client, "haproxy.redispatched", 20, &attr));
}

static void expect_end(const char *state, int64_t status, int64_t response_ms,
                       const char *server_error, const char *client_error)
{
    fresh();
    line.slot[LOG_TERMINATION_STATE] = text(state);
    line.slot[LOG_STATUS] = spoe_value_int(status);
    line.slot[LOG_RESPONSE_MS] = spoe_value_int(response_ms);
    run();
    cr_assert(ended_server != NULL && ended_client != NULL, "%s", state);
    cr_expect_eq(ended_server->status == SPAN_STATUS_ERROR, server_error != NULL, "%s", state);
    cr_expect_eq(ended_client->status == SPAN_STATUS_ERROR, client_error != NULL, "%s", state);
    if (server_error != NULL)
        expect_str(ended_server, "error.type", server_error);
    else
        expect_none(ended_server, "error.type");
    if (client_error != NULL)
        expect_str(ended_client, "error.type", client_error);
    else
        expect_none(ended_client, "error.type");
    if (status >= 100)
        expect_int(ended_server, "http.response.status_code", status);
    else
        expect_none(ended_server, "http.response.status_code");
    if (status >= 100 && response_ms >= 0 && strncmp(state, "PH", 2) != 0)
        expect_int(ended_client, "http.response.status_code", status);
    else
        expect_none(ended_client, "http.response.status_code");
}

Test(log_line, the_end_is_told_by_the_termination_state)
{
    expect_end("----", 200, 1, NULL, NULL);
    expect_end("----", 404, 1, NULL, "404");
    expect_end("----", 500, 1, "500", "500");
    expect_end("SC--", 503, -1, "503", "connect_failed");
    expect_end("sC--", 503, -1, "503", "connect_timeout");
    expect_end("SH--", 502, -1, "502", "response_invalid");
    expect_end("sH--", 504, -1, "504", "response_timeout");
    expect_end("SD--", 200, 1, "response_truncated", "response_truncated");
    expect_end("sD--", 200, 1, "data_timeout", "data_timeout");
    expect_end("SL--", 200, 1, "response_truncated", "response_truncated");
    expect_end("PH--", 502, 1, "502", NULL); /* a rule's deny */
    expect_end("PH--", 502, -1, "502", "response_invalid");
    expect_end("PH--", 400, -1, NULL, NULL); /* the client's body was wrong */
    expect_end("PD--", 200, 1, "response_invalid", "response_invalid");
    expect_end("CD--", 200, 1, NULL, NULL);
    expect_end("cD--", 500, 1, NULL, NULL);
    expect_end("CH--", 400, -1, NULL, NULL);
    expect_end("----", -1, 1, NULL, NULL);
}

/* 2.5: HAProxy 2.6 has no response time of what a rule denies */
Test(log_line, a_response_that_rules_saw_was_valid)
{
    fresh();
    line.slot[LOG_TERMINATION_STATE] = text("PH--");
    line.slot[LOG_STATUS] = spoe_value_int(502);
    line.slot[LOG_RESPONSE_MS] = spoe_value_int(-1);
    line.slot[LOG_RESPONSE_AT] = spoe_value_int(US + 41000);
    run();
    expect_str(ended_server, "error.type", "502");
    expect_none(ended_client, "error.type");
    expect_none(ended_client, "http.response.status_code");
}

/* 2.5: 800 ms in which a rule waited for the body, in the frontend or in the backend; a tarpit */
Test(log_line, rules_that_wait)
{
    fresh();
    line.slot[LOG_END_AT] = spoe_value_int(US + 843000);
    line.slot[LOG_ACTIVE_MS] = spoe_value_int(845);
    line.slot[LOG_HEADERS_MS] = spoe_value_int(802);
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US - 2000));
    line.slot[LOG_BACKEND_AT] = spoe_value_int(US + 1);
    line.slot[LOG_RESPONSE_AT] = spoe_value_int(US + 841000);
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US - 2000));
    cr_expect_eq(ended_client->start_unix_ns, NS(US + 800000));
    fresh();
    line.slot[LOG_HEADERS_MS] = spoe_value_int(-1);
    line.slot[LOG_SERVER_NAME] = text("<NOSRV>");
    line.slot[LOG_ACTIVE_MS] = spoe_value_int(550);
    line.slot[LOG_END_AT] = spoe_value_int(US + 500000);
    run();
    cr_expect_eq(ended_server->start_unix_ns, NS(US - 50000)); /* slow headers before it */
}

Test(log_line, a_server_that_was_not_asked_has_no_span)
{
    static const char *const names[] = {"<NOSRV>", "<CACHE>", "<STATS>", ""};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fresh();
        line.slot[LOG_SERVER_NAME] = text(names[i]);
        run();
        cr_expect(ended_server != NULL && ended_client == NULL, "%s", names[i]);
    }
    fresh();
    line.slot[LOG_TERMINATION_STATE] = text("sQ--");
    line.slot[LOG_STATUS] = spoe_value_int(503);
    run();
    cr_expect_null(ended_client);
    expect_str(ended_server, "error.type", "503");
    fresh(); /* chosen, and never connected to */
    line.slot[LOG_CONNECT_MS] = spoe_value_int(-1);
    line.slot[LOG_TERMINATION_STATE] = text("PR--");
    run();
    cr_expect_null(ended_client);
}

/* 2.4: the line knows how long it took, whoever answered, and that a client left */
Test(log_line, what_took_longer_is_kept)
{
    const char *const unsampled = "00-" TRACE "-b7ad6b7169203331-00";

    policy.keep_slower_ns = NS(51999);
    fresh(); /* 52 ms from its first byte */
    line.slot[LOG_TRACEPARENT] = text(unsampled);
    run();
    cr_assert(ended_server != NULL && ended_client != NULL);
    expect_str(ended_server, "haproxy.sampling.kept", "slow");
    expect_str(ended_client, "haproxy.sampling.kept", "slow");
    policy.keep_slower_ns = NS(52000);
    run();
    cr_expect_null(ended_server);
    cr_expect_eq(counters.kept_slow, 1);
    policy.keep_slower_ns = NS(20000);
    line.slot[LOG_SERVER_NAME] = text("<NOSRV>");
    line.slot[LOG_TERMINATION_STATE] = text("CH--");
    run();
    cr_assert(ended_server != NULL && ended_client == NULL);
    expect_str(ended_server, "haproxy.sampling.kept", "slow");
    policy.keep_errors = true;
    line.slot[LOG_TERMINATION_STATE] = text("sQ--");
    line.slot[LOG_STATUS] = spoe_value_int(503);
    run();
    expect_str(ended_server, "haproxy.sampling.kept", "error");
    cr_expect_eq(counters.kept_errors, 1);
    line.slot[LOG_TRACEPARENT] = text(OWN);
    run();
    expect_none(ended_server, "haproxy.sampling.kept");
}

Test(log_line, what_makes_no_span_is_counted)
{
    fresh();
    line.slot[LOG_TRACEPARENT].type = SPOE_T_NULL;
    run();
    cr_expect_null(ended_server);
    cr_expect_eq(counters.lines_without_context, 1);
    line.slot[LOG_TRACEPARENT] = text("00-" TRACE "-b7ad6b7169203331-00");
    run();
    cr_expect_null(ended_server);
    cr_expect_eq(counters.unsampled, 1);
    policy.keep_errors = true;
    run();
    cr_expect_null(ended_server);
    line.slot[LOG_STATUS] = spoe_value_int(504);
    line.slot[LOG_TERMINATION_STATE] = text("sH--");
    run();
    cr_assert(ended_server != NULL && ended_client != NULL);
    expect_str(ended_server, "haproxy.sampling.kept", "error");
    expect_str(ended_client, "haproxy.sampling.kept", "error");
    cr_expect_eq(counters.kept_errors, 1);
    cr_expect_eq(counters.unsampled, 3);
    line.slot[LOG_TERMINATION_STATE] = text("CH--"); /* the client's own doing */
    run();
    cr_expect_null(ended_server);
    cr_expect_eq(counters.logged, 2);
}

/* A line that was cut, or of a format with fewer keys. */
Test(log_line, any_key_may_be_missing)
{
    for (unsigned i = 0; i < LOG_SLOTS; i++) {
        fresh();
        line.slot[i].type = SPOE_T_NULL;
        run();
        cr_expect_eq(ended_server != NULL, i != LOG_TRACEPARENT, "%u", i);
    }
    line = (struct exchange_message){.slot = {[LOG_TRACEPARENT] = text(OWN)}};
    run();
    cr_assert(ended_server != NULL && ended_client == NULL);
    expect_name(ended_server, "HTTP");
    cr_expect_eq(ended_server->end_unix_ns, NS(US + 60000));
}

/* ---- what never became a request (2.5) ---------------------------------------------------- */

static void bad(int64_t status, const char *state)
{
    line = (struct exchange_message){.slot = {[LOG_END_AT] = spoe_value_int(US),
                                              [LOG_ACTIVE_MS] = spoe_value_int(501),
                                              [LOG_STATUS] = spoe_value_int(status),
                                              [LOG_TERMINATION_STATE] = text(state),
                                              [LOG_METHOD] = text("<BADREQ>"),
                                              [LOG_VERSION] = text("<BADREQ>"),
                                              [LOG_TARGET] = text("<BADREQ>"),
                                              [LOG_FRONTEND_NAME] = text("web"),
                                              [LOG_SERVER_NAME] = text("<NOSRV>")}};
}

Test(log_line, what_never_became_a_request_is_counted)
{
    bad(400, "PR--");
    run();
    cr_expect_null(ended_server);
    cr_expect_eq(counters.bad_requests, 1);
    cr_expect_eq(counters.lines_without_context, 0);
}

Test(log_line, what_never_became_a_request_has_a_span_by_the_option)
{
    uint8_t first[16];

    policy.bad_requests = true;
    bad(408, "cR--");
    run();
    cr_assert(ended_server != NULL && ended_client == NULL);
    cr_expect_eq(counters.bad_requests, 1);
    cr_expect_not(hex_is_zero(ended_server->context.trace_id, 16));
    cr_expect_not(hex_is_zero(ended_server->context.span_id, 8));
    expect_id(ended_server->parent_id, 8, "0000000000000000");
    cr_expect_eq(ended_server->context.flags, TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
    expect_name(ended_server, "HTTP");
    expect_str(ended_server, "http.request.method", "_OTHER");
    expect_none(ended_server, "http.request.method_original");
    expect_none(ended_server, "network.protocol.version");
    expect_none(ended_server, "url.path");
    expect_int(ended_server, "http.response.status_code", 408);
    expect_str(ended_server, "haproxy.termination_state", "cR");
    cr_expect_eq(ended_server->status, SPAN_STATUS_UNSET);
    cr_expect_eq(ended_server->end_unix_ns - ended_server->start_unix_ns, INT64_C(501000000));
    memcpy(first, ended_server->context.trace_id, sizeof first);
    run();
    cr_expect_arr_neq(ended_server->context.trace_id, first, sizeof first);
}

Test(log_line, such_spans_go_through_sampler_and_cap)
{
    struct rate_cap cap;

    policy.bad_requests = true;
    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    bad(400, "PR--");
    run();
    cr_expect_null(ended_server);
    cr_expect_eq(counters.unsampled, 1);
    policy.sampler.kind = SAMPLER_ALWAYS_ON;
    rate_cap_init(&cap, 1);
    policy.rate_cap = &cap;
    run();
    cr_expect(ended_server != NULL);
    run();
    cr_expect_null(ended_server);
    cr_expect_eq(counters.capped, 1);
    cr_expect_eq(counters.bad_requests, 3);
}
