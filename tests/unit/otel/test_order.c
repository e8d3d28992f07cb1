/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_order.c - messages that do not come one after the other: before their
 * request, or after it was evicted.
 */
#include "exchange.h"

#include "input/ending.h"
#include "input/evict.h"

#define S INT64_C(1000000000)
#define TTL (30 * S)

static struct handlers_worker other; /* another connection's */
static struct evictor evictor = {.worker = &worker};

static void set_up(void)
{
    exchange_set_up();
    store_destroy(handlers.store);
    handlers.store = store_create(&(struct store_conf){.max = 100,
                                                       .ttl_ns = TTL,
                                                       .reorder_ns = 1 * S,
                                                       .kept_max = 20,
                                                       .late_ns = 600 * S,
                                                       .late_max = 20});
    cr_assert_not_null(handlers.store);
    handlers.reorder = true;
    other = (struct handlers_worker){.shared = &handlers, .writer = worker.writer};
    cr_assert_eq(id_source_init(&other.ids), 0);
}

static void tear_down(void)
{
    pool_cache_fini(&other.spans);
    id_source_fini(&other.ids);
    exchange_tear_down();
}

TestSuite(order, .init = set_up, .fini = tear_down, .timeout = 20);

static struct exchange x;

static struct exchange *named(const char *id)
{
    x = exchange_of(id);
    x.response.slot[RESPONSE_SERVER_NAME] = text("app1");
    return &x;
}

static void send_one(struct handlers_worker *to, uint32_t index, int64_t at)
{
    static const uint32_t n_slots[] = {REQUEST_SLOTS, BACKEND_SLOTS, RESPONSE_SLOTS};
    const struct exchange_message *message = index == MESSAGE_REQUEST   ? &x.request
                                             : index == MESSAGE_BACKEND ? &x.backend
                                                                        : &x.response;
    const struct spoe_message msg = {.size = sizeof msg,
                                     .index = index,
                                     .n_slots = n_slots[index],
                                     .slot = message->slot,
                                     .n_args = message->n_args,
                                     .args = message->args,
                                     .recv_unix_ns = EXCHANGE_NOW + at,
                                     .recv_mono_ns = at};

    cr_assert_eq(handlers_handle(to, NULL, &msg), SPOE_OK);
}

/* 7.2: a message that came before a request for which there is no room is counted with it. */
Test(order, what_came_before_a_request_without_room_is_counted)
{
    store_destroy(handlers.store);
    handlers.store = store_create(
        &(struct store_conf){.max = 1, .ttl_ns = TTL, .reorder_ns = 1 * S, .kept_max = 20});
    cr_assert_not_null(handlers.store);
    (void)named("first");
    send_one(&worker, MESSAGE_REQUEST, 1);
    (void)named("second");
    send_one(&worker, MESSAGE_RESPONSE, 2);
    send_one(&worker, MESSAGE_BACKEND, 3);
    cr_expect_eq(store_kept(handlers.store), 2);
    send_one(&worker, MESSAGE_REQUEST, 4);
    cr_expect_eq(counted(&counters.refused), 1);
    cr_expect_eq(counted(&counters.refused_later), 2);
    cr_expect_eq(counted(&counters.unknown_id), 0);
    cr_expect_eq(store_kept(handlers.store), 0);
}

