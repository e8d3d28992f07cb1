/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_evict.c - requests without a response: TTL, shutdown, a small queue. */
#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "input/ending.h"
#include "input/evict.h"
#include "queued.h"

#define S INT64_C(1000000000)
#define TTL (30 * S)

static int64_t read_clock(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * S + ts.tv_nsec;
}

struct setup {
    struct counters counters;
    struct sink sink;
    struct handlers handlers;
    struct handlers_worker worker;
    struct evictor evictor;
};

static void set_up(struct setup *t, size_t store_max, size_t queue_max)
{
    memset(t, 0, sizeof *t);
    t->sink =
        (struct sink){.queue = span_queue_create(queue_max, SPAN_QUEUE_BYTES_MAX, 512, 4000000),
                      .counters = &t->counters};
    t->handlers.store = store_create(&(struct store_conf){.max = store_max, .ttl_ns = TTL});
    t->handlers.sink = &t->sink;
    t->handlers.counters = &t->counters;
    t->worker.shared = &t->handlers;
    t->worker.writer = span_queue_writer(t->sink.queue);
    t->evictor = (struct evictor){.worker = &t->worker, .now_mono_ns = read_clock};
    cr_assert_not_null(t->worker.writer);
    cr_assert_not_null(t->handlers.store);
}

static void tear_down(struct setup *t)
{
    store_destroy(t->handlers.store);
    pool_cache_fini(&t->worker.spans);
    span_queue_destroy(t->sink.queue);
}

static void open_request(struct setup *t, int i, bool with_client, int64_t mono, int64_t unix_ns)
{
    const struct trace_context context = {.trace_id = {1}, .span_id = {2}, .flags = 1};
    const struct store_opening opening = {
        .server = span_create(SPAN_SERVER, &context, NULL, false, unix_ns, "GET", 3),
        .mono_ns = mono,
        .unix_ns = unix_ns};
    struct store_attached attached;
    char key[32];
    const size_t n = (size_t)snprintf(key, sizeof key, "%d", i);
    struct span *span;

    cr_assert_not_null(opening.server);
    cr_assert_eq(store_open(t->handlers.store, key, n, &opening, NULL), STORE_OK);
    if (!with_client)
        return;
    span = span_create(SPAN_CLIENT, &context, NULL, false, unix_ns + 5, "GET", 3);
    cr_assert_not_null(span);
    cr_assert_eq(store_attach(t->handlers.store, key, n, span, mono + 5, 0, &attached), STORE_OK);
}

/* Both spans have a text of n bytes. */
static void open_large(struct setup *t, int i, const char *text, size_t n)
{
    const struct trace_context context = {.trace_id = {1}, .span_id = {2}, .flags = 1};
    struct store_attached attached;
    struct span *spans[2];
    char key[32];
    const size_t key_len = (size_t)snprintf(key, sizeof key, "%d", i);

    for (int s = 0; s < 2; s++) {
        spans[s] = span_create(s ? SPAN_CLIENT : SPAN_SERVER, &context, NULL, false, 1, "GET", 3);
        cr_assert_not_null(spans[s]);
        span_set_str(spans[s], "text", 4, text, n);
    }
    cr_assert_eq(store_open(t->handlers.store, key, key_len,
                            &(struct store_opening){.server = spans[0], .mono_ns = 1, .unix_ns = 1},
                            NULL),
                 STORE_OK);
    cr_assert_eq(store_attach(t->handlers.store, key, key_len, spans[1], 6, 0, &attached),
                 STORE_OK);
}

/* Take everything that waits. @return how many spans */
static size_t take_all(struct setup *t)
{
    struct span_chunk *chunks;
    size_t n, bytes = 0;

    chunks = span_queue_take(t->sink.queue, SIZE_MAX, SIZE_MAX, &n);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        bytes += chunk->len;
    span_queue_release(chunks);
    span_queue_settle(t->sink.queue, n, bytes);
    return n;
}

static bool is_incomplete(const struct span *span)
{
    struct span_attr attr;
    size_t pos = 0;

    while (span_attribute(span, &pos, &attr))
        if (attr.key_len == strlen(ATTR_INCOMPLETE) &&
            memcmp(attr.key, ATTR_INCOMPLETE, attr.key_len) == 0)
            return attr.type == SPAN_BOOL && attr.i == 1;
    return false;
}

