/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/haproxy_spoe.h - the SPOE file: a section for each plugin that takes messages over
 * SPOP, with its messages, and what its variables are.
 */
#ifndef HOST_CORE_HAPROXY_SPOE_H
#define HOST_CORE_HAPROXY_SPOE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/haproxy_writer.h"

/* The plugin that has section number n; NULL: there are fewer. */
const struct spoe_instance *haproxy_spoe_plugin(const struct haproxy_writer *w, size_t n);

/* Whether a message has an argument that is made of the request's body, for which the frontend has
 * to wait. */
bool haproxy_spoe_has_body(const struct haproxy_writer *w);

/* Before each `filter spoe` line, and behind its engine. */
void haproxy_spoe_filters(const struct haproxy_writer *w, const char *before, const char *config);

/* All sections. */
void haproxy_spoe_sections(const struct haproxy_writer *w);

#endif
