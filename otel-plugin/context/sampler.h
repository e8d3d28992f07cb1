/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/sampler.h - which traces are exported: OpenTelemetry's samplers.
 * Source: specification, trace/sdk.md "Built-in samplers".
 *
 * Pure: what is decided depends on the arguments alone. Any thread.
 */
#ifndef OTEL_CONTEXT_SAMPLER_H
#define OTEL_CONTEXT_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf_types.h"
#include "context/inbound.h"

/* Zeroed: always_on. */
struct sampler {
    enum sampler_kind kind;
    uint64_t bound; /* of the ratio: sampler_ratio_bound() */
};

/** What struct sampler holds for a ratio; 0 or below: none are sampled, 1 or above: all. */
uint64_t sampler_ratio_bound(double ratio);

/** Whether the caller's decision is followed, if it made one, instead of a new one. */
static inline bool sampler_follows(const struct sampler *sampler, const struct inbound *inbound)
{
    return sampler->kind >= SAMPLER_PARENTBASED_ALWAYS_ON && inbound->sampled != SAMPLED_DEFERRED;
}

/** Whether it keeps every trace that it decides about. */
static inline bool sampler_is_always_on(const struct sampler *sampler)
{
    return sampler->kind == SAMPLER_ALWAYS_ON || sampler->kind == SAMPLER_PARENTBASED_ALWAYS_ON;
}

/**
 * Decide. The ratio takes the low 8 bytes of the trace id, without the lowest bit, so that every
 * agent with this arithmetic keeps the same traces, and a higher ratio keeps those of a lower one.
 * @param trace_id  the trace's, whether it is new or the caller's
 */
bool sampler_decide(const struct sampler *sampler, const struct inbound *inbound,
                    const uint8_t trace_id[16]);

#endif
