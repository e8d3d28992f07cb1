/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_handlers.c - from messages to spans, rule by rule. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fake_host.h"
#include "input/handlers.h"
#include "record/http_parts.h"
#include "input/messages.h"
#include "queued.h"

#define S INT64_C(1000000000)
#define INBOUND "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"

static struct counters counters;
static struct sink sink;
static struct policy policy;
static struct handlers handlers;
static struct handlers_worker worker;

static void set_up(void)
{
    fake = (struct fake_host){.now_ns = 1};
    sink = (struct sink){.queue = span_queue_create(1000, SPAN_QUEUE_BYTES_MAX, 512, 4000000),
                         .counters = &counters};
    handlers =
        (struct handlers){.host = &fake_table,
                          .store = store_create(&(struct store_conf){.max = 3, .ttl_ns = 30 * S}),
                          .sink = &sink,
                          .counters = &counters,
                          .policy = &policy};
    policy = policy_default;
    policy.conventions.client_address = CLIENT_ADDRESS_PEER;
    worker.shared = &handlers;
    cr_assert_not_null(sink.queue);
    worker.writer = span_queue_writer(sink.queue);
    cr_assert_not_null(worker.writer);
    cr_assert_not_null(handlers.store);
    cr_assert_eq(id_source_init(&worker.ids), 0);
}

static void tear_down(void)
{
    store_destroy(handlers.store);
    span_queue_destroy(sink.queue);
    pool_cache_fini(&worker.spans);
    id_source_fini(&worker.ids);
}

TestSuite(handlers, .init = set_up, .fini = tear_down, .timeout = 20);

/* A message's slots, all absent at first. */
struct slots {
    struct spoe_value v[64];
};

static struct spoe_value text(const char *s)
{
    return spoe_value_str(spoe_str(s));
}

static void send_by(uint32_t index, uint32_t n_slots, const struct slots *slots, int64_t unix_ns,
                    int64_t mono_ns)
{
    const struct spoe_message msg = {.size = sizeof msg,
                                     .index = index,
                                     .n_slots = n_slots,
                                     .slot = slots->v,
                                     .recv_unix_ns = unix_ns,
                                     .recv_mono_ns = mono_ns};

    cr_assert_eq(handlers_handle(&worker, NULL, &msg), SPOE_OK);
}

static void send_at(uint32_t index, uint32_t n_slots, const struct slots *slots, int64_t at)
{
    send_by(index, n_slots, slots, at, at);
}

static void request(const struct slots *slots, int64_t at)
{
    send_at(MESSAGE_REQUEST, REQUEST_SLOTS, slots, at);
}

static void backend(const struct slots *slots, int64_t at)
{
    send_at(MESSAGE_BACKEND, BACKEND_SLOTS, slots, at);
}

static void response(const struct slots *slots, int64_t at)
{
    send_at(MESSAGE_RESPONSE, RESPONSE_SLOTS, slots, at);
}

/* The messages as haproxy/spoe-otel.cfg sends them. */
static struct slots full_request(const char *id)
{
    return (struct slots){.v = {[REQUEST_UNIQUE_ID] = text(id),
                                [REQUEST_SOURCE] = {.type = SPOE_T_IPV4, .u.ip4 = {192, 0, 2, 7}},
                                [REQUEST_METHOD] = text("GET"),
                                [REQUEST_PATH] = text("/hello"),
                                [REQUEST_HOST] = text("example.org:8443"),
                                [REQUEST_FRONTEND_NAME] = text("http_front"),
                                [REQUEST_FRONTEND_PORT] = spoe_value_int(10443),
                                [REQUEST_TLS] = spoe_value_bool(1)}};
}

static struct slots full_backend(const char *id)
{
    return (struct slots){.v = {[BACKEND_UNIQUE_ID] = text(id), [BACKEND_METHOD] = text("GET")}};
}

