/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/exchange.h - a request's three messages with arguments of the test's choice,
 * through the handlers, and the spans that come of them. One thread.
 */
#ifndef TEST_EXCHANGE_H
#define TEST_EXCHANGE_H

#include <criterion/criterion.h>
#include <string.h>

#include "fake_host.h"
#include "input/handlers.h"
#include "record/http_parts.h"
#include "input/messages.h"
#include "queued.h"

#define EXCHANGE_SLOTS_MAX 48
#define EXCHANGE_ARGS_MAX 160
/* Receipt of the three messages. */
#define EXCHANGE_NOW INT64_C(1700000000000000000)
#define REQUEST_AT EXCHANGE_NOW
#define BACKEND_AT (EXCHANGE_NOW + INT64_C(10000000))
#define RESPONSE_AT (EXCHANGE_NOW + INT64_C(50000000))

struct exchange_message {
    struct spoe_value slot[EXCHANGE_SLOTS_MAX];
    struct spoe_arg args[EXCHANGE_ARGS_MAX];
    uint32_t n_args;
};

struct exchange {
    struct exchange_message request, backend, response;
};

static struct counters counters;
static struct sink sink;
static struct policy policy;
static struct exclude *excluded; /* freed after the test */
static struct handlers handlers;
static struct handlers_worker worker;
static struct span *ended_server, *ended_client; /* of the last exchange_run() */

static inline struct spoe_value text(const char *s)
{
    return spoe_value_str(spoe_str(s));
}

static inline void exchange_set_up(void)
{
    fake = (struct fake_host){.now_ns = 1};
    sink = (struct sink){.queue = span_queue_create(1000, SPAN_QUEUE_BYTES_MAX, 512, 4000000),
                         .counters = &counters};
    handlers = (struct handlers){
        .host = &fake_table,
        .store = store_create(&(struct store_conf){.max = 100, .ttl_ns = INT64_C(30000000000)}),
        .sink = &sink,
        .counters = &counters,
        .untraced = untraced_create(),
        .policy = &policy};
    policy = policy_default;
    policy.conventions.client_address = CLIENT_ADDRESS_PEER;
    policy.conventions.redact_query = "*";
    worker.shared = &handlers;
    cr_assert_not_null(sink.queue);
    worker.writer = span_queue_writer(sink.queue);
    cr_assert_not_null(worker.writer);
    cr_assert_not_null(handlers.store);
    cr_assert_eq(id_source_init(&worker.ids), 0);
}

static inline void exchange_forget(void)
{
    span_destroy(ended_server);
    span_destroy(ended_client);
    ended_server = ended_client = NULL;
}

static inline void exchange_tear_down(void)
{
    exchange_forget();
    exclude_destroy(excluded);
    excluded = NULL;
    untraced_destroy(handlers.untraced);
    store_destroy(handlers.store);
    span_queue_destroy(sink.queue);
    pool_cache_fini(&worker.spans);
    id_source_fini(&worker.ids);
}

/* The messages with their declared arguments. */
static inline struct exchange exchange_of(const char *id)
{
    return (struct exchange){
        .request.slot = {[REQUEST_UNIQUE_ID] = text(id),
                         [REQUEST_METHOD] = text("GET"),
                         [REQUEST_PATH] = text("/hello"),
                         [REQUEST_HOST] = text("example.org:8443"),
                         [REQUEST_SOURCE] = {.type = SPOE_T_IPV4, .u.ip4 = {192, 0, 2, 7}},
                         [REQUEST_TLS] = spoe_value_bool(1)},
        .backend.slot = {[BACKEND_UNIQUE_ID] = text(id), [BACKEND_METHOD] = text("GET")},
        .response.slot = {[RESPONSE_UNIQUE_ID] = text(id),
                          [RESPONSE_STATUS] = spoe_value_int(200),
                          [RESPONSE_ORIGIN] = {.type = SPOE_T_IPV4, .u.ip4 = {10, 0, 0, 1}},
                          [RESPONSE_ORIGIN_PORT] = spoe_value_int(8080)}};
}

/* A line of HAProxy's log for a request that a server answered, as long as its moments in us say.
 */
static inline struct exchange_message exchange_line(int64_t request_us, int64_t end_us)
{
    return (struct exchange_message){.slot = {[LOG_REQUEST_AT] = spoe_value_int(request_us),
                                              [LOG_END_AT] = spoe_value_int(end_us),
                                              [LOG_HEADERS_MS] = spoe_value_int(2),
                                              [LOG_QUEUE_MS] = spoe_value_int(0),
                                              [LOG_CONNECT_MS] = spoe_value_int(1),
                                              [LOG_RESPONSE_MS] = spoe_value_int(40),
                                              [LOG_ACTIVE_MS] = spoe_value_int(52),
                                              [LOG_STATUS] = spoe_value_int(200),
                                              [LOG_TERMINATION_STATE] = text("----"),
                                              [LOG_RETRIES] = text("0"),
                                              [LOG_METHOD] = text("GET"),
                                              [LOG_BACKEND_NAME] = text("app"),
                                              [LOG_SERVER_NAME] = text("app1"),
                                              [LOG_HOST] = text("example.org"),
                                              [LOG_TARGET] = text("/hello?a=1")}};
}

