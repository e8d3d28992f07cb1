/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/evict.h - who makes a place when all are taken: what the listener asks workers by, and
 * the worker its connections.
 *
 * Nobody knows who is HAProxy; what tells is a NOTIFY. A connection that has had one goes after
 * those that have been of no use for HELLO_GRACE_NS. Newer ones are spared, since HAProxy's own
 * begin like that, and each carries a request that waits; but only an eighth of the places is for
 * them: a flood of connections that ask nothing takes no more from HAProxy, however fast it is. One
 * that sends NOTIFYs cannot be told from HAProxy, and drives out what is idle.
 */
#ifndef HOST_NET_EVICT_H
#define HOST_NET_EVICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELLO_GRACE_NS                                                                             \
    INT64_C(1000000000) /* an honest peer's HELLO and NOTIFY have come after that */

/* Connections that have nothing to do. */
enum evictable {
    EVICT_LINGERING,     /* have been told to go */
    EVICT_WITHOUT_HELLO, /* have not said HELLO */
    EVICT_UNUSED,        /* have, and not had a NOTIFY yet */
    EVICT_IDLE,          /* have had one */
    N_EVICTABLE
};

/* The oldest of the kinds goes. The first step that finds one counts. */
struct evict_step {
    uint32_t kinds;     /* 1 << enum evictable */
    int64_t min_age_ns; /* for so long at least */
    bool only_crowded;  /* evict_is_crowded() */
};
#define N_EVICT_STEPS 6u
extern const struct evict_step evict_steps[N_EVICT_STEPS];

/** Whether newcomers (without HELLO, or unused) have all the places that are for them. */
bool evict_is_crowded(uint32_t n_newcomers, uint32_t n_places);

#endif
