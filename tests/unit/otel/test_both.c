/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_both.c - messages and a line of the log for the same request (issue
 * 11, 2.3): each span is exported exactly once, in whatever order they come, over whatever
 * connections, whoever reads them. The line is what HAProxy would write: what it was answered
 * before.
 */
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

static spoe_status tell(struct spoe_request *req, uint32_t scope, struct spoe_span name,
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

static void begin(struct agent *agent, uint8_t process)
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

static void end(struct agent *agent)
{
    store_destroy(agent->handlers.store);
    untraced_destroy(agent->handlers.untraced);
    for (unsigned i = 0; i < 2; i++) {
        pool_cache_fini(&agent->worker[i].spans);
        id_source_fini(&agent->worker[i].ids);
    }
}

static void set_up(void)
{
    exchange_set_up();
    memset(&counters, 0, sizeof counters);
    meter = meter_create(100, EXCHANGE_NOW);
    begin(&first, 1);
    begin(&second, 2);
}

static void tear_down(void)
{
    end(&first);
    end(&second);
    meter_destroy(meter);
    exchange_tear_down();
}

TestSuite(both, .init = set_up, .fini = tear_down, .timeout = 60);

static void expire(struct agent *agent, int64_t now)
{
    while (handlers_expire(&agent->worker[0], now))
        continue;
}

/* It leaves, and another process takes its place. */
static void restart(struct agent *agent, uint8_t process)
{
    cr_assert_not(evictor_end_open(&agent->evictor));
    end(agent);
    begin(agent, process);
}

/* ---- a request ------------------------------------------------------------------------------ */

static struct exchange x;
static struct exchange_message line;

/* @param logged  argument log_line of the request */
static void fresh(struct spoe_value logged)
{
    x = exchange_of("u1");
    x.request.slot[REQUEST_LOG_LINE] = logged;
    x.response.slot[RESPONSE_SERVER_NAME] = text("app1");
    line = (struct exchange_message){.slot = {[LOG_UNIQUE_ID] = text("u1"),
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
    line.slot[LOG_REQUEST_AT] = spoe_value_int((EXCHANGE_NOW + 1 * S) / US);
    line.slot[LOG_END_AT] = spoe_value_int((EXCHANGE_NOW + 2 * S) / US);
    memset(&told, 0, sizeof told);
}

static void send_to(struct handlers_worker *to, uint32_t index, int64_t at)
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

static void count_exported(void)
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
static void expect_accounts(uint64_t out)
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
static unsigned newly_counted(void)
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
static bool has_exemplar(enum meter_instrument_id id, const struct span *span)
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
static void expect_one_pair(const char *what, unsigned round)
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

static void expect_nothing(void)
{
    expire(&first, 500 * S);
    count_exported();
    cr_expect(exported.servers == 0 && exported.clients == 0 && exported.others == 0);
    cr_expect_eq(store_count(first.handlers.store), 0);
}

/* The spans are whole, and by the line's times. */
static void expect_whole(const char *what, unsigned round)
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

static bool has_ids_of(const char *traceparent, const struct span *span)
{
    struct trace_context context;

    cr_assert(traceparent_parse(traceparent, strlen(traceparent), &context));
    return memcmp(context.trace_id, span->context.trace_id, 16) == 0 &&
           memcmp(context.span_id, span->context.span_id, 8) == 0;
}

/* The n-th order of the four. */
static void order_of(unsigned n, uint32_t ret[N_KINDS])
{
    uint32_t left[N_KINDS] = {MESSAGE_REQUEST, MESSAGE_BACKEND, MESSAGE_RESPONSE, MESSAGE_LOG};

    for (unsigned i = 0; i < N_KINDS; i++) {
        const unsigned pick = n % (N_KINDS - i);

        n /= N_KINDS - i;
        ret[i] = left[pick];
        left[pick] = left[N_KINDS - i - 1];
    }
}

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
