/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_store.c - open requests: life, TTL, cap. Time is handed in. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "input/siphash.h"
#include "input/messages.h"
#include "input/store.h"

#define S INT64_C(1000000000)
#define TTL (30 * S)

static const struct trace_context context = {
    .trace_id = {1, 2, 3}, .span_id = {4, 5, 6}, .flags = TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM};

static struct span *server_span(int64_t start)
{
    struct span *span = span_create(SPAN_SERVER, &context, NULL, false, start, "GET", 3);

    cr_assert_not_null(span);
    return span;
}

static struct span *client_span(int64_t start)
{
    const struct trace_context own = {.span_id = {7, 7}};
    struct span *span = span_create(SPAN_CLIENT, &own, NULL, false, start, "GET", 3);

    cr_assert_not_null(span);
    return span;
}

static struct store *new_store(size_t max)
{
    struct store *store = store_create(&(struct store_conf){.max = max, .ttl_ns = TTL});

    cr_assert_not_null(store);
    return store;
}

/* @param span  NULL: not sampled */
static enum store_result open_with(struct store *store, const char *key, size_t n,
                                   struct span *span, int64_t mono, int64_t unix_ns)
{
    const struct store_opening opening = {
        .server = span, .context = &context, .mono_ns = mono, .unix_ns = unix_ns};

    return store_open(store, key, n, &opening, NULL);
}

static void open_ok(struct store *store, const char *key, int64_t mono, int64_t unix_ns)
{
    cr_assert_eq(open_with(store, key, strlen(key), server_span(unix_ns), mono, unix_ns), STORE_OK);
}

static enum store_result attach(struct store *store, const char *key, struct span *client,
                                int64_t mono, struct trace_context *ret)
{
    struct store_attached attached;
    const enum store_result result =
        store_attach(store, key, strlen(key), client, mono, 0, &attached);

    if (result == STORE_OK)
        *ret = attached.context;
    return result;
}

static enum store_result take(struct store *store, const char *key, struct store_request *ret)
{
    return store_take(store, key, strlen(key), false, ret);
}

static int64_t last_unix_ns(const struct store_request *request)
{
    return store_unix_ns(request, request->last_mono_ns);
}

static void free_request(struct store_request *request)
{
    span_destroy(request->server);
    span_destroy(request->client);
}

Test(store, gives_back_what_it_was_given, .timeout = 10)
{
    struct store *store = new_store(10);
    struct span *server = server_span(100), *client = client_span(150);
    struct store_request request;
    struct trace_context answer;

    cr_assert_eq(open_with(store, "id", 2, server, 1, 100), STORE_OK);
    cr_assert_eq(store_count(store), 1);
    cr_assert_eq(attach(store, "id", client, 51, &answer), STORE_OK);
    cr_assert_eq(take(store, "id", &request), STORE_OK);
    cr_expect_eq(request.server, server);
    cr_expect_eq(request.client, client);
    cr_expect_eq(last_unix_ns(&request), 150);
    cr_expect_eq(memcmp(client->context.trace_id, context.trace_id, 16), 0);
    cr_expect_eq(memcmp(client->parent_id, context.span_id, 8), 0);
    cr_expect_eq(client->context.flags, context.flags);
    cr_expect_not(client->parent_remote);
    cr_expect_eq(memcmp(&answer, &client->context, sizeof answer), 0);
    cr_expect_eq(store_count(store), 0);
    cr_expect_eq(take(store, "id", &request), STORE_UNKNOWN);
    span_destroy(server);
    span_destroy(client);
    store_destroy(store);
    store_destroy(NULL);
}

Test(store, keeps_the_first_of_two, .timeout = 10)
{
    struct store *store = new_store(10);
    struct span *first = server_span(1), *second = server_span(2);
    struct span *client = client_span(3), *other = client_span(4);
    struct store_request request;
    struct trace_context answer;

    cr_assert_eq(open_with(store, "id", 2, first, 1, 1), STORE_OK);
    cr_assert_eq(open_with(store, "id", 2, second, 2, 2), STORE_DUPLICATE);
    cr_assert_eq(attach(store, "id", client, 3, &answer), STORE_OK);
    cr_assert_eq(attach(store, "id", other, 4, &answer), STORE_DUPLICATE);
    cr_assert_eq(take(store, "id", &request), STORE_OK);
    cr_expect_eq(request.server, first);
    cr_expect_eq(request.client, client);
    cr_expect_eq(last_unix_ns(&request), 3, "the duplicates are no messages of this request");
    span_destroy(second);
    span_destroy(other);
    free_request(&request);
    store_destroy(store);
}

