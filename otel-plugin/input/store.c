/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/store.c - requests that are open: begun, added to, and taken out. */
#include "input/store.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#include "input/store_table.h"

struct store *store_create(const struct store_conf *conf)
{
    struct store *store = aligned_alloc(CACHE_LINE, sizeof *store);

    if (store == NULL)
        return NULL;
    memset(store, 0, sizeof *store);
    store->conf = *conf;
    store_set_limits(store, conf->max, conf->bytes_max);
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

        if (shard->buckets == NULL)
            break; /* half-built: the later ones have no lock either */
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            struct entry *entry = shard->lists[kind].oldest;

            while (entry != NULL) {
                struct entry *newer = entry->newer;

                if (has_spans(entry)) {
                    span_destroy(entry->server);
                    span_destroy(entry->client);
                    kept_free(entry->kept);
                }
                table_free_entry(entry);
                entry = newer;
            }
        }
        free(shard->buckets);
        (void)pthread_mutex_destroy(&shard->lock);
    }
    free(store);
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- open -------------------------------------------------------------------------------- */

/* The SERVER span's start, unless HAProxy told it. What came before it shows that it was there. */
static void set_start(const struct store_opening *opening, const struct kept *kept)
{
    int64_t first = opening->mono_ns;

    if (opening->server == NULL || opening->server->start_unix_ns != 0)
        return;
    for (; kept != NULL; kept = kept->next)
        if (kept->msg.recv_mono_ns < first)
            first = kept->msg.recv_mono_ns;
    opening->server->start_unix_ns = opening->unix_ns - (opening->mono_ns - first);
}

enum store_result store_open(struct store *store, const char *key, size_t key_len,
                             const struct store_opening *opening, struct kept **ret_kept)
{
    struct store_request before = {.kept = NULL};
    struct entry *entry, *gone = NULL, **link;
    enum store_result result = STORE_OK;
    struct shard *shard;
    uint32_t hash;

    if (ret_kept != NULL)
        *ret_kept = NULL;
    if (!key_ok(key_len))
        return STORE_KEY;
    shard = table_pick(store, key, key_len, &hash);
    entry = table_make_entry(key, key_len, hash);
    if (entry == NULL)
        return STORE_NOMEM;
    entry->bits = (uint8_t)(SEEN | (opening->logged ? LOGGED : 0u));
    entry->server = opening->server;
    if (opening->server == NULL) {
        entry->bits |= BARE;
        set_context(entry, opening->context);
    }
    entry->opened_mono_ns = entry->last_mono_ns = opening->mono_ns;
    entry->opened_unix_ns = opening->unix_ns;
    entry->begun = opening->begun;
    entry->hold_ms = hold_ms(opening->hold_ns);
    entry->bytes = (uint32_t)(entry_size(entry) +
                              (opening->server != NULL ? span_memory(opening->server) : 0));

    table_lock(shard);
    link = table_find(shard, hash, key, key_len);
    if (*link != NULL && is_seen(*link) && (*link)->kind != REMEMBERED) {
        result = STORE_DUPLICATE;
        (*link)->twice = 1;
    } else {
        if (*link != NULL)
            gone = table_unlink(store, shard, link, &before);
        set_start(opening, before.kept);
        if (hold(&store->open, 1, entry->bytes, limit(&store->max), limit(&store->bytes_max))) {
            table_insert(shard, entry, OPEN, opening->mono_ns + store->conf.ttl_ns);
            if (opening->server == NULL)
                atomic_fetch_add_explicit(&store->n_bare, 1, memory_order_relaxed);
            else
                shard->n_spans++;
        } else {
            result = STORE_FULL;
        }
    }
    table_unlock(shard);
    if (gone != NULL)
        table_free_entry(gone);
    if (result != STORE_OK)
        table_free_entry(entry);
    if (ret_kept != NULL)
        *ret_kept = before.kept;
    else
        kept_free(before.kept);
    return result;
}

/* ---- backend messages -------------------------------------------------------------------- */

