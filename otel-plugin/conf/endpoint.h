/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/endpoint.h - where the collector is: host:port, a URL, or with gRPC one of its
 * targets.
 */
#ifndef OTEL_CONF_ENDPOINT_H
#define OTEL_CONF_ENDPOINT_H

#include "base/conf_types.h"

#define ENDPOINT_MAX 1024u

enum endpoint_scheme { ENDPOINT_NO_SCHEME, ENDPOINT_HTTP, ENDPOINT_HTTPS };

/* An endpoint taken apart. */
struct endpoint {
    enum endpoint_scheme scheme;
    char authority[ENDPOINT_MAX + 8]; /* host:port, an IPv6 address in brackets; or the target */
    char path[ENDPOINT_MAX + 16];     /* begins with '/'; what an OTLP/HTTP request is sent to */
};

/* Whose text it is, and so what is meant by its path; v1/traces stands for any signal's. */
enum endpoint_rule {
    ENDPOINT_OURS,   /* as it is; /v1/traces where it has none, or just a / */
    ENDPOINT_SIGNAL, /* OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: as it is */
    ENDPOINT_ALL,    /* OTEL_EXPORTER_OTLP_ENDPOINT: v1/traces is added */
    ENDPOINT_SHARED  /* ours for traces, read for another signal: v1/traces becomes its own path */
};

/**
 * Check host:port.
 * @return NULL, or why the text is none [const]
 */
const char *endpoint_error(const char *text);

/**
 * Read host:port, or a URL with scheme http or https whose port is the scheme's unless it has one
 * (OpenTelemetry's protocol/exporter.md). OTEL variables are host:port with gRPC only. With gRPC
 * also a target by its naming (grpc/doc/naming.md): dns:[//server/]host:port, unix:path,
 * unix:///path, unix-abstract:name, ipv4:address:port[,...], ipv6:[address]:port[,...].
 *
 * @param ret  set on success only
 * @return NULL, or why the text cannot be used [const]
 */
const char *endpoint_read(enum otlp_signal signal, const char *text, enum otlp_protocol protocol,
                          enum endpoint_rule rule, struct endpoint *ret);

/**
 * Look the host of host:port up.
 * @return NULL, or why it has no address [const]
 */
const char *endpoint_lookup_error(const char *authority);

#endif
