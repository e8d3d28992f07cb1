/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_times.c - HAProxy's moments and timers. */
#include "exchange.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

TestSuite(times, .init = exchange_set_up, .fini = exchange_tear_down, .timeout = 20);

static struct exchange x;

static struct exchange *fresh(void)
{
    x = exchange_of("u1");
    return &x;
}

static struct spoe_value us(int64_t unix_ns)
{
    return spoe_value_int(unix_ns / US);
}

Test(times, moments_of_haproxy_replace_the_agents)
{
    fresh();
    add(&x.request, "start", us(REQUEST_AT - 3 * MS));
    add(&x.backend, "start", us(BACKEND_AT - 1 * MS));
    add(&x.response, "end", us(RESPONSE_AT - 2 * MS));
    exchange_run(&x);
    cr_expect_eq(ended_server->start_unix_ns, REQUEST_AT - 3 * MS);
    cr_expect_eq(ended_client->start_unix_ns, BACKEND_AT - 1 * MS);
    cr_expect_eq(ended_client->end_unix_ns, RESPONSE_AT - 2 * MS);
    cr_expect_eq(ended_server->end_unix_ns, RESPONSE_AT - 2 * MS);
    expect_none(ended_server, "start");
    expect_none(ended_server, "end");
}

Test(times, without_them_the_agents_clock_counts)
{
    exchange_run(fresh());
    cr_expect_eq(ended_server->start_unix_ns, REQUEST_AT);
    cr_expect_eq(ended_client->start_unix_ns, BACKEND_AT);
    cr_expect_eq(ended_server->end_unix_ns, RESPONSE_AT);
}

Test(times, what_is_not_sane_is_ignored)
{
    const struct spoe_value bad[] = {
        us(RESPONSE_AT + 1 * US),  us(REQUEST_AT - FILL_AGE_MAX_NS - 1 * S),
        spoe_value_int(0),         spoe_value_int(-1),
        spoe_value_int(INT64_MAX), spoe_value_int(INT64_MIN),
        text("1700000000000000"),  spoe_value_bool(1),
        {.type = SPOE_T_NULL},     {.type = SPOE_T_UINT64, .u.u64 = UINT64_MAX},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fresh();
        add(&x.request, "start", bad[i]);
        add(&x.backend, "start", bad[i]);
        add(&x.response, "end", bad[i]);
        exchange_run(&x);
        cr_expect_eq(ended_server->start_unix_ns, REQUEST_AT, "case %zu", i);
        cr_expect_eq(ended_client->start_unix_ns, BACKEND_AT, "case %zu", i);
        cr_expect_eq(ended_client->end_unix_ns, RESPONSE_AT, "case %zu", i);
        cr_expect_eq(ended_server->end_unix_ns, RESPONSE_AT, "case %zu", i);
    }
}

Test(times, the_oldest_start_is_a_setting)
{
    policy.moment_age_max_ns = 1 * S;
    fresh();
    add(&x.request, "start", us(REQUEST_AT - 1 * S));
    exchange_run(&x);
    cr_expect_eq(ended_server->start_unix_ns, REQUEST_AT - 1 * S);
    fresh();
    add(&x.request, "start", us(REQUEST_AT - 1 * S - 1 * US));
    exchange_run(&x);
    cr_expect_eq(ended_server->start_unix_ns, REQUEST_AT);
}

Test(times, a_haproxy_whose_clock_is_behind_keeps_its_durations)
{
    const int64_t skew = 5 * S;

    fresh();
    add(&x.request, "start", us(REQUEST_AT - skew));
    add(&x.backend, "start", us(BACKEND_AT - skew));
    add(&x.response, "end", us(RESPONSE_AT - skew));
    exchange_run(&x);
    cr_expect_eq(ended_server->end_unix_ns - ended_server->start_unix_ns, RESPONSE_AT - REQUEST_AT);
    cr_expect_eq(ended_client->end_unix_ns - ended_client->start_unix_ns, RESPONSE_AT - BACKEND_AT);
}

Test(times, stay_nested)
{
    fresh();
    add(&x.request, "start", us(REQUEST_AT - 1 * MS));
    add(&x.backend, "start", us(REQUEST_AT - 9 * MS)); /* before the request's */
    add(&x.response, "end", us(REQUEST_AT - 5 * MS));  /* before both */
    exchange_run(&x);
    cr_expect_eq(ended_client->start_unix_ns, ended_server->start_unix_ns);
    cr_expect_geq(ended_client->end_unix_ns, ended_client->start_unix_ns);
    cr_expect_geq(ended_server->end_unix_ns, ended_client->end_unix_ns);
}

/* 9.2: handlers.c:230 */
Test(times, server_ends_no_earlier_than_client)
{
    fresh();
    add(&x.request, "start", us(REQUEST_AT - 10 * MS));
    add(&x.backend, "start", us(REQUEST_AT - 1 * MS));
    add(&x.response, "end", us(REQUEST_AT - 5 * MS)); /* before CLIENT began */
    exchange_run(&x);
    cr_expect_eq(ended_server->start_unix_ns, REQUEST_AT - 10 * MS);
    cr_expect_eq(ended_client->start_unix_ns, REQUEST_AT - 1 * MS);
    cr_expect_eq(ended_client->end_unix_ns, REQUEST_AT - 1 * MS);
    cr_expect_eq(ended_server->end_unix_ns, REQUEST_AT - 1 * MS);
}

Test(times, timers_become_attributes_in_milliseconds)
{
    fresh();
    add(&x.response, "queue_ms", spoe_value_int(0));
    add(&x.response, "connect_ms", spoe_value_int(4));
    add(&x.response, "response_ms", spoe_value_int(37));
    exchange_run(&x);
    expect_int(ended_client, "haproxy.time.queue", 0);
    expect_int(ended_client, "haproxy.time.connect", 4);
    expect_int(ended_client, "haproxy.time.response", 37);
    expect_none(ended_server, "haproxy.time.queue");
}

/* Issue 11, 2.4: by HAProxy's own times, where it tells them. */
Test(times, what_took_longer_is_known_by_haproxys_clock)
{
    x = exchange_of("u1");

    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    policy.keep_slower_ns = 49 * MS; /* the messages are 50 ms apart */
    exchange_run(&x);
    expect_str(ended_server, "haproxy.sampling.kept", "slow");
    expect_str(ended_client, "haproxy.sampling.kept", "slow");
    add(&x.response, "end", us(RESPONSE_AT - 2 * MS));
    send_request(&x);
    send_backend(&x);
    send_response(&x);
    take_ended();
    cr_expect(ended_server == NULL && ended_client == NULL);
    cr_expect_eq(counters.kept_slow, 1);
    cr_expect_eq(counters.unsampled_spans, 2);
}