static struct slots full_response(const char *id, int64_t status)
{
    return (struct slots){
        .v = {[RESPONSE_UNIQUE_ID] = text(id),
              [RESPONSE_STATUS] = spoe_value_int(status),
              [RESPONSE_BACKEND_NAME] = text("http_back"),
              [RESPONSE_SERVER_NAME] = text("app1"),
              [RESPONSE_CUSTOM] = text("environment=production;datacenter=eu-west-1"),
              [RESPONSE_ORIGIN] = {.type = SPOE_T_IPV4, .u.ip4 = {10, 0, 0, 1}},
              [RESPONSE_ORIGIN_PORT] = spoe_value_int(8080)}};
}

/* What ended: 1 or 2 spans. Either may be NULL. */
struct pair {
    struct span *client, *server;
};

static struct pair ended(void)
{
    struct pair pair = {NULL, NULL};
    size_t n;
    struct span *span = take_spans(sink.queue, 10, &n);

    cr_assert_leq(n, 2);
    for (; span != NULL; span = span->next) {
        if (span->kind == SPAN_CLIENT)
            pair.client = span;
        else
            pair.server = span;
    }
    span_queue_settle(sink.queue, n, 0);
    return pair;
}

static void free_pair(struct pair *pair)
{
    span_destroy(pair->client);
    span_destroy(pair->server);
}

static struct pair exchange(const struct slots *req, const struct slots *be,
                            const struct slots *resp)
{
    request(req, 1000);
    if (be != NULL)
        backend(be, 2000);
    response(resp, 3000);
    return ended();
}

static bool find(const struct span *span, const char *key, struct span_attr *ret)
{
    size_t pos = 0;

    while (span_attribute(span, &pos, ret))
        if (ret->key_len == strlen(key) && memcmp(ret->key, key, ret->key_len) == 0)
            return true;
    return false;
}

static void expect_str(const struct span *span, const char *key, const char *value)
{
    struct span_attr attr;

    cr_assert(find(span, key, &attr), "no %s", key);
    cr_expect(attr.type == SPAN_STRING && attr.str_len == strlen(value) &&
                  memcmp(attr.str, value, attr.str_len) == 0,
              "%s: got '%.*s', wanted '%s'", key, (int)attr.str_len, attr.str, value);
}

static void expect_int(const struct span *span, const char *key, int64_t value)
{
    struct span_attr attr;

    cr_assert(find(span, key, &attr), "no %s", key);
    cr_expect(attr.type == SPAN_INT && attr.i == value, "%s: got %lld", key, (long long)attr.i);
}

static void expect_none(const struct span *span, const char *key)
{
    struct span_attr attr;

    cr_expect_not(find(span, key, &attr), "%s is there", key);
}

static void expect_name(const struct span *span, const char *name)
{
    size_t n;
    const char *p = span_name(span, &n);

    cr_expect(n == strlen(name) && memcmp(p, name, n) == 0, "name: got '%.*s'", (int)n, p);
}

static struct trace_context answered(void)
{
    struct trace_context c = {.flags = 0};

