/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/store_table.h - what is inside a store, for store.c (what is open) and
 * store_waiting.c (what waits for its request, or is remembered after it): a sharded hash table
 * with three lists by age in each shard.
 */
#ifndef OTEL_INPUT_STORE_TABLE_H
#define OTEL_INPUT_STORE_TABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "input/store.h"

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
static inline bool has_spans(const struct entry *entry)
{
    return entry->kind != REMEMBERED && (entry->bits & BARE) == 0;
}

/* Keep the context alone. */
static inline void set_context(struct entry *entry, const struct trace_context *context)
{
    memcpy(entry->trace_id, context->trace_id, sizeof entry->trace_id);
    memcpy(entry->span_id, context->span_id, sizeof entry->span_id);
    entry->bits =
        (uint8_t)((entry->bits & (SEEN | BARE | LOGGED)) |
                  (context->debug ? 1u << DEBUG_SHIFT : 0u) | (context->flags & 3u) << FLAGS_SHIFT);
}

static inline struct trace_context get_context(const struct entry *entry)
{
    struct trace_context context = {.flags = (uint8_t)(entry->bits >> FLAGS_SHIFT & 3u),
                                    .debug = (entry->bits >> DEBUG_SHIFT & 1u) != 0};

    if (has_spans(entry))
        return entry->server != NULL ? entry->server->context : context;
    memcpy(context.trace_id, entry->trace_id, sizeof context.trace_id);
    memcpy(context.span_id, entry->span_id, sizeof context.span_id);
    return context;
}

static inline bool is_seen(const struct entry *entry)
{
    return (entry->bits & SEEN) != 0;
}

static inline uint32_t hold_ms(int64_t ns)
{
    return (uint32_t)((ns + NS_PER_MS - 1) / NS_PER_MS); /* a day at most */
}

static inline bool key_ok(size_t key_len)
{
    return key_len > 0 && key_len <= STORE_KEY_MAX;
}

static inline size_t entry_size(const struct entry *entry)
{
    return offsetof(struct entry, key) + entry->key_len;
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

/* ---- bounds ------------------------------------------------------------------------------ */

/* Take a place and so many bytes. @return false: a bound is reached, and nothing is taken */
static inline bool hold(struct held *held, size_t n, size_t bytes, size_t n_max, size_t bytes_max)
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

static inline size_t limit(_Atomic size_t *limit)
{
    return atomic_load_explicit(limit, memory_order_relaxed);
}

static inline void let_go(struct held *held, size_t n, size_t bytes)
{
    atomic_fetch_sub_explicit(&held->n, n, memory_order_relaxed);
    atomic_fetch_sub_explicit(&held->bytes, bytes, memory_order_relaxed);
}

/* ---- entries ----------------------------------------------------------------------------- */

void table_lock(struct shard *shard);
void table_unlock(struct shard *shard);
/** The shard of a key, which is to be locked. */
struct shard *table_pick(struct store *store, const char *key, size_t key_len, uint32_t *ret_hash);

/** @return NULL: out of memory */
struct entry *table_make_entry(const char *key, size_t key_len, uint32_t hash);
void table_free_entry(struct entry *entry);

/* The shard is locked in all of these. */

/** The link that points at the entry, or at the NULL where its chain ends. */
struct entry **table_find(struct shard *shard, uint32_t hash, const char *key, size_t key_len);
/** Into the table, and a list. */
void table_insert(struct shard *shard, struct entry *entry, enum kind kind, int64_t due_ns);
/** To the end of a list, and out of its own. */
void table_append(struct shard *shard, struct entry *entry, enum kind kind, int64_t due_ns);
void table_leave_list(struct shard *shard, struct entry *entry);
/** What a request had as open goes to *ret; the entry stays, with its context alone. */
void table_take_open(struct store *store, struct shard *shard, struct entry *entry,
                     struct store_request *ret);
/** Unhook the entry that *link points at, and hand over what it has. The caller frees it. */
struct entry *table_unlink(struct store *store, struct shard *shard, struct entry **link,
                           struct store_request *ret);
struct entry *table_unlink_found(struct store *store, struct shard *shard, struct entry *entry,
                                 struct store_request *ret);

#endif
