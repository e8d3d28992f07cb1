/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/trace_once.h - one trace that is sampled whatever the sampler says, once, and
 * within TRACE_ONCE_NS of being asked for: whoever asks sends its id in a traceparent.
 *
 * What is asked for never changes once it is published with a policy; that it has come is a number
 * that all policies share, so that a later request for another trace is not touched by workers that
 * still read the one before. Threads: [any].
 */
#ifndef OTEL_CONTEXT_TRACE_ONCE_H
#define OTEL_CONTEXT_TRACE_ONCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TRACE_ONCE_NS (INT64_C(600) * 1000000000)

/* Zeroed: none is asked for. */
struct trace_once {
    uint64_t number; /* of those that were asked for, from 1 on */
    int64_t end_mono_ns;
    uint8_t trace_id[16];
    _Atomic uint64_t *last_come; /* the number of the last that has come */
};

/** Whether it is this one's trace that is asked for: at most once. */
static inline bool trace_once_take(const struct trace_once *once, const uint8_t trace_id[16],
                                   int64_t now_mono_ns)
{
    uint64_t last;

    if (once->number == 0 || memcmp(once->trace_id, trace_id, sizeof once->trace_id) != 0 ||
        now_mono_ns >= once->end_mono_ns)
        return false;
    last = atomic_load(once->last_come);
    while (last < once->number) {
        if (atomic_compare_exchange_weak(once->last_come, &last, once->number))
            return true;
    }
    return false;
}

#endif
