/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/context.c - from the request message's arguments to a context, and from a
 * context to HAProxy's variables.
 *
 * Who decides about sampling: the argument `sample`, else the sampler; the cap has the last word.
 */
#include "input/context.h"

#include <string.h>
#include <strings.h>

#include <spoe/util.h>

#include "context/propagator.h"
#include "input/ending.h"
#include "input/handlers.h"
#include "input/mark.h"
#include "input/messages.h"
#include "input/recent.h"
#include "record/http_parts.h"

const struct policy policy_default = {
    .propagators = {.set = PROPAGATOR_TRACECONTEXT, .list = {PROPAGATOR_TRACECONTEXT}, .n = 1},
    .variables = CONTEXT_BIT(CONTEXT_TRACEPARENT),
    .conventions = {.known_methods = HTTP_KNOWN_METHODS},
};

static const char *const variable_names[N_CONTEXT_VARIABLES] = {
#define X(name, text, types, help) [CONTEXT_##name] = (text),
    CONTEXT_VARIABLES(X)
#undef X
};

static const struct spoe_variable_decl declared[] = {
#define X(name, text, types, help)                                                                 \
    {sizeof(struct spoe_variable_decl), SPOE_SCOPE_TXN, types, 0, text, help},
    CONTEXT_VARIABLES(X)
#undef X
        {sizeof(struct spoe_variable_decl), SPOE_SCOPE_TXN, SPOE_ACCEPT_STR, 0, CONTEXT_MARK,
         "who opened the request, for its line of the log"},
};
const struct spoe_variable_decl *const otel_variables[] = {
#define X(name, text, types, help) &declared[CONTEXT_##name],
    CONTEXT_VARIABLES(X)
#undef X
            declared +
        N_CONTEXT_VARIABLES,
    NULL};

unsigned context_variable_bit(const char *name, size_t n)
{
    for (unsigned i = 0; i < N_CONTEXT_VARIABLES; i++)
        if (strlen(variable_names[i]) == n && memcmp(variable_names[i], name, n) == 0)
            return CONTEXT_BIT(i);
    return 0;
}

/* ---- in ---------------------------------------------------------------------------------- */

static struct text text_arg(const struct spoe_value *value)
{
    return http_is_text(value) ? (struct text){value->u.s.p, value->u.s.n} : (struct text){NULL, 0};
}

static struct inbound read_inbound(const struct policy *policy, const struct spoe_value *slot)
{
    const struct carrier carrier = {.traceparent = text_arg(&slot[REQUEST_TRACEPARENT]),
                                    .traceparent_again = http_is_text(&slot[REQUEST_TRACEPARENT2]),
                                    .b3 = text_arg(&slot[REQUEST_B3]),
                                    .b3_multi = {.trace_id = text_arg(&slot[REQUEST_B3_TRACE_ID]),
                                                 .span_id = text_arg(&slot[REQUEST_B3_SPAN_ID]),
                                                 .sampled = text_arg(&slot[REQUEST_B3_SAMPLED]),
                                                 .flags = text_arg(&slot[REQUEST_B3_FLAGS])}};

    if (policy->trust_inbound == TRUST_INBOUND_IGNORE)
        return (struct inbound){.has_parent = false};
    return propagators_read(&policy->propagators, &carrier);
}

static size_t read_tracestate(const struct spoe_value *slot, char ret[TRACESTATE_MAX])
{
    const struct text lines[] = {text_arg(&slot[REQUEST_TRACESTATE]),
                                 text_arg(&slot[REQUEST_TRACESTATE2]),
                                 text_arg(&slot[REQUEST_TRACESTATE3])};

    return tracestate_read(lines, sizeof lines / sizeof lines[0], ret);
}

static bool is_one_of(struct spoe_span text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (text.n == strlen(*words) && strncasecmp(text.p, *words, text.n) == 0)
            return true;
    return false;
}

/* What HAProxy's configuration wants. @return false: nothing that can be understood */
static bool read_sample(const struct spoe_value *value, bool *ret)
{
    static const char *const yes[] = {"1", "true", "yes", "on", NULL};
    static const char *const no[] = {"0", "false", "no", "off", NULL};
    int64_t n;

    if (value->type == SPOE_T_BOOL) {
        *ret = value->u.b != 0;
        return true;
    }
    if (spoe_get_int(value, &n)) {
        *ret = n != 0;
        return true;
    }
    if (!http_is_text(value))
        return false;
    *ret = is_one_of(value->u.s, yes);
    return *ret || is_one_of(value->u.s, no);
}

/* Anything that is no "no" asks for a line. */
static enum logged read_logged(const struct spoe_value *value)
{
    static const char *const any[] = {"any", NULL};
    bool yes;

