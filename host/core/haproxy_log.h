/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/haproxy_log.h - what HAProxy writes into its log for plugins. A line is one message for
 * all that take it, with the arguments of each.
 */
#ifndef HOST_CORE_HAPROXY_LOG_H
#define HOST_CORE_HAPROXY_LOG_H

#include <stddef.h>

#include "core/haproxy_writer.h"

#define HAPROXY_LOG_ADDRESS "127.0.0.1:12514" /* where log-listen does not say one */

/* Messages of the log, each name once. */
size_t haproxy_log_count(const struct plugin_set *set);

/* What a frontend logs, and where. From 3.1 on each `log` has a format of its own. */
void haproxy_log_lines(const struct haproxy_writer *w);
void haproxy_log_profiles(const struct haproxy_writer *w);

/* Where log-listen names a stream: the lines wait here while the host is away. */
void haproxy_log_ring(const struct haproxy_writer *w);

#endif