Test(evict, ends_at_the_last_known_moment, .timeout = 10)
{
    struct setup t;
    struct span *client, *server;
    size_t n;

    set_up(&t, 10, 10);
    open_request(&t, 1, true, 1 * S, 1000);
    (void)evictor_run(&t.evictor, 31 * S - 1);
    cr_expect_eq(counted(&t.counters.evicted), 0);
    (void)evictor_run(&t.evictor, 100 * S);
    client = take_spans(t.sink.queue, 10, &n);
    cr_assert_eq(n, 2);
    server = client->next;
    cr_expect_eq(client->kind, SPAN_CLIENT);
    cr_expect_eq(client->end_unix_ns, 1005);
    cr_expect_eq(server->kind, SPAN_SERVER);
    cr_expect_eq(server->start_unix_ns, 1000);
    cr_expect_eq(server->end_unix_ns, 1005, "the receipt of the last message, not the eviction");
    cr_expect_eq(server->status, SPAN_STATUS_UNSET);
    cr_expect(is_incomplete(client) && is_incomplete(server));
    cr_assert_eq(server->n_events, 1);
    cr_expect_str_eq(server->events[0].name, "haproxy.no_response");
    cr_expect_eq(server->events[0].time_unix_ns, 1005);
    cr_expect_eq(client->n_events, 1);
    cr_expect_eq(counted(&t.counters.evicted), 1);
    cr_expect_eq(counted(&t.counters.ended_at_stop), 0);
    span_destroy(client);
    span_destroy(server);
    tear_down(&t);
}

/* HAProxy's own start of CLIENT may be later than what the agent's clock says: SERVER goes on as
 * long. */
Test(evict, client_stays_inside_server, .timeout = 10)
{
    const struct trace_context context = {.trace_id = {1}, .span_id = {2}, .flags = 1};
    struct store_attached attached;
    struct span *client, *server;
    struct setup t;
    size_t n;

    set_up(&t, 10, 10);
    open_request(&t, 1, false, 1 * S, 1000);
    client = span_create(SPAN_CLIENT, &context, NULL, false, 5000, "GET", 3);
    cr_assert_not_null(client);
    cr_assert_eq(store_attach(t.handlers.store, "1", 1, client, 1 * S + 5, 0, &attached), STORE_OK);
    (void)evictor_run(&t.evictor, 31 * S);
    client = take_spans(t.sink.queue, 10, &n);
    cr_assert_eq(n, 2);
    server = client->next;
    cr_expect_eq(client->start_unix_ns, 5000);
    cr_expect_eq(client->end_unix_ns, 5000);
    cr_expect_eq(server->end_unix_ns, 5000);
    span_destroy(client);
    span_destroy(server);
    tear_down(&t);
}

Test(evict, a_request_message_alone_has_no_duration, .timeout = 10)
{
    struct setup t;
    struct span *server;
    size_t n;

    set_up(&t, 10, 10);
    open_request(&t, 1, false, 1 * S, 1000);
    (void)evictor_run(&t.evictor, 31 * S);
    server = take_spans(t.sink.queue, 10, &n);
    cr_assert_eq(n, 1);
    cr_expect_eq(server->end_unix_ns, server->start_unix_ns);
    cr_expect(is_incomplete(server));
    cr_expect_eq(server->n_events, 1);
    span_destroy(server);
    tear_down(&t);
}

Test(evict, says_when_it_wants_to_run_again, .timeout = 10)
{
    struct setup t;

    set_up(&t, 10, 10);
    cr_expect_eq(evictor_run(&t.evictor, 5 * S), 6 * S,
                 "a message that is kept is due in a second");
    open_request(&t, 1, false, 6 * S, 1);
    cr_expect_eq(evictor_run(&t.evictor, 35 * S + S / 2), 36 * S);
    cr_expect_eq(evictor_run(&t.evictor, 36 * S - 1), 36 * S - 1 + S / 10, "a small step at least");
    cr_expect_eq(evictor_run(&t.evictor, 37 * S), 38 * S);
    cr_expect_eq(counted(&t.counters.evicted), 1);
    tear_down(&t);
}

/* 3.4, O3: what has no room is dropped and counted; nobody waits for the export. */
Test(evict, does_not_wait_for_the_queue, .timeout = 10)
{
    struct setup t;

    set_up(&t, 100, 5);
    for (int i = 0; i < 10; i++)
        open_request(&t, i, true, 1, 1);
    (void)evictor_run(&t.evictor, 40 * S);
    cr_expect_eq(counted(&t.counters.evicted), 10);
    cr_expect_eq(store_count(t.handlers.store), 0);
    cr_expect_eq(counted(&t.counters.dropped), 16, "two whole requests fit into five");
    cr_expect_eq(take_all(&t), 4);
    tear_down(&t);
}