    cr_assert(traceparent_parse(fake.value, strlen(fake.value), &c), "answer: '%s'", fake.value);
    cr_expect_str_eq(fake.name, "traceparent");
    cr_expect_eq(fake.scope, SPOE_SCOPE_TXN);
    return c;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* ---- the way through ---------------------------------------------------------------------- */

Test(handlers, makes_two_nested_spans_of_three_messages)
{
    const struct slots req = full_request("u1"), be = full_backend("u1"),
                       resp = full_response("u1", 200);
    struct trace_context server, client;
    struct pair pair;

    request(&req, 1000);
    server = answered();
    backend(&be, 2000);
    client = answered();
    cr_expect_eq(fake.answers, 2);
    response(&resp, 3000);
    cr_expect_eq(fake.answers, 2, "the response answers nothing");
    pair = ended();
    cr_assert_not_null(pair.client);
    cr_assert_not_null(pair.server);

    cr_expect_eq(memcmp(&pair.server->context, &server, sizeof server), 0);
    cr_expect_eq(memcmp(&pair.client->context, &client, sizeof client), 0);
    cr_expect_eq(memcmp(server.trace_id, client.trace_id, 16), 0);
    cr_expect_neq(memcmp(server.span_id, client.span_id, 8), 0);
    cr_expect_eq(memcmp(pair.client->parent_id, server.span_id, 8), 0);
    cr_expect_not(pair.client->parent_remote);
    cr_expect(all_zero(pair.server->parent_id, 8), "a root");
    cr_expect_eq(server.flags, 3, "sampled, random");
    cr_expect_eq(client.flags, 3);

    cr_expect_eq(pair.server->start_unix_ns, 1000);
    cr_expect_eq(pair.client->start_unix_ns, 2000);
    cr_expect_eq(pair.client->end_unix_ns, 3000);
    cr_expect_eq(pair.server->end_unix_ns, 3000);
    cr_expect_eq(pair.client->next, pair.server, "CLIENT is handed over first");

    expect_name(pair.server, "GET");
    expect_str(pair.server, "http.request.method", "GET");
    expect_str(pair.server, "url.path", "/hello");
    expect_str(pair.server, "url.scheme", "https");
    expect_str(pair.server, "server.address", "example.org");
    expect_int(pair.server, "server.port", 8443);
    expect_str(pair.server, "client.address", "192.0.2.7");
    expect_str(pair.server, "network.peer.address", "192.0.2.7");
    expect_str(pair.server, "haproxy.frontend.name", "http_front");
    expect_int(pair.server, "haproxy.frontend.port", 10443);
    expect_int(pair.server, "http.response.status_code", 200);
    expect_str(pair.server, "environment", "production");
    expect_str(pair.server, "datacenter", "eu-west-1");
    cr_expect_eq(pair.server->n_attributes, 12);
    cr_expect_eq(pair.server->status, SPAN_STATUS_UNSET);

    expect_name(pair.client, "GET");
    expect_str(pair.client, "http.request.method", "GET");
    expect_str(pair.client, "url.path", "/hello");
    expect_str(pair.client, "server.address", "10.0.0.1");
    expect_int(pair.client, "server.port", 8080);
    expect_str(pair.client, "network.peer.address", "10.0.0.1");
    expect_int(pair.client, "network.peer.port", 8080);
    expect_str(pair.client, "haproxy.backend.name", "http_back");
    expect_str(pair.client, "haproxy.server.name", "app1");
    expect_int(pair.client, "http.response.status_code", 200);
    cr_expect_eq(pair.client->n_attributes, 9);
    cr_expect_eq(pair.client->status, SPAN_STATUS_UNSET);

    cr_expect_eq(counted(&counters.opened), 1);
    cr_expect_eq(counted(&counters.ended), 1);
    cr_expect_eq(store_count(handlers.store), 0);
    free_pair(&pair);
}

Test(handlers, an_open_request_is_small)
{
    struct slots req = full_request("f1b3d2a4-7c1e-4a52-9f63-2f4f6f1f9b01");
    struct slots be = full_backend("f1b3d2a4-7c1e-4a52-9f63-2f4f6f1f9b01");
    size_t bytes;

    req.v[REQUEST_PATH] = text("/api/v1/customers/4711/orders");
    request(&req, 1);
    backend(&be, 2);
    bytes = store_bytes(handlers.store);
    cr_expect_leq(bytes, 756, "got %zu", bytes); /* 16 of them for its numbers */
}

Test(handlers, classic_arguments_alone_do)
{
    struct slots req = full_request("u1"), resp = full_response("u1", 200);
    const struct slots be = full_backend("u1");
    struct pair pair;

    req.v[REQUEST_TLS] = (struct spoe_value){.type = SPOE_T_NULL};
    req.v[REQUEST_HOST] = text("example.org");
    resp.v[RESPONSE_ORIGIN] = (struct spoe_value){.type = SPOE_T_NULL};
    resp.v[RESPONSE_ORIGIN_PORT] = (struct spoe_value){.type = SPOE_T_NULL};
    pair = exchange(&req, &be, &resp);
    expect_none(pair.server, "url.scheme");
    expect_str(pair.server, "server.address", "example.org");
    expect_none(pair.server, "server.port");
    expect_none(pair.client, "server.address");
    expect_none(pair.client, "server.port");
    expect_str(pair.client, "haproxy.server.name", "app1");
    free_pair(&pair);
}

Test(handlers, only_the_unique_id_does)
{
    const struct slots req = {.v = {text("u1")}}, be = req, resp = req;
    struct pair pair = exchange(&req, &be, &resp);

    expect_name(pair.server, "HTTP");
    expect_name(pair.client, "HTTP");
    cr_expect_eq(pair.server->n_attributes, 0);
    cr_expect_eq(pair.client->n_attributes, 0);
    cr_expect_eq(pair.server->status, SPAN_STATUS_UNSET);
    free_pair(&pair);
}

Test(handlers, a_response_without_a_backend_message_ends_the_server_span)
{
    const struct slots req = full_request("u1"), resp = full_response("u1", 503);
    struct pair pair = exchange(&req, NULL, &resp);

    cr_assert_not_null(pair.server);
    cr_expect_null(pair.client);
    expect_int(pair.server, "http.response.status_code", 503);
    expect_none(pair.server, "haproxy.backend.name");
    free_pair(&pair);
}

/* ---- context ------------------------------------------------------------------------------ */

static void continues(const char *inbound, uint8_t flags)
{
    struct slots req = full_request("u1");
    const struct slots be = full_backend("u1"), resp = full_response("u1", 200);
    struct trace_context parent, out;
    struct pair pair;

    cr_assert(traceparent_parse(inbound, strlen(inbound), &parent));
    req.v[REQUEST_TRACEPARENT] = text(inbound);
    request(&req, 1);
    out = answered();
    backend(&be, 2);
    response(&resp, 3);
    pair = ended();
    cr_expect_eq(memcmp(out.trace_id, parent.trace_id, 16), 0);
    cr_expect_neq(memcmp(out.span_id, parent.span_id, 8), 0);
    cr_expect_eq(out.flags, flags, "%s: got %02x", inbound, out.flags);
    cr_expect_eq(memcmp(pair.server->parent_id, parent.span_id, 8), 0);
    cr_expect(pair.server->parent_remote);
    cr_expect_eq(pair.client->context.flags, flags);
    cr_expect_not(pair.client->parent_remote);
    free_pair(&pair);
}

Test(handlers, continues_an_inbound_trace_and_samples_it)
{
    continues(INBOUND "01", 1);
    continues(INBOUND "00", 1);
    continues(INBOUND "03", 3);
    continues(INBOUND "02", 3);
}

Test(handlers, an_invalid_inbound_trace_is_a_new_one)
{
    static const char *const bad[] = {"", "nonsense", INBOUND "0", INBOUND "01,",
                                      INBOUND "01," INBOUND "01"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct slots req = full_request("u1");
        const struct slots resp = full_response("u1", 200);
        struct pair pair;

        req.v[REQUEST_TRACEPARENT] = text(bad[i]);
        pair = exchange(&req, NULL, &resp);
        cr_expect(all_zero(pair.server->parent_id, 8));
        cr_expect_not(pair.server->parent_remote);
        cr_expect_not(all_zero(pair.server->context.trace_id, 16));
        cr_expect_eq(pair.server->context.flags, 3);
        free_pair(&pair);
    }
}

/* ---- names, status, attributes ------------------------------------------------------------ */

Test(handlers, an_unknown_method_is_other)
{
    struct slots req = full_request("u1"), be = full_backend("u1");
    const struct slots resp = full_response("u1", 200);
    struct pair pair;

    req.v[REQUEST_METHOD] = be.v[BACKEND_METHOD] = text("PROPFIND");
    pair = exchange(&req, &be, &resp);
    expect_name(pair.server, "HTTP");
    expect_str(pair.server, "http.request.method", "_OTHER");
    expect_str(pair.server, "http.request.method_original", "PROPFIND");
    expect_name(pair.client, "HTTP");
    expect_str(pair.client, "http.request.method", "_OTHER");
    expect_str(pair.client, "http.request.method_original", "PROPFIND");
    free_pair(&pair);

    policy.conventions.known_methods = "GET,PROPFIND";
    pair = exchange(&req, &be, &resp);
    expect_name(pair.server, "PROPFIND");
    expect_str(pair.server, "http.request.method", "PROPFIND");
    expect_none(pair.server, "http.request.method_original");
    free_pair(&pair);
}

struct status {
    int64_t code;
    bool server_error, client_error;
    const char *type;
};

Test(handlers, status_follows_the_convention)
{
    static const struct status cases[] = {
        {100, false, false, NULL}, {101, false, false, NULL}, {200, false, false, NULL},
        {302, false, false, NULL}, {399, false, false, NULL}, {400, false, true, "400"},
        {404, false, true, "404"}, {499, false, true, "499"}, {500, true, true, "500"},
        {503, true, true, "503"},  {599, true, true, "599"},  {999, true, true, "999"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct status *c = &cases[i];
        const struct slots req = full_request("u1"), be = full_backend("u1"),
                           resp = full_response("u1", c->code);
        struct pair pair = exchange(&req, &be, &resp);

        expect_int(pair.server, "http.response.status_code", c->code);
        expect_int(pair.client, "http.response.status_code", c->code);
        cr_expect_eq(pair.server->status, c->server_error ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET,
                     "SERVER %lld", (long long)c->code);
        cr_expect_eq(pair.client->status, c->client_error ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET,
                     "CLIENT %lld", (long long)c->code);
        if (c->server_error)
            expect_str(pair.server, "error.type", c->type);
        else
            expect_none(pair.server, "error.type");
        if (c->client_error)
            expect_str(pair.client, "error.type", c->type);
        else
            expect_none(pair.client, "error.type");
        free_pair(&pair);
    }
}

Test(handlers, a_status_that_is_none_is_an_error)
{
    static const int64_t codes[] = {0, -1, 99, 1000, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const struct slots req = full_request("u1"), be = full_backend("u1"),
                           resp = full_response("u1", codes[i]);
        struct pair pair = exchange(&req, &be, &resp);

        expect_none(pair.server, "http.response.status_code");
        cr_expect_eq(pair.server->status, SPAN_STATUS_ERROR);
        expect_str(pair.client, "error.type", "_OTHER");
        free_pair(&pair);
    }
}

static struct pair with_host(const char *host, int tls)
{
    struct slots req = full_request("u1");
    const struct slots resp = full_response("u1", 200);

    req.v[REQUEST_HOST] = text(host);
    req.v[REQUEST_TLS] = spoe_value_bool(tls);
    return exchange(&req, NULL, &resp);
}

Test(handlers, takes_host_and_port_apart)
{
    struct pair pair = with_host("example.org", 1);

    expect_str(pair.server, "server.address", "example.org");
    expect_int(pair.server, "server.port", 443);
    free_pair(&pair);
    pair = with_host("example.org", 0);
    expect_int(pair.server, "server.port", 80);
    expect_str(pair.server, "url.scheme", "http");
    free_pair(&pair);
    pair = with_host("[2001:db8::1]:8080", 0);
    expect_str(pair.server, "server.address", "2001:db8::1");
    expect_int(pair.server, "server.port", 8080);
    free_pair(&pair);
    pair = with_host("a,b", 0); /* W13 */
    expect_none(pair.server, "server.address");
    expect_none(pair.server, "server.port");
    free_pair(&pair);
    pair = with_host("no:such:host", 0);
    expect_none(pair.server, "server.address");
    expect_none(pair.server, "server.port");
    free_pair(&pair);
}

/* W13 */
Test(handlers, options_asterisk_has_that_as_its_path)
{
    struct slots req = full_request("u1");
    const struct slots resp = full_response("u1", 200);
    struct pair pair;

    req.v[REQUEST_METHOD] = text("OPTIONS");
    req.v[REQUEST_PATH] = (struct spoe_value){.type = SPOE_T_NULL};
    pair = exchange(&req, NULL, &resp);
    expect_str(pair.server, "url.path", "*");
    free_pair(&pair);
    req.v[REQUEST_PATH] = text("");
    pair = exchange(&req, NULL, &resp);
    expect_str(pair.server, "url.path", "*");
    free_pair(&pair);
    req.v[REQUEST_PATH] = text("/a");
    pair = exchange(&req, NULL, &resp);
    expect_str(pair.server, "url.path", "/a");
    free_pair(&pair);
    req.v[REQUEST_METHOD] = text("GET");
    req.v[REQUEST_PATH] = (struct spoe_value){.type = SPOE_T_NULL};
    pair = exchange(&req, NULL, &resp);
    expect_none(pair.server, "url.path");
    free_pair(&pair);
}

Test(handlers, takes_every_form_of_an_argument)
{
    struct slots req = full_request("u1"), resp = full_response("u1", 200);
    const struct slots be = full_backend("u1");
    struct pair pair;

    req.v[REQUEST_SOURCE] =
        (struct spoe_value){.type = SPOE_T_IPV6, .u.ip6 = {0x20, 0x01, 0x0d, 0xb8, [15] = 9}};
    req.v[REQUEST_FRONTEND_PORT] = text("8080");
    resp.v[RESPONSE_STATUS] = (struct spoe_value){.type = SPOE_T_UINT32, .u.u32 = 204};
    resp.v[RESPONSE_ORIGIN] = text("10.1.1.1");
    resp.v[RESPONSE_ORIGIN_PORT] = text("9000");
    pair = exchange(&req, &be, &resp);
    expect_str(pair.server, "client.address", "2001:db8::9");
    expect_int(pair.server, "haproxy.frontend.port", 8080);
    expect_int(pair.server, "http.response.status_code", 204);
    expect_str(pair.client, "server.address", "10.1.1.1");
    expect_int(pair.client, "server.port", 9000);
    free_pair(&pair);

    req = full_request("u1");
    req.v[REQUEST_SOURCE] = text("192.0.2.9");
    req.v[REQUEST_FRONTEND_PORT] = text("not a port");
    pair = exchange(&req, NULL, &resp);
    expect_str(pair.server, "client.address", "192.0.2.9");
    expect_none(pair.server, "haproxy.frontend.port");
    free_pair(&pair);
}

Test(handlers, custom_attributes_keep_the_last_value_as_a_string)
{
    const struct slots req = full_request("u1"), be = full_backend("u1");
    struct slots resp = full_response("u1", 200);
    struct pair pair;

    resp.v[RESPONSE_CUSTOM] = text(" team = checkout ; n=1;n=2; =x;y;bad=\xff;empty=");
    pair = exchange(&req, &be, &resp);
    expect_str(pair.server, "team", "checkout");
    expect_str(pair.server, "n", "2");
    expect_str(pair.server, "bad", "\xef\xbf\xbd");
    expect_str(pair.server, "empty", "");
    expect_none(pair.server, "y");
    expect_none(pair.client, "team");
    cr_expect_eq(pair.server->n_attributes, 14);
    free_pair(&pair);
}

/* ---- what does not fit -------------------------------------------------------------------- */

Test(handlers, a_missing_or_empty_id_is_counted)
{
    struct slots req = full_request(""), be = full_backend(""), resp = full_response("", 200);

    request(&req, 1);
    backend(&be, 2);
    response(&resp, 3);
    cr_expect_eq(counted(&counters.missing_id), 3);
    req.v[0] = be.v[0] = resp.v[0] = (struct spoe_value){.type = SPOE_T_NULL};
    request(&req, 1);
    backend(&be, 2);
    response(&resp, 3);
    cr_expect_eq(counted(&counters.missing_id), 6);
    cr_expect_eq(counted(&counters.unknown_id), 0);
    cr_expect_eq(counted(&counters.opened), 0);
    cr_expect_eq(fake.answers, 0);
}

Test(handlers, missing_ids_get_one_warning_that_says_what_to_do)
{
    const struct slots req = full_request("");

    request(&req, 1);
    request(&req, 2);
    cr_expect_eq(fake.warnings, 1);
    cr_expect_not_null(strstr(fake.line, "unique-id-format"), "got: %s", fake.line);
}

Test(handlers, an_id_over_the_limit_is_counted)
{
    static char id[STORE_KEY_MAX + 2];
    struct slots req = full_request("");

    memset(id, 'i', STORE_KEY_MAX + 1);
    req.v[REQUEST_UNIQUE_ID] = text(id);
    request(&req, 1);
    cr_expect_eq(counted(&counters.long_id), 1);
    id[STORE_KEY_MAX] = '\0';
    req.v[REQUEST_UNIQUE_ID] = text(id);
    request(&req, 1);
    cr_expect_eq(counted(&counters.opened), 1);
}

Test(handlers, a_second_request_with_an_open_id_is_counted_and_the_first_stays)
{
    struct slots first = full_request("u1"), second = full_request("u1");
    const struct slots resp = full_response("u1", 200);
    struct trace_context context;
    struct pair pair;

    request(&first, 1000);
    context = answered();
    second.v[REQUEST_PATH] = text("/other");
    request(&second, 1500);
    cr_expect_eq(counted(&counters.duplicate_id), 1);
    cr_expect_eq(fake.answers, 1, "another request's trace is not given away");
    response(&resp, 2000);
    pair = ended();
    expect_str(pair.server, "url.path", "/hello");
    cr_expect_eq(memcmp(&pair.server->context, &context, sizeof context), 0);
    free_pair(&pair);
    response(&resp, 2500); /* of the second */
    cr_expect_eq(counted(&counters.unknown_id), 1);
    request(&second, 3000);
    cr_expect_eq(counted(&counters.opened), 2, "the id is free again");
}

Test(handlers, a_second_backend_message_is_counted_and_the_first_stays)
{
    const struct slots req = full_request("u1"), be = full_backend("u1"),
                       resp = full_response("u1", 200);
    struct pair pair;

    request(&req, 1000);
    backend(&be, 2000);
    backend(&be, 2500);
    cr_expect_eq(counted(&counters.duplicate_backend), 1);
    cr_expect_eq(fake.answers, 2);
    response(&resp, 3000);
    pair = ended();
    cr_expect_eq(pair.client->start_unix_ns, 2000);
    free_pair(&pair);
}

Test(handlers, messages_with_an_unknown_id_open_nothing)
{
    const struct slots req = full_request("u1"), be = full_backend("u1"),
                       resp = full_response("u1", 200);
    struct pair pair;

    backend(&be, 1);
    response(&resp, 2);
    cr_expect_eq(counted(&counters.unknown_id), 2);
    cr_expect_eq(fake.answers, 0);
    cr_expect_eq(store_count(handlers.store), 0);

    /* The response overtook the backend message. */
    request(&req, 1000);
    response(&resp, 3000);
    backend(&be, 2000);
    cr_expect_eq(counted(&counters.unknown_id), 3);
    pair = ended();
    cr_assert_not_null(pair.server);
    cr_expect_null(pair.client);
    free_pair(&pair);
    cr_expect_eq(store_count(handlers.store), 0);
}

Test(handlers, the_cap_refuses_the_newest)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e"};

    for (size_t i = 0; i < 5; i++) {
        const struct slots req = full_request(ids[i]);

        request(&req, 1);
    }
    cr_expect_eq(counted(&counters.opened), 3);
    cr_expect_eq(counted(&counters.refused), 2);
    cr_expect_eq(fake.answers, 5, "3.3: all are answered");
    cr_expect_eq(fake.warnings, 0, "the export tells of all losses in one line");
}

/* O4, 3.5: the wall clock is read once; what has passed is the monotonic clock's. */
Test(handlers, durations_do_not_depend_on_the_wall_clock)
{
    static const int64_t jumps[] = {3600 * S, -3600 * S, 0};
    const struct slots req = full_request("u1"), be = full_backend("u1"),
                       resp = full_response("u1", 200);

    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        const int64_t now = 100000 * S;
        struct pair pair;

        send_by(MESSAGE_REQUEST, REQUEST_SLOTS, &req, now, 5 * S);
        send_by(MESSAGE_BACKEND, BACKEND_SLOTS, &be, now + jumps[i], 5 * S + 100);
        send_by(MESSAGE_RESPONSE, RESPONSE_SLOTS, &resp, now - jumps[i], 5 * S + 400);
        pair = ended();
        cr_expect_eq(pair.server->start_unix_ns, now);
        cr_expect_eq(pair.client->start_unix_ns, now + 100);
        cr_expect_eq(pair.client->end_unix_ns, now + 400);
        cr_expect_eq(pair.server->end_unix_ns, now + 400);
        free_pair(&pair);
    }
}

