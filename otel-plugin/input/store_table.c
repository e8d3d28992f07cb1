/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/store_table.c - see store_table.h. */
#include "input/store_table.h"

#include <assert.h>
#include <stdlib.h>

#include "input/siphash.h"

void table_lock(struct shard *shard)
{
    const int err = pthread_mutex_lock(&shard->lock);

    assert(err == 0);
    (void)err;
}

void table_unlock(struct shard *shard)
{
    const int err = pthread_mutex_unlock(&shard->lock);

    assert(err == 0);
    (void)err;
}

struct shard *table_pick(struct store *store, const char *key, size_t key_len, uint32_t *ret_hash)
{
    const uint64_t hash = siphash(store->hash_key, key, key_len);

    *ret_hash = (uint32_t)hash;
    return &store->shards[hash >> (64 - SHARD_BITS)];
}

struct entry **table_find(struct shard *shard, uint32_t hash, const char *key, size_t key_len)
{
    struct entry **link = &shard->buckets[hash & (shard->n_buckets - 1)];

    while (*link != NULL && ((*link)->hash != hash || (*link)->key_len != key_len ||
                             memcmp((*link)->key, key, key_len) != 0))
        link = &(*link)->chain;
    assert(*link == NULL || (*link)->magic == ENTRY_MAGIC);
    return link;
}

/* Double the buckets. Without memory the chains grow longer instead. */
static void grow(struct shard *shard)
{
    const size_t n = shard->n_buckets * 2;
    struct entry **buckets = calloc(n, sizeof(struct entry *));

    if (buckets == NULL)
        return;
    for (unsigned kind = 0; kind < N_KINDS; kind++)
        for (struct entry *entry = shard->lists[kind].oldest; entry != NULL; entry = entry->newer) {
            entry->chain = buckets[entry->hash & (n - 1)];
            buckets[entry->hash & (n - 1)] = entry;
        }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->n_buckets = n;
}

struct entry *table_make_entry(const char *key, size_t key_len, uint32_t hash)
{
    /* Behind the last field there are four bytes of padding, which belong to the key. */
    const size_t size = offsetof(struct entry, key) + key_len;
    struct entry *entry = malloc(size < sizeof *entry ? sizeof *entry : size);

    if (entry == NULL)
        return NULL;
    *entry = (struct entry){.magic = ENTRY_MAGIC, .hash = hash, .key_len = (uint16_t)key_len};
    memcpy(entry->key, key, key_len);
    return entry;
}

void table_free_entry(struct entry *entry)
{
    entry->magic = 0;
    free(entry);
}

/* ---- lists and the table ------------------------------------------------------------------- */

void table_append(struct shard *shard, struct entry *entry, enum kind kind, int64_t due_ns)
{
    struct list *list = &shard->lists[kind];

    entry->kind = kind & 3u;
    entry->due_ns = due_ns;
    entry->newer = NULL;
    entry->older = list->newest;
    if (list->newest != NULL)
        list->newest->newer = entry;
    else
        list->oldest = entry;
    list->newest = entry;
}

void table_leave_list(struct shard *shard, struct entry *entry)
{
    struct list *list = &shard->lists[entry->kind];

    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        list->oldest = entry->newer;
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        list->newest = entry->older;
}

void table_insert(struct shard *shard, struct entry *entry, enum kind kind, int64_t due_ns)
{
    /* In front, since its next message comes long before those of what is left open. */
    struct entry **link = &shard->buckets[entry->hash & (shard->n_buckets - 1)];

    entry->chain = *link;
    *link = entry;
    table_append(shard, entry, kind, due_ns);
    if (++shard->n * BUCKETS_PER_ENTRY > shard->n_buckets)
        grow(shard);
}

/* ---- taking out ---------------------------------------------------------------------------- */

static void let_go_kept(struct store *store, const struct kept *kept)
{
    for (; kept != NULL; kept = kept->next)
        let_go(&store->kept, 1, kept->bytes);
}

void table_take_open(struct store *store, struct shard *shard, struct entry *entry,
                     struct store_request *ret)
{
    *ret = (struct store_request){.context = get_context(entry),
                                  .opened_mono_ns = entry->opened_mono_ns,
                                  .opened_unix_ns = entry->opened_unix_ns,
                                  .last_mono_ns = entry->last_mono_ns,
                                  .begun = entry->begun,
                                  .evicted_mono_ns = entry->last_mono_ns,
                                  .never_opened = !is_seen(entry),
                                  .logged = (entry->bits & LOGGED) != 0,
                                  .answered = (entry->bits & ANSWERED) != 0};
    if (has_spans(entry)) {
        ret->server = entry->server;
        ret->client = entry->client;
        ret->kept = entry->kept;
        let_go_kept(store, entry->kept);
        shard->n_spans -= (entry->server != NULL ? 1u : 0u) + (entry->client != NULL ? 1u : 0u);
    }
    if (is_seen(entry) && entry->kind != REMEMBERED) {
        let_go(&store->open, 1, entry->bytes);
        if ((entry->bits & BARE) != 0)
            atomic_fetch_sub_explicit(&store->n_bare, 1, memory_order_relaxed);
    }
    entry->bits |= BARE;
    set_context(entry, &ret->context);
}

struct entry *table_unlink(struct store *store, struct shard *shard, struct entry **link,
                           struct store_request *ret)
{
    struct entry *entry = *link;

    *link = entry->chain;
    table_leave_list(shard, entry);
    shard->n--;
    table_take_open(store, shard, entry, ret);
    if (entry->kind == REMEMBERED)
        let_go(&store->remembered, 1, entry_size(entry));
    return entry;
}

struct entry *table_unlink_found(struct store *store, struct shard *shard, struct entry *entry,
                                 struct store_request *ret)
{
    struct entry **link = table_find(shard, entry->hash, entry->key, entry->key_len);

    assert(*link == entry);
    return table_unlink(store, shard, link, ret);
}
