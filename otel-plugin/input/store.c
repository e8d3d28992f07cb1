/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/store.c - a sharded hash table with three lists by age in each shard. */
#include "input/store.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "input/messages.h"
#include "input/siphash.h"

#define SHARD_BITS 6
#define N_SHARDS (1u << SHARD_BITS)
#define BUCKETS_MIN 16u
/* Buckets for each entry at least: with many open requests a chain is cold memory. */
#define BUCKETS_PER_ENTRY 2u

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)
#define ENTRY_MAGIC UINT32_C(0x6f727171)

/* What an entry is; each kind has a list of its own. */
enum kind {
    OPEN,       /* a request, with spans or without */
    KEPT,       /* messages that wait: for their request, or a response for the backend's message */
    REMEMBERED, /* a request that was evicted */
    N_KINDS
};

/* What is known of an entry's request: its bits. */
#define SEEN 1u       /* its first message came */
#define BARE 2u       /* it has no spans, as it is not sampled */
#define DEBUG_SHIFT 2 /* of its context, where that is all there is: debug, */
#define FLAGS_SHIFT 3 /* and flags, two bits of which there are */
#define ALONE 32u     /* its CLIENT span was refused: there will be none */
#define LOGGED 64u    /* a line of the log ends it */
#define ANSWERED 128u /* and its response came */
_Static_assert((TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM) == 3, "flags are two bits");

/* 200 000 of them may be open, so that each byte counts. */
struct entry {
    uint32_t magic;
    uint32_t hash;               /* the part that picks the bucket */
    struct entry *chain;         /* of the bucket */
    struct entry *older, *newer; /* of its kind's list */
    union {
        struct {
            struct span *server, *client;
            struct kept *kept;
        }; /* has_spans() */
        struct {
            uint8_t trace_id[16], span_id[8];
        }; /* else: SERVER's context */
    };
    int64_t due_ns; /* when its list's end looks at it */
    int64_t opened_mono_ns, opened_unix_ns;
    int64_t last_mono_ns; /* of a remembered one: when it was evicted */
    struct store_begun begun;
    uint32_t hold_ms; /* not evicted for so long after its opening */
    uint32_t bytes;   /* that count as open: the entry and its spans */
    uint16_t key_len;
    uint8_t kind : 2;
    uint8_t twice : 1; /* another request came with its id */
    uint8_t bits;
    char key[];
};
_Static_assert(offsetof(struct entry, key) == 116, "no gaps");

/* Whether spans and messages are where the context would be. */
static bool has_spans(const struct entry *entry)
{
    return entry->kind != REMEMBERED && (entry->bits & BARE) == 0;
}

/* Keep the context alone. */
static void set_context(struct entry *entry, const struct trace_context *context)
{
    memcpy(entry->trace_id, context->trace_id, sizeof entry->trace_id);
    memcpy(entry->span_id, context->span_id, sizeof entry->span_id);
    entry->bits =
        (uint8_t)((entry->bits & (SEEN | BARE | LOGGED)) |
                  (context->debug ? 1u << DEBUG_SHIFT : 0u) | (context->flags & 3u) << FLAGS_SHIFT);
}

static struct trace_context get_context(const struct entry *entry)
{
    struct trace_context context = {.flags = (uint8_t)(entry->bits >> FLAGS_SHIFT & 3u),
                                    .debug = (entry->bits >> DEBUG_SHIFT & 1u) != 0};

    if (has_spans(entry))
        return entry->server != NULL ? entry->server->context : context;
    memcpy(context.trace_id, entry->trace_id, sizeof context.trace_id);
    memcpy(context.span_id, entry->span_id, sizeof context.span_id);
    return context;
}

static bool is_seen(const struct entry *entry)
{
    return (entry->bits & SEEN) != 0;
}

static uint32_t hold_ms(int64_t ns)
{
    return (uint32_t)((ns + NS_PER_MS - 1) / NS_PER_MS); /* a day at most */
}

/* What workers write must not lie beside what others read: a line goes from core to core. */
#define CACHE_LINE 64u

struct list {
    struct entry *oldest, *newest;
};

struct shard {
    _Alignas(CACHE_LINE) pthread_mutex_t lock; /* guards the rest */
    struct entry **buckets;
    size_t n_buckets; /* a power of two */
    size_t n, n_spans;
    struct list lists[N_KINDS];
};

/* What is held, in number and bytes. */
struct held {
    _Atomic size_t n, bytes;
};

struct store {
    struct store_conf conf;
    _Atomic size_t max, bytes_max; /* of open requests; can change */
    uint64_t hash_key[2];
    _Atomic size_t n_bare; /* open requests without spans */
    struct held kept, remembered;
    _Alignas(CACHE_LINE) struct held open;      /* open, and about to be */
    _Alignas(CACHE_LINE) unsigned expire_shard; /* where store_expire() goes on; its own */
    struct shard shards[N_SHARDS];
};

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

