/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/counters.h - what a worker counts. Each counter has one writer, its worker; others
 * may read at any time.
 */
#ifndef HOST_CORE_COUNTERS_H
#define HOST_CORE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* name: meaning */
#define COUNTERS(X)                                                                                \
    X(connections)       /* accepted */                                                            \
    X(hellos)            /* handshakes completed, health checks not among them */                  \
    X(health_checks)     /* HELLO with healthcheck, answered */                                    \
    X(frames)            /* whole frames read */                                                   \
    X(notifies)          /* NOTIFY frames */                                                       \
    X(messages)          /* messages in them */                                                    \
    X(unknown_messages)  /* messages that no plugin declares */                                    \
    X(acks)              /* ACK frames written */                                                  \
    X(pending)           /* messages for which a plugin answered PENDING */                        \
    X(timeouts)          /* of those, answered without the plugin at processing-timeout */         \
    X(handler_errors)    /* messages for which a plugin returned or completed with an error */     \
    X(bad_types)         /* declared arguments of a type that is not accepted */                   \
    X(missing_arguments) /* messages not handed over for want of a required argument */            \
    X(refused_actions)   /* set_var or unset_var that was not taken */                             \
    X(misbehaviour)      /* plugins that broke the contract */                                     \
    X(unknown_frames)    /* frames of a type that SPOP does not know, skipped */                   \
    X(protocol_errors)   /* connections ended by AGENT-DISCONNECT with a code other than 0 */      \
    X(peer_errors)       /* HAPROXY-DISCONNECT with a code other than 0 */                         \
    X(hello_timeouts)    /* connections without a HELLO in time */                                 \
    X(resource_errors)   /* out of memory */                                                       \
    X(bytes_in)                                                                                    \
    X(bytes_out)

struct counters {
#define COUNTER_FIELD(name) _Atomic uint64_t name;
    COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
};

/* Single writer: a load and a store, no locked instruction. */
#define COUNT_ADD(counters, name, n)                                                               \
    atomic_store_explicit(&(counters)->name,                                                       \
                          atomic_load_explicit(&(counters)->name, memory_order_relaxed) +          \
                              (uint64_t)(n),                                                       \
                          memory_order_relaxed)
#define COUNT(counters, name) COUNT_ADD(counters, name, 1)

/* Any thread may add: for what happens outside a worker. */
#define COUNT_SHARED(counters, name)                                                               \
    atomic_fetch_add_explicit(&(counters)->name, 1, memory_order_relaxed)

#endif
