/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/recording_host.h - handlers on a host that keeps every variable of the last
 * answer, and messages for them. Over fake_host.h, whose clock it shares.
 */
#ifndef TEST_RECORDING_HOST_H
#define TEST_RECORDING_HOST_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fake_host.h"
#include "input/handlers.h"
#include "record/http_parts.h"
#include "input/messages.h"
#include "input/evict.h"
#include "queued.h"

#define SECOND INT64_C(1000000000)
#define ALL_VARIABLES ((1u << N_CONTEXT_VARIABLES) - 1)

struct variable {
    char name[32], value[TRACESTATE_MAX + 1];
    uint32_t type;
};

static struct {
    struct variable list[16];
    size_t n;
    size_t room; /* variables that fit */
} answer;

static spoe_status record_var(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                              const struct spoe_value *value)
{
    struct variable *variable = &answer.list[answer.n];

    (void)req;
    cr_assert_lt(answer.n, 16);
    if (answer.n == answer.room)
        return SPOE_E_TOOBIG;
    cr_expect_eq(scope, SPOE_SCOPE_TXN);
    (void)snprintf(variable->name, sizeof variable->name, "%.*s", (int)name.n, name.p);
    variable->type = value->type;
    if (value->type == SPOE_T_BOOL)
        (void)snprintf(variable->value, sizeof variable->value, "%d", value->u.b);
    else
        (void)snprintf(variable->value, sizeof variable->value, "%.*s", (int)value->u.s.n,
                       value->u.s.p);
    answer.n++;
    return SPOE_OK;
}

static const struct spoe_host recording_table = {
    .size = sizeof recording_table,
    .abi_major = SPOE_ABI_MAJOR,
    .abi_minor = SPOE_ABI_MINOR,
    .name = "recording",
    .version = "0",
    .log_enabled = fake_log_enabled,
    .log = fake_log,
    .set_var = record_var,
    .now_mono_ns = fake_now,
};

static struct counters counters;
static struct sink sink;
static struct policy policy;
static struct rate_cap rate_cap;
static struct handlers handlers;
static struct handlers_worker worker;

static void set_up(void)
{
    answer.room = 16;
    fake = (struct fake_host){.now_ns = 1};
    sink = (struct sink){.queue = span_queue_create(1000, SPAN_QUEUE_BYTES_MAX, 512, 4000000),
                         .counters = &counters};
    policy = policy_default;
    rate_cap = (struct rate_cap){.interval_ns = 0};
    policy.rate_cap = &rate_cap;
    policy.variables = ALL_VARIABLES;
    handlers = (struct handlers){
        .host = &recording_table,
        .store = store_create(&(struct store_conf){.max = 10, .ttl_ns = 30 * SECOND}),
        .sink = &sink,
        .counters = &counters,
        .policy = &policy};
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

static struct spoe_value text(const char *s)
{
    return spoe_value_str(spoe_str(s));
}

/* Send a message; `answer` holds what it set. */
static void send(uint32_t index, const struct spoe_value *slot)
{
    static const uint32_t n_slots[] = {REQUEST_SLOTS, BACKEND_SLOTS, RESPONSE_SLOTS};
    const struct spoe_message msg = {.size = sizeof msg,
                                     .index = index,
                                     .n_slots = n_slots[index],
                                     .slot = slot,
                                     .recv_unix_ns = fake.now_ns,
                                     .recv_mono_ns = fake.now_ns};

    answer.n = 0;
    cr_assert_eq(handlers_handle(&worker, NULL, &msg), SPOE_OK);
}

static void send_backend(const char *id)
{
    const struct spoe_value slot[BACKEND_SLOTS] = {
        [BACKEND_UNIQUE_ID] = text(id), [BACKEND_METHOD] = text("GET")};

    send(MESSAGE_BACKEND, slot);
}

static void send_response(const char *id, int64_t status)
{
    const struct spoe_value slot[RESPONSE_SLOTS] = {
        [RESPONSE_UNIQUE_ID] = text(id), [RESPONSE_STATUS] = spoe_value_int(status)};

    send(MESSAGE_RESPONSE, slot);
}

/* The variable's text in the last answer, or NULL. */
static const char *variable(const char *name)
{
    for (size_t i = 0; i < answer.n; i++)
        if (strcmp(answer.list[i].name, name) == 0)
            return answer.list[i].value;
    return NULL;
}

static void expect_variable(const char *name, const char *value)
{
    const char *got = variable(name);

    if (value == NULL)
        cr_expect_null(got, "%s is '%s'", name, got);
    else
        cr_expect(got != NULL && strcmp(got, value) == 0, "%s: got '%s', wanted '%s'", name,
                  got != NULL ? got : "(none)", value);
}

/* The flags at the end of traceparent. */
static const char *answered_flags(void)
{
    const char *traceparent = variable("traceparent");

    cr_assert(traceparent != NULL && strlen(traceparent) == TRACEPARENT_LEN);
    return traceparent + TRACEPARENT_LEN - 2;
}

/* Spans that ended; at most one of each kind. */
struct pair {
    struct span *client, *server;
};

static struct pair ended(void)
{
    struct pair pair = {NULL, NULL};
    size_t n;
    struct span *span = take_spans(sink.queue, 10, &n);

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

#endif
