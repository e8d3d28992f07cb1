/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/both_rig.h - messages and a line of the log for the same request, at two agents
 * of two workers each. The line is what HAProxy would write: what it was answered before.
 */
#ifndef TEST_BOTH_RIG_H
#define TEST_BOTH_RIG_H

#include "exchange.h"

#include "base/hex.h"
#include "input/ending.h"
#include "input/evict.h"
#include "meter/snapshot.h"

#define S INT64_C(1000000000)
#define US INT64_C(1000)
#define TTL (30 * S)
#define N_KINDS 4

/* ---- HAProxy, which keeps what it is answered ----------------------------------------------- */

static struct {
    char traceparent[64], mark[64];
} told;

static inline spoe_status tell(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                               const struct spoe_value *value)
{
    char *const to = name.n == 4 && memcmp(name.p, "mark", 4) == 0 ? told.mark
                     : name.n == 11                                ? told.traceparent
                                                                   : NULL;

    (void)req;
    cr_expect_eq(scope, SPOE_SCOPE_TXN);
    cr_assert_not_null(to, "%.*s", (int)name.n, name.p);
    cr_assert_lt(value->u.s.n, sizeof told.mark);
    memcpy(to, value->u.s.p, value->u.s.n);
    to[value->u.s.n] = '\0';
    return SPOE_OK;
}

static const struct spoe_host haproxy = {
    .size = sizeof haproxy,
    .abi_major = SPOE_ABI_MAJOR,
    .abi_minor = SPOE_ABI_MINOR,
    .name = "haproxy",
    .version = "0",
    .log_enabled = fake_log_enabled,
    .log = fake_log,
    .set_var = tell,
    .now_mono_ns = fake_now,
};

/* ---- two agents, of two workers each, that export to the same place -------------------------- */

struct agent {
    struct handlers handlers;
    struct handlers_worker worker[2];
    struct evictor evictor;
};

static struct agent first, second;
static struct meter *meter; /* both count into it */

static inline void begin(struct agent *agent, uint8_t process)
{
    *agent = (struct agent){.handlers = handlers,
                            .evictor = {.worker = &agent->worker[0], .now_mono_ns = fake_now}};
    agent->handlers.store = store_create(&(struct store_conf){.max = 20,
                                                              .ttl_ns = TTL,
                                                              .reorder_ns = 1 * S,
                                                              .kept_max = 20,
                                                              .late_ns = 600 * S,
                                                              .late_max = 20});
    agent->handlers.host = &haproxy;
    agent->handlers.untraced = untraced_create();
    agent->handlers.reorder = true;
    agent->handlers._backends_come = true;
    agent->handlers.process[0] = process;
    cr_assert_not_null(agent->handlers.store);
    for (unsigned i = 0; i < 2; i++) {
        agent->worker[i] = (struct handlers_worker){
            .shared = &agent->handlers, .writer = worker.writer, .meter = meter_writer(meter)};
        cr_assert_eq(id_source_init(&agent->worker[i].ids), 0);
    }
}

static inline void end(struct agent *agent)
{
    store_destroy(agent->handlers.store);
    untraced_destroy(agent->handlers.untraced);
    for (unsigned i = 0; i < 2; i++) {
        pool_cache_fini(&agent->worker[i].spans);
        id_source_fini(&agent->worker[i].ids);
    }
}

static inline void set_up(void)
{
    exchange_set_up();
    memset(&counters, 0, sizeof counters);
    meter = meter_create(100, EXCHANGE_NOW);
    begin(&first, 1);
    begin(&second, 2);
}

static inline void tear_down(void)
{
    end(&first);
    end(&second);
    meter_destroy(meter);
    exchange_tear_down();
}

static inline void expire(struct agent *agent, int64_t now)
{
    while (handlers_expire(&agent->worker[0], now))
        continue;
}

/* It leaves, and another process takes its place. */
static inline void restart(struct agent *agent, uint8_t process)
{
    cr_assert_not(evictor_end_open(&agent->evictor));
    end(agent);
    begin(agent, process);
}

/* ---- a request ------------------------------------------------------------------------------ */

static struct exchange x;
static struct exchange_message line;

/* @param logged  argument log_line of the request */
static inline void fresh(struct spoe_value logged)
{
    x = exchange_of("u1");
    x.request.slot[REQUEST_LOG_LINE] = logged;
    x.response.slot[RESPONSE_SERVER_NAME] = text("app1");
    line = exchange_line((EXCHANGE_NOW + 1 * S) / US, (EXCHANGE_NOW + 2 * S) / US);
    line.slot[LOG_UNIQUE_ID] = text("u1");
    memset(&told, 0, sizeof told);
}

static inline void send_to(struct handlers_worker *to, uint32_t index, int64_t at)
{
    static const uint32_t n_slots[] = {REQUEST_SLOTS, BACKEND_SLOTS, RESPONSE_SLOTS, LOG_SLOTS};
    const struct exchange_message *const messages[] = {&x.request, &x.backend, &x.response, &line};
    const struct exchange_message *message = messages[index];
    const struct spoe_message msg = {.size = sizeof msg,
                                     .index = index,
                                     .n_slots = n_slots[index],
                                     .slot = message->slot,
                                     .n_args = message->n_args,
                                     .args = message->args,
                                     .recv_unix_ns = EXCHANGE_NOW + at,
                                     .recv_mono_ns = at};

    if (index == MESSAGE_LOG && told.traceparent[0] != '\0')
        line.slot[LOG_TRACEPARENT] = text(told.traceparent);
    if (index == MESSAGE_LOG && told.mark[0] != '\0')
        line.slot[LOG_MARK] = text(told.mark);
    cr_assert_eq(handlers_handle(to, NULL, &msg), SPOE_OK);
}

