/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_metering.c - what finished requests count, in both ways: issue 11, 3.1.
 */
#include <criterion/criterion.h>

#include <stdio.h>

#include "exchange.h"
#include "meter/snapshot.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SAMPLED "00-" TRACE "-b7ad6b7169203331-01"
#define UNSAMPLED "00-" TRACE "-b7ad6b7169203331-00"
#define US INT64_C(1700000000000000)
#define NS(us) ((us)*INT64_C(1000))

static struct meter *meter;
static struct meter_series seen[64];

static void set_up(void)
{
    exchange_set_up();
    meter = meter_create(1000, EXCHANGE_NOW);
    cr_assert_not_null(meter);
    worker.meter = meter_writer(meter);
    cr_assert_not_null(worker.meter);
}

static void tear_down(void)
{
    exchange_tear_down();
    meter_destroy(meter);
}

TestSuite(metering, .init = set_up, .fini = tear_down, .timeout = 60);

static size_t read_all(void)
{
    struct meter_reader reader;
    size_t n = 0;

    meter_begin(meter, &reader);
    while (n < 64 && meter_next(&reader, &seen[n]))
        n++;
    return n;
}

/* The first series of a metric. */
static const struct meter_series *first(const char *name)
{
    const size_t n = read_all();

    for (size_t i = 0; i < n; i++) {
        if (strcmp(seen[i].instrument->name, name) == 0)
            return &seen[i];
    }
    return NULL;
}

/* name=value,name=value as the series has them */
static const char *attributes(const struct meter_series *series)
{
    static char ret[1024];
    size_t n = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < series->n_values; i++) {
        const struct meter_value *value = &series->values[i];
        const char *comma = i > 0 ? "," : "";

        if (value->is_number)
            n += (size_t)snprintf(ret + n, sizeof ret - n, "%s%s=%d", comma, value->name,
                                  (int)value->number);
        else
            n += (size_t)snprintf(ret + n, sizeof ret - n, "%s%s=%.*s", comma, value->name,
                                  (int)value->text.n, value->text.p);
    }
    return ret;
}

static void expect(const char *name, uint64_t n, double sum, const char *attrs)
{
    const struct meter_series *series = first(name);

    cr_assert_not_null(series, "%s", name);
    cr_expect_eq(series->count, n, "%s: %d", name, (int)series->count);
    if (series->instrument->n_bounds > 0)
        cr_expect_float_eq(series->sum, sum, 1e-9, "%s: %f", name, series->sum);
    cr_expect_str_eq(attributes(series), attrs, "%s", name);
}

/* ---- log lines ---- */

static struct exchange_message line;

static void fresh(void)
{
    line = exchange_line(US, US + 50000);
    line.slot[LOG_TRACEPARENT] = text(SAMPLED);
    line.slot[LOG_BACKEND_AT] = spoe_value_int(US + 5000);
    line.slot[LOG_VERSION] = text("HTTP/1.1");
    line.slot[LOG_FRONTEND_NAME] = text("web");
    line.slot[LOG_ORIGIN] = text("10.0.0.1");
    line.slot[LOG_ORIGIN_PORT] = spoe_value_int(9000);
    line.slot[LOG_BYTES_IN] = spoe_value_int(120);
    line.slot[LOG_BYTES_OUT] = spoe_value_int(5000);
    line.slot[LOG_HOST] = text("evil.example");
}

static void run(void)
{
    send_message(MESSAGE_LOG, LOG_SLOTS, &line, NS(US + 60000));
    take_ended();
}

Test(metering, a_line_counts_in_all_of_them)
{
    fresh();
    run();
    expect("http.server.request.duration", 1, 0.052,
           "haproxy.frontend.name=web,haproxy.backend.name=app,http.request.method=GET,"
           "http.response.status_code=200,url.scheme=http,network.protocol.version=1.1");
    expect("http.server.request.body.size", 1, 120,
           attributes(first("http.server.request.duration")));
    cr_expect_float_eq(first("http.server.response.body.size")->sum, 5000, 1e-9);
    expect("http.client.request.duration", 1, 0.045,
           "haproxy.backend.name=app,haproxy.server.name=app1,http.request.method=GET,"
           "http.response.status_code=200,server.address=10.0.0.1,server.port=9000");
    expect("haproxy.request.terminations", 1, 0,
           "haproxy.frontend.name=web,haproxy.backend.name=app,haproxy.termination_state=--");
    cr_expect_eq(read_all(), 5);
}

