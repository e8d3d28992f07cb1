/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/haproxy_side.h - HAProxy's rules for the messages, for `spoe-host
 * --print-haproxy-config`.
 */
#ifndef OTEL_HAPROXY_SIDE_H
#define OTEL_HAPROXY_SIDE_H

#include <spoe/ext/haproxy.h>

/* [const] the facet; its functions take the plugin's instance. */
extern const struct spoe_haproxy haproxy_side;

/** Of an instance that is configured: the set of enum propagator. In plugin.c. */
unsigned otel_propagators(const void *inst);

#endif
