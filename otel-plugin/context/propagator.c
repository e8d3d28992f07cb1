/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/context/propagator.c - several formats, first valid wins. */
#include "context/propagator.h"

static bool read_w3c(const struct carrier *carrier, struct inbound *ret)
{
    struct inbound inbound = {.has_parent = true, .w3c = true};

    if (carrier->traceparent_again ||
        !traceparent_parse(carrier->traceparent.p, carrier->traceparent.n, &inbound.parent))
        return false;
    inbound.sampled = (inbound.parent.flags & TRACE_FLAG_SAMPLED) != 0 ? SAMPLED_YES : SAMPLED_NO;
    *ret = inbound;
    return true;
}

struct inbound propagators_read(const struct propagator_conf *conf, const struct carrier *carrier)
{
    struct inbound inbound = {.has_parent = false};

    for (size_t i = 0; i < conf->n; i++) {
        switch (conf->list[i]) {
        case PROPAGATOR_TRACECONTEXT:
            if (read_w3c(carrier, &inbound))
                return inbound;
            break;
        case PROPAGATOR_B3:
        case PROPAGATOR_B3MULTI:
            /* Either reads both forms, single first, as the specification asks. */
            if (b3_read_single(carrier->b3, &inbound) ||
                b3_read_multi(&carrier->b3_multi, &inbound))
                return inbound;
            break;
        case PROPAGATOR_BAGGAGE:
            break;
        }
    }
    return inbound;
}
