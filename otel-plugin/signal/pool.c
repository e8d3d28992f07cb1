/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/signal/pool.c - a stack per kind. */
#include "signal/pool.h"

#include <assert.h>
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

void *pool_get(struct pool_cache *cache, unsigned kind, size_t size)
{
    struct pool_block *block = cache->kinds[kind].first;

    assert(kind < POOL_KINDS && size > sizeof *block);
    if (block == NULL)
        return malloc(size);
    cache->kinds[kind].first = block->next;
    cache->kinds[kind].n--;
    UNPOISON(block, size);
    return block;
}

void pool_put(struct pool_cache *cache, unsigned kind, size_t size, void *p)
{
    struct pool_block *block = p;

    assert(kind < POOL_KINDS);
    if (cache->kinds[kind].n == POOL_MAX) {
        free(block);
        return;
    }
    block->next = cache->kinds[kind].first;
    cache->kinds[kind].first = block;
    cache->kinds[kind].n++;
    POISON(block, size);
}

void pool_cache_fini(struct pool_cache *cache)
{
    for (unsigned kind = 0; kind < POOL_KINDS; kind++) {
        struct pool_block *block = cache->kinds[kind].first;

        while (block != NULL) {
            struct pool_block *next = block->next;

            free(block);
            block = next;
        }
    }
    *cache = (struct pool_cache){.kinds = {{NULL, 0}}};
}