    if (http_is_text(value) && is_one_of(value->u.s, any))
        return LOGGED_ANY;
    return read_sample(value, &yes) && yes ? LOGGED_HERE : LOGGED_NOT;
}

/* How likely it was that a request was sampled, for those who count by the caller's `ot=th`. */
enum probability { PROBABILITY_AS_IT_CAME, PROBABILITY_ONE, PROBABILITY_UNKNOWN };

static bool passes_cap(struct handlers *handlers, const struct policy *policy, int64_t now_mono_ns)
{
    if (policy->rate_cap == NULL || rate_cap_pass(policy->rate_cap, now_mono_ns))
        return true;
    count(&handlers->counters->capped, 1);
    return false;
}

static bool decide(struct handlers *handlers, const struct policy *policy,
                   const struct spoe_message *msg, const struct inbound *inbound,
                   const uint8_t trace_id[16], enum probability *ret_probability)
{
    const struct sampler *sampler = &policy->sampler;
    bool sampled;

    *ret_probability = PROBABILITY_UNKNOWN;
    if (!read_sample(&msg->slot[REQUEST_SAMPLE], &sampled)) {
        sampled = sampler_decide(sampler, inbound, trace_id);
        if (sampler_follows(sampler, inbound))
            *ret_probability = PROBABILITY_AS_IT_CAME;
        else if (sampler_is_always_on(sampler) &&
                 (policy->rate_cap == NULL || !rate_cap_is_set(policy->rate_cap)))
            *ret_probability = PROBABILITY_ONE;
    }
    if (sampled && !passes_cap(handlers, policy, msg->recv_mono_ns)) {
        *ret_probability = PROBABILITY_UNKNOWN;
        return false;
    }
    return sampled;
}

void context_begin_trace(struct handlers_worker *worker, const struct policy *policy,
                         int64_t now_mono_ns, struct trace_context *ret)
{
    const struct inbound none = {.sampled = SAMPLED_DEFERRED};

    *ret = (struct trace_context){.flags = 0};
    id_trace(&worker->ids, ret->trace_id);
    id_span(&worker->ids, ret->span_id);
    if (sampler_decide(&policy->sampler, &none, ret->trace_id) &&
        passes_cap(worker->shared, policy, now_mono_ns))
        ret->flags = TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM;
}

/* Whether somebody has asked for this trace: its traceparent counts then, whatever is trusted. */
static bool is_asked_for(struct handlers *handlers, const struct policy *policy,
                         const struct spoe_message *msg, struct inbound *inbound)
{
    const struct text text = text_arg(&msg->slot[REQUEST_TRACEPARENT]);
    struct trace_context parent = {.flags = 0};

    if (policy->once.number == 0 || text.p == NULL || !traceparent_parse(text.p, text.n, &parent) ||
        !trace_once_take(&policy->once, parent.trace_id, msg->recv_mono_ns))
        return false;
    *inbound =
        (struct inbound){.has_parent = true, .w3c = true, .parent = parent, .sampled = SAMPLED_YES};
    count(&handlers->counters->traced_once, 1);
    return true;
}

void context_begin(struct handlers_worker *worker, const struct policy *policy,
                   const struct spoe_message *msg, struct new_context *ret)
{
    struct handlers *handlers = worker->shared;
    struct inbound inbound = read_inbound(policy, msg->slot);
    struct trace_context *context = &ret->context;
    enum probability probability;
    bool sampled, asked = false;

    if (is_asked_for(handlers, policy, msg, &inbound))
        asked = true;
    ret->has_parent = inbound.has_parent;
    ret->w3c_parent = inbound.has_parent && inbound.w3c;
    ret->parent = inbound.parent;
    ret->parent.debug = inbound.debug;
    ret->tracestate_len = 0;
    ret->due_s = 0;
    ret->logged = read_logged(&msg->slot[REQUEST_LOG_LINE]);
    if (inbound.has_parent) {
        *context = inbound.parent;
        if (inbound.w3c) /* a tracestate belongs to its traceparent, never to a B3 context */
            ret->tracestate_len = read_tracestate(msg->slot, ret->tracestate);
    } else {
        id_trace(&worker->ids, context->trace_id);
    }
    id_span(&worker->ids, context->span_id);

    sampled = decide(handlers, policy, msg, &inbound, context->trace_id, &probability);
    if (asked && !sampled) {
        sampled = true;
        probability = PROBABILITY_UNKNOWN;
    }
    if (ret->tracestate_len > 0 && probability != PROBABILITY_AS_IT_CAME)
        ret->tracestate_len = tracestate_set_threshold(ret->tracestate, ret->tracestate_len,
                                                       probability == PROBABILITY_ONE);
    context->debug = inbound.debug && sampled;
    if (!inbound.has_parent)
        context->flags = sampled ? TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM : 0;
    else if (sampled)
        context->flags |= TRACE_FLAG_SAMPLED; /* the random flag goes on as it came: 4.3 */
    else
        context->flags &= (uint8_t)~TRACE_FLAG_SAMPLED;
    ret->sampled = sampled;
    ret->record = sampled || ending_may_keep(policy) || policy->logs || recent_is_on(handlers);
    if (!sampled)
        count(&handlers->counters->unsampled, 1);
}