/* 7.1, V1: all orders, each message by a worker of its own choice. */
Test(order, the_three_messages_make_the_same_spans_in_each_order)
{
    static const uint32_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    (void)named("first"); /* from now on it is known that backend messages come */
    for (uint32_t i = 0; i < 3; i++)
        send_one(&worker, i, 1 * S);
    take_ended();
    for (unsigned round = 0; round < 6 * 8; round++) {
        const uint32_t *order = orders[round / 8];
        const unsigned answers = fake.answers;

        (void)named("u1");
        add(&x.request, "tenant", text("a"));
        add(&x.backend, "pool", text("b"));
        add(&x.response, "size", spoe_value_int(7));
        for (unsigned i = 0; i < 3; i++)
            send_one((round >> i & 1) != 0 ? &worker : &other, order[i],
                     (10 + (int64_t)i) * S / 100);
        take_ended();
        cr_assert(ended_server != NULL && ended_client != NULL, "order %u", round / 8);
        expect_str(ended_server, "tenant", "a");
        expect_str(ended_client, "pool", "b");
        expect_int(ended_server, "size", 7);
        expect_int(ended_client, "http.response.status_code", 200);
        cr_expect_arr_eq(ended_client->parent_id, ended_server->context.span_id, 8);
        cr_expect_eq(ended_server->start_unix_ns, EXCHANGE_NOW + 10 * S / 100,
                     "the first message shows that it was there");
        cr_expect_leq(ended_client->end_unix_ns, ended_server->end_unix_ns);
        cr_expect_leq(ended_server->end_unix_ns, EXCHANGE_NOW + 12 * S / 100);
        cr_expect_leq(fake.answers, answers + 2);
        cr_expect_geq(fake.answers, answers + 1, "the request is answered");
        cr_expect_eq(store_count(handlers.store), 0);
        cr_expect_eq(store_kept(handlers.store), 0);
    }
    cr_expect_eq(counted(&counters.unknown_id), 0);
    cr_expect_eq(counted(&counters.duplicate_backend), 0);
    cr_expect_eq(counted(&counters.opened), 49);
    cr_expect_eq(counted(&counters.ended), 49);
    cr_expect_eq(counted(&counters.attached), 49);
    cr_expect_gt(counted(&counters.reordered), 0);
}

/* 7.1: unknown is what nobody claims within a second. */
Test(order, what_nobody_claims_is_unknown)
{
    (void)named("u1");
    send_one(&worker, MESSAGE_BACKEND, 1 * S);
    send_one(&worker, MESSAGE_RESPONSE, 1 * S);
    cr_expect_eq(fake.answers, 0, "answered at once, with nothing");
    cr_expect_eq(counted(&counters.unknown_id), 0);
    (void)evictor_run(&evictor, 2 * S - 1);
    cr_expect_eq(counted(&counters.unknown_id), 0);
    (void)evictor_run(&evictor, 2 * S);
    cr_expect_eq(counted(&counters.unknown_id), 2);
    cr_expect_eq(store_kept(handlers.store), 0);
}

/* 7.1 */
Test(order, a_response_waits_a_moment_for_the_backend_message)
{
    (void)named("first");
    for (uint32_t i = 0; i < 3; i++)
        send_one(&worker, i, 1 * S);
    take_ended();
    send_one(&worker, MESSAGE_REQUEST, 2 * S);
    send_one(&worker, MESSAGE_RESPONSE, 3 * S);
    take_ended();
    cr_expect_null(ended_server);
    (void)evictor_run(&evictor, 4 * S);
    take_ended();
    cr_assert_not_null(ended_server);
    cr_expect_null(ended_client);
    cr_expect_eq(ended_server->end_unix_ns, EXCHANGE_NOW + 3 * S,
                 "when it came, not when it ended");
    expect_int(ended_server, "http.response.status_code", 200);
    cr_expect_eq(counted(&counters.ended), 2);
}

/* 7.1: where no backend message ever comes, and where no server was asked, nothing waits. */
Test(order, a_response_of_haproxys_own_does_not_wait)
{
    (void)named("u1");
    send_one(&worker, MESSAGE_REQUEST, 1 * S);
    send_one(&worker, MESSAGE_RESPONSE, 2 * S);
    take_ended();
    cr_expect_not_null(ended_server);
    for (uint32_t i = 0; i < 3; i++)
        send_one(&worker, i, 3 * S);
    take_ended();
    x.response.slot[RESPONSE_SERVER_NAME] = (struct spoe_value){.type = SPOE_T_NULL};
    send_one(&worker, MESSAGE_REQUEST, 4 * S);
    send_one(&worker, MESSAGE_RESPONSE, 5 * S);
    take_ended();
    cr_expect_not_null(ended_server);
}

/* 7.1: bounded */
Test(order, no_more_is_kept_than_may_be)
{
    char id[16];

    for (int i = 0; i < 25; i++) {
        (void)snprintf(id, sizeof id, "u%d", i);
        (void)named(id);
        send_one(&worker, MESSAGE_BACKEND, 1 * S);
    }
    cr_expect_eq(store_kept(handlers.store), 20);
    cr_expect_eq(counted(&counters.reorder_full), 5);
    (void)evictor_run(&evictor, 3 * S);
    cr_expect_eq(counted(&counters.unknown_id), 20);
}