Test(store, knows_only_what_is_open, .timeout = 10)
{
    struct store *store = new_store(10);
    struct span *client = client_span(1);
    struct store_request request;
    struct trace_context answer;

    open_ok(store, "id", 1, 1);
    cr_expect_eq(attach(store, "i", client, 1, &answer), STORE_UNKNOWN);
    cr_expect_eq(store_attach(store, "id\0", 3, client, 1, 0, &(struct store_attached){0}),
                 STORE_UNKNOWN);
    cr_expect_eq(take(store, "ID", &request), STORE_UNKNOWN);
    cr_expect_eq(store_take(store, "", 0, false, &request), STORE_KEY);
    span_destroy(client);
    store_destroy(store); /* frees what is open */
}

Test(store, limits_keys, .timeout = 10)
{
    struct store *store = new_store(10);
    struct span *span = server_span(1), *client = client_span(1);
    char key[STORE_KEY_MAX + 1];
    struct store_request request;
    struct store_attached attached;

    memset(key, 'k', sizeof key);
    cr_expect_eq(open_with(store, key, 0, span, 1, 1), STORE_KEY);
    cr_expect_eq(open_with(store, key, STORE_KEY_MAX + 1, span, 1, 1), STORE_KEY);
    cr_expect_eq(store_attach(store, key, STORE_KEY_MAX + 1, client, 1, 0, &attached), STORE_KEY);
    cr_expect_eq(store_take(store, key, STORE_KEY_MAX + 1, false, &request), STORE_KEY);
    cr_expect_eq(open_with(store, key, STORE_KEY_MAX, span, 1, 1), STORE_OK);
    cr_expect_eq(store_take(store, key, STORE_KEY_MAX, false, &request), STORE_OK);
    span_destroy(client);
    free_request(&request);
    store_destroy(store);
}

Test(store, keeps_keys_with_any_bytes_apart, .timeout = 10)
{
    struct store *store = new_store(1000);
    struct store_request request;
    char key[2];

    for (int i = 0; i < 256; i++) {
        key[0] = (char)i;
        key[1] = '\0';
        cr_assert_eq(open_with(store, key, 1, server_span(i), 1, i), STORE_OK);
        cr_assert_eq(open_with(store, key, 2, server_span(i), 1, i + 1000), STORE_OK);
    }
    for (int i = 0; i < 256; i++) {
        key[0] = (char)i;
        key[1] = '\0';
        cr_assert_eq(store_take(store, key, 1, false, &request), STORE_OK);
        cr_expect_eq(last_unix_ns(&request), i);
        free_request(&request);
    }
    cr_expect_eq(store_count(store), 256);
    store_destroy(store);
}

Test(store, clamps_a_client_that_began_before_its_server, .timeout = 10)
{
    struct store *store = new_store(10);
    struct span *client = client_span(50);
    struct store_request request;
    struct trace_context answer;

    open_ok(store, "id", 1, 100);
    cr_assert_eq(attach(store, "id", client, 0, &answer), STORE_OK);
    cr_expect_eq(client->start_unix_ns, 100);
    cr_assert_eq(take(store, "id", &request), STORE_OK);
    cr_expect_eq(last_unix_ns(&request), 100);
    free_request(&request);
    store_destroy(store);
}

Test(store, refuses_the_newest_over_the_cap, .timeout = 10)
{
    struct store *store = new_store(2);
    struct span *span = server_span(3);
    struct store_request request;

    open_ok(store, "a", 1, 1);
    open_ok(store, "b", 2, 2);
    cr_expect_eq(open_with(store, "c", 1, span, 3, 3), STORE_FULL);
    cr_expect_eq(open_with(store, "a", 1, span, 3, 3), STORE_DUPLICATE);
    cr_expect_eq(store_count(store), 2);
    cr_assert_eq(take(store, "a", &request), STORE_OK);
    free_request(&request);
    cr_expect_eq(open_with(store, "c", 1, span, 3, 3), STORE_OK, "a place is free again");
    store_destroy(store);
}

