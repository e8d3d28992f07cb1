/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/cache.c - a table of chains, and one list from the newest to the oldest. */
#include "auth-request/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS_MIN 16u

struct entry {
    LIST_ENTRY(entry) in_bucket;
    TAILQ_ENTRY(entry) in_order; /* by use */
    uint64_t hash;
    int64_t expires_ns;
    size_t key_n;
    uint16_t status;
    bool allowed;
    uint32_t answer_n;
    uint8_t bytes[]; /* the answer's records, then the key */
};

LIST_HEAD(bucket, entry);

struct cache {
    struct bucket *buckets;
    size_t mask;
    TAILQ_HEAD(entry_order, entry) order; /* the one used last comes first */
    size_t n, bytes;
};

struct cache *cache_create(size_t entries)
{
    struct cache *cache = calloc(1, sizeof *cache);
    size_t n = BUCKETS_MIN;

    if (cache == NULL)
        return NULL;
    while (n < entries)
        n *= 2;
    cache->buckets = calloc(n, sizeof *cache->buckets);
    if (cache->buckets == NULL) {
        free(cache);
        return NULL;
    }
    cache->mask = n - 1;
    TAILQ_INIT(&cache->order);
    return cache;
}

static size_t size_of(const struct entry *entry)
{
    return sizeof *entry + entry->answer_n + entry->key_n;
}

/* Questions hold what clients prove themselves by. */
static void drop(struct cache *cache, struct entry *entry)
{
    const size_t size = size_of(entry);

    LIST_REMOVE(entry, in_bucket);
    TAILQ_REMOVE(&cache->order, entry, in_order);
    assert(cache->n > 0 && cache->bytes >= size);
    cache->n--;
    cache->bytes -= size;
    explicit_bzero(entry, size);
    free(entry);
}

void cache_destroy(struct cache *cache)
{
    struct entry *entry, *next;

    if (cache == NULL)
        return;
    for (entry = TAILQ_FIRST(&cache->order); entry != NULL; entry = next) {
        next = TAILQ_NEXT(entry, in_order);
        drop(cache, entry);
    }
    free(cache->buckets);
    free(cache);
}

static struct entry *look_up(struct cache *cache, uint64_t hash, struct spoe_span key)
{
    struct entry *entry;

    LIST_FOREACH(entry, &cache->buckets[hash & cache->mask], in_bucket)
    {
        if (entry->hash == hash && entry->key_n == key.n &&
            (key.n == 0 || memcmp(entry->bytes + entry->answer_n, key.p, key.n) == 0))
            return entry;
    }
    return NULL;
}

enum cache_result cache_find(struct cache *cache, uint64_t hash, struct spoe_span key,
                             int64_t now_ns, struct answer *ret)
{
    struct entry *entry = look_up(cache, hash, key);

    if (entry == NULL)
        return CACHE_MISS;
    if (entry->expires_ns <= now_ns) {
        drop(cache, entry);
        return CACHE_EXPIRED;
    }
    TAILQ_REMOVE(&cache->order, entry, in_order);
    TAILQ_INSERT_HEAD(&cache->order, entry, in_order);
    *ret = (struct answer){.status = entry->status,
                           .allowed = entry->allowed,
                           .n = entry->answer_n,
                           .bytes = entry->bytes};
    return CACHE_HIT;
}

/* @return NULL: out of memory */
static struct entry *make(uint64_t hash, struct spoe_span key, const struct answer *answer,
                          int64_t expires_ns)
{
    struct entry *entry = malloc(sizeof *entry + answer->n + key.n);

    if (entry == NULL)
        return NULL;
    entry->hash = hash;
    entry->expires_ns = expires_ns;
    entry->key_n = key.n;
    entry->status = answer->status;
    entry->allowed = answer->allowed;
    entry->answer_n = answer->n;
    if (answer->n > 0)
        memcpy(entry->bytes, answer->bytes, answer->n);
    if (key.n > 0)
        memcpy(entry->bytes + answer->n, key.p, key.n);
    return entry;
}

int cache_put(struct cache *cache, uint64_t hash, struct spoe_span key, const struct answer *answer,
              int64_t expires_ns, size_t entries, size_t bytes, struct cache_change *ret)
{
    const size_t n_before = cache->n, bytes_before = cache->bytes;
    const size_t size = sizeof(struct entry) + answer->n + key.n;
    struct entry *old = look_up(cache, hash, key), *entry = NULL;

    *ret = (struct cache_change){0};
    if (old != NULL)
        drop(cache, old);
    if (size <= bytes && entries > 0)
        entry = make(hash, key, answer, expires_ns);
    if (entry != NULL) {
        while (cache->n >= entries || cache->bytes > bytes - size) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see what TAILQ_REMOVE does */
            drop(cache, TAILQ_LAST(&cache->order, entry_order));
            ret->evicted++;
        }
        LIST_INSERT_HEAD(&cache->buckets[hash & cache->mask], entry, in_bucket);
        TAILQ_INSERT_HEAD(&cache->order, entry, in_order);
        cache->n++;
        cache->bytes += size;
    }
    ret->entries = (int64_t)cache->n - (int64_t)n_before;
    ret->bytes = (int64_t)cache->bytes - (int64_t)bytes_before;
    return entry != NULL ? 0 : -1;
}

size_t cache_entries(const struct cache *cache)
{
    return cache->n;
}

size_t cache_bytes(const struct cache *cache)
{
    return cache->bytes;
}