/* 7.1 with 3.3 and exclusions: messages that came before a request that opens nothing */
Test(order, messages_of_an_excluded_request_are_no_anomaly)
{
    policy.exclude = excluded = exclude_create("/hello");
    (void)named("u1");
    send_one(&worker, MESSAGE_BACKEND, 1 * S);
    send_one(&worker, MESSAGE_REQUEST, 1 * S);
    send_one(&worker, MESSAGE_RESPONSE, 1 * S);
    cr_expect_eq(counted(&counters.excluded_later), 2);
    cr_expect_eq(store_kept(handlers.store), 0);
    (void)evictor_run(&evictor, 3 * S);
    cr_expect_eq(counted(&counters.unknown_id), 0);
}

/* 7.1: of a request that is not sampled, too */
Test(order, messages_of_an_unsampled_request_are_no_anomaly)
{
    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    (void)named("u1");
    send_one(&worker, MESSAGE_BACKEND, 1 * S);
    send_one(&worker, MESSAGE_RESPONSE, 1 * S);
    send_one(&worker, MESSAGE_REQUEST, 1 * S);
    (void)evictor_run(&evictor, 3 * S);
    cr_expect_eq(counted(&counters.unknown_id), 0);
    cr_expect_eq(store_count(handlers.store), 0);
}

/* 9.2: what CLIENT has of SERVER, it has without a response as well. */
Test(order, an_evicted_client_span_says_where_the_request_went)
{
    policy.conventions.client_address = CLIENT_ADDRESS_AUTHORITY;
    (void)named("u1");
    send_one(&worker, MESSAGE_REQUEST, 1 * S);
    send_one(&worker, MESSAGE_BACKEND, 1 * S);
    (void)evictor_run(&evictor, 31 * S);
    take_ended();
    cr_assert(ended_server != NULL && ended_client != NULL);
    expect_str(ended_client, "server.address", "example.org");
    expect_int(ended_client, "server.port", 8443);
    expect_bool(ended_client, ATTR_INCOMPLETE, true);
}

/* ---- late responses -------------------------------------------------------------------------- */

/* 6.1, W2 */
Test(order, a_late_response_is_a_span_of_its_own)
{
    static const struct {
        int64_t status;
        unsigned error;
    } cases[] = {{200, SPAN_STATUS_UNSET}, {404, SPAN_STATUS_UNSET}, {500, SPAN_STATUS_ERROR}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span *server, *late;
        size_t n;

        (void)named("u1");
        x.response.slot[RESPONSE_STATUS] = spoe_value_int(cases[i].status);
        x.response.slot[RESPONSE_BACKEND_NAME] = text("back");
        send_one(&worker, MESSAGE_REQUEST, 1 * S);
        send_one(&worker, MESSAGE_BACKEND, 1 * S);
        (void)evictor_run(&evictor, 31 * S);
        take_ended();
        cr_assert(ended_server != NULL && ended_client != NULL);
        expect_bool(ended_server, ATTR_INCOMPLETE, true);
        server = ended_server;
        ended_server = NULL;
        send_one(&other, MESSAGE_RESPONSE, 37 * S);
        late = take_spans(sink.queue, 10, &n);
        span_queue_settle(sink.queue, n, 0);
        cr_assert_eq(n, 1);
        cr_expect_eq(late->kind, SPAN_INTERNAL);
        expect_name(late, "late response");
        cr_expect_arr_eq(late->context.trace_id, server->context.trace_id, 16);
        cr_expect_arr_eq(late->parent_id, server->context.span_id, 8);
        cr_expect_neq(memcmp(late->context.span_id, server->context.span_id, 8), 0);
        cr_expect_eq(late->context.flags, server->context.flags);
        cr_expect_eq(late->start_unix_ns, EXCHANGE_NOW + 31 * S, "the eviction");
        cr_expect_eq(late->end_unix_ns, EXCHANGE_NOW + 37 * S);
        cr_expect_eq(late->status, cases[i].error);
        expect_int(late, "http.response.status_code", cases[i].status);
        expect_str(late, "haproxy.backend.name", "back");
        expect_str(late, "haproxy.server.name", "app1");
        span_destroy(server);
        span_destroy(late);
        cr_expect_eq(counted(&counters.late), i + 1);
    }
    send_one(&worker, MESSAGE_RESPONSE, 38 * S); /* once */
    take_ended();
    cr_expect_null(ended_server);
    cr_expect_eq(counted(&counters.unknown_id), 0, "not yet");
    (void)evictor_run(&evictor, 40 * S);
    cr_expect_eq(counted(&counters.unknown_id), 1);
}

