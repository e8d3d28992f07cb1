/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/span/pool.h - blocks of spans on their way back from the export thread, which ends
 * them all, to the workers, which begin them all.
 *
 *   worker: cache --> span --> ... --> export thread: pool --> cache of whichever worker needs one
 *
 * A general allocator pays for that route with a lock and with lists of the other thread's. Here
 * a batch goes back in one step, and a worker takes all that is there in one step. What is above
 * POOL_MAX goes back to the allocator. Under AddressSanitizer blocks are poisoned meanwhile.
 */
#ifndef OTEL_SPAN_POOL_H
#define OTEL_SPAN_POOL_H

#include <stddef.h>

#define POOL_KINDS 2u
#define POOL_MAX 4096u /* blocks of a kind that wait in the pool */

struct pool_block {
    struct pool_block *next;
};

/* A worker's own; all zero at first. */
struct pool_cache {
    struct pool_block *blocks[POOL_KINDS];
};

/**
 * A block for a span of a kind.
 * @param kind  below POOL_KINDS
 * @param size  always the same for a kind
 * @return [own] not cleared; free(3) or pool_put() it. NULL: out of memory
 * Threads: the cache's
 */
void *pool_get(struct pool_cache *cache, unsigned kind, size_t size);

/**
 * Give blocks back.
 * @param first  [own] a list of n blocks of `size` bytes by their first member, up to `last`
 * Threads: [any]
 */
void pool_put(unsigned kind, size_t size, struct pool_block *first, struct pool_block *last,
              size_t n);

/** Free what is in a cache. */
void pool_cache_fini(struct pool_cache *cache);
/** Free what waits in the pool. */
void pool_clear(void);

#endif