Test(store, expires_at_the_ttl_and_not_before, .timeout = 10)
{
    struct store *store = new_store(10);
    struct store_request request;

    cr_expect_eq(store_next_expiry(store), INT64_MAX);
    open_ok(store, "a", 10 * S, 1);
    open_ok(store, "b", 11 * S, 2);
    cr_expect_eq(store_next_expiry(store), 40 * S);
    cr_expect_not(store_expire(store, 40 * S - 1, &request));
    cr_assert(store_expire(store, 40 * S, &request));
    cr_expect_eq(last_unix_ns(&request), 1);
    cr_expect_null(request.client);
    free_request(&request);
    cr_expect_not(store_expire(store, 40 * S, &request));
    cr_expect_eq(store_next_expiry(store), 41 * S);
    cr_assert(store_expire(store, 100 * S, &request));
    cr_expect_eq(last_unix_ns(&request), 2);
    free_request(&request);
    cr_expect_eq(store_count(store), 0);
    store_destroy(store);
}

Test(store, expires_all_when_asked_for, .timeout = 10)
{
    struct store *store = new_store(100);
    struct store_request request;
    char key[16];
    int n = 0;

    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        open_ok(store, key, i, i);
    }
    while (store_expire(store, INT64_MAX, &request)) {
        free_request(&request);
        n++;
    }
    cr_expect_eq(n, 100);
    store_destroy(store);
}

/* A shard's list and table under a mix of opens, takes from anywhere, and expiry. */
Test(store, stays_right_through_a_long_mix, .timeout = 60)
{
    enum { N = 20000 };
    struct store *store = new_store(N);
    struct store_request request;
    char key[32];
    size_t open = 0, expired = 0, wanted = 0;

    for (int i = 0; i < N; i++) {
        (void)snprintf(key, sizeof key, "request-%d", i);
        open_ok(store, key, i * 10, i);
        open++;
        if (i % 3 == 2) { /* not the oldest, not the newest */
            (void)snprintf(key, sizeof key, "request-%d", i - 1);
            cr_assert_eq(take(store, key, &request), STORE_OK);
            cr_assert_eq(last_unix_ns(&request), i - 1);
            free_request(&request);
            open--;
        }
    }
    cr_expect_eq(store_count(store), open);
    while (store_expire(store, TTL + N / 2 * 10, &request)) {
        cr_assert_leq(last_unix_ns(&request), N / 2);
        free_request(&request);
        expired++;
    }
    for (int i = 0; i <= N / 2; i++)
        wanted += i % 3 != 1;
    cr_expect_eq(expired, wanted);
    cr_expect_eq(store_count(store), open - expired);
    (void)snprintf(key, sizeof key, "request-%d", N - 1);
    cr_expect_eq(take(store, key, &request), STORE_OK);
    free_request(&request);
    store_destroy(store);
}

/* Vectors by another implementation: CPython's hash() of bytes 00.. with PYTHONHASHSEED=0. */
Test(siphash, agrees_with_another_implementation, .timeout = 10)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } vectors[] = {
        {1, UINT64_C(0x68a914128e01e473)},  {7, UINT64_C(0x2f098ab0c751325a)},
        {8, UINT64_C(0xead411e67ebe2eea)},  {15, UINT64_C(0xf30eb725bb91c9ea)},
        {36, UINT64_C(0xac77921fcc642bd3)}, {63, UINT64_C(0x385d3e39e5f37359)},
    };
    const uint64_t key[2] = {0, 0};
    unsigned char data[63];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        cr_expect_eq(siphash(key, data, vectors[i].n), vectors[i].hash, "%zu bytes", vectors[i].n);
}

/* ---- requests without spans --------------------------------------------------------------- */

