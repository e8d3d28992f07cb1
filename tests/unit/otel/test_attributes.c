/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_attributes.c - what becomes of the arguments that nobody declared. */
#include "exchange.h"
#include "signal/attributes.h"
#include "record/query.h"

TestSuite(attributes, .init = exchange_set_up, .fini = exchange_tear_down, .timeout = 20);

static struct exchange x;

static struct exchange *fresh(void)
{
    x = exchange_of("u1");
    return &x;
}

static struct spoe_value bytes(const char *p, size_t n)
{
    return (struct spoe_value){.type = SPOE_T_BIN, .u.s = {p, n}};
}

/* ---- own names ----------------------------------------------------------------------------- */

static void add_each_type(struct exchange_message *message)
{
    add(message, "my.text", text("a text"));
    add(message, "my.empty", text(""));
    add(message, "my.yes", spoe_value_bool(1));
    add(message, "my.no", spoe_value_bool(0));
    add(message, "my.i32", (struct spoe_value){.type = SPOE_T_INT32, .u.i32 = -7});
    add(message, "my.u32", (struct spoe_value){.type = SPOE_T_UINT32, .u.u32 = UINT32_MAX});
    add(message, "my.i64", spoe_value_int(INT64_MIN));
    add(message, "my.u64", (struct spoe_value){.type = SPOE_T_UINT64, .u.u64 = INT64_MAX});
    add(message, "my.big", (struct spoe_value){.type = SPOE_T_UINT64, .u.u64 = UINT64_MAX});
    add(message, "my.ip4", (struct spoe_value){.type = SPOE_T_IPV4, .u.ip4 = {192, 0, 2, 1}});
    add(message, "my.ip6",
        (struct spoe_value){.type = SPOE_T_IPV6, .u.ip6 = {0x20, 1, 0xd, 0xb8, [15] = 1}});
    add(message, "my.bytes", bytes("\0\xff\x01", 3));
    add(message, "my.null", (struct spoe_value){.type = SPOE_T_NULL});
}

static void expect_each_type(const struct span *span)
{
    struct span_attr attr;

    expect_str(span, "my.text", "a text");
    expect_str(span, "my.empty", "");
    expect_bool(span, "my.yes", true);
    expect_bool(span, "my.no", false);
    expect_int(span, "my.i32", -7);
    expect_int(span, "my.u32", UINT32_MAX);
    expect_int(span, "my.i64", INT64_MIN);
    expect_int(span, "my.u64", INT64_MAX);
    expect_str(span, "my.big", "18446744073709551615");
    expect_str(span, "my.ip4", "192.0.2.1");
    expect_str(span, "my.ip6", "2001:db8::1");
    attr = must_find(span, "my.bytes");
    cr_expect(attr.type == SPAN_BYTES && attr.str_len == 3 &&
              memcmp(attr.str, "\0\xff\x01", 3) == 0);
    expect_none(span, "my.null");
    cr_expect_eq(span->dropped_attributes, 0);
}

Test(attributes, other_arguments_keep_their_name_and_type)
{
    add_each_type(&fresh()->request);
    exchange_run(&x);
    expect_each_type(ended_server);
    expect_none(ended_client, "my.text");
}

Test(attributes, of_the_backend_message_are_the_clients)
{
    add_each_type(&fresh()->backend);
    exchange_run(&x);
    expect_each_type(ended_client);
    expect_none(ended_server, "my.text");
}

Test(attributes, of_the_response_message_are_the_servers)
{
    add_each_type(&fresh()->response);
    exchange_run(&x);
    expect_each_type(ended_server);
    expect_none(ended_client, "my.text");
}

Test(attributes, a_later_argument_wins_and_custom_ones_win_over_all)
{
    fresh();
    add(&x.request, "a", text("request"));
    add(&x.request, "a", text("request again"));
    add(&x.request, "b", text("request"));
    add(&x.response, "b", spoe_value_int(1));
    add(&x.response, "c", text("response"));
    x.response.slot[RESPONSE_CUSTOM] = text("c=custom");
    exchange_run(&x);
    expect_str(ended_server, "a", "request again");
    expect_int(ended_server, "b", 1);
    expect_str(ended_server, "c", "custom");
}

