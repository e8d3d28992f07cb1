/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/policy.h - what the handlers do with a request, as far as it is configured. One
 * struct that never changes once it is published: who wants it otherwise makes another and puts it
 * in the place of the first (struct handlers).
 */
#ifndef OTEL_INPUT_POLICY_H
#define OTEL_INPUT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf_types.h"
#include "context/rate_cap.h"
#include "context/sampler.h"
#include "context/trace_once.h"
#include "input/exclude.h"
#include "signal/fill.h"

/* Strings and pointers outlive it; NULL is none. */
struct policy {
    /* contexts: context.h */
    struct propagator_conf propagators;
    enum trust_inbound trust_inbound;
    struct sampler sampler;
    struct trace_once once;
    struct rate_cap *rate_cap; /* shared by all workers */
    bool keep_errors;          /* requests that are passed over get spans all the same, for a 5xx */
    int64_t keep_slower_ns;    /* and when they take longer; 0: off */
    bool logs;                 /* or for their log records */
    bool bad_requests;         /* what never became a request gets a span, a log line's */
    unsigned variables;        /* CONTEXT_BIT() of each that may be set */

    /* requests */
    const struct exclude *exclude;
    int64_t hold_ns;           /* a request with a backend message is not evicted before; 0: off */
    int64_t moment_age_max_ns; /* 0: FILL_AGE_MAX_NS */

    /* attributes */
    struct conventions conventions;
};

/* W3C in and out, every request sampled, traceparent alone answered. */
extern const struct policy policy_default;

#endif
