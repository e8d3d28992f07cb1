/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/counters.h - what a worker counts. Each counter has one writer, its worker; others
 * may read at any time.
 */
#ifndef HOST_CORE_COUNTERS_H
#define HOST_CORE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/log.h"

/* name: meaning */
#define COUNTERS(X)                                                                                \
    X(connections)         /* accepted */                                                          \
    X(hellos)              /* handshakes completed, health checks not among them */                \
    X(health_checks)       /* HELLO with healthcheck, answered */                                  \
    X(frames)              /* whole frames read */                                                 \
    X(notifies)            /* NOTIFY frames */                                                     \
    X(messages)            /* messages in them, and in log lines */                                \
    X(unknown_messages)    /* messages that no plugin declares */                                  \
    X(acks)                /* ACK frames written */                                                \
    X(pending)             /* messages for which a plugin answered PENDING */                      \
    X(timeouts)            /* of those, answered without the plugin at processing-timeout */       \
    X(committed)           /* answered with what a plugin had committed, without its completion */ \
    X(handler_errors)      /* messages for which a plugin returned or completed with an error */   \
    X(bad_types)           /* declared arguments of a type that is not accepted */                 \
    X(missing_arguments)   /* messages not handed over for want of a required argument */          \
    X(withheld_messages)   /* messages not handed to a plugin that completes none */               \
    X(refused_messages)    /* messages not handed over, since the host is about to leave */        \
    X(refused_actions)     /* set_var or unset_var that was not taken */                           \
    X(truncated_actions)   /* of those, because the ACK would have passed the frame size */        \
    X(misbehaviour)        /* plugins that broke the contract */                                   \
    X(unknown_frames)      /* frames of a type that SPOP does not know, skipped */                 \
    X(protocol_errors)     /* connections ended by AGENT-DISCONNECT with a code other than 0 */    \
    X(peer_errors)         /* HAPROXY-DISCONNECT with a code other than 0 */                       \
    X(hello_timeouts)      /* connections without a HELLO in time */                               \
    X(idle_timeouts)       /* connections without a frame for idle-timeout */                      \
    X(evicted_connections) /* closed to make a place for another */                                \
    X(discarded_frames)    /* whole frames whose connection ended before they were handled */      \
    X(resource_errors)     /* out of memory */                                                     \
    X(bytes_in)                                                                                    \
    X(bytes_out)                                                                                   \
    X(log_lines)         /* lines of HAProxy's log that became messages */                         \
    X(log_cut_lines)     /* of those, the ones that HAProxy had cut */                             \
    X(log_bytes)         /* of lines, with what frames them */                                     \
    X(log_connections)   /* accepted on addresses of log-listen */                                 \
    X(log_lost_framing)  /* of those, closed since what came was no line */                        \
    X(log_broken_lines)  /* lines that became no message */                                        \
    X(log_room_drops)    /* datagrams dropped at max-pending */                                    \
    X(log_kernel_drops)  /* datagrams that the kernel dropped, since its buffer was full */        \
    X(log_haproxy_drops) /* lines that HAProxy says it dropped */                                  \
    X(log_missing_lines) /* lines that are missing by their number */                              \
    X(log_refused)       /* datagrams and connections from where log-from does not name */

/* Places of the status codes of a DISCONNECT: 0 to 13, then all others (99). */
#define COUNTER_CODES 15u
static inline uint32_t counter_code(uint32_t status)
{
    return status < COUNTER_CODES - 1 ? status : COUNTER_CODES - 1;
}

/* Why a line is broken: reason, its name in metrics, what the log says. */
#define LINE_FAULTS(X)                                                                             \
    X(OTHER, "other",                                                                              \
      "it does not begin with v=1: another log line, or a frontend without a log-format?")         \
    X(SYSLOG, "syslog", "the head of an RFC 5424 line is broken")                                  \
    X(NAME, "name", "expected KEY= of 1 to 64 letters, digits, _, . and -")                        \
    X(VALUE, "value", "something follows a quoted value")                                          \
    X(TOO_MANY, "too_many", "more pairs than a line may have")                                     \
    X(TOO_LONG, "too_long", "longer than log-line-max")                                            \
    X(PARTIAL, "partial", "the connection ended within it")                                        \
    X(MEMORY, "memory", "out of memory")

enum line_fault {
    LINE_OK,
#define X(name, ...) LINE_##name,
    LINE_FAULTS(X)
#undef X
        N_LINE_FAULTS
};

struct counters {
#define COUNTER_FIELD(name) _Atomic uint64_t name;
    COUNTERS(COUNTER_FIELD)
    /* protocol_errors by the code that we sent, before HELLO was accepted and after it; and
     * peer_errors by HAProxy's. */
    COUNTER_FIELD(hello_failures[COUNTER_CODES])
    COUNTER_FIELD(open_errors[COUNTER_CODES])
    COUNTER_FIELD(peer_codes[COUNTER_CODES])
    /* log_broken_lines by enum line_fault */
    COUNTER_FIELD(line_faults[N_LINE_FAULTS])
#undef COUNTER_FIELD
};

/* What a worker counts of one message of one plugin. */
#define TARGET_COUNTERS(X)                                                                         \
    X(messages)          /* handed over */                                                         \
    X(pending)           /* answered PENDING */                                                    \
    X(timeouts)          /* of those, answered without the plugin at processing-timeout */         \
    X(errors)            /* returned or completed with an error */                                 \
    X(slow)              /* handle() took longer than slow-handle */                               \
    X(missing_arguments) /* not handed over for want of a required argument */

struct target_counters {
#define COUNTER_FIELD(name) _Atomic uint64_t name;
    TARGET_COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
    struct log_limit failed_limit, slow_limit; /* of core/handler_log.h */
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