/* A server is asked for; the first time counts. */
static void set_asked(struct entry *entry, int64_t now_mono_ns)
{
    const int64_t us = (now_mono_ns - entry->opened_mono_ns) / NS_PER_US;

    if (entry->begun.asked_us == 0)
        entry->begun.asked_us = us < 1 ? 1 : us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

bool store_unsampled(struct store *store, const char *key, size_t key_len, int64_t now_mono_ns,
                     struct trace_context *ret)
{
    struct shard *shard;
    struct entry *entry;
    uint32_t hash;
    bool found;

    /* A request's messages follow one another, so its own opening is seen here. */
    if (!key_ok(key_len) || atomic_load_explicit(&store->n_bare, memory_order_relaxed) == 0)
        return false;
    shard = table_pick(store, key, key_len, &hash);
    table_lock(shard);
    entry = *table_find(shard, hash, key, key_len);
    found = entry != NULL && entry->kind == OPEN && (entry->bits & BARE) != 0;
    if (found) {
        *ret = get_context(entry);
        set_asked(entry, now_mono_ns);
    }
    table_unlock(shard);
    return found;
}

/* Make a span the child of an entry's SERVER span. */
static void adopt(struct entry *entry, struct span *client, int64_t now_mono_ns)
{
    const struct span *server = entry->server;

    memcpy(client->context.trace_id, server->context.trace_id, sizeof client->context.trace_id);
    client->context.flags = server->context.flags;
    client->context.debug = server->context.debug;
    memcpy(client->parent_id, server->context.span_id, sizeof client->parent_id);
    client->parent_remote = false;
    span_share_trace_state(client, server);
    if (client->start_unix_ns == 0)
        client->start_unix_ns = entry->opened_unix_ns + (now_mono_ns - entry->opened_mono_ns);
    if (client->start_unix_ns < server->start_unix_ns)
        client->start_unix_ns = server->start_unix_ns;
    entry->client = client;
}

enum store_result store_attach(struct store *store, const char *key, size_t key_len,
                               struct span *client, int64_t now_mono_ns, int64_t hold_ns,
                               struct store_attached *ret)
{
    enum store_result result = STORE_OK;
    const size_t bytes = span_memory(client);
    struct shard *shard;
    struct entry *entry;
    uint32_t hash;

    if (!key_ok(key_len))
        return STORE_KEY;
    shard = table_pick(store, key, key_len, &hash);
    table_lock(shard);
    entry = *table_find(shard, hash, key, key_len);
    if (entry == NULL || !is_seen(entry)) {
        result = STORE_UNKNOWN;
    } else if (entry->kind == REMEMBERED) {
        result = STORE_LATE;
    } else if (!has_spans(entry)) {
        result = STORE_UNSAMPLED;
    } else if (entry->client != NULL) {
        result = STORE_DUPLICATE;
    } else if (!hold(&store->open, 0, bytes, 0, limit(&store->bytes_max))) {
        entry->bits |= ALONE;
        result = STORE_FULL;
    } else {
        adopt(entry, client, now_mono_ns);
        set_asked(entry, now_mono_ns);
        shard->n_spans++;
        entry->bytes += (uint32_t)bytes;
        entry->last_mono_ns = max64(entry->last_mono_ns, now_mono_ns);
        if (entry->hold_ms < hold_ms(hold_ns))
            entry->hold_ms = hold_ms(hold_ns);
        *ret = (struct store_attached){.context = client->context,
                                       .response_waits = entry->kept != NULL};
    }
    table_unlock(shard);
    return result;
}

/* ---- responses and lines ------------------------------------------------------------------ */

/* Who takes a request out. */
struct taker {
    bool wait;                /* until it has a CLIENT span */
    bool by_line;             /* which ends every request */
    bool by_id;               /* and its id is all that has to fit */
    const uint8_t *server_id; /* of the line's request; NULL: not known */
};

/*
 * Whether a line that has an entry's id is of its request. Ids may repeat, with several agents or
 * over time. Who was answered has told which SERVER span is its own; who was not may be the second
 * one with this id.
 */
static bool is_its_line(const struct entry *entry, const uint8_t *server_id)
{
    const struct trace_context context = get_context(entry);

    if (server_id == NULL)
        return entry->twice == 0;
    return memcmp(context.span_id, server_id, sizeof context.span_id) == 0;
}

static enum store_result take(struct store *store, const char *key, size_t key_len,
                              const struct taker *taker, struct store_request *ret)
{
    enum store_result result = STORE_OK;
    struct entry *entry, **link;
    struct shard *shard;
    uint32_t hash;

    if (!key_ok(key_len))
        return STORE_KEY;
    shard = table_pick(store, key, key_len, &hash);
    table_lock(shard);
    link = table_find(shard, hash, key, key_len);
    entry = *link;
    if (entry == NULL || !is_seen(entry)) {
        result = STORE_UNKNOWN;
    } else if ((entry->bits & LOGGED) != 0 && !taker->by_line) {
        result = STORE_LOGGED;
    } else if (taker->by_line && !taker->by_id && !is_its_line(entry, taker->server_id)) {
        result = STORE_OTHER;
    } else if (taker->wait && entry->kind == OPEN && has_spans(entry) && entry->client == NULL &&
               (entry->bits & ALONE) == 0) {
        result = STORE_WAIT;
    } else {
        result = entry->kind == REMEMBERED ? STORE_LATE : STORE_OK;
        entry = table_unlink(store, shard, link, ret);
    }
    table_unlock(shard);
    if (result == STORE_OK || result == STORE_LATE)
        table_free_entry(entry);
    return result;
}

enum store_result store_take(struct store *store, const char *key, size_t key_len, bool wait,
                             struct store_request *ret)
{
    return take(store, key, key_len, &(struct taker){.wait = wait}, ret);
}

enum store_result store_take_by_line(struct store *store, const char *key, size_t key_len,
                                     bool wait, const uint8_t *server_id, struct store_request *ret)
{
    return take(store, key, key_len,
                &(struct taker){.wait = wait, .by_line = true, .server_id = server_id}, ret);
}

enum store_result store_take_attached(struct store *store, const char *key, size_t key_len,
                                      struct store_request *ret)
{
    return take(store, key, key_len, &(struct taker){.by_line = true, .by_id = true}, ret);
}

/* What an entry's spans have grown by since its bytes were counted. */
static void count_growth(struct store *store, struct entry *entry)
{
    size_t bytes = entry_size(entry) + span_memory(entry->server);

    if (entry->client != NULL)
        bytes += span_memory(entry->client);
    if (bytes <= entry->bytes)
        return;
    (void)hold(&store->open, 0, bytes - entry->bytes, 0, 0); /* it is there already */
    entry->bytes = (uint32_t)bytes;
}

/* Whether spans that are there already may grow. The last one goes beyond the bound. */
static bool has_room(struct store *store)
{
    const size_t max = limit(&store->bytes_max);

    return max == 0 || store_bytes(store) < max;
}

enum store_result store_update(struct store *store, const char *key, size_t key_len,
                               int64_t now_mono_ns, store_update_fn *update, void *arg)
{
    enum store_result result = STORE_OK;
    struct shard *shard;
    struct entry *entry;
    uint32_t hash;

    if (!key_ok(key_len))
        return STORE_UNKNOWN;
    shard = table_pick(store, key, key_len, &hash);
    table_lock(shard);
    entry = *table_find(shard, hash, key, key_len);
    if (entry == NULL || !is_seen(entry) || entry->kind == REMEMBERED ||
        (entry->bits & LOGGED) == 0) {
        result = STORE_UNKNOWN;
    } else if (has_spans(entry)) {
        if (has_room(store)) {
            update(arg, entry->server, entry->client);
            count_growth(store, entry);
        } else {
            result = STORE_FULL;
        }
        entry->bits |= ANSWERED;
        entry->last_mono_ns = max64(entry->last_mono_ns, now_mono_ns);
    }
    table_unlock(shard);
    return result;
}

void store_set_limits(struct store *store, size_t max, size_t bytes_max)
{
    atomic_store_explicit(&store->max, max, memory_order_relaxed);
    atomic_store_explicit(&store->bytes_max, bytes_max, memory_order_relaxed);
}

size_t store_with_spans(struct store *store)
{
    const size_t n = store_count(store);
    const size_t bare = atomic_load_explicit(&store->n_bare, memory_order_relaxed);

    return n > bare ? n - bare : 0; /* they are not read at one moment */
}

size_t store_count(struct store *store)
{
    return atomic_load_explicit(&store->open.n, memory_order_relaxed);
}

size_t store_span_count(struct store *store)
{
    size_t n = 0;

    for (unsigned i = 0; i < N_SHARDS; i++) {
        table_lock(&store->shards[i]);
        n += store->shards[i].n_spans;
        table_unlock(&store->shards[i]);
    }
    return n;
}

size_t store_bytes(struct store *store)
{
    return atomic_load_explicit(&store->open.bytes, memory_order_relaxed);
}

size_t store_kept(struct store *store)
{
    return atomic_load_explicit(&store->kept.n, memory_order_relaxed);
}

size_t store_remembered(struct store *store)
{
    return atomic_load_explicit(&store->remembered.n, memory_order_relaxed);
}