Test(store, keeps_the_context_of_an_unsampled_request, .timeout = 10)
{
    struct store *store = new_store(10);
    struct trace_context got = {.flags = 0x55};
    struct span *client = client_span(2);
    struct store_request request;

    cr_expect_not(store_unsampled(store, "id", 2, 1, &got));
    cr_assert_eq(open_with(store, "id", 2, NULL, 1, 1), STORE_OK);
    cr_expect_eq(store_count(store), 1);
    cr_expect_eq(open_with(store, "id", 2, NULL, 1, 1), STORE_DUPLICATE);
    cr_expect_not(store_unsampled(store, "other", 5, 1, &got));
    cr_expect_not(store_unsampled(store, "", 0, 1, &got));
    cr_expect_eq(got.flags, 0x55);
    cr_assert(store_unsampled(store, "id", 2, 1, &got));
    cr_expect_eq(memcmp(&got, &context, sizeof got), 0);
    cr_expect_eq(attach(store, "id", client, 2, &got), STORE_UNSAMPLED);
    span_destroy(client);
    cr_assert_eq(take(store, "id", &request), STORE_OK);
    cr_expect_null(request.server);
    cr_expect_null(request.client);
    cr_expect_eq(store_count(store), 0);
    cr_expect_not(store_unsampled(store, "id", 2, 1, &got));
    store_destroy(store);
}

Test(store, a_request_with_spans_is_not_an_unsampled_one, .timeout = 10)
{
    struct store *store = new_store(10);
    struct trace_context got;

    cr_assert_eq(open_with(store, "bare", 4, NULL, 1, 1), STORE_OK);
    open_ok(store, "full", 1, 1);
    cr_expect_not(store_unsampled(store, "full", 4, 1, &got));
    cr_expect(store_unsampled(store, "bare", 4, 1, &got));
    store_destroy(store); /* frees both */
}

Test(store, unsampled_requests_expire_and_need_no_room, .timeout = 10)
{
    struct store *store = new_store(10);
    struct store_request request;

    cr_assert_eq(open_with(store, "id", 2, NULL, 1, 1), STORE_OK);
    cr_expect_eq(store_next_expiry(store), 1 + TTL);
    cr_expect_not(store_expire(store, TTL, &request));
    cr_assert(store_expire(store, 1 + TTL, &request));
    cr_expect_null(request.server);
    cr_expect_eq(store_count(store), 0);
    store_destroy(store);
}

/* ---- bytes -------------------------------------------------------------------------------- */

/* 3.2, A6 */
Test(store, is_bounded_in_bytes_of_its_spans, .timeout = 20)
{
    enum { BYTES = 100000 };
    const struct store_conf conf = {.max = 1000, .bytes_max = BYTES, .ttl_ns = TTL};
    struct store *store = store_create(&conf);
    struct store_request request;
    struct trace_context answer;
    struct span *span, *client;
    static char value[4096];
    char key[16];
    int n;

    memset(value, 'v', sizeof value);
    for (n = 0; n < 1000; n++) {
        span = server_span(1);
        for (int i = 0; i < 4; i++)
            span_set_str(span, (char[]){'a', (char)('a' + i)}, 2, value, sizeof value);
        (void)snprintf(key, sizeof key, "%d", n);
        if (open_with(store, key, strlen(key), span, 1, 1) == STORE_FULL)
            break;
        cr_assert_leq(store_bytes(store), BYTES);
    }
    cr_expect(n >= 4 && n <= 6, "of 16 kB each: %d", n);
    span_destroy(span);
    client = client_span(1);
    for (int i = 0; i < 24; i++)
        span_set_str(client, (char[]){'a', (char)('a' + i)}, 2, value, sizeof value);
    cr_expect_eq(attach(store, "0", client, 1, &answer), STORE_FULL);
    span_destroy(client);
    cr_expect_eq(attach(store, "0", client_span(1), 1, &answer), STORE_OK);
    for (int i = 0; i < n; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        cr_assert_eq(take(store, key, &request), STORE_OK);
        free_request(&request);
    }
    cr_expect_eq(store_bytes(store), 0);
    store_destroy(store);
}

