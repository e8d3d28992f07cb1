/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/handlers.h - from messages to spans. Only this folder knows what a message
 * looks like.
 *
 *   request   opens SERVER          answers txn.traceparent: SERVER's context
 *   backend   opens CLIENT          answers txn.traceparent: CLIENT's context
 *   response  ends CLIENT, SERVER   answers nothing
 *
 * context.h says what else is answered, and which requests are sampled. One that is not has an
 * entry in the store and no spans; its answers are the same but for the flags.
 *
 * What does not fit that order is counted and opens nothing. A request message whose id is open
 * answers nothing either: it may belong to another request, whose trace is none of its business
 * (ids can be a client's choice), and without an answer the caller's own traceparent passes
 * through to the upstream unchanged.
 */
#ifndef OTEL_INPUT_HANDLERS_H
#define OTEL_INPUT_HANDLERS_H

#include <spoe/plugin.h>

#include "base/conf_types.h"
#include "context/ids.h"
#include "base/counters.h"
#include "input/context.h"
#include "input/exclude.h"
#include "input/sink.h"
#include "context/rate_cap.h"
#include "input/store.h"

/* What all workers share. */
struct handlers {
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct store *store;
    struct sink *sink;
    struct counters *counters;
    const char *known_methods; /* comma-separated */
    enum semconv_mode semconv;
    const char *redact_query;            /* comma-separated keys; "*": every one; NULL: none */
    struct exclude *exclude;             /* NULL: no path is */
    int64_t moment_age_max_ns;           /* 0: ARGUMENTS_AGE_MAX_NS */
    const struct context_policy *policy; /* NULL: context_policy_default */
    struct rate_cap rate_cap;
    _Atomic bool _missing_id_told;
};

/* What a worker has of its own. */
struct handlers_worker {
    struct handlers *shared;
    struct counters *counters; /* its own set; NULL: it counts in everybody's */
    struct id_source ids;
    struct pool_cache spans;
    struct span_writer *writer;
};

/**
 * Handle one message of otel_messages[]. Never blocks but for a shard's mutex.
 * @return SPOE_OK; SPOE_E_INVAL: no such message
 */
spoe_status handlers_handle(struct handlers_worker *worker, struct spoe_request *req,
                            const struct spoe_message *msg);

#endif