/* Workers read messages at their own pace: a later one may have the earlier moment. */
Test(handlers, times_stay_nested_when_a_message_is_older_than_the_last)
{
    const struct slots req = full_request("u1"), be = full_backend("u1"),
                       resp = full_response("u1", 200);
    struct pair pair;

    request(&req, 5000);
    backend(&be, 4000);
    response(&resp, 3000);
    pair = ended();
    cr_expect_eq(pair.server->start_unix_ns, 5000);
    cr_expect_eq(pair.client->start_unix_ns, 5000);
    cr_expect_eq(pair.client->end_unix_ns, 5000);
    cr_expect_eq(pair.server->end_unix_ns, 5000);
    free_pair(&pair);

    request(&req, 1000);
    backend(&be, 4000);
    response(&resp, 3000);
    pair = ended();
    cr_expect_eq(pair.client->start_unix_ns, 4000);
    cr_expect_eq(pair.client->end_unix_ns, 4000);
    cr_expect_eq(pair.server->end_unix_ns, 4000);
    free_pair(&pair);
}

Test(handlers, an_answer_that_does_not_fit_costs_nothing_else)
{
    const struct slots req = full_request("u1"), resp = full_response("u1", 200);
    struct pair pair;

    fake.set_var_result = SPOE_E_TOOBIG;
    pair = exchange(&req, NULL, &resp);
    cr_expect_eq(counted(&counters.unanswered), 1);
    cr_assert_not_null(pair.server);
    free_pair(&pair);
}