/* 3.2, 7.1: the backend's message has come, so that a response has nothing to wait for. */
Test(store, a_response_does_not_wait_for_a_client_span_that_was_refused, .timeout = 10)
{
    const struct store_conf conf = {
        .max = 10, .bytes_max = 10000, .ttl_ns = TTL, .reorder_ns = 1 * S, .kept_max = 10};
    struct store *store = store_create(&conf);
    struct span *client = client_span(1);
    struct store_request request;
    struct trace_context answer;
    static char value[4096];

    memset(value, 'v', sizeof value);
    for (int i = 0; i < 4; i++)
        span_set_str(client, (char[]){'a', (char)('a' + i)}, 2, value, sizeof value);
    open_ok(store, "a", 1, 1);
    cr_assert_eq(attach(store, "a", client, 1, &answer), STORE_FULL);
    span_destroy(client);
    cr_assert_eq(store_take(store, "a", 1, true, &request), STORE_OK);
    cr_expect_null(request.client);
    free_request(&request);
    store_destroy(store);
}

/* ---- after the eviction --------------------------------------------------------------------- */

static struct store *remembering(size_t late_max)
{
    const struct store_conf conf = {
        .max = 10000, .ttl_ns = TTL, .late_ns = 600 * S, .late_max = late_max};

    return store_create(&conf);
}

static void evict_all(struct store *store, int64_t now)
{
    struct store_request request;

    while (store_expire(store, now, &request))
        free_request(&request);
}

/* 6.1 */
Test(store, remembers_what_was_evicted, .timeout = 10)
{
    struct store *store = remembering(10);
    struct span *client = client_span(1);
    struct store_request request;
    struct trace_context answer;

    open_ok(store, "a", 1 * S, 1000);
    open_ok(store, "b", 1 * S, 1000);
    evict_all(store, 31 * S);
    cr_expect_eq(store_count(store), 0);
    cr_expect_eq(store_bytes(store), 0);
    cr_expect_eq(store_remembered(store), 2);
    cr_expect_eq(attach(store, "a", client, 32 * S, &answer), STORE_LATE);
    span_destroy(client);
    cr_assert_eq(take(store, "a", &request), STORE_LATE);
    cr_expect_eq(memcmp(&request.context, &context, sizeof context), 0);
    cr_expect_null(request.server);
    cr_expect_eq(store_unix_ns(&request, request.evicted_mono_ns), 1000 + 30 * S);
    cr_expect_eq(take(store, "a", &request), STORE_UNKNOWN, "once");
    open_ok(store, "b", 40 * S, 1); /* the id is free */
    cr_expect_eq(store_remembered(store), 0);
    cr_assert_eq(take(store, "b", &request), STORE_OK);
    free_request(&request);
    store_destroy(store);
}

/* 6.1 */
Test(store, forgets_after_ten_minutes, .timeout = 10)
{
    struct store *store = remembering(10);
    struct store_request request;

    open_ok(store, "a", 1 * S, 1000);
    evict_all(store, 31 * S);
    cr_expect_eq(store_next_expiry(store), 631 * S);
    evict_all(store, 631 * S - 1);
    cr_expect_eq(store_remembered(store), 1);
    evict_all(store, 631 * S);
    cr_expect_eq(store_remembered(store), 0);
    cr_expect_eq(take(store, "a", &request), STORE_UNKNOWN);
    store_destroy(store);
}

/* 6.1: bounded; the oldest of a shard go first */
Test(store, remembers_no_more_than_it_may, .timeout = 20)
{
    enum { N = 4000, MAX = 1000 };
    struct store *store = remembering(MAX);
    struct store_request request;
    char key[16];
    size_t known = 0, forgotten = 0;

    for (int i = 0; i < N; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        open_ok(store, key, 1, 1);
    }
    while (store_expire(store, 100 * S, &request)) {
        forgotten += request.forgot;
        free_request(&request);
    }
    cr_expect_leq(store_remembered(store), MAX);
    cr_expect_geq(store_remembered(store), MAX / 2);
    cr_expect_eq(forgotten, N - store_remembered(store));
    for (int i = 0; i < N; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        known += take(store, key, &request) == STORE_LATE;
    }
    cr_expect_leq(known, MAX);
    cr_expect_eq(store_remembered(store), 0);
    store_destroy(store);
}

/* ---- hold ------------------------------------------------------------------------------------ */

