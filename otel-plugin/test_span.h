/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/test_span.h - one span on its way, to see whether it arrives. */
#ifndef OTEL_TEST_SPAN_H
#define OTEL_TEST_SPAN_H

#include <stdint.h>

#include <spoe/plugin.h>

struct otel_conf;

/**
 * Send one span, named "spoe-host test span", as the exporter would, and log what the collector
 * says.
 * @return SPOE_OK: it has taken it; any other negative, logged
 * Threads: [main], without an exporter
 */
spoe_status test_span_send(const struct otel_conf *conf, const struct spoe_host *host,
                           struct spoe_instance *self, int64_t deadline_mono_ns);

#endif
