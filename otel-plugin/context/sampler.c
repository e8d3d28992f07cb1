/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/context/sampler.c - OpenTelemetry's samplers. */
#include "context/sampler.h"

#include <stddef.h>

#define RATIO_BITS 63

uint64_t sampler_ratio_bound(double ratio)
{
    if (ratio >= 1)
        return UINT64_C(1) << RATIO_BITS;
    if (!(ratio > 0)) /* not a number, too */
        return 0;
    return (uint64_t)(ratio * (double)(UINT64_C(1) << RATIO_BITS));
}

/* Go's SDK has the same arithmetic (traceIDRatioSampler). */
static bool ratio_keeps(uint64_t bound, const uint8_t trace_id[16])
{
    uint64_t low = 0;

    for (size_t i = 8; i < 16; i++)
        low = low << 8 | trace_id[i];
    return low >> (64 - RATIO_BITS) < bound;
}

bool sampler_decide(const struct sampler *sampler, const struct inbound *inbound,
                    const uint8_t trace_id[16])
{
    enum sampler_kind kind = sampler->kind;

    if (sampler_follows(sampler, inbound))
        return inbound->sampled == SAMPLED_YES;
    if (kind >= SAMPLER_PARENTBASED_ALWAYS_ON)
        kind -= SAMPLER_PARENTBASED_ALWAYS_ON;
    switch (kind) {
    case SAMPLER_ALWAYS_OFF:
        return false;
    case SAMPLER_TRACEIDRATIO:
        return ratio_keeps(sampler->bound, trace_id);
    default:
        return true;
    }
}
