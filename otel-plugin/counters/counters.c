/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/counters/counters.c - the limiter of warnings. */
#include "counters/counters.h"

bool warn_limit_pass(struct warn_limit *limit, int64_t now_ns, uint64_t n, uint64_t *ret_n)
{
    int64_t next;

    count(&limit->held, n);
    next = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);
    if (next != 0 && now_ns < next)
        return false;
    /* Of the threads that see the moment come, one writes. */
    if (!atomic_compare_exchange_strong(&limit->next_ns, &next, now_ns + WARN_INTERVAL_NS))
        return false;
    *ret_n = atomic_exchange(&limit->held, 0);
    return *ret_n != 0;
}
