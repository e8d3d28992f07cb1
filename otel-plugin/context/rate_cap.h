/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/rate_cap.h - at most so many per second, over all workers.
 *
 * A bucket of one second's worth that fills evenly, kept as one number: the moment at which the
 * bucket would be full again if nothing more came (the "generic cell rate algorithm"). One
 * compare-and-swap per call, no lock. The clock is handed in.
 */
#ifndef OTEL_CONTEXT_RATE_CAP_H
#define OTEL_CONTEXT_RATE_CAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RATE_CAP_MAX INT64_C(1000000000) /* per second */

/* Zeroed: no cap. */
struct rate_cap {
    int64_t interval_ns; /* between two at the full rate; 0: no cap */
    _Atomic int64_t _full_ns;
};

/** @param per_second  0: no cap; at most RATE_CAP_MAX */
void rate_cap_init(struct rate_cap *cap, int64_t per_second);

static inline bool rate_cap_is_set(const struct rate_cap *cap)
{
    return cap->interval_ns > 0;
}

/** Whether one more may pass now; if so, it is counted. Threads: [any] */
bool rate_cap_pass(struct rate_cap *cap, int64_t now_mono_ns);

#endif