/* 6.1: of a request, and of all that have a backend message */
Test(store, holds_a_request_as_long_as_it_is_told, .timeout = 10)
{
    struct store *store = new_store(10);
    const struct store_opening opening = {
        .server = server_span(1), .mono_ns = 0, .unix_ns = 1, .hold_ns = 100 * S};
    struct store_attached attached;
    struct store_request request;

    cr_assert_eq(store_open(store, "hold", 4, &opening, NULL), STORE_OK);
    open_ok(store, "client", 0, 1);
    cr_assert_eq(store_attach(store, "client", 6, client_span(1), 1, 60 * S, &attached), STORE_OK);
    open_ok(store, "none", 0, 1);
    cr_assert(store_expire(store, 30 * S, &request));
    cr_expect_null(request.client);
    free_request(&request);
    cr_expect_not(store_expire(store, 30 * S, &request), "and all shards are seen");
    cr_expect_not(store_expire(store, 59 * S, &request));
    cr_assert(store_expire(store, 60 * S, &request));
    cr_expect_not_null(request.client);
    free_request(&request);
    cr_expect_not(store_expire(store, 60 * S, &request));
    cr_expect_not(store_expire(store, 100 * S - 1, &request));
    cr_assert(store_expire(store, 100 * S + TTL, &request), "within another TTL");
    free_request(&request);
    store_destroy(store);
}

/* ---- messages before their request ------------------------------------------------------------
 */

static struct kept *message(uint32_t index, int64_t mono)
{
    const struct spoe_message msg = {.size = sizeof msg, .index = index, .recv_mono_ns = mono};
    struct kept *kept = kept_copy(&msg);

    cr_assert_not_null(kept);
    return kept;
}

static struct store *keeping(size_t kept_max)
{
    const struct store_conf conf = {
        .max = 10, .ttl_ns = TTL, .reorder_ns = 1 * S, .kept_max = kept_max};

    return store_create(&conf);
}

static enum store_result keep(struct store *store, const char *key, uint32_t index, int64_t now)
{
    struct kept *kept = message(index, now);
    const enum store_result result = store_keep(store, key, strlen(key), kept, now);

    if (result != STORE_OK)
        kept_free(kept);
    return result;
}

/* 7.1 */
Test(store, keeps_messages_for_their_request, .timeout = 10)
{
    struct store *store = keeping(3);
    const struct store_opening opening = {
        .server = server_span(0), .mono_ns = 100, .unix_ns = 5000};
    struct store_request request;
    struct kept *kept;

    cr_expect_eq(keep(store, "a", 2, 70), STORE_OK);
    cr_expect_eq(keep(store, "a", 1, 80), STORE_OK);
    cr_expect_eq(keep(store, "a", 1, 90), STORE_DUPLICATE);
    cr_expect_eq(keep(store, "b", 1, 90), STORE_OK);
    cr_expect_eq(keep(store, "c", 1, 90), STORE_FULL);
    cr_expect_eq(store_kept(store), 3);
    cr_expect_eq(store_count(store), 0, "no request is open");
    cr_expect_eq(take(store, "a", &request), STORE_UNKNOWN);
    cr_assert_eq(store_open(store, "a", 1, &opening, &kept), STORE_OK);
    cr_assert_not_null(kept_find(kept, 1));
    cr_assert_not_null(kept_find(kept, 2));
    kept_free(kept);
    cr_expect_eq(store_kept(store), 1);
    cr_assert_eq(take(store, "a", &request), STORE_OK);
    cr_expect_eq(request.server->start_unix_ns, 4970, "it was there before the first of them");
    free_request(&request);
    kept = store_take_kept(store, "b", 1);
    cr_expect_not_null(kept);
    kept_free(kept);
    cr_expect_null(store_take_kept(store, "b", 1));
    cr_expect_eq(store_kept(store), 0);
    store_destroy(store);
}

/* 7.1 */
Test(store, gives_up_a_request_that_does_not_come, .timeout = 10)
{
    struct store *store = keeping(10);
    struct store_request request;

    cr_expect_eq(keep(store, "a", 1, 1 * S), STORE_OK);
    cr_expect_eq(store_next_expiry(store), 2 * S);
    cr_expect_not(store_expire(store, 2 * S - 1, &request));
    cr_assert(store_expire(store, 2 * S, &request));
    cr_expect(request.never_opened);
    cr_expect_not_null(request.kept);
    kept_free(request.kept);
    cr_expect_eq(store_kept(store), 0);
    cr_expect_eq(keep(store, "b", 1, 1 * S), STORE_OK);
    store_destroy(store); /* frees it */
}

