/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_store.c - open requests: life, TTL, cap. Time is handed in. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "input/siphash.h"
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

static void open_ok(struct store *store, const char *key, int64_t mono, int64_t unix_ns)
{
    cr_assert_eq(store_open(store, key, strlen(key), server_span(unix_ns), mono, unix_ns),
                 STORE_OK);
}

static enum store_result take(struct store *store, const char *key, struct store_request *ret)
{
    return store_take(store, key, strlen(key), ret);
}

static void free_request(struct store_request *request)
{
    span_destroy(request->server);
    span_destroy(request->client);
}

Test(store, gives_back_what_it_was_given, .timeout = 10)
{
    struct store *store = store_create(10, TTL);
    struct span *server = server_span(100), *client = client_span(150);
    struct store_request request;
    struct trace_context answer;

    cr_assert_eq(store_open(store, "id", 2, server, 1, 100), STORE_OK);
    cr_assert_eq(store_count(store), 1);
    cr_assert_eq(store_attach(store, "id", 2, client, 150, &answer), STORE_OK);
    cr_assert_eq(take(store, "id", &request), STORE_OK);
    cr_expect_eq(request.server, server);
    cr_expect_eq(request.client, client);
    cr_expect_eq(request.last_unix_ns, 150);
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
    struct store *store = store_create(10, TTL);
    struct span *first = server_span(1), *second = server_span(2);
    struct span *client = client_span(3), *other = client_span(4);
    struct store_request request;
    struct trace_context answer;

    cr_assert_eq(store_open(store, "id", 2, first, 1, 1), STORE_OK);
    cr_assert_eq(store_open(store, "id", 2, second, 2, 2), STORE_DUPLICATE);
    cr_assert_eq(store_attach(store, "id", 2, client, 3, &answer), STORE_OK);
    cr_assert_eq(store_attach(store, "id", 2, other, 4, &answer), STORE_DUPLICATE);
    cr_assert_eq(take(store, "id", &request), STORE_OK);
    cr_expect_eq(request.server, first);
    cr_expect_eq(request.client, client);
    cr_expect_eq(request.last_unix_ns, 3, "the duplicates are no messages of this request");
    span_destroy(second);
    span_destroy(other);
    free_request(&request);
    store_destroy(store);
}

Test(store, knows_only_what_is_open, .timeout = 10)
{
    struct store *store = store_create(10, TTL);
    struct span *client = client_span(1);
    struct store_request request;
    struct trace_context answer;

    open_ok(store, "id", 1, 1);
    cr_expect_eq(store_attach(store, "i", 1, client, 1, &answer), STORE_UNKNOWN);
    cr_expect_eq(store_attach(store, "id\0", 3, client, 1, &answer), STORE_UNKNOWN);
    cr_expect_eq(take(store, "ID", &request), STORE_UNKNOWN);
    cr_expect_eq(store_take(store, "", 0, &request), STORE_KEY);
    span_destroy(client);
    store_destroy(store); /* frees what is open */
}

Test(store, limits_keys, .timeout = 10)
{
    struct store *store = store_create(10, TTL);
    struct span *span = server_span(1), *client = client_span(1);
    char key[STORE_KEY_MAX + 1];
    struct store_request request;
    struct trace_context answer;

    memset(key, 'k', sizeof key);
    cr_expect_eq(store_open(store, key, 0, span, 1, 1), STORE_KEY);
    cr_expect_eq(store_open(store, key, STORE_KEY_MAX + 1, span, 1, 1), STORE_KEY);
    cr_expect_eq(store_attach(store, key, STORE_KEY_MAX + 1, client, 1, &answer), STORE_KEY);
    cr_expect_eq(store_take(store, key, STORE_KEY_MAX + 1, &request), STORE_KEY);
    cr_expect_eq(store_open(store, key, STORE_KEY_MAX, span, 1, 1), STORE_OK);
    cr_expect_eq(store_take(store, key, STORE_KEY_MAX, &request), STORE_OK);
    span_destroy(client);
    free_request(&request);
    store_destroy(store);
}

