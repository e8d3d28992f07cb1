/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/context/rate_cap.c - a token bucket in one atomic number. */
#include "context/rate_cap.h"

#define SECOND INT64_C(1000000000)

void rate_cap_init(struct rate_cap *cap, int64_t per_second)
{
    cap->interval_ns = per_second > 0 ? SECOND / per_second : 0;
    /* One that is full from the beginning, whatever the clock's zero is. */
    atomic_store_explicit(&cap->_full_ns, INT64_MIN, memory_order_relaxed);
}

bool rate_cap_pass(struct rate_cap *cap, int64_t now_mono_ns)
{
    int64_t full, next;

    if (cap->interval_ns == 0)
        return true;
    full = atomic_load_explicit(&cap->_full_ns, memory_order_relaxed);
    do {
        next = (full < now_mono_ns ? now_mono_ns : full) + cap->interval_ns;
        if (next > now_mono_ns + SECOND)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&cap->_full_ns, &full, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}