/* What was exported, of which SERVER and CLIENT are kept in ended_server and ended_client. */
static struct {
    unsigned servers, clients, others;
} exported;

static inline void count_exported(void)
{
    size_t n;
    struct span *span = take_spans(sink.queue, 10, &n);

    exchange_forget();
    memset(&exported, 0, sizeof exported);
    while (span != NULL) {
        struct span *const next = span->next;
        struct span **const keep = span->kind == SPAN_SERVER   ? &ended_server
                                   : span->kind == SPAN_CLIENT ? &ended_client
                                                               : NULL;

        exported.servers += span->kind == SPAN_SERVER;
        exported.clients += span->kind == SPAN_CLIENT;
        exported.others += keep == NULL;
        if (keep == NULL || *keep != NULL)
            span_destroy(span);
        else
            *keep = span;
        span = next;
    }
    span_queue_settle(sink.queue, n, 0);
}

/* Spans made are spans exported or taken the place of. */
static inline void expect_accounts(uint64_t out)
{
    const uint64_t made = counted(&counters.opened) + counted(&counters.passed_over) +
                          counted(&counters.attached) + counted(&counters.logged) +
                          counted(&counters.late);

    cr_expect_eq(made,
                 out + counted(&counters.superseded) + counted(&counters.unsampled_spans) +
                     counted(&counters.dropped),
                 "%lu made", (unsigned long)made);
}

/* Requests that were counted since the last call: issue 11, 3.1. */
static inline unsigned newly_counted(void)
{
    static uint64_t before;
    struct meter_reader reader;
    struct meter_series series;
    uint64_t n = 0, last = before;

    meter_begin_one(meter, METER_SERVER_DURATION, &reader);
    while (meter_next(&reader, &series))
        n += series.count;
    before = n;
    return (unsigned)(n - last);
}

/* Whether a metric has a span for an example. */
static inline bool has_exemplar(enum meter_instrument_id id, const struct span *span)
{
    struct meter_reader reader;
    struct meter_series series;
    bool found = false;

    meter_begin_one(meter, id, &reader);
    while (meter_next(&reader, &series)) {
        for (size_t i = 0; i < METER_BUCKETS_MAX; i++)
            found |= memcmp(series.exemplars[i].span_id, span->context.span_id, 8) == 0 &&
                     memcmp(series.exemplars[i].trace_id, span->context.trace_id, 16) == 0;
    }
    return found;
}

/* All is over: what still waits is due. @return what was exported by then, SERVER and CLIENT */
static inline void expect_one_pair(const char *what, unsigned round)
{
    expire(&first, 500 * S);
    expire(&second, 500 * S);
    count_exported();
    cr_assert(exported.servers == 1 && exported.clients == 1 && exported.others == 0,
              "%s %u: %u SERVER, %u CLIENT, %u others", what, round, exported.servers,
              exported.clients, exported.others);
    cr_expect_eq(newly_counted(), 1, "%s %u", what, round);
    cr_expect_arr_eq(ended_client->parent_id, ended_server->context.span_id, 8);
    cr_expect_arr_eq(ended_client->context.trace_id, ended_server->context.trace_id, 16);
    cr_expect_arr_neq(ended_client->context.span_id, ended_server->context.span_id, 8);
    cr_expect_eq(store_count(first.handlers.store), 0);
    cr_expect_eq(store_count(second.handlers.store), 0);
    cr_expect_eq(store_kept(first.handlers.store) + store_kept(second.handlers.store), 0);
}

static inline void expect_nothing(void)
{
    expire(&first, 500 * S);
    count_exported();
    cr_expect(exported.servers == 0 && exported.clients == 0 && exported.others == 0);
    cr_expect_eq(store_count(first.handlers.store), 0);
}

/* The spans are whole, and by the line's times. */
static inline void expect_whole(const char *what, unsigned round)
{
    expect_int(ended_server, "http.response.status_code", 200);
    expect_int(ended_client, "http.response.status_code", 200);
    expect_str(ended_server, "url.path", "/hello");
    expect_str(ended_client, "haproxy.server.name", "app1");
    expect_int(ended_client, "haproxy.time.response", 40);
    expect_none(ended_server, ATTR_INCOMPLETE);
    cr_expect_eq(ended_server->start_unix_ns, EXCHANGE_NOW + 1 * S - 2000000, "%s %u", what, round);
    cr_expect_eq(ended_server->end_unix_ns, EXCHANGE_NOW + 2 * S, "%s %u", what, round);
    cr_expect_eq(ended_client->end_unix_ns, EXCHANGE_NOW + 2 * S, "%s %u", what, round);
}

static inline bool has_ids_of(const char *traceparent, const struct span *span)
{
    struct trace_context context;

    cr_assert(traceparent_parse(traceparent, strlen(traceparent), &context));
    return memcmp(context.trace_id, span->context.trace_id, 16) == 0 &&
           memcmp(context.span_id, span->context.span_id, 8) == 0;
}

/* The n-th order of the four. */
static inline void order_of(unsigned n, uint32_t ret[N_KINDS])
{
    uint32_t left[N_KINDS] = {MESSAGE_REQUEST, MESSAGE_BACKEND, MESSAGE_RESPONSE, MESSAGE_LOG};

    for (unsigned i = 0; i < N_KINDS; i++) {
        const unsigned pick = n % (N_KINDS - i);

        n /= N_KINDS - i;
        ret[i] = left[pick];
        left[pick] = left[N_KINDS - i - 1];
    }
}

#endif
