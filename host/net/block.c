/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/block.c - buffers of connections, from a pool per worker. */
#include "net/block.h"

#include <assert.h>
#include <stdlib.h>

struct block *block_get(struct block_pool *pool, size_t size)
{
    struct block *block;

    if (size <= BLOCK_SIZE && pool->free != NULL) {
        block = pool->free;
        pool->free = block->next_free;
        pool->n_free--;
    } else {
        if (size < BLOCK_SIZE)
            size = BLOCK_SIZE;
        block = malloc(sizeof *block + size);
        if (block == NULL)
            return NULL;
        block->size = size;
    }
    block->next_free = NULL;
    block->refs = 1;
    return block;
}

void block_unref(struct block_pool *pool, struct block *block)
{
    if (block == NULL)
        return;
    assert(block->refs > 0);
    if (--block->refs != 0)
        return;
    if (block->size == BLOCK_SIZE && pool->n_free < BLOCK_POOL_MAX) {
        block->next_free = pool->free;
        pool->free = block;
        pool->n_free++;
    } else {
        free(block);
    }
}

void block_pool_fini(struct block_pool *pool)
{
    while (pool->free != NULL) {
        struct block *next = pool->free->next_free;

        free(pool->free);
        pool->free = next;
    }
    pool->n_free = 0;
}
