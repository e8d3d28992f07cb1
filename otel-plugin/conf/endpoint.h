/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/endpoint.h - where the collector is: host:port, or the URL of OpenTelemetry's
 * own variables.
 */
#ifndef OTEL_CONF_ENDPOINT_H
#define OTEL_CONF_ENDPOINT_H

#include "base/conf_types.h"

#define ENDPOINT_MAX 1024u

enum endpoint_scheme { ENDPOINT_NO_SCHEME, ENDPOINT_HTTP, ENDPOINT_HTTPS };

/* An endpoint taken apart. */
struct endpoint {
    enum endpoint_scheme scheme;
    char authority[ENDPOINT_MAX + 8]; /* host:port, an IPv6 address in brackets */
    char path[ENDPOINT_MAX + 16];     /* begins with '/'; what an OTLP/HTTP request is sent to */
};

/**
 * Check host:port.
 * @return NULL, or why the text is none [const]
 */
const char *endpoint_error(const char *text);

/**
 * Read the value of OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
 * (OpenTelemetry's protocol/exporter.md): a URL with scheme http or https whose port is the
 * scheme's unless it has one; with gRPC also host:port.
 *
 * @param traces_only  the variable is the one for traces: its path is used as it is; to the other
 *                     one's, v1/traces is added
 * @param ret          set on success only
 * @return NULL, or why the text cannot be used [const]
 */
const char *endpoint_read_url(const char *text, enum otlp_protocol protocol, bool traces_only,
                              struct endpoint *ret);

#endif
