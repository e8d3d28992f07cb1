/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/otlp_creds.h - gRPC's channel credentials for the three modes of TLS. Only
 * for otlp_grpc.c.
 */
#ifndef OTEL_EXPORT_OTLP_CREDS_H
#define OTEL_EXPORT_OTLP_CREDS_H

#include <stddef.h>

#include <grpc/grpc.h>

#include "export/exporter.h"

/**
 * @param ret_error  on failure: the reason; size bytes, NUL-terminated
 * @return [give: grpc_channel_credentials_release()] NULL
 * Threads: [main], after grpc_init()
 */
grpc_channel_credentials *otlp_creds_create(const struct exporter_conf *conf, char *ret_error,
                                            size_t size);

#endif
