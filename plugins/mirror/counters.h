/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/mirror/counters.h - what is counted. Every request that is seen is, once it has ended, in
 * exactly one of: unselected, dropped for a reason, answered with a class, failed for a reason.
 */
#ifndef MIRROR_COUNTERS_H
#define MIRROR_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* Never sent. */
#define MIRROR_DROPS(X)                                                                            \
    X(CUT, "cut_body")           /* HAProxy's buffer did not hold the whole body */                \
    X(MARKED, "marked")          /* it was mirrored already */                                     \
    X(INVALID, "invalid")        /* no method or path, or headers that cannot be sent */           \
    X(FULL, "queue_full")        /* queue */                                                       \
    X(FULL_BYTES, "memory_full") /* memory */                                                      \
    X(LATE, "late")              /* waited longer than queue-time */                               \
    X(NO_MEMORY, "no_memory")    /* malloc() */                                                    \
    X(SHUTDOWN, "shutdown")      /* the host ended first */
/* Sent, at least begun, without a whole answer. */
#define MIRROR_FAILURES(X)                                                                         \
    X(RESOLVE, "resolve")                                                                          \
    X(CONNECT, "connect")                                                                          \
    X(TLS, "tls")                                                                                  \
    X(TIMEOUT, "timeout")                                                                          \
    X(BROKEN, "connection") /* it ended before the answer did */                                   \
    X(OTHER, "other")                                                                              \
    X(ENDED, "shutdown") /* the host ended first */

#define MIRROR_DROP_ID(id, name) MIRROR_DROP_##id,
#define MIRROR_FAILURE_ID(id, name) MIRROR_FAILURE_##id,
enum mirror_drop { MIRROR_DROPS(MIRROR_DROP_ID) MIRROR_N_DROPS };
enum mirror_failure { MIRROR_FAILURES(MIRROR_FAILURE_ID) MIRROR_N_FAILURES };
#undef MIRROR_DROP_ID
#undef MIRROR_FAILURE_ID

#define MIRROR_N_CLASSES 5u /* of a status: 1xx to 5xx */

struct mirror_counters {
    _Atomic uint64_t requests, unselected;
    _Atomic uint64_t dropped[MIRROR_N_DROPS];
    _Atomic uint64_t answers[MIRROR_N_CLASSES], failures[MIRROR_N_FAILURES];
    _Atomic uint64_t long_answers; /* of those that were answered: their end was not read */
    _Atomic uint64_t connections;
    _Atomic uint64_t sent_bytes; /* of bodies */
};

static inline void mirror_count(_Atomic uint64_t *counter, uint64_t n)
{
    (void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t mirror_counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
