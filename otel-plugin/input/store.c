/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/store.c - a sharded hash table with a list by age in each shard. */
#include "input/store.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "input/siphash.h"

#define SHARD_BITS 6
#define N_SHARDS (1u << SHARD_BITS)
#define BUCKETS_MIN 16u
/* Buckets for each entry at least: with many open requests a chain is cold memory. */
#define BUCKETS_PER_ENTRY 2u

struct entry {
    struct entry *chain;         /* of the bucket */
    struct entry *older, *newer; /* of the shard's list */
    struct span *server, *client;
    int64_t opened_mono_ns;
    int64_t last_unix_ns;
    uint32_t hash; /* the part that picks the bucket */
    uint16_t key_len;
    char key[]; /* where server is NULL, a struct trace_context follows it, not aligned */
};

/* What workers write must not lie beside what others read: a line goes from core to core. */
#define CACHE_LINE 64u

struct shard {
    _Alignas(CACHE_LINE) pthread_mutex_t lock; /* guards the rest */
    struct entry **buckets;
    size_t n_buckets; /* a power of two */
    size_t n, n_spans;
    struct entry *oldest, *newest;
};

struct store {
    size_t max;
    int64_t ttl_ns;
    uint64_t hash_key[2];
    _Atomic size_t n_bare;                      /* open requests without spans */
    _Alignas(CACHE_LINE) _Atomic size_t n;      /* open, and about to be */
    _Alignas(CACHE_LINE) unsigned expire_shard; /* where store_expire() goes on; its own */
    struct shard shards[N_SHARDS];
};

struct store *store_create(size_t max, int64_t ttl_ns)
{
    struct store *store = aligned_alloc(CACHE_LINE, sizeof *store);

    if (store == NULL)
        return NULL;
    memset(store, 0, sizeof *store);
    store->max = max;
    store->ttl_ns = ttl_ns;
    /* At most 256 bytes from getrandom(2) come whole, and no signal interrupts them. */
    if (getrandom(store->hash_key, sizeof store->hash_key, 0) != sizeof store->hash_key) {
        free(store);
        return NULL;
    }
    for (unsigned i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &store->shards[i];

        shard->n_buckets = BUCKETS_MIN;
        shard->buckets = calloc(shard->n_buckets, sizeof(struct entry *));
        if (shard->buckets == NULL) {
            store_destroy(store);
            return NULL;
        }
        (void)pthread_mutex_init(&shard->lock, NULL); /* cannot fail without attributes */
    }
    return store;
}

void store_destroy(struct store *store)
{
    if (store == NULL)
        return;
    for (unsigned i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &store->shards[i];
        struct entry *entry = shard->oldest;

        while (entry != NULL) {
            struct entry *newer = entry->newer;

            span_destroy(entry->server);
            span_destroy(entry->client);
            free(entry);
            entry = newer;
        }
        if (shard->buckets == NULL)
            break; /* half-built: the later ones have no lock either */
        free(shard->buckets);
        (void)pthread_mutex_destroy(&shard->lock);
    }
    free(store);
}

static void lock(struct shard *shard)
{
    const int err = pthread_mutex_lock(&shard->lock);

    assert(err == 0);
    (void)err;
}

static void unlock(struct shard *shard)
{
    const int err = pthread_mutex_unlock(&shard->lock);

    assert(err == 0);
    (void)err;
}

static struct shard *pick(struct store *store, const char *key, size_t key_len, uint32_t *ret_hash)
{
    const uint64_t hash = siphash(store->hash_key, key, key_len);

    *ret_hash = (uint32_t)hash;
    return &store->shards[hash >> (64 - SHARD_BITS)];
}

static bool key_ok(size_t key_len)
{
    return key_len > 0 && key_len <= STORE_KEY_MAX;
}

/* The link that points at the entry, or at the NULL where its chain ends. */
static struct entry **find(struct shard *shard, uint32_t hash, const char *key, size_t key_len)
{
    struct entry **link = &shard->buckets[hash & (shard->n_buckets - 1)];

    while (*link != NULL && ((*link)->hash != hash || (*link)->key_len != key_len ||
                             memcmp((*link)->key, key, key_len) != 0))
        link = &(*link)->chain;
    return link;
}

