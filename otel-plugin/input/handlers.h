/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/handlers.h - from messages to spans. Only this folder knows what a message
 * looks like.
 *
 *   request   opens SERVER          answers txn.traceparent: SERVER's context
 *   backend   opens CLIENT          answers txn.traceparent: CLIENT's context
 *   response  ends CLIENT, SERVER   answers nothing
 *   log       makes SERVER, CLIENT  from a line of HAProxy's log: log_line.h
 *
 * With both, messages and the line (argument `log_line` of the request), the line alone ends a
 * request that is open, and makes its spans where it was opened by a process that is gone, or by
 * another agent. The response only tells what it knows.
 *
 * context.h says what else is answered, and which requests are sampled. One that is not has an
 * entry in the store and no spans; its answers are the same but for the flags. One for which there
 * is no room is answered, too: with its caller's context as it came, or with one that is not
 * sampled.
 *
 * Later messages may overtake the first (HAProxy 3.1 and later). One whose request is not open is
 * kept for a moment, answered with nothing, and applied when its request comes; so is a response
 * that comes before the backend's message.
 *
 * What does not fit that order is counted and opens nothing. A request message whose id is open
 * answers nothing either: it may belong to another request, whose trace is none of its business
 * (ids can be a client's choice), and without an answer the caller's own traceparent passes
 * through to the upstream unchanged.
 */
#ifndef OTEL_INPUT_HANDLERS_H
#define OTEL_INPUT_HANDLERS_H

#include <spoe/ext/recent.h>
#include <spoe/plugin.h>

#include "base/conf_types.h"
#include "base/counters.h"
#include "context/ids.h"
#include "input/context.h"
#include "input/mark.h"
#include "input/policy.h"
#include "input/sink.h"
#include "input/store.h"
#include "input/untraced.h"
#include "meter/meter.h"

#define HANDLERS_HOLD_MAX_S 86400 /* of a request's argument `hold`; more is none */

/* What all workers share. */
struct handlers {
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct store *store;
    struct sink *sink;
    struct counters *counters;
    struct untraced_ids *untraced;
    const struct spoe_recent *recent; /* for whoever looks at requests; NULL: nobody can */
    uint8_t process[MARK_PROCESS];    /* whose the requests are that it opens */
    int64_t started_unix_ns;
    _Atomic(const struct policy *) policy; /* NULL: policy_default */
    bool reorder;                          /* the store keeps messages for their request */
    _Atomic bool quiet;                    /* open nothing new: the host is about to leave */
    _Atomic bool _missing_id_told;
    _Atomic bool _backends_come; /* HAProxy sends backend messages at all */
    _Atomic bool _lines_come;    /* and lines that belong to messages */
};

/* What a worker has of its own. */
struct handlers_worker {
    struct handlers *shared;
    struct counters *counters; /* its own set; NULL: it counts in everybody's */
    struct id_source ids;
    struct pool_cache spans;
    struct span_room server_room, client_room; /* of the request that ends */
    struct span_writer *writer;
    struct span_writer *logs;   /* of the queue of logs; NULL: no log records are made */
    struct meter_writer *meter; /* NULL: requests are not counted */
    bool waits;                 /* what the queue has no room for is kept in `held`, and not lost */
    struct span *held;          /* [own] of the last request that was ended; NULL: none */
};

/* Count what each message counts. */
#define COUNT_OWN(worker, name)                                                                    \
    ((worker)->counters != NULL ? count_own(&(worker)->counters->name, 1)                          \
                                : count(&(worker)->shared->counters->name, 1))

/** The policy of this moment; one message is handled by one of them. */
static inline const struct policy *handlers_policy(const struct handlers *handlers)
{
    const struct policy *policy = atomic_load_explicit(&handlers->policy, memory_order_acquire);

    return policy != NULL ? policy : &policy_default;
}

/**
 * Handle one message of otel_messages[]. Never blocks but for a shard's mutex.
 * @return SPOE_OK; SPOE_E_INVAL: no such message
 */
spoe_status handlers_handle(struct handlers_worker *worker, struct spoe_request *req,
                            const struct spoe_message *msg);

/**
 * End one request whose time is over, or give up messages whose request did not come.
 * @param now_mono_ns  INT64_MAX: whatever is there, for the shutdown
 * @return false: nothing is due
 * Threads: one at a time, with a worker of its own.
 */
bool handlers_expire(struct handlers_worker *worker, int64_t now_mono_ns);

#endif