/* 7.1: a response before the backend's message */
Test(store, a_response_waits_for_the_client_span, .timeout = 10)
{
    struct store *store = keeping(10);
    struct store_attached attached;
    struct store_request request;

    open_ok(store, "a", 1 * S, 1);
    cr_expect_eq(store_take(store, "a", 1, true, &request), STORE_WAIT);
    cr_expect_eq(keep(store, "a", 2, 2 * S), STORE_OK);
    cr_expect_eq(store_count(store), 1);
    cr_assert_eq(store_attach(store, "a", 1, client_span(1), 2 * S, 0, &attached), STORE_OK);
    cr_expect(attached.response_waits);
    cr_assert_eq(store_take(store, "a", 1, true, &request), STORE_OK);
    cr_expect_not_null(kept_find(request.kept, 2));
    kept_free(request.kept);
    free_request(&request);

    open_ok(store, "b", 1 * S, 1);
    cr_expect_eq(keep(store, "b", 2, 2 * S), STORE_OK);
    cr_assert(store_expire(store, 3 * S, &request), "not after the TTL only");
    cr_expect_not(request.never_opened);
    cr_expect_not_null(request.server);
    cr_expect_not_null(request.kept);
    kept_free(request.kept);
    free_request(&request);
    open_ok(store, "c", 1 * S, 1);
    cr_assert_eq(store_attach(store, "c", 1, client_span(1), 2 * S, 0, &attached), STORE_OK);
    cr_expect_eq(keep(store, "c", 2, 2 * S), STORE_AGAIN, "it is there");
    cr_expect_eq(store_count(store), 1);
    /* A backend's message whose request was opened between two looks waits for nothing. */
    open_ok(store, "d", 1 * S, 1);
    cr_expect_eq(keep(store, "d", MESSAGE_BACKEND, 2 * S), STORE_AGAIN);
    cr_expect_not(store_expire(store, 4 * S, &request), "its request is not ended early");
    cr_expect_eq(store_kept(store), 0);
    store_destroy(store);
}

/* 7.1 */
static void add_text(void *arg, struct span *server, struct span *client)
{
    static const char text[4000];
    unsigned *calls = arg;

    ++*calls;
    span_set_str(server, "a", 1, text, sizeof text);
    if (client != NULL)
        span_set_str(client, "b", 1, text, sizeof text);
}

/* 2.3: a response tells what it knows, and the request stays until its line comes. */
Test(store, a_line_alone_ends_a_request_that_is_a_lines, .timeout = 10)
{
    struct store *store = remembering(10);
    struct store_opening opening = {
        .server = server_span(100), .mono_ns = 1, .unix_ns = 100, .logged = true};
    struct store_request request;
    struct trace_context ignored;
    unsigned calls = 0;
    size_t bytes;

    cr_expect_eq(STORE_UNKNOWN, store_update(store, "id", 2, 2, add_text, &calls));
    cr_assert_eq(store_open(store, "id", 2, &opening, NULL), STORE_OK);
    cr_assert_eq(attach(store, "id", client_span(150), 51, &ignored), STORE_OK);
    bytes = store_bytes(store);
    cr_expect_eq(take(store, "id", &request), STORE_LOGGED);
    cr_expect_eq(STORE_OK, store_update(store, "id", 2, 60, add_text, &calls));
    cr_expect_eq(calls, 1);
    cr_expect_geq(store_bytes(store), bytes + 8000, "what it adds counts");
    cr_assert_eq(store_take_by_line(store, "id", 2, true, NULL, &request), STORE_OK);
    cr_expect(request.logged && request.answered);
    cr_expect_eq(request.last_mono_ns, 60);
    cr_expect_eq(store_bytes(store), 0);
    free_request(&request);

    opening.server = server_span(100);
    cr_assert_eq(store_open(store, "id", 2, &opening, NULL), STORE_OK);
    evict_all(store, 1 + TTL);
    cr_expect_eq(take(store, "id", &request), STORE_LOGGED, "nor is it late for a response");
    cr_expect_eq(STORE_UNKNOWN, store_update(store, "id", 2, 60, add_text, &calls));
    cr_expect_eq(store_take_by_line(store, "id", 2, true, NULL, &request), STORE_LATE);
    cr_expect(request.logged);

    opening.server = NULL; /* nobody keeps spans: there is nothing that a late line could add to */
    opening.context = &context;
    cr_assert_eq(store_open(store, "id", 2, &opening, NULL), STORE_OK);
    cr_expect_eq(take(store, "id", &request), STORE_LOGGED);
    cr_expect_eq(STORE_OK, store_update(store, "id", 2, 60, add_text, &calls));
    cr_expect_eq(calls, 1);
    evict_all(store, 1 + TTL);
    cr_expect_eq(store_take_by_line(store, "id", 2, true, NULL, &request), STORE_UNKNOWN);
    cr_expect_eq(store_count(store) + store_bytes(store), 0);
    cr_expect_eq(STORE_UNKNOWN, store_update(store, "", 0, 1, add_text, &calls));
    store_destroy(store);
}