/* 6.1: what is not sampled has no late response either, and is no anomaly */
Test(order, a_late_response_of_an_unsampled_request_is_nothing)
{
    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    (void)named("u1");
    send_one(&worker, MESSAGE_REQUEST, 1 * S);
    (void)evictor_run(&evictor, 31 * S);
    send_one(&worker, MESSAGE_BACKEND, 32 * S);
    send_one(&worker, MESSAGE_RESPONSE, 33 * S);
    (void)evictor_run(&evictor, 40 * S);
    take_ended();
    cr_expect_null(ended_server);
    cr_expect_eq(counted(&counters.unknown_id), 0);
    cr_expect_eq(counted(&counters.late_backend), 1);
    cr_expect_eq(counted(&counters.late), 0);
}

/* 6.1, W2: with a hold both are whole */
Test(order, a_hold_keeps_both_spans_whole)
{
    static const int by_haproxy[] = {0, 600, HANDLERS_HOLD_MAX_S};

    for (size_t i = 0; i < sizeof by_haproxy / sizeof by_haproxy[0]; i++) {
        (void)named("u1");
        policy.hold_ns = by_haproxy[i] > 0 ? 0 : 600 * S;
        if (by_haproxy[i] > 0)
            x.request.slot[REQUEST_HOLD] = spoe_value_int(by_haproxy[i]);
        send_one(&worker, MESSAGE_REQUEST, 1 * S);
        send_one(&worker, MESSAGE_BACKEND, 1 * S);
        (void)evictor_run(&evictor, 31 * S);
        send_one(&worker, MESSAGE_RESPONSE, 37 * S);
        take_ended();
        cr_assert(ended_server != NULL && ended_client != NULL);
        expect_none(ended_server, ATTR_INCOMPLETE);
        cr_expect_eq(ended_server->end_unix_ns - ended_server->start_unix_ns, 36 * S);
        cr_expect_eq(ended_client->end_unix_ns - ended_client->start_unix_ns, 36 * S);
    }
    cr_expect_eq(counted(&counters.late), 0);
    cr_expect_eq(counted(&counters.evicted), 0);
}

/* 6.1: a request without a backend message has the TTL; a hold that is none, too */
Test(order, a_hold_is_for_requests_that_reached_a_backend)
{
    static const struct spoe_value bad[] = {{.type = SPOE_T_NULL},
                                            {.type = SPOE_T_INT64, .u.i64 = -1},
                                            {.type = SPOE_T_INT64, .u.i64 = 86401},
                                            {.type = SPOE_T_INT64, .u.i64 = INT64_MAX},
                                            {.type = SPOE_T_STR, .u.s = {"soon", 4}}};
    char id[8];

    policy.hold_ns = 600 * S;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(id, sizeof id, "u%zu", i);
        (void)named(id);
        x.request.slot[REQUEST_HOLD] = bad[i];
        send_one(&worker, MESSAGE_REQUEST, 1 * S);
    }
    (void)evictor_run(&evictor, 31 * S);
    cr_expect_eq(counted(&counters.evicted), sizeof bad / sizeof bad[0]);
}

/* 3.2: a CLIENT span without room costs nothing but itself */
Test(order, a_client_span_without_room_leaves_the_server_span)
{
    static char value[4096];

    store_destroy(handlers.store);
    handlers.store =
        store_create(&(struct store_conf){.max = 10, .bytes_max = 4000, .ttl_ns = TTL});
    handlers.reorder = false;
    memset(value, 'v', sizeof value);
    (void)named("u1");
    add(&x.backend, "large", (struct spoe_value){.type = SPOE_T_STR, .u.s = {value, 4096}});
    send_one(&worker, MESSAGE_REQUEST, 1 * S);
    cr_expect_eq(fake.answers, 1);
    send_one(&worker, MESSAGE_BACKEND, 1 * S);
    cr_expect_eq(fake.answers, 1, "the origin's parent is SERVER");
    cr_expect_eq(counted(&counters.refused_client), 1);
    send_one(&worker, MESSAGE_RESPONSE, 1 * S);
    take_ended();
    cr_expect_not_null(ended_server);
    cr_expect_null(ended_client);
}
