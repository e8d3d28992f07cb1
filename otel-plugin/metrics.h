/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/metrics.h - the plugin's numbers on the host's /metrics page, through the facet
 * spoe.metrics/1. They are the counters that exist anyway, read at each scrape; only the time that
 * exports take is noted as it happens. Without the facet none of this does anything.
 */
#ifndef OTEL_METRICS_H
#define OTEL_METRICS_H

#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>

#include "base/counters.h"
#include "send/exporter.h"
#include "otlp/queue.h"
#include "input/store.h"

/* Where the numbers come from. */
struct otel_metrics_source {
    struct counters *counters;
    struct store *store;
    struct span_queue *queue;
    struct span_queue *log_queue, *metric_queue; /* NULL: that is not exported */
    struct exporter *exporter;
    size_t store_max, store_bytes_max;
};

struct otel_metrics; /* NULL: there is no facet, or no memory */

/** Declare everything. [main], in configure() @return [give: free()] may be NULL */
struct otel_metrics *otel_metrics_create(const struct spoe_host *host, struct spoe_instance *self);

/** Read from here, from the first scrape after start() on. [main], in start(); takes NULL */
void otel_metrics_start(struct otel_metrics *metrics, const struct otel_metrics_source *source);

/** The bounds of the store have changed. [main]; takes NULL */
void otel_metrics_limits(struct otel_metrics *metrics, size_t store_max, size_t store_bytes_max);

/** One export request has ended, well or not. As exporter_attempt_fn; arg may be NULL. [any] */
void otel_metrics_attempt(void *arg, int outcome, int64_t ns);

#endif
