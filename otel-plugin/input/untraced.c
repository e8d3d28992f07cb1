/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/untraced.c - ids by hash in buckets of WAYS; a hash's low bits say why. */
#include "input/untraced.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#include "input/siphash.h"

#define WAYS 4u
#define BUCKETS (UNTRACED_IDS / WAYS)
#define WHY UINT64_C(3)

struct untraced_ids {
    uint64_t key[2];
    _Atomic uint64_t ids[BUCKETS][WAYS]; /* 0: free */
};

struct untraced_ids *untraced_create(void)
{
    struct untraced_ids *ids = calloc(1, sizeof *ids);

    if (ids != NULL && getrandom(ids->key, sizeof ids->key, 0) != sizeof ids->key) {
        free(ids);
        return NULL;
    }
    return ids;
}

void untraced_destroy(struct untraced_ids *ids)
{
    free(ids);
}

/* The hash by which an id is remembered, without its low bits, and its bucket. */
static uint64_t hash_of(struct untraced_ids *ids, struct spoe_span id, _Atomic uint64_t **ret)
{
    const uint64_t hash = siphash(ids->key, id.p, id.n);

    *ret = ids->ids[(hash >> 2) % BUCKETS];
    return hash & ~WHY;
}

void untraced_remember(struct untraced_ids *ids, struct spoe_span id, enum untraced why)
{
    _Atomic uint64_t *bucket;
    const uint64_t hash = hash_of(ids, id, &bucket);

    for (size_t i = 0; i < WAYS; i++) {
        uint64_t free_slot = 0;

        if (atomic_compare_exchange_strong_explicit(&bucket[i], &free_slot, hash | why,
                                                    memory_order_relaxed, memory_order_relaxed))
            return;
    }
    /* One that never had a response, most likely. */
    atomic_store_explicit(&bucket[(hash >> 32) % WAYS], hash | why, memory_order_relaxed);
}

enum untraced untraced_find(struct untraced_ids *ids, struct spoe_span id, bool last)
{
    _Atomic uint64_t *bucket;
    const uint64_t hash = hash_of(ids, id, &bucket);

    for (size_t i = 0; i < WAYS; i++) {
        uint64_t found = atomic_load_explicit(&bucket[i], memory_order_relaxed);
        const enum untraced why = (enum untraced)(found & WHY);

        if ((found & ~WHY) != hash || why == UNTRACED_NOT)
            continue;
        if (last)
            (void)atomic_compare_exchange_strong_explicit(
                &bucket[i], &found, 0, memory_order_relaxed, memory_order_relaxed);
        return why;
    }
    return UNTRACED_NOT;
}
