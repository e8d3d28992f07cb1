/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/base/counters.h - what the plugin counts.
 *
 * One set is everybody's. What each message counts would make workers wait for each other's cache
 * lines, so each worker has a set of its own beside it, which nobody else writes; a counter's value
 * is the sum over all sets.
 */
#ifndef OTEL_BASE_COUNTERS_H
#define OTEL_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* X(name): one counter, by its name in the line of totals; docs/otel.md explains each. */
#define OTEL_COUNTERS(X)                                                                           \
    X(requests)              /* request messages */                                                \
    X(backends)              /* backend request messages */                                        \
    X(responses)             /* response messages */                                               \
    X(lines)                 /* lines of HAProxy's log */                                          \
    X(lines_without_context) /* of these, without a traceparent: nothing is made of them */        \
    X(bad_requests)          /* lines of what never became a request: 400, 408 */                  \
    X(logged)                /* spans made of lines */                                             \
    X(lines_late)            /* whose request, opened here, is open no more; not exported again */ \
    X(opened)                /* requests opened: each ends as one of the next five */              \
    X(ended)                 /* ended by their response, or their line */                          \
    X(evicted)               /* ended by span-ttl */                                               \
    X(without_line)          /* of these, a line was to end them */                                \
    X(ended_at_stop)         /* ended as incomplete by the shutdown */                             \
    X(left_to_line)          /* left to their line by the shutdown: the next process reads it */   \
    X(lost_open)             /* still open when the shutdown's time was over */                    \
    X(unsampled)             /* requests that were not sampled; in none of the four */             \
    X(capped)                /* of these, over sample-max-per-second */                            \
    X(traced_once)           /* requests that were asked for: trace-once */                        \
    X(kept_errors)           /* of these, exported for a 5xx: keep-errors */                       \
    X(kept_slow)             /* of these, exported for their time: keep-slower */                  \
    X(attached)              /* CLIENT spans opened, by a backend message */                       \
    X(missing_id)            /* messages with no or an empty unique-id */                          \
    X(long_id)               /* messages with an id above STORE_KEY_MAX */                         \
    X(duplicate_id)          /* request messages whose id was open */                              \
    X(duplicate_backend)     /* backend messages for a request that had one */                     \
    X(unknown_id)            /* backend and response messages whose request never came */          \
    X(reordered)             /* of these messages, applied when it did: span-reorder */            \
    X(reorder_full)          /* of these, not kept for want of room */                             \
    X(late)                  /* responses after span-ttl, each a span of its own */                \
    X(late_backend)          /* backend messages after span-ttl */                                 \
    X(late_forgotten)        /* evicted requests whose late response would be unknown */           \
    X(excluded)              /* request messages of excluded paths, which open nothing */          \
    X(excluded_later)        /* backend and response messages of those */                          \
    X(refused)               /* requests over span-store-max or span-store-bytes */                \
    X(refused_client)        /* CLIENT spans over span-store-bytes */                              \
    X(refused_response)      /* responses over span-store-bytes, left to their lines */            \
    X(refused_later)         /* backend and response messages of requests that were refused */     \
    X(refused_changes)       /* of options, over POLICIES_MAX: policies.h */                       \
    X(stopping)              /* requests that came while the host was about to leave */            \
    X(no_memory)             /* messages without effect for want of memory */                      \
    X(unanswered)            /* answers that did not fit or came too late */                       \
    X(dropped)               /* spans over span-queue-max or span-queue-bytes */                   \
    X(queue_no_memory)       /* ended spans that found no memory on their way into the queue */    \
    X(passed_over)           /* SERVER spans of requests that were not sampled, made to be kept */ \
    X(unsampled_spans)       /* spans of such requests that were not kept after all */             \
    X(still_open)            /* spans of requests in lost_open */                                  \
    X(superseded) /* spans that a line takes the place of: of left_to_line, CLIENT untried */      \
    X(discarded)  /* ended spans that nobody exports: traces-exporter none */

struct counters {
#define X(name) _Atomic uint64_t name;
    OTEL_COUNTERS(X)
#undef X
    _Atomic(struct counters *) next; /* the workers' sets; the first one is everybody's */
};

/** Threads: [any] */
static inline void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/** The same in a worker's own set. Threads: the worker's */
static inline void count_own(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/** One counter of one set. */
static inline uint64_t counted(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/**
 * Add a worker's set.
 * @return [borrow from all, until counters_fini()] NULL: out of memory
 * Threads: [any]
 */
struct counters *counters_add(struct counters *all);
/** Free the workers' sets. No other thread may use them. */
void counters_fini(struct counters *all);

/** A counter's value. @param offset  of the counter in the struct. Threads: [any] */
uint64_t counters_sum(struct counters *all, size_t offset);
#define COUNTED(all, name) counters_sum((all), offsetof(struct counters, name))

#endif
