/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/request_metrics.h - the meter's series on the host's /metrics page, by
 * OpenTelemetry's names as Prometheus writes them: http_server_request_duration_seconds, labels
 * with "_" (https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/).
 * The series are put at each scrape, through the facet spoe.metrics/2; without it they are nowhere.
 */
#ifndef OTEL_REQUEST_METRICS_H
#define OTEL_REQUEST_METRICS_H

#include <spoe/plugin.h>

#include "meter/instruments.h"

struct spoe_metrics;
struct request_metrics;

/* The page's families, one for each instrument. */
struct request_metrics {
    const struct spoe_metrics *api;
    struct meter *meter; /* NULL: no series */
    struct request_metrics_family {
        const struct request_metrics *all;
        enum meter_instrument_id id;
    } families[METER_N_INSTRUMENTS];
};

/**
 * Declare the families. [main], in configure()
 * @param ret  lives as long as the plugin's instance
 */
void request_metrics_init(const struct spoe_host *host, struct spoe_instance *self,
                          struct request_metrics *ret);

#endif