Test(store, keeps_keys_with_any_bytes_apart, .timeout = 10)
{
    struct store *store = store_create(1000, TTL);
    struct store_request request;
    char key[2];

    for (int i = 0; i < 256; i++) {
        key[0] = (char)i;
        key[1] = '\0';
        cr_assert_eq(store_open(store, key, 1, server_span(i), 1, i), STORE_OK);
        cr_assert_eq(store_open(store, key, 2, server_span(i), 1, i + 1000), STORE_OK);
    }
    for (int i = 0; i < 256; i++) {
        key[0] = (char)i;
        key[1] = '\0';
        cr_assert_eq(store_take(store, key, 1, &request), STORE_OK);
        cr_expect_eq(request.last_unix_ns, i);
        free_request(&request);
    }
    cr_expect_eq(store_count(store), 256);
    store_destroy(store);
}

Test(store, clamps_a_client_that_began_before_its_server, .timeout = 10)
{
    struct store *store = store_create(10, TTL);
    struct span *client = client_span(50);
    struct store_request request;
    struct trace_context answer;

    open_ok(store, "id", 1, 100);
    cr_assert_eq(store_attach(store, "id", 2, client, 50, &answer), STORE_OK);
    cr_expect_eq(client->start_unix_ns, 100);
    cr_assert_eq(take(store, "id", &request), STORE_OK);
    cr_expect_eq(request.last_unix_ns, 100);
    free_request(&request);
    store_destroy(store);
}

Test(store, refuses_the_newest_over_the_cap, .timeout = 10)
{
    struct store *store = store_create(2, TTL);
    struct span *span = server_span(3);
    struct store_request request;

    open_ok(store, "a", 1, 1);
    open_ok(store, "b", 2, 2);
    cr_expect_eq(store_open(store, "c", 1, span, 3, 3), STORE_FULL);
    cr_expect_eq(store_open(store, "a", 1, span, 3, 3), STORE_DUPLICATE);
    cr_expect_eq(store_count(store), 2);
    cr_assert_eq(take(store, "a", &request), STORE_OK);
    free_request(&request);
    cr_expect_eq(store_open(store, "c", 1, span, 3, 3), STORE_OK, "a place is free again");
    store_destroy(store);
}

Test(store, expires_at_the_ttl_and_not_before, .timeout = 10)
{
    struct store *store = store_create(10, TTL);
    struct store_request request;
    bool left;

    cr_expect_eq(store_next_expiry(store), INT64_MAX);
    open_ok(store, "a", 10 * S, 1);
    open_ok(store, "b", 11 * S, 2);
    cr_expect_eq(store_next_expiry(store), 40 * S);
    cr_expect_not(store_expire(store, 40 * S - 1, 100, &request, &left));
    cr_expect_not(left);
    cr_assert(store_expire(store, 40 * S, 100, &request, &left));
    cr_expect_eq(request.last_unix_ns, 1);
    cr_expect_null(request.client);
    free_request(&request);
    cr_expect_not(store_expire(store, 40 * S, 100, &request, &left));
    cr_expect_eq(store_next_expiry(store), 41 * S);
    cr_assert(store_expire(store, 100 * S, 100, &request, &left));
    cr_expect_eq(request.last_unix_ns, 2);
    free_request(&request);
    cr_expect_eq(store_count(store), 0);
    store_destroy(store);
}

Test(store, expires_all_when_asked_for, .timeout = 10)
{
    struct store *store = store_create(100, TTL);
    struct store_request request;
    char key[16];
    bool left;
    int n = 0;

    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        open_ok(store, key, i, i);
    }
    while (store_expire(store, INT64_MAX, 2, &request, &left)) {
        free_request(&request);
        n++;
    }
    cr_expect_eq(n, 100);
    cr_expect_not(left);
    store_destroy(store);
}

