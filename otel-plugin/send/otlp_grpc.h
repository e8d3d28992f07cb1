/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/otlp_grpc.h - the transport OTLP over gRPC, on gRPC's C core. The only unit
 * of the plugin that knows gRPC.
 */
#ifndef OTEL_SEND_OTLP_GRPC_H
#define OTEL_SEND_OTLP_GRPC_H

#include "send/exporter.h"
#include "send/transport.h"

/**
 * Start gRPC and make a channel; connects on the first send. The collector need not be there.
 * @param log_host, log_self  for what gRPC itself logs; may be NULL
 * @return [give: its stop()] NULL: out of memory, or a PEM file cannot be used; logged
 * Threads: [main]
 */
struct transport *otlp_grpc_start(const struct exporter_conf *conf,
                                  const struct spoe_host *log_host, struct spoe_instance *log_self);

#endif
