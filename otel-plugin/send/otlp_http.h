/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/otlp_http.h - the transport OTLP over HTTP (http/protobuf), on libcurl. The
 * only unit of the plugin that knows libcurl.
 */
#ifndef OTEL_SEND_OTLP_HTTP_H
#define OTEL_SEND_OTLP_HTTP_H

#include "send/exporter.h"
#include "send/transport.h"

/**
 * Start libcurl; connects on the first send. The collector need not be there.
 * @param log_host, log_self  for what it says about files that change; may be NULL
 * @return [give: its stop()] NULL: out of memory, or a file cannot be used; logged
 * Threads: [main]
 */
struct transport *otlp_http_start(const struct exporter_conf *conf,
                                  const struct spoe_host *log_host, struct spoe_instance *log_self);

#endif