Test(attributes, keys_are_bounded_and_repaired)
{
    static char longest[SPAN_KEY_MAX], too_long[SPAN_KEY_MAX + 1];

    memset(longest, 'k', sizeof longest);
    memset(too_long, 'l', sizeof too_long);
    fresh();
    add_n(&x.request, longest, sizeof longest, text("fits"));
    add_n(&x.request, too_long, sizeof too_long, text("does not"));
    add(&x.request, "bad\xffkey", text("repaired"));
    add(&x.request, "", text("nameless"));
    exchange_run(&x);
    expect_str(ended_server, "bad\xef\xbf\xbdkey", "repaired");
    cr_expect(span_find(ended_server, longest, sizeof longest, &(struct span_attr){0}));
    cr_expect_not(span_find(ended_server, too_long, sizeof too_long, &(struct span_attr){0}));
    cr_expect_eq(ended_server->dropped_attributes, 1, "the long one");
}

Test(attributes, too_many_are_counted)
{
    static char names[150][8];

    fresh();
    for (int i = 0; i < 150; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%d", i);
        add(&x.request, names[i], spoe_value_int(i));
    }
    exchange_run(&x);
    cr_expect_eq(ended_server->n_attributes, SPAN_ATTRIBUTES_DEFAULT);
    cr_expect_gt(ended_server->dropped_attributes, 0);
}

Test(attributes, reserved_names_are_none)
{
    static const char *const names[] = {"unique-id", "traceparent", "tracestate",  "baggage",
                                        "b3",        "sample",      "custom_attrs"};

    fresh();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        add(&x.request, names[i], text("x"));
        add(&x.backend, names[i], text("x"));
        add(&x.response, names[i], text("x"));
    }
    exchange_run(&x);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        expect_none(ended_server, names[i]);
        expect_none(ended_client, names[i]);
    }
}

/* ---- conventional names -------------------------------------------------------------------- */

Test(attributes, arguments_land_on_conventional_names)
{
    struct exchange_message *m = &fresh()->request;

    add(m, "scheme", text("http"));
    add(m, "ver", text("2.0"));
    add(m, "user_agent", text("curl/8"));
    add(m, "client_addr", text("203.0.113.9"));
    add(m, "src_port", spoe_value_int(40000));
    add(m, "dst", (struct spoe_value){.type = SPOE_T_IPV4, .u.ip4 = {10, 9, 8, 7}});
    add(m, "dst_port", spoe_value_int(443));
    add(m, "tls_version", text("TLSv1.3"));
    add(m, "tls_alpn", text("h2"));
    add(m, "tls_resumed", spoe_value_bool(1));
    add(m, "req_size", text("1234"));
    add(m, "handshake_ms", spoe_value_int(3));
    add(&x.backend, "req_size", spoe_value_int(1235));
    add(&x.backend, "ver", text("1.1"));
    m = &x.response;
    add(m, "srv_addr", text("app1.internal"));
    add(m, "srv_port", spoe_value_int(9090));
    add(m, "retries", spoe_value_int(2));
    add(m, "redispatched", spoe_value_bool(0));
    add(m, "bc_reused", spoe_value_bool(1));
    add(m, "cache_hit", spoe_value_bool(0));
    add(m, "res_size", text("99"));
    add(m, "res_ver", text("HTTP/1.0"));
    add(m, "term_state", text("CD"));
    add(m, "ssl_bc", spoe_value_bool(1));
    add(m, "bc_src", (struct spoe_value){.type = SPOE_T_IPV4, .u.ip4 = {10, 0, 0, 9}});
    add(m, "bc_src_port", spoe_value_int(50123));
    exchange_run(&x);

    expect_str(ended_server, "url.scheme", "http");
    expect_str(ended_server, "network.protocol.version", "2");
    expect_str(ended_server, "user_agent.original", "curl/8");
    expect_str(ended_server, "client.address", "203.0.113.9");
    expect_str(ended_server, "network.peer.address", "192.0.2.7");
    expect_none(ended_server, "client.port"); /* 3.7: src_port is the peer's */
    expect_int(ended_server, "network.peer.port", 40000);
    expect_str(ended_server, "network.local.address", "10.9.8.7");
    expect_int(ended_server, "network.local.port", 443);
    expect_str(ended_server, "tls.protocol.name", "tls");
    expect_str(ended_server, "tls.protocol.version", "1.3");
    expect_str(ended_server, "tls.next_protocol", "h2");
    expect_bool(ended_server, "tls.resumed", true);
    expect_int(ended_server, "http.request.body.size", 1234);
    expect_int(ended_server, "http.response.body.size", 99);
    expect_int(ended_server, "haproxy.time.handshake", 3);
    expect_str(ended_server, "haproxy.termination_state", "CD");
    expect_bool(ended_server, "haproxy.cache.hit", false);

    expect_int(ended_client, "http.request.body.size", 1235);
    expect_int(ended_client, "http.response.body.size", 99);
    expect_str(ended_client, "network.protocol.version", "1.0");
    expect_str(ended_client, "server.address", "app1.internal");
    expect_int(ended_client, "server.port", 9090);
    expect_str(ended_client, "network.peer.address", "10.0.0.1");
    expect_int(ended_client, "http.request.resend_count", 2);
    expect_bool(ended_client, "haproxy.redispatched", false);
    expect_bool(ended_client, "haproxy.connection.reused", true);
    expect_str(ended_client, "url.scheme", "https");
    expect_str(ended_client, "network.local.address", "10.0.0.9");
    expect_int(ended_client, "network.local.port", 50123);

    expect_none(ended_server, "http.request.resend_count");
    expect_none(ended_server, "retries");
    expect_none(ended_client, "haproxy.termination_state");
}