/* Double the buckets. Without memory the chains grow longer instead. */
static void grow(struct shard *shard)
{
    const size_t n = shard->n_buckets * 2;
    struct entry **buckets = calloc(n, sizeof(struct entry *));

    if (buckets == NULL)
        return;
    for (struct entry *entry = shard->oldest; entry != NULL; entry = entry->newer) {
        entry->chain = buckets[entry->hash & (n - 1)];
        buckets[entry->hash & (n - 1)] = entry;
    }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->n_buckets = n;
}

/* Unhook the entry that *link points at, and hand its spans over. The caller frees it. */
static struct entry *unlink_entry(struct store *store, struct shard *shard, struct entry **link,
                                  struct store_request *ret)
{
    struct entry *entry = *link;

    *link = entry->chain;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        shard->oldest = entry->newer;
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        shard->newest = entry->older;
    shard->n--;
    shard->n_spans -= (entry->server != NULL ? 1u : 0u) + (entry->client != NULL ? 1u : 0u);
    atomic_fetch_sub_explicit(&store->n, 1, memory_order_relaxed);
    if (entry->server == NULL)
        atomic_fetch_sub_explicit(&store->n_bare, 1, memory_order_relaxed);
    *ret = (struct store_request){
        .server = entry->server, .client = entry->client, .last_unix_ns = entry->last_unix_ns};
    return entry;
}

/* @param context  where server is NULL */
static enum store_result open_entry(struct store *store, const char *key, size_t key_len,
                                    struct span *server, const struct trace_context *context,
                                    int64_t now_mono_ns, int64_t now_unix_ns)
{
    const size_t tail = server == NULL ? sizeof *context : 0;
    struct shard *shard;
    struct entry *entry, **link;
    uint32_t hash;

    if (!key_ok(key_len))
        return STORE_KEY;
    shard = pick(store, key, key_len, &hash);
    entry = malloc(sizeof *entry + key_len + tail);
    if (entry == NULL)
        return STORE_NOMEM;
    *entry = (struct entry){.server = server,
                            .opened_mono_ns = now_mono_ns,
                            .last_unix_ns = now_unix_ns,
                            .hash = hash,
                            .key_len = (uint16_t)key_len};
    memcpy(entry->key, key, key_len);
    if (tail > 0)
        memcpy(entry->key + key_len, context, tail);

    lock(shard);
    link = find(shard, hash, key, key_len);
    if (*link != NULL) {
        unlock(shard);
        free(entry);
        return STORE_DUPLICATE;
    }
    if (atomic_fetch_add_explicit(&store->n, 1, memory_order_relaxed) >= store->max) {
        atomic_fetch_sub_explicit(&store->n, 1, memory_order_relaxed);
        unlock(shard);
        free(entry);
        return STORE_FULL;
    }
    /* In front, since its next message comes long before those of what is left open. */
    link = &shard->buckets[hash & (shard->n_buckets - 1)];
    entry->chain = *link;
    *link = entry;
    entry->older = shard->newest;
    if (shard->newest != NULL)
        shard->newest->newer = entry;
    else
        shard->oldest = entry;
    shard->newest = entry;
    if (++shard->n * BUCKETS_PER_ENTRY > shard->n_buckets)
        grow(shard);
    if (server == NULL)
        atomic_fetch_add_explicit(&store->n_bare, 1, memory_order_relaxed);
    else
        shard->n_spans++;
    unlock(shard);
    return STORE_OK;
}

enum store_result store_open(struct store *store, const char *key, size_t key_len,
                             struct span *server, int64_t now_mono_ns, int64_t now_unix_ns)
{
    assert(server != NULL);
    return open_entry(store, key, key_len, server, NULL, now_mono_ns, now_unix_ns);
}

enum store_result store_open_unsampled(struct store *store, const char *key, size_t key_len,
                                       const struct trace_context *context, int64_t now_mono_ns,
                                       int64_t now_unix_ns)
{
    return open_entry(store, key, key_len, NULL, context, now_mono_ns, now_unix_ns);
}

bool store_unsampled(struct store *store, const char *key, size_t key_len,
                     struct trace_context *ret)
{
    struct shard *shard;
    struct entry *entry;
    uint32_t hash;
    bool found;