static void free_entry(struct entry *entry)
{
    entry->magic = 0;
    free(entry);
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
                free_entry(entry);
                entry = newer;
            }
        }
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

/* ---- bounds ------------------------------------------------------------------------------ */

/* Take a place and so many bytes. @return false: a bound is reached, and nothing is taken */
static bool hold(struct held *held, size_t n, size_t bytes, size_t n_max, size_t bytes_max)
{
    const size_t n_before =
        n > 0 ? atomic_fetch_add_explicit(&held->n, n, memory_order_relaxed) : 0;
    const size_t before = atomic_fetch_add_explicit(&held->bytes, bytes, memory_order_relaxed);

    if ((n_max == 0 || n_before + n <= n_max) && (bytes_max == 0 || before + bytes <= bytes_max))
        return true;
    atomic_fetch_sub_explicit(&held->n, n, memory_order_relaxed);
    atomic_fetch_sub_explicit(&held->bytes, bytes, memory_order_relaxed);
    return false;
}

static size_t limit(_Atomic size_t *limit)
{
    return atomic_load_explicit(limit, memory_order_relaxed);
}

static void let_go(struct held *held, size_t n, size_t bytes)
{
    atomic_fetch_sub_explicit(&held->n, n, memory_order_relaxed);
    atomic_fetch_sub_explicit(&held->bytes, bytes, memory_order_relaxed);
}

static size_t entry_size(const struct entry *entry)
{
    return offsetof(struct entry, key) + entry->key_len;
}

static void let_go_kept(struct store *store, const struct kept *kept)
{
    for (; kept != NULL; kept = kept->next)
        let_go(&store->kept, 1, kept->bytes);
}

/* ---- entries in their lists -------------------------------------------------------------- */

static void append(struct shard *shard, struct entry *entry, enum kind kind, int64_t due_ns)
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

static void leave_list(struct shard *shard, struct entry *entry)
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

static void insert(struct shard *shard, struct entry *entry, enum kind kind, int64_t due_ns)
{
    /* In front, since its next message comes long before those of what is left open. */
    struct entry **link = &shard->buckets[entry->hash & (shard->n_buckets - 1)];

    entry->chain = *link;
    *link = entry;
    append(shard, entry, kind, due_ns);
    if (++shard->n * BUCKETS_PER_ENTRY > shard->n_buckets)
        grow(shard);
}

