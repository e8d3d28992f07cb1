/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/propagator.h - one inbound context out of whatever headers came, by the
 * formats that are switched on. Pure; allocates nothing.
 */
#ifndef OTEL_CONTEXT_PROPAGATOR_H
#define OTEL_CONTEXT_PROPAGATOR_H

#include <stdbool.h>

#include "base/conf_types.h"
#include "context/b3.h"
#include "context/inbound.h"
#include "base/text.h"

/* The inbound headers; an empty text is one that is not there. */
struct carrier {
    struct text traceparent;
    bool traceparent_again; /* a second line of it came, so that neither counts */
    struct text b3;
    struct b3_headers b3_multi;
};

/** The first valid context of the formats in their order; none: no parent, deferred. */
struct inbound propagators_read(const struct propagator_conf *conf, const struct carrier *carrier);

#endif
