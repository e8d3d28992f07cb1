/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/metrics_exemplars.c - the last exemplar of a bucket, which any thread may set and the
 * reader reads whole, without a lock: `turn` is odd while it is written. Stores release and loads
 * acquire, so that none of them moves across it.
 */
#include "core/metrics_impl.h"

#define TRIES_MAX 1000u /* of a reader; whoever writes is done within nanoseconds */

static void put(_Atomic uint64_t *cell, uint64_t value)
{
    atomic_store_explicit(cell, value, memory_order_release);
}

static uint64_t get(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_acquire);
}

void metric_exemplar_set(struct metric_exemplar *exemplar, const struct spoe_exemplar *value)
{
    uint32_t turn = atomic_load_explicit(&exemplar->turn, memory_order_relaxed);
    uint64_t words[3];

    if (turn % 2 != 0 ||
        !atomic_compare_exchange_strong_explicit(&exemplar->turn, &turn, turn + 1,
                                                 memory_order_acquire, memory_order_relaxed))
        return; /* somebody else is at it: theirs is as good */
    memcpy(words, value->trace_id, sizeof value->trace_id);
    memcpy(&words[2], value->span_id, sizeof value->span_id);
    put(&exemplar->trace_id[0], words[0]);
    put(&exemplar->trace_id[1], words[1]);
    put(&exemplar->span_id, words[2]);
    put(&exemplar->value, metric_bits_of(value->value));
    put(&exemplar->unix_ns, (uint64_t)value->unix_ns);
    atomic_store_explicit(&exemplar->turn, turn + 2, memory_order_release);
}

bool metric_exemplar_get(const struct metric_exemplar *exemplar, struct spoe_exemplar *ret)
{
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        const uint32_t turn = atomic_load_explicit(&exemplar->turn, memory_order_acquire);
        const uint64_t words[] = {get(&exemplar->trace_id[0]), get(&exemplar->trace_id[1]),
                                  get(&exemplar->span_id)};

        ret->value = metric_double_of(get(&exemplar->value));
        ret->unix_ns = (int64_t)get(&exemplar->unix_ns);
        memcpy(ret->trace_id, words, sizeof ret->trace_id);
        memcpy(ret->span_id, &words[2], sizeof ret->span_id);
        if (turn % 2 == 0 && turn == atomic_load_explicit(&exemplar->turn, memory_order_relaxed))
            return ret->unix_ns != 0;
    }
    return false;
}