/* 3.4, O3: the thread's clock is its own; nobody takes anything from the queue. */
Test(evict, has_a_thread_of_its_own, .timeout = 60)
{
    struct setup t;
    const int64_t now = read_clock();

    set_up(&t, 100, 100);
    open_request(&t, 1, true, now - TTL, 1);
    open_request(&t, 2, true, now - TTL + S / 10, 1);
    cr_assert_eq(evictor_start(&t.evictor), 0);
    while (store_count(t.handlers.store) > 0)
        (void)sched_yield();
    while (!evictor_is_idle(&t.evictor)) /* it waits for what is due next */
        (void)sched_yield();
    evictor_stop(&t.evictor);
    evictor_stop(&t.evictor); /* takes one that does not run */
    cr_expect_eq(counted(&t.counters.evicted), 2);
    cr_expect_eq(take_all(&t), 4);
    cr_expect_geq(read_clock() - now, S / 10);
    tear_down(&t);
}

Test(evict, shutdown_of_a_full_store_loses_nothing, .timeout = 120)
{
    enum { REQUESTS = 200000, QUEUE = 10000 };
    struct setup t;
    size_t spans = 0;
    bool left;

    set_up(&t, REQUESTS, QUEUE);
    for (int i = 0; i < REQUESTS; i++)
        open_request(&t, i, true, 1, 1);
    cr_assert_eq(store_count(t.handlers.store), REQUESTS);
    do {
        left = evictor_end_open(&t.evictor);
        spans += take_all(&t);
    } while (left);
    cr_expect_eq(spans, 2 * REQUESTS);
    cr_expect_eq(counted(&t.counters.ended_at_stop), REQUESTS);
    cr_expect_eq(counted(&t.counters.evicted), 0);
    cr_expect_eq(counted(&t.counters.dropped), 0);
    cr_expect_eq(store_count(t.handlers.store), 0);
    tear_down(&t);
}

/* 9.2: two is the least that a queue can be configured to. */
Test(evict, shutdown_goes_through_the_smallest_queue, .timeout = 10)
{
    struct setup t;
    size_t spans = 0;

    set_up(&t, 10, 2);
    for (int i = 0; i < 5; i++)
        open_request(&t, i, true, 1, 1);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(evictor_end_open(&t.evictor), i < 4);
        spans += take_all(&t);
    }
    cr_expect_eq(spans, 10);
    cr_expect_eq(counted(&t.counters.ended_at_stop), 5);
    cr_expect_eq(counted(&t.counters.dropped), 0);
    tear_down(&t);
}

/* 3.4: 1 MiB holds a part of their spans at once. */
Test(evict, shutdown_of_large_requests_loses_nothing, .timeout = 120)
{
    enum { REQUESTS = 1000 };
    static char text[1000];
    struct setup t;
    size_t spans = 0;
    bool left;

    set_up(&t, REQUESTS, 10000);
    span_queue_destroy(t.sink.queue);
    t.sink.queue = span_queue_create(10000, 1024 * 1024, 512, 4000000);
    t.worker.writer = span_queue_writer(t.sink.queue);
    memset(text, 'p', sizeof text);
    for (int i = 0; i < REQUESTS; i++)
        open_large(&t, i, text, sizeof text);
    do {
        left = evictor_end_open(&t.evictor);
        cr_expect_eq(left, t.worker.held != NULL);
        spans += take_all(&t);
    } while (left);
    cr_expect_eq(spans, 2 * REQUESTS);
    cr_expect_eq(counted(&t.counters.dropped), 0);
    cr_expect_eq(counted(&t.counters.ended_at_stop), REQUESTS);
    tear_down(&t);
}

/* There was no more time: what is held is lost with what has not been ended. */
Test(evict, what_is_held_at_the_end_is_counted, .timeout = 10)
{
    struct setup t;

    set_up(&t, 10, 2);
    for (int i = 0; i < 3; i++)
        open_request(&t, i, true, 1, 1);
    cr_expect(evictor_end_open(&t.evictor));
    cr_expect(evictor_end_open(&t.evictor), "nobody has taken anything");
    cr_expect_eq(store_count(t.handlers.store), 1);
    evictor_give_up(&t.evictor);
    cr_expect_null(t.worker.held);
    cr_expect_eq(counted(&t.counters.still_open), 2);
    cr_expect_eq(take_all(&t), 2);
    evictor_give_up(&t.evictor); /* takes one that holds nothing */
    cr_expect_eq(counted(&t.counters.still_open), 2);
    cr_expect_eq(counted(&t.counters.dropped), 0);
    tear_down(&t);
}

Test(sink, counts_what_does_not_fit, .timeout = 10)
{
    const struct trace_context context = {.trace_id = {1}, .span_id = {2}};
    struct setup t;

    set_up(&t, 10, 2);
    for (int i = 0; i < 5; i++) {
        struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);

        cr_assert_not_null(span);
        span_end(span, 2);
        sink_push(&t.sink, t.worker.writer, span);
        span_destroy(span);
    }
    cr_expect_eq(counted(&t.counters.dropped), 3);
    tear_down(&t);
}