/* What a request had as open goes to *ret; the entry stays, with its context alone. */
static void take_open(struct store *store, struct shard *shard, struct entry *entry,
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

/* Unhook the entry that *link points at, and hand over what it has. The caller frees it. */
static struct entry *unlink_entry(struct store *store, struct shard *shard, struct entry **link,
                                  struct store_request *ret)
{
    struct entry *entry = *link;

    *link = entry->chain;
    leave_list(shard, entry);
    shard->n--;
    take_open(store, shard, entry, ret);
    if (entry->kind == REMEMBERED)
        let_go(&store->remembered, 1, entry_size(entry));
    return entry;
}

static struct entry *unlink_found(struct store *store, struct shard *shard, struct entry *entry,
                                  struct store_request *ret)
{
    struct entry **link = find(shard, entry->hash, entry->key, entry->key_len);

    assert(*link == entry);
    return unlink_entry(store, shard, link, ret);
}

static struct entry *make_entry(const char *key, size_t key_len, uint32_t hash)
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
    shard = pick(store, key, key_len, &hash);
    entry = make_entry(key, key_len, hash);
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

    lock(shard);
    link = find(shard, hash, key, key_len);
    if (*link != NULL && is_seen(*link) && (*link)->kind != REMEMBERED) {
        result = STORE_DUPLICATE;
        (*link)->twice = 1;
    } else {
        if (*link != NULL)
            gone = unlink_entry(store, shard, link, &before);
        set_start(opening, before.kept);
        if (hold(&store->open, 1, entry->bytes, limit(&store->max), limit(&store->bytes_max))) {
            insert(shard, entry, OPEN, opening->mono_ns + store->conf.ttl_ns);
            if (opening->server == NULL)
                atomic_fetch_add_explicit(&store->n_bare, 1, memory_order_relaxed);
            else
                shard->n_spans++;
        } else {
            result = STORE_FULL;
        }
    }
    unlock(shard);
    if (gone != NULL)
        free_entry(gone);
    if (result != STORE_OK)
        free_entry(entry);
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
    shard = pick(store, key, key_len, &hash);
    lock(shard);
    entry = *find(shard, hash, key, key_len);
    found = entry != NULL && entry->kind == OPEN && (entry->bits & BARE) != 0;
    if (found) {
        *ret = get_context(entry);
        set_asked(entry, now_mono_ns);
    }
    unlock(shard);
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
    shard = pick(store, key, key_len, &hash);
    lock(shard);
    entry = *find(shard, hash, key, key_len);
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
    unlock(shard);
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
    shard = pick(store, key, key_len, &hash);
    lock(shard);
    link = find(shard, hash, key, key_len);
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
        entry = unlink_entry(store, shard, link, ret);
    }
    unlock(shard);
    if (result == STORE_OK || result == STORE_LATE)
        free_entry(entry);
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
    shard = pick(store, key, key_len, &hash);
    lock(shard);
    entry = *find(shard, hash, key, key_len);
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
    unlock(shard);
    return result;
}

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
        leave_list(shard, entry);
        append(shard, entry, KEPT, now_mono_ns + conf->reorder_ns);
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
    shard = pick(store, key, key_len, &hash);
    fresh = make_entry(key, key_len, hash);
    if (fresh == NULL)
        return STORE_NOMEM;
    lock(shard);
    entry = *find(shard, hash, key, key_len);
    if (entry != NULL) {
        result = keep_more(store, shard, entry, kept, now_mono_ns);
    } else if (!hold(&store->kept, 1, kept->bytes, conf->kept_max, conf->kept_bytes_max)) {
        result = STORE_FULL;
    } else {
        fresh->kept = kept;
        insert(shard, fresh, KEPT, now_mono_ns + conf->reorder_ns);
        fresh = NULL;
    }
    unlock(shard);
    if (fresh != NULL)
        free_entry(fresh);
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
    shard = pick(store, key, key_len, &hash);
    lock(shard);
    link = find(shard, hash, key, key_len);
    if (*link != NULL && !is_seen(*link))
        entry = unlink_entry(store, shard, link, &request);
    unlock(shard);
    if (entry != NULL)
        free_entry(entry);
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
        free_entry(unlink_found(store, shard, oldest, &gone));
        if (!hold(&store->remembered, 1, size, conf->late_max, conf->late_bytes_max))
            return false;
    }
    append(shard, entry, REMEMBERED, now_ns + conf->late_ns);
    return true;
}

/* Take out the oldest open request. */
static void evict(struct store *store, struct shard *shard, struct entry *entry, int64_t now_ns,
                  struct store_request *ret)
{
    /* Of one that is left to its line nothing was exported that a late line could add to. */
    const bool none = (entry->bits & BARE) != 0 && (entry->bits & LOGGED) != 0;

    if (now_ns == INT64_MAX || store->conf.late_ns == 0 || none) {
        free_entry(unlink_found(store, shard, entry, ret));
        return;
    }
    leave_list(shard, entry);
    take_open(store, shard, entry, ret);
    if (remember(store, shard, entry, now_ns, &ret->forgot))
        return;
    *find(shard, entry->hash, entry->key, entry->key_len) = entry->chain;
    shard->n--;
    free_entry(entry);
}

/* What is due in a shard. @return false: nothing for the caller */
static bool expire_shard(struct store *store, struct shard *shard, int64_t now_ns,
                         struct store_request *ret)
{
    struct entry *entry;

    while ((entry = shard->lists[REMEMBERED].oldest) != NULL && entry->due_ns <= now_ns)
        free_entry(unlink_found(store, shard, entry, ret));
    entry = shard->lists[KEPT].oldest;
    if (entry != NULL && entry->due_ns <= now_ns) {
        free_entry(unlink_found(store, shard, entry, ret));
        return true;
    }
    while ((entry = shard->lists[OPEN].oldest) != NULL && entry->due_ns <= now_ns) {
        if (now_ns == INT64_MAX || entry->opened_mono_ns + entry->hold_ms * NS_PER_MS <= now_ns) {
            evict(store, shard, entry, now_ns, ret);
            return true;
        }
        leave_list(shard, entry); /* looked at again after another TTL, at the list's end */
        append(shard, entry, OPEN, now_ns + store->conf.ttl_ns);
    }
    return false;
}

bool store_expire(struct store *store, int64_t now_mono_ns, struct store_request *ret)
{
    for (unsigned i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &store->shards[store->expire_shard];
        bool found;

        lock(shard);
        found = expire_shard(store, shard, now_mono_ns, ret);
        unlock(shard);
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

        lock(shard);
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            const struct entry *oldest = shard->lists[kind].oldest;

            if (oldest != NULL && oldest->due_ns < next)
                next = oldest->due_ns;
        }
        unlock(shard);
    }
    return next;
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
        lock(&store->shards[i]);
        n += store->shards[i].n_spans;
        unlock(&store->shards[i]);
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
