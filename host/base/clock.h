/* SPDX-License-Identifier: Apache-2.0 */
/* host/base/clock.h - the time, in ns since an epoch, and the units of it. [any] */
#ifndef HOST_BASE_CLOCK_H
#define HOST_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts); /* cannot fail for the two below */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/** CLOCK_MONOTONIC. */
static inline int64_t clock_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/** The same as of the kernel's last tick: a fifth of the cost, and up to clock_tick_ns() behind. */
static inline int64_t clock_mono_coarse_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC_COARSE);
}

static inline int64_t clock_tick_ns(void)
{
    struct timespec ts;

    (void)clock_getres(CLOCK_MONOTONIC_COARSE, &ts); /* cannot fail for it */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/** CLOCK_REALTIME: since 1970. */
static inline int64_t clock_unix_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

#endif