/* 9.2 */
Test(attributes, a_version_is_named_by_its_protocol)
{
    const struct {
        struct spoe_value value;
        const char *version;               /* NULL: none */
    } rows[] = {{spoe_value_int(1), NULL}, /* 1.0 or 1.1 */
                {spoe_value_int(2), "2"},   {spoe_value_int(3), "3"}, {spoe_value_int(9), "9"},
                {spoe_value_int(10), NULL}, {text("1.0"), "1.0"},     {text("HTTP/1.1"), "1.1"},
                {text("HTTP/2.0"), "2"},    {text("3.0"), "3"},       {text(""), NULL}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fresh();
        add(&x.request, "ver", rows[i].value);
        exchange_run(&x);
        if (rows[i].version != NULL)
            expect_str(ended_server, "network.protocol.version", rows[i].version);
        else
            expect_none(ended_server, "network.protocol.version");
    }
}

Test(attributes, values_that_do_not_fit_are_left_out)
{
    fresh();
    add(&x.request, "ver", spoe_value_int(1));
    add(&x.request, "user_agent", text(""));
    add(&x.request, "src_port", spoe_value_int(70000));
    add(&x.request, "tls_version", text("-"));
    add(&x.request, "req_size", text("12a"));
    add(&x.response, "retries", spoe_value_int(0));
    add(&x.response, "queue_ms", spoe_value_int(-1));
    add(&x.response, "redispatched", text("yes"));
    add(&x.response, "term_state", text(""));
    exchange_run(&x);
    expect_none(ended_server, "network.protocol.version");
    expect_none(ended_server, "user_agent.original");
    expect_none(ended_server, "client.port");
    expect_none(ended_server, "tls.protocol.version");
    expect_none(ended_server, "http.request.body.size");
    expect_none(ended_client, "http.request.resend_count");
    expect_none(ended_client, "haproxy.time.queue");
    expect_none(ended_client, "haproxy.redispatched");
    expect_none(ended_server, "haproxy.termination_state");
}

Test(attributes, without_a_conventional_place_they_keep_their_name)
{
    fresh();
    add(&x.request, "retries", spoe_value_int(3));
    add(&x.backend, "route", text("/users/{id}"));
    exchange_run(&x);
    expect_int(ended_server, "retries", 3);
    expect_str(ended_client, "route", "/users/{id}");
    expect_name(ended_client, "GET");
}

Test(attributes, the_clients_are_left_out_where_there_is_no_client)
{
    fresh();
    add(&x.response, "retries", spoe_value_int(3));
    add(&x.response, "query", text("a=1"));
    send_request(&x);
    send_response(&x);
    take_ended();
    cr_assert_null(ended_client);
    expect_none(ended_server, "http.request.resend_count");
    expect_str(ended_server, "url.query", "a=REDACTED");
}

/* ---- routes and headers -------------------------------------------------------------------- */

