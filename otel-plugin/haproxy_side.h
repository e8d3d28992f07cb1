/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/haproxy_side.h - HAProxy's rules for the messages, for `spoe-host
 * --print-haproxy-config`.
 */
#ifndef OTEL_HAPROXY_SIDE_H
#define OTEL_HAPROXY_SIDE_H

#include <stdbool.h>

#include <spoe/ext/haproxy.h>

#include "base/conf_types.h"

/* [const] the facet; its functions take the plugin's instance. */
extern const struct spoe_haproxy haproxy_side;

/* What options ask of HAProxy. */
struct haproxy_wishes {
    unsigned propagators; /* a set of enum propagator */
    enum sampler_kind sampler;
    double ratio;
    bool all_lines; /* not only those of requests that are sampled */
    bool errors;    /* those of errors at least, and of what is no request */
};

/** Of an instance that is configured. In plugin.c. */
struct haproxy_wishes otel_haproxy_wishes(const void *inst);

#endif