static inline void add_n(struct exchange_message *message, const char *name, size_t name_len,
                         struct spoe_value value)
{
    cr_assert_lt(message->n_args, EXCHANGE_ARGS_MAX);
    message->args[message->n_args++] = (struct spoe_arg){.name = {name, name_len}, .value = value};
}

static inline void add(struct exchange_message *message, const char *name, struct spoe_value value)
{
    add_n(message, name, strlen(name), value);
}

static inline void send_message(uint32_t index, uint32_t n_slots,
                                const struct exchange_message *message, int64_t unix_ns)
{
    const struct spoe_message msg = {.size = sizeof msg,
                                     .index = index,
                                     .n_slots = n_slots,
                                     .slot = message->slot,
                                     .n_args = message->n_args,
                                     .args = message->args,
                                     .recv_unix_ns = unix_ns,
                                     .recv_mono_ns = unix_ns};

    cr_assert_eq(handlers_handle(&worker, NULL, &msg), SPOE_OK);
}

static inline void send_request(const struct exchange *x)
{
    send_message(MESSAGE_REQUEST, REQUEST_SLOTS, &x->request, REQUEST_AT);
}

static inline void send_backend(const struct exchange *x)
{
    send_message(MESSAGE_BACKEND, BACKEND_SLOTS, &x->backend, BACKEND_AT);
}

static inline void send_response(const struct exchange *x)
{
    send_message(MESSAGE_RESPONSE, RESPONSE_SLOTS, &x->response, RESPONSE_AT);
}

/* Take what ended into ended_server and ended_client. */
static inline void take_ended(void)
{
    size_t n;
    struct span *span = take_spans(sink.queue, 10, &n);

    exchange_forget();
    cr_assert_leq(n, 2);
    for (; span != NULL; span = span->next)
        *(span->kind == SPAN_CLIENT ? &ended_client : &ended_server) = span;
    span_queue_settle(sink.queue, n, 0);
}

/* All three messages. */
static inline void exchange_run(const struct exchange *x)
{
    send_request(x);
    send_backend(x);
    send_response(x);
    take_ended();
    cr_assert_not_null(ended_server);
    cr_assert_not_null(ended_client);
}

static inline struct span_attr must_find(const struct span *span, const char *key)
{
    struct span_attr attr;

    cr_assert(span_find(span, key, strlen(key), &attr), "no %s", key);
    return attr;
}

static inline void expect_str(const struct span *span, const char *key, const char *value)
{
    const struct span_attr attr = must_find(span, key);

    cr_assert_eq(attr.type, SPAN_STRING, "%s: type %d", key, (int)attr.type);
    cr_expect(attr.str_len == strlen(value) && memcmp(attr.str, value, attr.str_len) == 0,
              "%s: got '%.*s', wanted '%s'", key, (int)attr.str_len, attr.str, value);
}

static inline void expect_int(const struct span *span, const char *key, int64_t value)
{
    const struct span_attr attr = must_find(span, key);

    cr_expect(attr.type == SPAN_INT && attr.i == value, "%s: got %lld", key, (long long)attr.i);
}

static inline void expect_bool(const struct span *span, const char *key, bool value)
{
    const struct span_attr attr = must_find(span, key);

    cr_expect(attr.type == SPAN_BOOL && attr.i == value, "%s: got %lld", key, (long long)attr.i);
}

/* A list, its strings joined by '|'. */
static inline void expect_list(const struct span *span, const char *key, const char *joined)
{
    const struct span_attr attr = must_find(span, key);
    char got[1024];
    size_t n = 0, pos = 0, len;
    const char *p;

    cr_assert_eq(attr.type, SPAN_STRINGS, "%s: type %d", key, (int)attr.type);
    while (span_attr_string(&attr, &pos, &p, &len)) {
        if (n > 0)
            got[n++] = '|';
        cr_assert_lt(n + len + 1, sizeof got);
        memcpy(got + n, p, len);
        n += len;
    }
    got[n] = '\0';
    cr_expect_str_eq(got, joined, "%s: got '%s', wanted '%s'", key, got, joined);
}

static inline void expect_none(const struct span *span, const char *key)
{
    struct span_attr attr;

    cr_expect_not(span_find(span, key, strlen(key), &attr), "%s is there", key);
}

static inline void expect_name(const struct span *span, const char *name)
{
    size_t n;
    const char *p = span_name(span, &n);

    cr_expect(n == strlen(name) && memcmp(p, name, n) == 0, "name: got '%.*s'", (int)n, p);
}

#endif