Test(attributes, a_route_names_the_span)
{
    fresh();
    add(&x.request, "route", text("/users/{id}"));
    exchange_run(&x);
    expect_name(ended_server, "GET /users/{id}");
    expect_str(ended_server, "http.route", "/users/{id}");
    expect_str(ended_server, "url.path", "/hello");
    expect_name(ended_client, "GET");
    expect_none(ended_client, "http.route");
}

Test(attributes, a_route_may_come_with_the_response_and_replace_another)
{
    fresh();
    x.request.slot[REQUEST_METHOD] = text("PROPFIND");
    add(&x.request, "route", text("/a-first-guess-that-is-longer"));
    add(&x.response, "http.route", text("/dav/*"));
    exchange_run(&x);
    expect_name(ended_server, "HTTP /dav/*");
    expect_str(ended_server, "http.route", "/dav/*");
    expect_str(ended_server, "http.request.method_original", "PROPFIND");
}

Test(attributes, a_long_route_is_cut_as_names_are)
{
    static char route[SPAN_VALUE_MAX + 1];
    size_t n;

    memset(route, 'r', SPAN_VALUE_MAX);
    fresh();
    add(&x.request, "route", text(route));
    add(&x.response, "route", text(route));
    exchange_run(&x);
    cr_expect_eq(memcmp(span_name(ended_server, &n), "GET rrr", 7), 0);
    cr_expect_eq(n, SPAN_VALUE_MAX);
    expect_str(ended_server, "http.route", route);
}

Test(attributes, an_empty_route_is_none)
{
    fresh();
    add(&x.request, "route", text(""));
    exchange_run(&x);
    expect_name(ended_server, "GET");
    expect_none(ended_server, "http.route");
}

Test(attributes, headers_are_lists_with_keys_in_lower_case)
{
    fresh();
    add(&x.request, "http.request.header.X-Plan", text("gold"));
    add(&x.request, "http.request.header.accept", text("text/html"));
    add(&x.request, "http.request.header.Accept", text("text/plain"));
    add(&x.request, "http.request.header.x-none", (struct spoe_value){.type = SPOE_T_NULL});
    add(&x.request, "http.request.header.content-length", spoe_value_int(12));
    add(&x.request, "http.request.header.", text("no key"));
    add(&x.backend, "http.request.header.x-hop", text("1"));
    add(&x.response, "http.response.header.Content-Type", text("text/html; charset=utf-8"));
    exchange_run(&x);
    expect_list(ended_server, "http.request.header.x-plan", "gold");
    expect_list(ended_server, "http.request.header.accept", "text/html|text/plain");
    expect_none(ended_server, "http.request.header.x-none");
    expect_list(ended_server, "http.request.header.content-length", "12");
    expect_str(ended_server, "http.request.header.", "no key");
    expect_list(ended_client, "http.request.header.x-hop", "1");
    expect_list(ended_server, "http.response.header.content-type", "text/html; charset=utf-8");
}

/* ---- queries ------------------------------------------------------------------------------- */

Test(attributes, the_query_is_redacted)
{
    fresh();
    add(&x.request, "query", text("page=3&token=secret&sig=abc&flag&empty="));
    add(&x.backend, "query", text("sig=abc"));
    exchange_run(&x);
    expect_str(ended_server, "url.query", "page=REDACTED&token=REDACTED&sig=REDACTED&flag&empty=");
    expect_str(ended_client, "url.query", "sig=REDACTED");

    policy.conventions.redact_query = QUERY_SENSITIVE_KEYS;
    exchange_run(&x);
    expect_str(ended_server, "url.query", "page=3&token=secret&sig=REDACTED&flag&empty=");

    policy.conventions.redact_query = NULL;
    exchange_run(&x);
    expect_str(ended_server, "url.query", "page=3&token=secret&sig=abc&flag&empty=");
}

Test(attributes, urls_lose_credentials_and_redacted_values)
{
    fresh();
    add(&x.backend, "url.full", text("https://user:pass@example.org/p?sig=abc#frag"));
    exchange_run(&x);
    expect_str(ended_client, "url.full",
               "https://REDACTED:REDACTED@example.org/p?sig=REDACTED#frag");
}

/* ---- url.full ------------------------------------------------------------------------------ */

