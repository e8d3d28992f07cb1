/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/race/race_store.c - four threads open, attach, update, take and expire the same few
 * requests, for ThreadSanitizer to watch. In the end every span that was opened has left exactly
 * once.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "context/ids.h"
#include "input/store.h"

enum { THREADS = 4, ROUNDS = 100000, KEYS = 500, CAP = 400 };

static struct store *store;
static _Atomic int64_t now_ns = 1;
static _Atomic size_t kept_in, opened, attached, servers_out, clients_out, refused;
static pthread_mutex_t expire_lock = PTHREAD_MUTEX_INITIALIZER; /* store_expire(): one at a time */

static void give_back(struct store_request *request)
{
    kept_free(request->kept);
    if (request->never_opened)
        return;
    assert(request->server != NULL && request->server->kind == SPAN_SERVER);
    atomic_fetch_add(&servers_out, 1);
    if (request->client != NULL) {
        assert(request->client->start_unix_ns >= request->server->start_unix_ns);
        atomic_fetch_add(&clients_out, 1);
    }
    span_destroy(request->server);
    span_destroy(request->client);
}

static void begin(struct id_source *ids, const char *key, size_t n, int64_t now, bool logged)
{
    struct trace_context context = {.flags = 1};
    struct kept *kept;
    struct span *span;
    enum store_result result;

    id_trace(ids, context.trace_id);
    id_span(ids, context.span_id);
    span = span_create(SPAN_SERVER, &context, NULL, false, now, "GET", 3);
    assert(span != NULL);
    span_set_str(span, "url.path", 8, key, n);
    result = store_open(
        store, key, n,
        &(struct store_opening){.server = span, .mono_ns = now, .unix_ns = now, .logged = logged},
        &kept);
    kept_free(kept);
    if (result == STORE_OK) {
        atomic_fetch_add(&opened, 1);
        return;
    }
    assert(result == STORE_DUPLICATE || result == STORE_FULL);
    atomic_fetch_add(&refused, 1);
    span_destroy(span);
}

static void attach(struct id_source *ids, const char *key, size_t n, int64_t now)
{
    struct trace_context context = {.flags = 0};
    struct store_attached ret;
    struct span *span;

    id_span(ids, context.span_id);
    span = span_create(SPAN_CLIENT, &context, NULL, false, now, "GET", 3);
    assert(span != NULL);
    if (store_attach(store, key, n, span, now, 0, &ret) == STORE_OK)
        atomic_fetch_add(&attached, 1);
    else
        span_destroy(span);
}

/* A response before its request, or before the backend's message. */
static void keep(const char *key, size_t n, int64_t now)
{
    const struct spoe_message msg = {.size = sizeof msg, .index = 2, .recv_mono_ns = now};
    struct kept *kept = kept_copy(&msg);

    assert(kept != NULL);
    if (store_keep(store, key, n, kept, now) == STORE_OK)
        atomic_fetch_add(&kept_in, 1);
    else
        kept_free(kept);
}

static void update(void *arg, struct span *server, struct span *client)
{
    (void)arg;
    span_set_int(server, "http.response.status_code", 25, 200);
    if (client != NULL)
        span_set_int(client, "http.response.status_code", 25, 200);
}

/* A response or a line; of a request that is a line's the response only tells what it knows. */
static void end(const char *key, size_t n, int64_t now, const uint8_t *random)
{
    struct store_request request;
    const bool wait = random[0] % 2 == 0;
    const enum store_result result = random[2] % 2 == 0
                                         ? store_take(store, key, n, wait, &request)
                                         : store_take_by_line(store, key, n, wait, NULL, &request);

    if (result == STORE_OK)
        give_back(&request);
    else if (result == STORE_LOGGED)
        (void)store_update(store, key, n, now, update, NULL);
    else if (random[1] % 2 == 0)
        keep(key, n, now);
}

static void expire(int64_t now, size_t max)
{
    struct store_request request;

    if (pthread_mutex_trylock(&expire_lock) != 0)
        return;
    while (max-- > 0 && store_expire(store, now, &request))
        give_back(&request);
    (void)store_next_expiry(store);
    (void)pthread_mutex_unlock(&expire_lock);
}

static void *run(void *arg)
{
    struct id_source ids;
    uint8_t random[8];
    char key[16];

    (void)arg;
    if (id_source_init(&ids) != 0)
        abort();
    for (int i = 0; i < ROUNDS; i++) {
        const int64_t now = atomic_fetch_add(&now_ns, 1);
        size_t n;

        id_span(&ids, random);
        n = (size_t)snprintf(key, sizeof key, "k%d", (random[0] << 8 | random[1]) % KEYS);
        switch (random[2] % 8) {
        case 0:
        case 1:
        case 2:
            begin(&ids, key, n, now, random[3] % 3 == 0);
            break;
        case 3:
        case 4:
            attach(&ids, key, n, now);
            break;
        case 5:
        case 6:
            end(key, n, now, random + 3);
            break;
        default:
            if (random[3] % 16 == 0)
                expire(now, 8);
            assert(store_count(store) <= CAP + THREADS);
            break;
        }
    }
    id_source_fini(&ids);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    store = store_create(&(struct store_conf){.max = CAP,
                                              .bytes_max = (size_t)CAP * 1000,
                                              .ttl_ns = 2000,
                                              .reorder_ns = 500,
                                              .kept_max = 50,
                                              .late_ns = 4000,
                                              .late_max = 40,
                                              .late_bytes_max = 6000});
    if (store == NULL)
        return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        if (pthread_join(threads[i], NULL) != 0)
            abort();
    expire(INT64_MAX, SIZE_MAX);
    (void)printf("opened %zu, attached %zu, refused %zu\n", opened, attached, refused);
    if (store_count(store) != 0 || servers_out != opened || clients_out != attached ||
        store_bytes(store) != 0 || store_kept(store) != 0 || opened == 0 || attached == 0 ||
        refused == 0 || kept_in == 0) {
        (void)fprintf(stderr, "left %zu, SERVER spans out %zu, CLIENT spans out %zu\n",
                      store_count(store), servers_out, clients_out);
        return 1;
    }
    store_destroy(store);
    return 0;
}
