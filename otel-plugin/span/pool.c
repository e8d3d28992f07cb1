/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/span/pool.c - one list per kind, that grows by whole lists and is taken as a whole:
 * since nobody takes a single block out of it, a head that came back is no trap (ABA).
 */
#include "span/pool.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
/* All but the link; free(3) wants it back. */
#define POISON(block, size)                                                                        \
    __asan_poison_memory_region((block) + 1, (size) - sizeof(struct pool_block))
#define UNPOISON(block, size)                                                                      \
    __asan_unpoison_memory_region((block) + 1, (size) - sizeof(struct pool_block))
#else
#define POISON(block, size) ((void)(block), (void)(size))
#define UNPOISON(block, size) ((void)(block), (void)(size))
#endif

static struct {
    _Atomic(struct pool_block *) head;
    _Atomic size_t
        n; /* in the list, more or less: a list that comes while one goes may not count */
} pools[POOL_KINDS];

void *pool_get(struct pool_cache *cache, unsigned kind, size_t size)
{
    struct pool_block *block = cache->blocks[kind];

    assert(kind < POOL_KINDS && size > sizeof *block);
    if (block == NULL) {
        if (atomic_load_explicit(&pools[kind].head, memory_order_relaxed) == NULL)
            return malloc(size);
        block = atomic_exchange_explicit(&pools[kind].head, NULL, memory_order_acquire);
        if (block == NULL)
            return malloc(size); /* another worker was faster */
        atomic_store_explicit(&pools[kind].n, 0, memory_order_relaxed);
    }
    cache->blocks[kind] = block->next;
    UNPOISON(block, size);
    return block;
}

static void free_list(struct pool_block *block)
{
    while (block != NULL) {
        struct pool_block *next = block->next;

        free(block);
        block = next;
    }
}

void pool_put(unsigned kind, size_t size, struct pool_block *first, struct pool_block *last,
              size_t n)
{
    struct pool_block *head;

    assert(kind < POOL_KINDS && n > 0);
    last->next = NULL;
    if (atomic_load_explicit(&pools[kind].n, memory_order_relaxed) + n > POOL_MAX) {
        free_list(first);
        return;
    }
    atomic_fetch_add_explicit(&pools[kind].n, n, memory_order_relaxed);
    for (struct pool_block *block = first; block != NULL; block = block->next)
        POISON(block, size);
    head = atomic_load_explicit(&pools[kind].head, memory_order_relaxed);
    do {
        last->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&pools[kind].head, &head, first,
                                                    memory_order_release, memory_order_relaxed));
}

void pool_cache_fini(struct pool_cache *cache)
{
    for (unsigned kind = 0; kind < POOL_KINDS; kind++) {
        free_list(cache->blocks[kind]);
        cache->blocks[kind] = NULL;
    }
}

void pool_clear(void)
{
    for (unsigned kind = 0; kind < POOL_KINDS; kind++) {
        free_list(atomic_exchange_explicit(&pools[kind].head, NULL, memory_order_acquire));
        atomic_store_explicit(&pools[kind].n, 0, memory_order_relaxed);
    }
}
