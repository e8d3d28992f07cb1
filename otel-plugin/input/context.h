/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/context.h - which trace a request belongs to, whether it is sampled, and
 * what HAProxy is told of that.
 *
 *   on-http-request          traceparent, trace_id, span_id, sampled, b3, mark, tracestate
 *   on-backend-http-request  traceparent, span_id, b3 again: the others stay as they are
 *
 * All are variables of scope txn. traceparent and tracestate need the propagator tracecontext, b3
 * needs b3 or b3multi, tracestate is set only where one came in. span_id and the context in
 * traceparent and b3 are the SERVER span's at first, then the CLIENT span's. mark, for the
 * request's line of the log, is set where there will be one, whatever the list of variables says:
 * mark.h.
 */
#ifndef OTEL_INPUT_CONTEXT_H
#define OTEL_INPUT_CONTEXT_H

#include <stdbool.h>

#include <spoe/plugin.h>

#include "context/trace_context.h"
#include "context/tracestate.h"
#include "input/policy.h"

/* The variables, in the order in which they are set: what is needed most comes first. */
#define CONTEXT_VARIABLES(X)                                                                       \
    X(TRACEPARENT, "traceparent", SPOE_ACCEPT_STR, "the next hop's parent, W3C")                   \
    X(TRACE_ID, "trace_id", SPOE_ACCEPT_STR, "32 digits")                                          \
    X(SPAN_ID, "span_id", SPOE_ACCEPT_STR, "16 digits: SERVER's, then CLIENT's")                   \
    X(SAMPLED, "sampled", SPOE_ACCEPT_BOOL, "whether the request's spans are exported")            \
    X(B3, "b3", SPOE_ACCEPT_STR, "the next hop's parent, B3 in one header")                        \
    X(TRACESTATE, "tracestate", SPOE_ACCEPT_STR, "as it came in")
#define CONTEXT_MARK "mark" /* set beside these */

enum context_variable {
#define X(name, text, types, help) CONTEXT_##name,
    CONTEXT_VARIABLES(X)
#undef X
        N_CONTEXT_VARIABLES
};
#define CONTEXT_BIT(variable) (1u << (variable))

extern const struct spoe_variable_decl *const otel_variables[];

/* Whether a line of HAProxy's log ends a request: the argument log_line. */
enum logged {
    LOGGED_NOT,
    LOGGED_HERE, /* it comes to the process that opens the request */
    LOGGED_ANY   /* it may come to any: none keeps spans for it */
};

struct new_context {
    struct trace_context context; /* the SERVER span's; its flags say whether it is sampled */
    struct trace_context parent;  /* the caller's, as it came; where has_parent */
    bool has_parent, w3c_parent;
    bool sampled; /* for HAProxy: whether spans of it are exported */
    bool record;  /* make spans: sampled, kept in case of an error, logged, or looked at */
    enum logged logged;
    uint32_t due_s; /* of LOGGED_HERE: when it ends without its line, since 1970 */
    size_t tracestate_len;
    char tracestate[TRACESTATE_MAX];
};

/** CONTEXT_BIT() of the variable of that name; 0: there is none. */
unsigned context_variable_bit(const char *name, size_t n);

struct handlers;
struct handlers_worker;

/** Decide about a new request. @param msg  MESSAGE_REQUEST */
void context_begin(struct handlers_worker *worker, const struct policy *policy,
                   const struct spoe_message *msg, struct new_context *ret);

/** A trace of its own, of what has no caller's. Its flags say whether it is sampled. */
void context_begin_trace(struct handlers_worker *worker, const struct policy *policy,
                         int64_t now_mono_ns, struct trace_context *ret);

/**
 * There will be no span after all: the caller's context is handed on as it came; where there is
 * none, one that is not sampled.
 */
void context_pass_on(struct new_context *context, const struct spoe_message *msg);

/** Answer a request message. */
void context_answer(struct handlers *handlers, const struct policy *policy,
                    struct spoe_request *req, const struct new_context *context);
/** Answer a backend message. @param context  the CLIENT span's */
void context_answer_child(struct handlers *handlers, const struct policy *policy,
                          struct spoe_request *req, const struct trace_context *context);

static inline bool context_is_sampled(const struct trace_context *context)
{
    return (context->flags & TRACE_FLAG_SAMPLED) != 0;
}

#endif
