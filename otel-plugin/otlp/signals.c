/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/signals.c - by OTLP's specification (opentelemetry-proto, docs/specification.md)
 * and the services in proto/opentelemetry/proto/collector/.
 */
#include "otlp/signals.h"

static const struct signal_names all[N_SIGNALS] = {
    [SIGNAL_TRACES] = {.name = "traces",
                       .item = "span",
                       .items = "spans",
                       .method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                       .path = "v1/traces",
                       .off = "OTEL_TRACES_EXPORTER=none"},
    [SIGNAL_LOGS] = {.name = "logs",
                     .item = "log record",
                     .items = "log records",
                     .method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                     .path = "v1/logs",
                     .off = "OTEL_LOGS_EXPORTER=none"},
    [SIGNAL_METRICS] = {.name = "metrics",
                        .item = "data point",
                        .items = "data points",
                        .method = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                        .path = "v1/metrics",
                        .off = "OTEL_METRICS_EXPORTER=prometheus"},
};

const struct signal_names *signal_names(enum otlp_signal signal)
{
    return &all[signal];
}
