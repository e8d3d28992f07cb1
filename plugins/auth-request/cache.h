/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/cache.h - answers that were given, by the bytes of their question, for one
 * worker. Bounded in number and in bytes; the one that was not asked for the longest makes room.
 */
#ifndef AUTH_REQUEST_CACHE_H
#define AUTH_REQUEST_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "auth-request/answer.h"

struct cache;

enum cache_result { CACHE_HIT, CACHE_MISS, CACHE_EXPIRED };

/* @param entries  for how many its table is made. @return [give] NULL: out of memory */
struct cache *cache_create(size_t entries);
void cache_destroy(struct cache *cache);

/* @param ret  [borrow until the next call] on CACHE_HIT. An expired one is gone after it. */
enum cache_result cache_find(struct cache *cache, uint64_t hash, struct spoe_span key,
                             int64_t now_ns, struct answer *ret);

/* What cache_put() had to take away, and what is there now. */
struct cache_change {
    size_t evicted;
    int64_t entries, bytes; /* more or less than before */
};

/**
 * Keep a copy of an answer, in the place of an older one.
 * @param entries, bytes  the bounds that hold from now on
 * @return 0; -1: it alone is above the bounds, or out of memory
 */
int cache_put(struct cache *cache, uint64_t hash, struct spoe_span key, const struct answer *answer,
              int64_t expires_ns, size_t entries, size_t bytes, struct cache_change *ret);

size_t cache_entries(const struct cache *cache);
size_t cache_bytes(const struct cache *cache);

#endif
