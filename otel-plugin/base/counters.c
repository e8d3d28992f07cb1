/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/base/counters.c - the sets of counters, in a list that only grows. */
#include "base/counters.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64u

struct counters *counters_add(struct counters *all)
{
    const size_t size = (sizeof(struct counters) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct counters *own = aligned_alloc(CACHE_LINE, size);
    struct counters *next;

    if (own == NULL)
        return NULL;
    memset(own, 0, size);
    next = atomic_load_explicit(&all->next, memory_order_relaxed);
    do {
        atomic_store_explicit(&own->next, next, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&all->next, &next, own, memory_order_release,
                                                    memory_order_relaxed));
    return own;
}

void counters_fini(struct counters *all)
{
    struct counters *own = atomic_exchange(&all->next, NULL);

    while (own != NULL) {
        struct counters *next = atomic_load(&own->next);

        free(own);
        own = next;
    }
}

uint64_t counters_sum(struct counters *all, size_t offset)
{
    uint64_t sum = 0;

    for (struct counters *set = all; set != NULL;
         set = atomic_load_explicit(&set->next, memory_order_acquire))
        sum += counted((_Atomic uint64_t *)(void *)((char *)set + offset));
    return sum;
}
