/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/otlp_creds.h - gRPC's channel credentials for the three modes of TLS. Only
 * for otlp_grpc.c.
 */
#ifndef OTEL_SEND_OTLP_CREDS_H
#define OTEL_SEND_OTLP_CREDS_H

#include <grpc/grpc.h>

#include "send/tls.h"

/**
 * @param pem  [borrow]
 * @return [give: grpc_channel_credentials_release()] NULL: gRPC does not take them
 * Threads: [any], after grpc_init()
 */
grpc_channel_credentials *otlp_creds_create(enum otlp_tls tls, const struct tls_pem *pem);

#endif