Test(metering, exemplars_are_the_spans_of_sampled_lines)
{
    const struct meter_series *server, *client;
    uint8_t trace_id[16];

    fresh();
    run();
    server = first("http.server.request.duration");
    client = first("http.client.request.duration");
    memcpy(trace_id, ended_server->context.trace_id, sizeof trace_id);
    cr_expect_arr_eq(server->exemplars[4].trace_id, trace_id, 16); /* 52 ms: up to 75 */
    cr_expect_arr_eq(server->exemplars[4].span_id, ended_server->context.span_id, 8);
    cr_expect_eq(server->exemplars[4].unix_ns, NS(US + 50000));
    cr_expect_arr_eq(client->exemplars[3].span_id, ended_client->context.span_id, 8);
}

/* Before sampling: what has no spans counts as well, without an exemplar. */
Test(metering, unsampled_lines_count)
{
    fresh();
    line.slot[LOG_TRACEPARENT] = text(UNSAMPLED);
    run();
    cr_expect_null(ended_server);
    cr_assert_eq(read_all(), 5);
    cr_expect_eq(seen[0].count, 1);
    for (size_t i = 0; i < METER_BUCKETS_MAX; i++)
        cr_expect_eq(seen[0].exemplars[i].unix_ns, 0);
}

/* 2.5: 400 and 408 that never became a request. */
Test(metering, lines_that_are_no_request_count)
{
    line = (struct exchange_message){.slot = {[LOG_STATUS] = spoe_value_int(400),
                                              [LOG_TERMINATION_STATE] = text("CR--"),
                                              [LOG_METHOD] = text("<BADREQ>"),
                                              [LOG_VERSION] = text("<BADREQ>"),
                                              [LOG_FRONTEND_NAME] = text("web"),
                                              [LOG_BACKEND_NAME] = text("web"),
                                              [LOG_SERVER_NAME] = text("<NOSRV>")}};
    run();
    expect("http.server.request.duration", 1, 0,
           "haproxy.frontend.name=web,haproxy.backend.name=web,http.request.method=_OTHER,"
           "http.response.status_code=400,url.scheme=http");
    expect("haproxy.request.terminations", 1, 0,
           "haproxy.frontend.name=web,haproxy.backend.name=web,haproxy.termination_state=CR");
    cr_expect_eq(read_all(), 2); /* no sizes are known, no server was asked */
}

Test(metering, excluded_paths_do_not_count)
{
    fresh();
    excluded = exclude_create("/hello");
    policy.exclude = excluded;
    run();
    cr_expect_eq(read_all(), 0);
}

/* Nothing that a client can choose, and no more values than the conventions have. */
Test(metering, what_a_client_chooses_makes_no_series)
{
    char target[32], host[32], method[32], version[32];

    for (int i = 0; i < 50; i++) {
        fresh();
        (void)snprintf(target, sizeof target, "/%d", i);
        (void)snprintf(host, sizeof host, "h%d", i);
        (void)snprintf(method, sizeof method, "M%d", i);
        (void)snprintf(version, sizeof version, "HTTP/1.%d", i + 2);
        line.slot[LOG_TARGET] = text(target);
        line.slot[LOG_HOST] = text(host);
        line.slot[LOG_USER_AGENT] = text(host);
        line.slot[LOG_METHOD] = text(method);
        line.slot[LOG_VERSION] = text(version);
        line.slot[LOG_CUSTOM] = text("http.route=/made/up");
        run();
    }
    cr_expect_eq(read_all(), 5);
    expect("http.server.request.duration", 50, 50 * 0.052,
           "haproxy.frontend.name=web,haproxy.backend.name=app,http.request.method=_OTHER,"
           "http.response.status_code=200,url.scheme=http");
}

static void fresh_meter(void)
{
    meter_destroy(meter);
    meter = meter_create(1000, EXCHANGE_NOW);
    worker.meter = meter_writer(meter);
}

static size_t count_series(enum meter_instrument_id id, uint64_t *ret_requests)
{
    struct meter_reader reader;
    struct meter_series series;
    size_t n = 0;

    *ret_requests = 0;
    meter_begin_one(meter, id, &reader);
    for (; meter_next(&reader, &series); n++)
        *ret_requests += series.count;
    return n;
}