Test(handlers, a_message_it_never_declared_is_refused)
{
    const struct slots none = {.v = {{.type = SPOE_T_NULL}}};
    const struct spoe_message msg = {.size = sizeof msg, .index = MESSAGE_LOG + 1, .slot = none.v};

    cr_expect_eq(handlers_handle(&worker, NULL, &msg), SPOE_E_INVAL);
}

/* ---- the declaration ---------------------------------------------------------------------- */

Test(handlers, declares_every_slot)
{
    static const size_t slots[] = {REQUEST_SLOTS, BACKEND_SLOTS, RESPONSE_SLOTS, LOG_SLOTS};

    for (size_t i = 0; i < 4; i++) {
        const struct spoe_message_decl *message = otel_messages[i];

        for (size_t arg = 0; arg < slots[i]; arg++) {
            cr_assert_not_null(message->args[arg], "%s, %zu", message->name, arg);
            cr_expect_eq(message->args[arg]->size, sizeof(struct spoe_arg_decl));
            cr_expect_eq(message->args[arg]->flags & ~SPOE_ARG_BY_NAME, 0, "nothing is required");
        }
        cr_expect_null(message->args[slots[i]]);
        cr_expect_str_eq(message->args[0]->name, i == MESSAGE_LOG ? "tp" : "unique-id");
        cr_expect_eq(message->flags, i == MESSAGE_LOG ? SPOE_MESSAGE_FROM_LOG : 0);
    }
    cr_expect_null(otel_messages[4]);
}