Test(store, leaves_a_request_that_has_no_room, .timeout = 10)
{
    struct store *store = store_create(10, TTL);
    struct store_request request;
    struct trace_context answer;
    bool left;

    open_ok(store, "two", 1, 1);
    cr_assert_eq(store_attach(store, "two", 3, client_span(2), 2, &answer), STORE_OK);
    cr_expect_not(store_expire(store, INT64_MAX, 0, &request, &left));
    cr_expect(left);
    cr_expect_not(store_expire(store, INT64_MAX, 1, &request, &left));
    cr_expect(left);
    cr_assert(store_expire(store, INT64_MAX, 2, &request, &left));
    cr_expect_not_null(request.client);
    free_request(&request);
    store_destroy(store);
}

/* A shard's list and table under a mix of opens, takes from anywhere, and expiry. */
Test(store, stays_right_through_a_long_mix, .timeout = 60)
{
    enum { N = 20000 };
    struct store *store = store_create(N, TTL);
    struct store_request request;
    char key[32];
    bool left;
    size_t open = 0, expired = 0, wanted = 0;

    for (int i = 0; i < N; i++) {
        (void)snprintf(key, sizeof key, "request-%d", i);
        open_ok(store, key, i * 10, i);
        open++;
        if (i % 3 == 2) { /* not the oldest, not the newest */
            (void)snprintf(key, sizeof key, "request-%d", i - 1);
            cr_assert_eq(take(store, key, &request), STORE_OK);
            cr_assert_eq(request.last_unix_ns, i - 1);
            free_request(&request);
            open--;
        }
    }
    cr_expect_eq(store_count(store), open);
    while (store_expire(store, TTL + N / 2 * 10, 2, &request, &left)) {
        cr_assert_leq(request.last_unix_ns, N / 2);
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
    struct store *store = store_create(10, TTL);
    struct trace_context got = {.flags = 0x55};
    struct span *client = client_span(2);
    struct store_request request;

    cr_expect_not(store_unsampled(store, "id", 2, &got));
    cr_assert_eq(store_open_unsampled(store, "id", 2, &context, 1, 1), STORE_OK);
    cr_expect_eq(store_count(store), 1);
    cr_expect_eq(store_open_unsampled(store, "id", 2, &context, 1, 1), STORE_DUPLICATE);
    cr_expect_not(store_unsampled(store, "other", 5, &got));
    cr_expect_not(store_unsampled(store, "", 0, &got));
    cr_expect_eq(got.flags, 0x55);
    cr_assert(store_unsampled(store, "id", 2, &got));
    cr_expect_eq(memcmp(&got, &context, sizeof got), 0);
    cr_expect_eq(store_attach(store, "id", 2, client, 2, &got), STORE_UNSAMPLED);
    span_destroy(client);
    cr_assert_eq(take(store, "id", &request), STORE_OK);
    cr_expect_null(request.server);
    cr_expect_null(request.client);
    cr_expect_eq(store_count(store), 0);
    cr_expect_not(store_unsampled(store, "id", 2, &got));
    store_destroy(store);
}

Test(store, a_request_with_spans_is_not_an_unsampled_one, .timeout = 10)
{
    struct store *store = store_create(10, TTL);
    struct trace_context got;

    cr_assert_eq(store_open_unsampled(store, "bare", 4, &context, 1, 1), STORE_OK);
    open_ok(store, "full", 1, 1);
    cr_expect_not(store_unsampled(store, "full", 4, &got));
    cr_expect(store_unsampled(store, "bare", 4, &got));
    store_destroy(store); /* frees both */
}

Test(store, unsampled_requests_expire_and_need_no_room, .timeout = 10)
{
    struct store *store = store_create(10, TTL);
    struct store_request request;
    bool left;

    cr_assert_eq(store_open_unsampled(store, "id", 2, &context, 1, 1), STORE_OK);
    cr_expect_eq(store_next_expiry(store), 1 + TTL);
    cr_expect_not(store_expire(store, TTL, 0, &request, &left));
    cr_assert(store_expire(store, 1 + TTL, 0, &request, &left));
    cr_expect_null(request.server);
    cr_expect_eq(store_count(store), 0);
    store_destroy(store);
}