/* With all that it needs. */
static struct exchange *with_url(const char *query)
{
    fresh();
    add(&x.backend, "path", text("/hello")); /* as 0.1's files send it */
    add(&x.backend, "query",
        query != NULL ? text(query) : (struct spoe_value){.type = SPOE_T_NULL});
    add(&x.response, "ssl_bc", spoe_value_bool(0));
    return &x;
}

Test(attributes, puts_the_full_url_together)
{
    exchange_run(with_url("a=1"));
    expect_str(ended_client, "url.full", "http://10.0.0.1:8080/hello?a=REDACTED");
    expect_none(ended_server, "url.full");

    exchange_run(with_url(NULL));
    expect_str(ended_client, "url.full", "http://10.0.0.1:8080/hello");
    expect_none(ended_client, "url.query");

    with_url(NULL);
    x.response.slot[RESPONSE_ORIGIN_PORT] = spoe_value_int(80);
    exchange_run(&x);
    expect_str(ended_client, "url.full", "http://10.0.0.1/hello");

    with_url(NULL);
    x.response.slot[RESPONSE_ORIGIN] =
        (struct spoe_value){.type = SPOE_T_IPV6, .u.ip6 = {[15] = 1}};
    exchange_run(&x);
    expect_str(ended_client, "url.full", "http://[::1]:8080/hello");
}

Test(attributes, makes_no_url_up)
{
    with_url("a=1");
    x.backend.n_args = 0; /* nobody told whether there is a query */
    exchange_run(&x);
    expect_none(ended_client, "url.full");

    with_url("a=1");
    x.response.n_args = 0; /* nor the scheme */
    exchange_run(&x);
    expect_none(ended_client, "url.full");

    with_url("a=1");
    x.response.slot[RESPONSE_ORIGIN] = (struct spoe_value){.type = SPOE_T_NULL};
    exchange_run(&x);
    expect_none(ended_client, "url.full");

    with_url("a=1");
    add(&x.backend, "path", text("*"));
    exchange_run(&x);
    expect_none(ended_client, "url.full");
}

/* ---- old names ----------------------------------------------------------------------------- */

static struct exchange *for_old_names(void)
{
    with_url("sig=1");
    x.request.slot[REQUEST_METHOD] = text("PROPFIND");
    add(&x.request, "query", text("sig=1"));
    add(&x.request, "ver", text("2.0"));
    add(&x.request, "user_agent", text("curl/8"));
    add(&x.request, "http.request.header.X-Plan", text("gold"));
    return &x;
}

static void expect_old_names(void)
{
    expect_str(ended_server, "http.method", "PROPFIND");
    expect_str(ended_server, "http.target", "/hello?sig=REDACTED");
    expect_str(ended_server, "http.scheme", "https");
    expect_int(ended_server, "http.status_code", 200);
    expect_str(ended_server, "http.client_ip", "192.0.2.7");
    expect_str(ended_server, "net.sock.peer.addr", "192.0.2.7");
    expect_str(ended_server, "net.host.name", "example.org");
    expect_int(ended_server, "net.host.port", 8443);
    expect_str(ended_server, "net.protocol.version", "2.0");
    expect_list(ended_server, "http.request.header.x_plan", "gold");
    expect_str(ended_client, "http.method", "GET");
    expect_str(ended_client, "http.url", "http://10.0.0.1:8080/hello?sig=REDACTED");
    expect_str(ended_client, "net.peer.name", "10.0.0.1");
    expect_int(ended_client, "net.peer.port", 8080);
    expect_str(ended_client, "net.sock.peer.addr", "10.0.0.1");
    expect_int(ended_client, "net.sock.peer.port", 8080);
    expect_int(ended_client, "http.status_code", 200);
    expect_none(ended_client, "net.host.name");
    /* Without an old name, and what HAProxy's agents wrote beside the old ones. */
    expect_str(ended_server, "user_agent.original", "curl/8");
    expect_str(ended_server, "server.address", "example.org");
    expect_str(ended_server, "client.address", "192.0.2.7");
    expect_str(ended_client, "server.address", "10.0.0.1");
}

Test(attributes, old_names_stand_beside_the_stable_ones)
{
    policy.conventions.semconv = SEMCONV_DUP;
    exchange_run(for_old_names());
    expect_old_names();
    expect_str(ended_server, "http.request.method", "_OTHER");
    expect_str(ended_server, "http.request.method_original", "PROPFIND");
    expect_str(ended_server, "url.path", "/hello");
    expect_str(ended_server, "url.query", "sig=REDACTED");
    expect_str(ended_server, "network.protocol.version", "2");
    expect_int(ended_server, "http.response.status_code", 200);
    expect_list(ended_server, "http.request.header.x-plan", "gold");
    expect_str(ended_client, "url.full", "http://10.0.0.1:8080/hello?sig=REDACTED");
}