/* 2.3: what responses add is bounded as what is open, but for one that is the first too many. */
Test(store, responses_do_not_grow_without_bound, .timeout = 10)
{
    enum { REQUESTS = 20, BYTES = 40000 };
    const struct store_conf conf = {.max = 100, .bytes_max = BYTES, .ttl_ns = TTL};
    struct store *store = store_create(&conf);
    struct store_opening opening = {.mono_ns = 1, .unix_ns = 100, .logged = true};
    struct store_request request;
    unsigned calls = 0, refused = 0;
    char key[16];

    for (int i = 0; i < REQUESTS; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        opening.server = server_span(100);
        cr_assert_eq(store_open(store, key, strlen(key), &opening, NULL), STORE_OK);
    }
    for (int i = 0; i < REQUESTS; i++) {
        enum store_result result;

        (void)snprintf(key, sizeof key, "%d", i);
        result = store_update(store, key, strlen(key), 60, add_text, &calls);
        cr_assert(result == STORE_OK || result == STORE_FULL);
        refused += result == STORE_FULL;
    }
    cr_expect_eq(calls + refused, REQUESTS);
    cr_expect(refused > 0 && calls > 0, "%u of them", calls);
    cr_expect_leq(store_bytes(store), BYTES + 10000, "and what one response adds");
    for (int i = 0; i < REQUESTS; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        cr_assert_eq(store_take_by_line(store, key, strlen(key), false, NULL, &request), STORE_OK);
        cr_expect(request.answered && request.last_mono_ns == 60, "it did come");
        free_request(&request);
    }
    cr_expect_eq(store_bytes(store), 0);
    store_destroy(store);
}

Test(kept, is_a_copy_of_all, .timeout = 10)
{
    char text[] = "value", name[] = "name";
    struct spoe_value slot[2] = {{.type = SPOE_T_STR, .u.s = {text, 5}},
                                 {.type = SPOE_T_INT64, .u.i64 = 7}};
    struct spoe_arg args[2] = {{{name, 4}, {.type = SPOE_T_BIN, .u.s = {text, 3}}},
                               {{name, 2}, {.type = SPOE_T_NULL}}};
    const struct spoe_message msg = {
        .size = sizeof msg + 8, .n_slots = 2, .slot = slot, .n_args = 2, .args = args};
    struct kept *kept = kept_copy(&msg);

    cr_assert_not_null(kept);
    cr_expect_eq(kept->msg.size, sizeof msg, "of a newer host's, what is known here");
    memset(text, 'x', sizeof text);
    memset(name, 'x', sizeof name);
    memset(slot, 0, sizeof slot);
    memset(args, 0, sizeof args);
    cr_expect_arr_eq(kept->msg.slot[0].u.s.p, "value", 5);
    cr_expect_eq(kept->msg.slot[1].u.i64, 7);
    cr_expect_arr_eq(kept->msg.args[0].name.p, "name", 4);
    cr_expect_arr_eq(kept->msg.args[0].value.u.s.p, "val", 3);
    cr_expect_eq(kept->msg.args[1].name.n, 2);
    kept_free(kept);
    kept_free(NULL);
}