    /* A request's messages follow one another, so its own opening is seen here. */
    if (!key_ok(key_len) || atomic_load_explicit(&store->n_bare, memory_order_relaxed) == 0)
        return false;
    shard = pick(store, key, key_len, &hash);
    lock(shard);
    entry = *find(shard, hash, key, key_len);
    found = entry != NULL && entry->server == NULL;
    if (found)
        memcpy(ret, entry->key + entry->key_len, sizeof *ret);
    unlock(shard);
    return found;
}

enum store_result store_attach(struct store *store, const char *key, size_t key_len,
                               struct span *client, int64_t now_unix_ns,
                               struct trace_context *ret_context)
{
    enum store_result result = STORE_OK;
    struct shard *shard;
    struct entry *entry;
    uint32_t hash;

    if (!key_ok(key_len))
        return STORE_KEY;
    shard = pick(store, key, key_len, &hash);
    lock(shard);
    entry = *find(shard, hash, key, key_len);
    if (entry == NULL) {
        result = STORE_UNKNOWN;
    } else if (entry->server == NULL) {
        result = STORE_UNSAMPLED;
    } else if (entry->client != NULL) {
        result = STORE_DUPLICATE;
    } else {
        const struct span *server = entry->server;

        memcpy(client->context.trace_id, server->context.trace_id, sizeof client->context.trace_id);
        client->context.flags = server->context.flags;
        client->context.debug = server->context.debug;
        memcpy(client->parent_id, server->context.span_id, sizeof client->parent_id);
        client->parent_remote = false;
        span_share_trace_state(client, server);
        if (client->start_unix_ns < server->start_unix_ns)
            client->start_unix_ns = server->start_unix_ns;
        if (entry->last_unix_ns < now_unix_ns)
            entry->last_unix_ns = now_unix_ns;
        entry->client = client;
        shard->n_spans++;
        *ret_context = client->context;
    }
    unlock(shard);
    return result;
}

enum store_result store_take(struct store *store, const char *key, size_t key_len,
                             struct store_request *ret)
{
    struct shard *shard;
    struct entry *entry = NULL, **link;
    uint32_t hash;

    if (!key_ok(key_len))
        return STORE_KEY;
    shard = pick(store, key, key_len, &hash);
    lock(shard);
    link = find(shard, hash, key, key_len);
    if (*link != NULL)
        entry = unlink_entry(store, shard, link, ret);
    unlock(shard);
    if (entry == NULL)
        return STORE_UNKNOWN;
    free(entry);
    return STORE_OK;
}

static bool is_expired(const struct store *store, const struct entry *entry, int64_t now_mono_ns)
{
    return now_mono_ns == INT64_MAX || now_mono_ns - entry->opened_mono_ns >= store->ttl_ns;
}

bool store_expire(struct store *store, int64_t now_mono_ns, size_t max_spans,
                  struct store_request *ret, bool *ret_left)
{
    *ret_left = false;
    for (unsigned i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &store->shards[store->expire_shard];
        struct entry *entry;

        lock(shard);
        entry = shard->oldest;
        if (entry != NULL && is_expired(store, entry, now_mono_ns)) {
            const size_t spans =
                (entry->server != NULL ? 1u : 0u) + (entry->client != NULL ? 1u : 0u);

            if (spans <= max_spans) {
                struct entry **link = find(shard, entry->hash, entry->key, entry->key_len);

                assert(*link == entry);
                entry = unlink_entry(store, shard, link, ret);
                unlock(shard);
                free(entry);
                return true;
            }
            *ret_left = true;
        }
        unlock(shard);
        store->expire_shard = (store->expire_shard + 1) % N_SHARDS;
    }
    return false;
}

int64_t store_next_expiry(struct store *store)
{
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &store->shards[i];

        lock(shard);
        if (shard->oldest != NULL && shard->oldest->opened_mono_ns + store->ttl_ns < next)
            next = shard->oldest->opened_mono_ns + store->ttl_ns;
        unlock(shard);
    }
    return next;
}

size_t store_count(struct store *store)
{
    return atomic_load_explicit(&store->n, memory_order_relaxed);
}

size_t store_span_count(struct store *store)
{
    size_t n = 0;

    for (unsigned i = 0; i < N_SHARDS; i++) {
        lock(&store->shards[i]);
        n += store->shards[i].n_spans;
        unlock(&store->shards[i]);
    }
    return n;
}