void context_pass_on(struct new_context *context, const struct spoe_message *msg)
{
    context->sampled = false;
    context->logged = LOGGED_NOT;
    if (!context->has_parent) {
        context->context.flags = 0;
        context->context.debug = false;
        return;
    }
    context->context = context->parent;
    if (context->w3c_parent)
        context->tracestate_len = read_tracestate(msg->slot, context->tracestate);
}

/* ---- out --------------------------------------------------------------------------------- */

/* One answer while it is written: what of it is wanted, and whether all went in so far. */
struct answer {
    const struct handlers *handlers;
    struct spoe_request *req;
    unsigned wanted;
    bool failed;
};

static void set_named(struct answer *answer, const char *name, const struct spoe_value *value)
{
    if (!answer->failed)
        answer->failed = answer->handlers->host->set_var(answer->req, SPOE_SCOPE_TXN,
                                                         spoe_str(name), value) != SPOE_OK;
}

static void set(struct answer *answer, enum context_variable variable,
                const struct spoe_value *value)
{
    if ((answer->wanted & CONTEXT_BIT(variable)) != 0)
        set_named(answer, variable_names[variable], value);
}

static void set_text(struct answer *answer, enum context_variable variable, const char *p, size_t n)
{
    const struct spoe_value value = spoe_value_str((struct spoe_span){p, n});

    set(answer, variable, &value);
}

/* What the request's line is to bring back. */
static void set_mark(struct answer *answer, const struct new_context *request)
{
    struct mark mark = {.due_s = request->due_s, .has_parent = request->has_parent};
    char text[MARK_LEN_MAX];
    struct spoe_value value;

    if (request->logged == LOGGED_HERE)
        memcpy(mark.process, answer->handlers->process, sizeof mark.process);
    memcpy(mark.server_id, request->context.span_id, sizeof mark.server_id);
    memcpy(mark.parent_id, request->parent.span_id, sizeof mark.parent_id);
    value = spoe_value_str((struct spoe_span){text, mark_write(&mark, text)});
    set_named(answer, CONTEXT_MARK, &value);
}

static void write_answer(struct handlers *handlers, const struct policy *policy,
                         struct spoe_request *req, const struct trace_context *context,
                         const struct new_context *request)
{
    const struct spoe_value sampled = spoe_value_bool(request != NULL && request->sampled);
    struct answer answer = {.handlers = handlers, .req = req, .wanted = policy->variables};
    char traceparent[TRACEPARENT_LEN], b3[B3_SINGLE_LEN];

    traceparent_format(context, traceparent); /* the ids are in it */
    if ((policy->propagators.set & PROPAGATOR_TRACECONTEXT) != 0)
        set_text(&answer, CONTEXT_TRACEPARENT, traceparent, sizeof traceparent);
    if (request != NULL)
        set_text(&answer, CONTEXT_TRACE_ID, traceparent + TRACEPARENT_TRACE_ID,
                 2 * sizeof context->trace_id);
    set_text(&answer, CONTEXT_SPAN_ID, traceparent + TRACEPARENT_SPAN_ID,
             2 * sizeof context->span_id);
    if (request != NULL)
        set(&answer, CONTEXT_SAMPLED, &sampled);
    if ((policy->propagators.set & (PROPAGATOR_B3 | PROPAGATOR_B3MULTI)) != 0) {
        b3_write_single(context, b3);
        set_text(&answer, CONTEXT_B3, b3, sizeof b3);
    }
    if (request != NULL && request->logged != LOGGED_NOT)
        set_mark(&answer, request);
    if (request != NULL && request->tracestate_len > 0)
        set_text(&answer, CONTEXT_TRACESTATE, request->tracestate, request->tracestate_len);
    if (answer.failed)
        count(&handlers->counters->unanswered, 1);
}

void context_answer(struct handlers *handlers, const struct policy *policy,
                    struct spoe_request *req, const struct new_context *context)
{
    write_answer(handlers, policy, req, &context->context, context);
}

void context_answer_child(struct handlers *handlers, const struct policy *policy,
                          struct spoe_request *req, const struct trace_context *context)
{
    write_answer(handlers, policy, req, context, NULL);
}
