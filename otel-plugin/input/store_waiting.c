/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/store_waiting.c - what is in a store for its time alone: messages that wait for
 * their request, requests whose time is over, and what is remembered of these.
 */
#include <stdlib.h>

#include "input/messages.h"
#include "input/store_table.h"

/* ---- messages before their request -------------------------------------------------------- */

/* An entry that has a message already. */
static enum store_result keep_more(struct store *store, struct shard *shard, struct entry *entry,
                                   struct kept *kept, int64_t now_mono_ns)
{
    const struct store_conf *conf = &store->conf;
    struct kept **last = &entry->kept;

    if (!has_spans(entry) ||
        (is_seen(entry) && (entry->client != NULL || kept->msg.index == MESSAGE_BACKEND)))
        return STORE_AGAIN;
    if (kept_find(entry->kept, kept->msg.index) != NULL)
        return STORE_DUPLICATE;
    if (!hold(&store->kept, 1, kept->bytes, conf->kept_max, conf->kept_bytes_max))
        return STORE_FULL;
    while (*last != NULL)
        last = &(*last)->next;
    *last = kept;
    if (entry->kind == OPEN) { /* a response or a line that waits for the backend's message */
        table_leave_list(shard, entry);
        table_append(shard, entry, KEPT, now_mono_ns + conf->reorder_ns);
    }
    return STORE_OK;
}

enum store_result store_keep(struct store *store, const char *key, size_t key_len,
                             struct kept *kept, int64_t now_mono_ns)
{
    const struct store_conf *conf = &store->conf;
    enum store_result result = STORE_OK;
    struct entry *entry, *fresh;
    struct shard *shard;
    uint32_t hash;

    kept->next = NULL;
    if (!key_ok(key_len))
        return STORE_KEY;
    if (conf->reorder_ns == 0)
        return STORE_FULL;
    shard = table_pick(store, key, key_len, &hash);
    fresh = table_make_entry(key, key_len, hash);
    if (fresh == NULL)
        return STORE_NOMEM;
    table_lock(shard);
    entry = *table_find(shard, hash, key, key_len);
    if (entry != NULL) {
        result = keep_more(store, shard, entry, kept, now_mono_ns);
    } else if (!hold(&store->kept, 1, kept->bytes, conf->kept_max, conf->kept_bytes_max)) {
        result = STORE_FULL;
    } else {
        fresh->kept = kept;
        table_insert(shard, fresh, KEPT, now_mono_ns + conf->reorder_ns);
        fresh = NULL;
    }
    table_unlock(shard);
    if (fresh != NULL)
        table_free_entry(fresh);
    return result;
}

struct kept *store_take_kept(struct store *store, const char *key, size_t key_len)
{
    struct store_request request = {.kept = NULL};
    struct entry *entry = NULL, **link;
    struct shard *shard;
    uint32_t hash;

    if (!key_ok(key_len) || store_kept(store) == 0)
        return NULL;
    shard = table_pick(store, key, key_len, &hash);
    table_lock(shard);
    link = table_find(shard, hash, key, key_len);
    if (*link != NULL && !is_seen(*link))
        entry = table_unlink(store, shard, link, &request);
    table_unlock(shard);
    if (entry != NULL)
        table_free_entry(entry);
    return request.kept;
}

/* ---- expiry ------------------------------------------------------------------------------ */

/* Keep of an evicted request what a late response needs, in the place of an older one if need be.
 */
static bool remember(struct store *store, struct shard *shard, struct entry *entry, int64_t now_ns,
                     bool *ret_forgot)
{
    const struct store_conf *conf = &store->conf;
    const size_t size = entry_size(entry);
    struct entry *oldest = shard->lists[REMEMBERED].oldest;
    struct store_request gone;

    entry->last_mono_ns = now_ns;
    *ret_forgot = !hold(&store->remembered, 1, size, conf->late_max, conf->late_bytes_max);
    if (*ret_forgot) {
        if (oldest == NULL)
            return false;
        table_free_entry(table_unlink_found(store, shard, oldest, &gone));
        if (!hold(&store->remembered, 1, size, conf->late_max, conf->late_bytes_max))
            return false;
    }
    table_append(shard, entry, REMEMBERED, now_ns + conf->late_ns);
    return true;
}

/* Take out the oldest open request. */
static void evict(struct store *store, struct shard *shard, struct entry *entry, int64_t now_ns,
                  struct store_request *ret)
{
    /* Of one that is left to its line nothing was exported that a late line could add to. */
    const bool none = (entry->bits & BARE) != 0 && (entry->bits & LOGGED) != 0;

    if (now_ns == INT64_MAX || store->conf.late_ns == 0 || none) {
        table_free_entry(table_unlink_found(store, shard, entry, ret));
        return;
    }
    table_leave_list(shard, entry);
    table_take_open(store, shard, entry, ret);
    if (remember(store, shard, entry, now_ns, &ret->forgot))
        return;
    *table_find(shard, entry->hash, entry->key, entry->key_len) = entry->chain;
    shard->n--;
    table_free_entry(entry);
}

/* What is due in a shard. @return false: nothing for the caller */
static bool expire_shard(struct store *store, struct shard *shard, int64_t now_ns,
                         struct store_request *ret)
{
    struct entry *entry;

    while ((entry = shard->lists[REMEMBERED].oldest) != NULL && entry->due_ns <= now_ns)
        table_free_entry(table_unlink_found(store, shard, entry, ret));
    entry = shard->lists[KEPT].oldest;
    if (entry != NULL && entry->due_ns <= now_ns) {
        table_free_entry(table_unlink_found(store, shard, entry, ret));
        return true;
    }
    while ((entry = shard->lists[OPEN].oldest) != NULL && entry->due_ns <= now_ns) {
        if (now_ns == INT64_MAX || entry->opened_mono_ns + entry->hold_ms * NS_PER_MS <= now_ns) {
            evict(store, shard, entry, now_ns, ret);
            return true;
        }
        table_leave_list(shard, entry); /* looked at again after another TTL, at the list's end */
        table_append(shard, entry, OPEN, now_ns + store->conf.ttl_ns);
    }
    return false;
}

bool store_expire(struct store *store, int64_t now_mono_ns, struct store_request *ret)
{
    for (unsigned i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &store->shards[store->expire_shard];
        bool found;

        table_lock(shard);
        found = expire_shard(store, shard, now_mono_ns, ret);
        table_unlock(shard);
        if (found)
            return true;
        store->expire_shard = (store->expire_shard + 1) % N_SHARDS;
    }
    return false;
}

/* It is looked at after each TTL. */
int64_t store_lifetime_ns(const struct store *store, int64_t hold_ns)
{
    const int64_t ttl = store->conf.ttl_ns;

    return ttl == 0 || hold_ns <= ttl ? ttl : (hold_ns + ttl - 1) / ttl * ttl;
}

int64_t store_next_expiry(struct store *store)
{
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &store->shards[i];

        table_lock(shard);
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            const struct entry *oldest = shard->lists[kind].oldest;

            if (oldest != NULL && oldest->due_ns < next)
                next = oldest->due_ns;
        }
        table_unlock(shard);
    }
    return next;
}
