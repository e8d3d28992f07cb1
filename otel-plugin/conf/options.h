/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/options.h - the table of the plugin's options, by their places in it.
 *
 * An option's own variable has its name in upper case; a bad value of it stops the start. Beside
 * it stand the variables of OpenTelemetry's specification, read as that has it.
 */
#ifndef OTEL_CONF_OPTIONS_H
#define OTEL_CONF_OPTIONS_H

#include <spoe/plugin.h>

enum {
    OPT_ENDPOINT,
    OPT_SERVICE_NAME,
    OPT_TLS,
    OPT_TLS_CA,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_SPAN_TTL,
    OPT_SPAN_STORE_MAX,
    OPT_SPAN_QUEUE_MAX,
    OPT_SPAN_QUEUE_BYTES,
    OPT_SPAN_STORE_BYTES,
    OPT_METRIC_SERIES_MAX,
    OPT_SPAN_HOLD,
    OPT_SPAN_REORDER,
    OPT_DISABLED,
    OPT_EXPORTER,
    OPT_PROTOCOL,
    OPT_INSECURE,
    OPT_HEADERS,
    OPT_HEADERS_FILE,
    OPT_COMPRESSION,
    OPT_TIMEOUT,
    OPT_RETRY_TIMEOUT,
    OPT_EXPORT_CONCURRENCY,
    OPT_BATCH_MAX,
    OPT_BATCH_DELAY,
    OPT_REQUEST_BYTES_MAX,
    OPT_USE_PROXY,
    OPT_KEEPALIVE,
    OPT_SAMPLER,
    OPT_SAMPLER_ARG,
    OPT_SAMPLE_MAX_PER_SECOND,
    OPT_KEEP_ERRORS,
    OPT_TRUST_INBOUND,
    OPT_PROPAGATORS,
    OPT_VARIABLES,
    OPT_RESOURCE_ATTRIBUTES,
    OPT_SERVICE_VERSION,
    OPT_SERVICE_NAMESPACE,
    OPT_SERVICE_INSTANCE_ID,
    OPT_EXCLUDE_PATHS,
    OPT_REDACT_QUERY,
    OPT_KNOWN_METHODS,
    OPT_SEMCONV,
    OPT_CLIENT_SERVER_ADDRESS,
    OPT_VALUE_LENGTH_LIMIT,
    OPT_ATTRIBUTE_COUNT_LIMIT,
    OPT_EVENT_COUNT_LIMIT,
    OPT_LINK_COUNT_LIMIT,
    N_OPTIONS
};

/* For the plugin's descriptor: [const], ends with NULL. */
extern const struct spoe_option *const otel_options[];

/* The variable of an endpoint whose path is used as it is. */
#define ENV_TRACES_ENDPOINT "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

#endif
