/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/pool.h - a worker's blocks for spans. It begins and ends as many spans as it
 * has requests, so the block of one that ended, warm as it is, serves the next. What is above
 * POOL_MAX goes back to the allocator. Under AddressSanitizer blocks are poisoned meanwhile.
 */
#ifndef OTEL_SIGNAL_POOL_H
#define OTEL_SIGNAL_POOL_H

#include <stddef.h>

#define POOL_KINDS 2u
#define POOL_MAX 256u /* blocks of a kind that wait in a cache */

struct pool_block {
    struct pool_block *next;
};

/* A worker's own; all zero at first. */
struct pool_cache {
    struct {
        struct pool_block *first;
        size_t n;
    } kinds[POOL_KINDS];
};

/**
 * A block for a span of a kind.
 * @param kind  below POOL_KINDS
 * @param size  always the same for a kind
 * @return [own] not cleared; free(3) or pool_put() it. NULL: out of memory
 */
void *pool_get(struct pool_cache *cache, unsigned kind, size_t size);

/** Give a block back. @param block [own] of any thread's pool_get() */
void pool_put(struct pool_cache *cache, unsigned kind, size_t size, void *block);

/** Free what is in a cache. */
void pool_cache_fini(struct pool_cache *cache);

#endif
