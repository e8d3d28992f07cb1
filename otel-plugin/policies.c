/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/policies.c - see policies.h. */
#include "policies.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "context/rate_cap.h"
#include "input/exclude.h"

/* A policy with what it points to. */
struct held {
    struct policy policy;
    struct rate_cap rate_cap;
    struct exclude *exclude;
    char *redact_query;
    struct held *before;
    /* Once another is in use: */
    _Atomic uint32_t n_waiting; /* workers that may still read this one */
    bool evictor_passed;        /* it waited then, and cannot read this one any more */
    uint64_t evictor_turns;     /* else: that it had made by then */
};

struct policies {
    const struct spoe_host *host;
    struct handlers *handlers;
    struct evictor *evictor;
    struct trace_once once;     /* the last that was asked for */
    _Atomic uint64_t last_come; /* its, as in trace_once.h */
    struct held *newest;        /* in use; the list goes on with older ones */
    pthread_mutex_t lock;       /* of the workers */
    struct spoe_worker **workers;
    uint32_t n_workers;
};

static void free_held(struct held *held)
{
    if (held == NULL)
        return;
    exclude_destroy(held->exclude);
    free(held->redact_query);
    free(held);
}

struct policies *policies_create(const struct spoe_host *host, struct handlers *handlers,
                                 struct evictor *evictor)
{
    struct policies *policies = calloc(1, sizeof *policies);

    if (policies == NULL)
        return NULL;
    policies->host = host;
    policies->handlers = handlers;
    policies->evictor = evictor;
    (void)pthread_mutex_init(&policies->lock, NULL); /* cannot fail without attributes */
    return policies;
}

void policies_destroy(struct policies *policies)
{
    struct held *held;

    if (policies == NULL)
        return;
    while ((held = policies->newest) != NULL) {
        policies->newest = held->before;
        free_held(held);
    }
    free(policies->workers);
    (void)pthread_mutex_destroy(&policies->lock);
    free(policies);
}

int policies_add_worker(struct policies *policies, struct spoe_worker *worker)
{
    struct spoe_worker **grown;

    (void)pthread_mutex_lock(&policies->lock);
    grown = reallocarray(policies->workers, policies->n_workers + 1, sizeof *grown);
    if (grown != NULL) {
        policies->workers = grown;
        grown[policies->n_workers++] = worker;
    }
    (void)pthread_mutex_unlock(&policies->lock);
    return grown != NULL ? 0 : -1;
}

/* ---- what is before the one in use ---- */

/* On a worker, between two messages: it holds no policy. */
static void worker_passed(void *arg)
{
    struct held *held = arg;

    (void)atomic_fetch_sub(&held->n_waiting, 1);
}

/* Another one is in use now. A worker that cannot be asked keeps it until the end. */
static void retire(struct policies *policies, struct held *held)
{
    held->evictor_passed = evictor_is_idle(policies->evictor);
    held->evictor_turns = evictor_turns(policies->evictor);
    (void)pthread_mutex_lock(&policies->lock);
    atomic_store(&held->n_waiting, policies->n_workers);
    for (uint32_t i = 0; i < policies->n_workers; i++)
        (void)policies->host->post(policies->workers[i], worker_passed, held);
    (void)pthread_mutex_unlock(&policies->lock);
}

static bool is_free(const struct policies *policies, const struct held *held)
{
    return atomic_load(&held->n_waiting) == 0 &&
           (held->evictor_passed || evictor_turns(policies->evictor) > held->evictor_turns);
}

/* @return how many are left, the one in use included */
static unsigned free_old(struct policies *policies)
{
    struct held **at = policies->newest != NULL ? &policies->newest->before : NULL;
    unsigned n = at != NULL;

    while (at != NULL && *at != NULL) {
        struct held *held = *at;

        if (!is_free(policies, held)) {
            at = &held->before;
            n++;
            continue;
        }
        *at = held->before;
        free_held(held);
    }
    return n;
}

/* ---- a new one ---- */

static struct held *make(const struct otel_conf *fixed, const struct otel_conf *rules)
{
    struct held *held = calloc(1, sizeof *held);

    if (held == NULL)
        return NULL;
    rate_cap_init(&held->rate_cap, rules->sampler.max_per_second);
    if ((rules->exclude_paths != NULL &&
         (held->exclude = exclude_create(rules->exclude_paths)) == NULL) ||
        (rules->redact_query != NULL &&
         (held->redact_query = strdup(rules->redact_query)) == NULL)) {
        free_held(held);
        return NULL;
    }
    held->policy = (struct policy){.propagators = fixed->propagators,
                                   .trust_inbound = fixed->trust_inbound,
                                   .sampler = {.kind = rules->sampler.kind,
                                               .bound = sampler_ratio_bound(rules->sampler.ratio)},
                                   .rate_cap = &held->rate_cap,
                                   .keep_errors = rules->sampler.keep_errors,
                                   .keep_slower_ns = rules->sampler.keep_slower_ns,
                                   .bad_requests = rules->sampler.bad_requests,
                                   .logs = fixed->logs.kind == EXPORTER_OTLP,
                                   .variables = fixed->variables,
                                   .exclude = held->exclude,
                                   .hold_ns = rules->span_hold_ns,
                                   .moment_age_max_ns = fixed->span_ttl_ns,
                                   .conventions = {.semconv = fixed->semconv,
                                                   .client_address = fixed->client_address,
                                                   .known_methods = fixed->known_methods,
                                                   .redact_query = held->redact_query}};
    return held;
}

/* The same id again is not asked for anew: another option has changed. */
static void ask_for_trace(struct policies *policies, const char *trace_id)
{
    struct trace_once *once = &policies->once;
    uint8_t id[sizeof once->trace_id] = {0};

    if (trace_id != NULL)
        (void)hex_read(trace_id, id, sizeof id); /* checked */
    if (memcmp(id, once->trace_id, sizeof id) == 0)
        return;
    memcpy(once->trace_id, id, sizeof id);
    once->last_come = &policies->last_come;
    once->end_mono_ns = trace_id != NULL ? policies->host->now_mono_ns() + TRACE_ONCE_NS : 0;
    once->number++;
}

spoe_status policies_use(struct policies *policies, const struct otel_conf *fixed,
                         const struct otel_conf *rules)
{
    struct held *held, *before = policies->newest;

    if (free_old(policies) >= POLICIES_MAX)
        return SPOE_E_LIMIT;
    held = make(fixed, rules);
    if (held == NULL)
        return SPOE_E_NOMEM;
    ask_for_trace(policies, rules->trace_once);
    held->policy.once = policies->once;
    held->before = before;
    policies->newest = held;
    atomic_store(&policies->handlers->policy, &held->policy);
    if (before != NULL)
        retire(policies, before);
    return SPOE_OK;
}
