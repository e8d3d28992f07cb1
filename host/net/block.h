/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/block.h - buffers of connections, from a pool per worker.
 *
 * A block is counted: its connection holds it while it reads or writes, and every exchange whose
 * message a plugin still looks at pins it. Blocks of the common size go round in the pool, last in
 * first out; larger ones, for large frames, come from malloc() and go back there. Threads: the
 * worker's only.
 */
#ifndef HOST_NET_BLOCK_H
#define HOST_NET_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_SIZE 16384u   /* one frame of HAProxy's default size, with its length prefix */
#define BLOCK_POOL_MAX 256u /* free blocks kept */

struct block {
    struct block *next_free;
    size_t size;
    uint32_t refs;
    uint8_t data[];
};

struct block_pool {
    struct block *free;
    uint32_t n_free;
};

/** Get a block of at least `size` bytes, held once. @return NULL out of memory */
struct block *block_get(struct block_pool *pool, size_t size);
static inline struct block *block_ref(struct block *block)
{
    block->refs++;
    return block;
}
/** Drop one hold; the last one gives the block back. Takes NULL. */
void block_unref(struct block_pool *pool, struct block *block);
void block_pool_fini(struct block_pool *pool);

#endif