Test(attributes, old_names_take_the_stable_ones_place)
{
    static const char *const gone[] = {"http.request.method",
                                       "http.request.method_original",
                                       "url.path",
                                       "url.query",
                                       "url.scheme",
                                       "url.full",
                                       "http.response.status_code",
                                       "network.protocol.version",
                                       "network.peer.address",
                                       "network.peer.port",
                                       "http.request.header.x-plan"};

    policy.conventions.semconv = SEMCONV_OLD;
    exchange_run(for_old_names());
    expect_old_names();
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        expect_none(ended_server, gone[i]);
        expect_none(ended_client, gone[i]);
    }
}

Test(attributes, by_default_there_are_no_old_names)
{
    exchange_run(for_old_names());
    for (int attr = ATTR_NONE + 1; attr < N_ATTRS; attr++) {
        if (attr_names[attr].old_server != SPAN_KEY_NONE)
            expect_none(ended_server, span_key_text(attr_names[attr].old_server));
        if (attr_names[attr].old_client != SPAN_KEY_NONE)
            expect_none(ended_client, span_key_text(attr_names[attr].old_client));
    }
}

Test(attributes, every_name_is_a_known_key)
{
    static const struct trace_context context = {.flags = 0};

    for (int attr = ATTR_NONE + 1; attr < N_ATTRS; attr++) {
        const char *names[] = {span_key_text(attr_names[attr].stable),
                               span_key_text(attr_names[attr].old_server),
                               span_key_text(attr_names[attr].old_client)};

        for (size_t i = 0; i < 3; i++) {
            struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 0, "n", 1);

            cr_assert_not_null(span);
            if (names[i] != NULL) {
                span_set_bool(span, names[i], strlen(names[i]), true);
                cr_expect_neq(span->_keys, 0, "%s is not in known_keys.h", names[i]);
            }
            span_destroy(span);
        }
    }
}

/* ---- client.address and client.port -------------------------------------------------------- */

/* 3.7: never from two sources, in whichever order and message they come. */
Test(attributes, a_told_client_has_no_port_of_haproxys_peer)
{
    for (int order = 0; order < 3; order++) {
        fresh();
        if (order == 0)
            add(&x.request, "client_addr", text("198.51.100.7"));
        add(&x.request, "src_port", spoe_value_int(40000));
        if (order == 1)
            add(&x.request, "client_addr", text("198.51.100.7"));
        if (order == 2)
            add(&x.response, "client_addr", text("198.51.100.7"));
        exchange_run(&x);
        expect_str(ended_server, "client.address", "198.51.100.7");
        expect_none(ended_server, "client.port");
        expect_str(ended_server, "network.peer.address", "192.0.2.7");
        expect_int(ended_server, "network.peer.port", 40000);
    }
    fresh();
    add(&x.request, "client_addr", (struct spoe_value){.type = SPOE_T_NULL});
    add(&x.request, "src_port", spoe_value_int(40000));
    exchange_run(&x);
    expect_str(ended_server, "client.address", "192.0.2.7");
    expect_int(ended_server, "client.port", 40000);
}

/* ---- what the backend message does not say again ------------------------------------------- */

/* 6.2 */
Test(attributes, a_backend_message_without_a_path_has_the_requests)
{
    fresh();
    add(&x.request, "query", text("a=1"));
    add(&x.response, "ssl_bc", spoe_value_bool(0));
    exchange_run(&x);
    expect_str(ended_client, "url.path", "/hello");
    expect_str(ended_client, "url.query", "a=REDACTED");
    expect_str(ended_client, "url.full", "http://10.0.0.1:8080/hello?a=REDACTED");
}

/* 6.2: as 0.1's files have it, where the query of the request is not the backend's. */
Test(attributes, a_backend_message_with_a_path_stands_alone)
{
    fresh();
    add(&x.request, "query", text("a=1"));
    add(&x.response, "ssl_bc", spoe_value_bool(0));
    add(&x.backend, "path", text("/rewritten"));
    exchange_run(&x);
    expect_str(ended_client, "url.path", "/rewritten");
    expect_none(ended_client, "url.query");
    expect_none(ended_client, "url.full");
}