/* What is remembered of one request is never taken for another's. */
Test(metering, each_attribute_tells_requests_apart)
{
    static const char long_name[] =
        "a-name-that-is-much-longer-than-any-that-stands-in-a-configuration-but-that-may-be-there-"
        "all-the-same-so-that-no-key-has-room-for-it-and-nothing-is-remembered-of-the-request-at-"
        "all-and-it-is-cut";
    static const struct {
        unsigned slot;
        const char *value;
        size_t server, client, end; /* series of base and this one */
    } cases[] = {
        {LOG_FRONTEND_NAME, "api", 2, 1, 2},      {LOG_BACKEND_NAME, "other", 2, 2, 2},
        {LOG_SERVER_NAME, "app2", 1, 2, 1},       {LOG_ORIGIN, "10.0.0.2", 1, 2, 1},
        {LOG_ORIGIN_PORT, "9001", 1, 2, 1},       {LOG_METHOD, "POST", 2, 2, 1},
        {LOG_VERSION, "HTTP/2.0", 2, 1, 1},       {LOG_TLS_VERSION, "TLSv1.3", 2, 1, 1},
        {LOG_TERMINATION_STATE, "CD--", 1, 1, 2}, {LOG_TERMINATION_STATE, "SD--", 2, 2, 2},
        {LOG_TERMINATION_STATE, "PR--", 1, 1, 2}, {LOG_FRONTEND_NAME, long_name, 2, 1, 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t n;

        fresh_meter();
        for (int round = 0; round < 6; round++) {
            fresh();
            if (round % 2 != 0)
                line.slot[cases[i].slot] = text(cases[i].value);
            run();
        }
        cr_expect_eq(count_series(METER_SERVER_DURATION, &n), cases[i].server, "%zu", i);
        cr_expect_eq(n, 6);
        cr_expect_eq(count_series(METER_CLIENT_DURATION, &n), cases[i].client, "%zu", i);
        cr_expect_eq(n, 6);
        cr_expect_eq(count_series(METER_TERMINATIONS, &n), cases[i].end, "%zu", i);
        cr_expect_eq(n, 6);
    }
}

Test(metering, a_route_is_the_configurations)
{
    fresh();
    line.args[0] = (struct spoe_arg){spoe_str("attr.http.route"), text("/users/{id}")};
    line.n_args = 1;
    run();
    cr_expect_not_null(
        strstr(attributes(first("http.server.request.duration")), "http.route=/users/{id}"));
    cr_expect_not_null(
        strstr(attributes(first("http.client.request.duration")), "http.route=/users/{id}"));
}

Test(metering, errors_by_whose_they_are)
{
    fresh();
    line.slot[LOG_STATUS] = spoe_value_int(503);
    line.slot[LOG_TERMINATION_STATE] = text("SC--");
    line.slot[LOG_RESPONSE_MS] = spoe_value_int(-1);
    line.slot[LOG_CONNECT_MS] = spoe_value_int(-1);
    run();
    cr_expect_not_null(strstr(attributes(first("http.server.request.duration")), "error.type=503"));
    cr_expect_not_null(
        strstr(attributes(first("http.client.request.duration")), "error.type=connect_failed"));
    cr_expect_null(strstr(attributes(first("http.client.request.duration")), "status_code"));
}

/* ---- messages ---- */

#define SPOE_SERVER                                                                                \
    "haproxy.frontend.name=web,haproxy.backend.name=app,http.request.method=GET,"                  \
    "http.response.status_code=200,url.scheme=https,network.protocol.version=2"

static struct exchange messages(void)
{
    struct exchange x = exchange_of("u");

    x.request.slot[REQUEST_FRONTEND_NAME] = text("web");
    x.request.slot[REQUEST_VERSION] = text("2.0");
    x.response.slot[RESPONSE_BACKEND_NAME] = text("app");
    x.response.slot[RESPONSE_SERVER_NAME] = text("app1");
    return x;
}

static void expect_messages(void)
{
    expect("http.server.request.duration", 1, 0.05, SPOE_SERVER);
    expect("http.client.request.duration", 1, 0.04,
           "haproxy.backend.name=app,haproxy.server.name=app1,http.request.method=GET,"
           "http.response.status_code=200,server.address=10.0.0.1,server.port=8080");
    cr_expect_eq(read_all(), 2); /* no sizes and no termination state are known */
}

Test(metering, messages_count_what_they_know)
{
    const struct exchange x = messages();

    exchange_run(&x);
    expect_messages();
    cr_expect_arr_eq(first("http.server.request.duration")->exemplars[3].span_id,
                     ended_server->context.span_id, 8);
    cr_expect_arr_eq(first("http.client.request.duration")->exemplars[3].span_id,
                     ended_client->context.span_id, 8);
}

/* The same numbers without spans: not sampled, capped, or kept in case of an error. */
Test(metering, unsampled_messages_count_alike)
{
    for (int keep = 0; keep < 2; keep++) {
        const struct exchange x = messages();

        policy.sampler = (struct sampler){.kind = SAMPLER_ALWAYS_OFF};
        policy.keep_errors = keep != 0;
        send_request(&x);
        send_backend(&x);
        send_response(&x);
        take_ended();
        cr_expect_null(ended_server);
        expect_messages();
        cr_expect_eq(first("http.server.request.duration")->exemplars[3].unix_ns, 0);
        meter_destroy(meter);
        meter = meter_create(1000, EXCHANGE_NOW);
        worker.meter = meter_writer(meter);
    }
}

Test(metering, messages_may_tell_more)
{
    struct exchange x = messages();

    add(&x.request, "http.route", text("/a/{b}"));
    add(&x.response, "req_size", spoe_value_int(10));
    add(&x.response, "res_size", text("20"));
    add(&x.response, "term_state", text("SD--"));
    x.response.slot[RESPONSE_STATUS] = spoe_value_int(404);
    exchange_run(&x);
    expect("http.server.request.body.size", 1, 10,
           "haproxy.frontend.name=web,haproxy.backend.name=app,http.route=/a/{b},"
           "http.request.method=GET,http.response.status_code=404,url.scheme=https,"
           "network.protocol.version=2");
    cr_expect_float_eq(first("http.server.response.body.size")->sum, 20, 1e-9);
    expect("haproxy.request.terminations", 1, 0,
           "haproxy.frontend.name=web,haproxy.backend.name=app,haproxy.termination_state=SD");
    cr_expect_not_null(strstr(attributes(first("http.client.request.duration")), "error.type=404"));
}

/* What a short line does not say its messages did: TLS, the version, a route. 3.1 */
Test(metering, a_line_and_its_messages_count_what_either_knows)
{
    struct exchange x = messages();

    x.request.slot[REQUEST_LOG_LINE] = spoe_value_bool(1);
    add(&x.request, "http.route", text("/a/{b}"));
    fresh();
    line.slot[LOG_UNIQUE_ID] = text("u");
    line.slot[LOG_VERSION] = line.slot[LOG_FRONTEND_NAME] =
        (struct spoe_value){.type = SPOE_T_NULL};
    send_request(&x);
    send_backend(&x);
    run();
    cr_expect_str_eq(attributes(first("http.server.request.duration")),
                     "haproxy.frontend.name=web,haproxy.backend.name=app,http.route=/a/{b},"
                     "http.request.method=GET,http.response.status_code=200,url.scheme=https,"
                     "network.protocol.version=2");
    cr_expect_eq(read_all(), 5);
}

/* Nothing is known of an end that nobody tells; a response that comes later does tell. */
Test(metering, a_request_without_a_response_does_not_count)
{
    const struct exchange x = messages();

    store_destroy(handlers.store);
    handlers.store = store_create(&(struct store_conf){
        .max = 100, .ttl_ns = 1000, .late_ns = INT64_C(600000000000), .late_max = 10});
    send_request(&x);
    send_backend(&x);
    cr_assert(handlers_expire(&worker, BACKEND_AT + 2000));
    take_ended();
    cr_expect_not_null(ended_server);
    cr_expect_eq(read_all(), 0);
    send_response(&x);
    take_ended();
    expect_messages();
}

Test(metering, excluded_messages_do_not_count)
{
    const struct exchange x = messages();

    excluded = exclude_create("/hello");
    policy.exclude = excluded;
    send_request(&x);
    send_response(&x);
    cr_expect_eq(read_all(), 0);
}

Test(metering, without_a_meter_there_is_none)
{
    worker.meter = NULL;
    fresh();
    run();
    cr_expect_not_null(ended_server);
    cr_expect_eq(read_all(), 0);
}