/* ---- CLIENT's server.address ----------------------------------------------------------------- */

static void expect_client_server(const char *address, int64_t port)
{
    struct span_attr attr;

    exchange_run(&x);
    expect_str(ended_client, "server.address", address);
    if (port != 0)
        expect_int(ended_client, "server.port", port);
    else
        cr_expect_not(span_find(ended_client, "server.port", 11, &attr));
    expect_str(ended_client, "network.peer.address", "10.0.0.1");
    expect_int(ended_client, "network.peer.port", 8080);
}

/* 3.9: the authority's where it is known, the peer's stay in network.peer.* */
Test(attributes, the_clients_server_is_the_authority)
{
    policy.conventions.client_address = CLIENT_ADDRESS_AUTHORITY;
    fresh();
    expect_client_server("example.org", 8443);
    fresh();
    x.request.slot[REQUEST_HOST] = text("example.org"); /* the scheme of the origin is not known */
    expect_client_server("example.org", 0);
    fresh();
    x.request.slot[REQUEST_HOST] = text("example.org");
    add(&x.response, "ssl_bc", spoe_value_bool(0)); /* SERVER's scheme is https */
    expect_client_server("example.org", 80);
    fresh();
    x.request.slot[REQUEST_HOST] = text("example.org");
    add(&x.response, "ssl_bc", spoe_value_bool(1));
    expect_client_server("example.org", 443);
    fresh();
    x.request.slot[REQUEST_HOST] = (struct spoe_value){.type = SPOE_T_NULL};
    expect_client_server("10.0.0.1", 8080);
    fresh(); /* HAProxy's configuration knows better */
    add(&x.backend, "srv_addr", text("origin.internal"));
    add(&x.backend, "srv_port", spoe_value_int(9000));
    expect_client_server("origin.internal", 9000);
    fresh();
    add(&x.request, "query", text(""));
    add(&x.response, "ssl_bc", spoe_value_bool(0));
    exchange_run(&x);
    expect_str(ended_client, "url.full", "http://example.org:8443/hello");
    policy.conventions.semconv = SEMCONV_OLD;
    fresh();
    exchange_run(&x);
    expect_str(ended_client, "net.peer.name", "example.org");
    expect_int(ended_client, "net.peer.port", 8443);
    expect_str(ended_client, "net.sock.peer.addr", "10.0.0.1");
}

/* 3.9 */
Test(attributes, the_clients_server_can_be_the_peer)
{
    fresh();
    expect_client_server("10.0.0.1", 8080);
}

/* What HAProxy's configuration says of the server wins over whom HAProxy connected to. */
Test(attributes, a_server_that_was_told_is_not_the_peer)
{
    fresh();
    add(&x.backend, "srv_addr", text("db.internal"));
    add(&x.backend, "srv_port", spoe_value_int(5000));
    expect_client_server("db.internal", 5000);
    fresh(); /* a port alone */
    add(&x.backend, "srv_port", spoe_value_int(5000));
    expect_client_server("10.0.0.1", 5000);
    policy.conventions.client_address = CLIENT_ADDRESS_AUTHORITY;
    fresh();
    x.request.slot[REQUEST_HOST] = (struct spoe_value){.type = SPOE_T_NULL};
    add(&x.backend, "srv_addr", text("db.internal"));
    add(&x.backend, "srv_port", spoe_value_int(5000));
    expect_client_server("db.internal", 5000);
}

/* Behind a load balancer that ends TLS the configuration tells the scheme. */
Test(attributes, a_host_without_a_port_means_its_schemes)
{
    fresh();
    x.request.slot[REQUEST_HOST] = text("example.org");
    x.request.slot[REQUEST_TLS] = spoe_value_bool(0);
    add(&x.request, "scheme", text("https"));
    exchange_run(&x);
    expect_str(ended_server, "url.scheme", "https");
    expect_int(ended_server, "server.port", 443);
    fresh(); /* nobody knows */
    x.request.slot[REQUEST_HOST] = text("example.org");
    add(&x.request, "scheme", text("gopher"));
    exchange_run(&x);
    expect_none(ended_server, "server.port");
}
