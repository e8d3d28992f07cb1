/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/otel_conf.h - the plugin's options, from the host's settings to one struct.
 */
#ifndef OTEL_CONF_OTEL_CONF_H
#define OTEL_CONF_OTEL_CONF_H

#include "conf/options.h"
#include "base/conf_types.h"
#include "send/exporter.h"
#include "conf/resource.h"
#include "signal/span.h"

/* Data points that wait for the collector at most. */
#define METRIC_POINTS_MAX 1000000u

/* The strings of a signal's exporter_conf. */
struct collector_conf {
    char *endpoint, *url, *tls_ca, *tls_cert, *tls_key, *headers, *headers_file;
    bool fell_back; /* what was set cannot be used, and the default is */
};

struct otel_conf {
    /* Their strings and lists are the ones below, or constant. */
    struct exporter_conf exporter; /* of traces */
    struct exporter_conf logs, metrics;
    struct collector_conf collectors[N_SIGNALS];
    bool metrics_page; /* of requests, on the host's page of metrics */
    int64_t metrics_interval_ns;
    enum metrics_temporality temporality;
    size_t logs_queue_max, logs_queue_bytes;
    bool disabled; /* OTEL_SDK_DISABLED: no span is made, nothing is answered */
    struct sampler_conf sampler;
    enum trust_inbound trust_inbound;
    struct propagator_conf propagators;
    unsigned variables; /* of HAProxy: CONTEXT_BIT() of each that may be answered */
    enum semconv_mode semconv;
    struct span_limits limits;
    int64_t span_ttl_ns;
    int64_t span_hold_ns, span_reorder_ns; /* 0: off */
    enum client_address client_address;
    size_t span_store_max, span_store_bytes, span_queue_max, span_queue_bytes;
    size_t metric_series_max;
    char *known_methods; /* comma-separated; never NULL */
    char *exclude_paths; /* comma-separated; NULL: none */
    char *trace_once;    /* 32 hexadecimal digits; NULL: none */
    char *redact_query;  /* comma-separated keys; "*": every one; NULL: none */

    char *service_name;
    struct resource resource;
};

static inline struct exporter_conf *otel_conf_exporter(struct otel_conf *conf,
                                                       enum otlp_signal signal)
{
    return signal == SIGNAL_LOGS      ? &conf->logs
           : signal == SIGNAL_METRICS ? &conf->metrics
                                      : &conf->exporter;
}

/**
 * Read and check. Everything that is wrong is reported through config_error().
 * @param ret  zero-initialised; otel_conf_fini() is due also after a failure
 * @return SPOE_OK; SPOE_E_CONFIG reported; SPOE_E_NOMEM
 */
spoe_status otel_conf_read(const struct spoe_host *host, struct spoe_instance *self,
                           struct spoe_config *cfg, struct otel_conf *ret);
/**
 * Read and check what can change at run time, and nothing else.
 * @param ret  as for otel_conf_read()
 */
spoe_status otel_conf_read_rules(const struct spoe_host *host, struct spoe_instance *self,
                                 struct spoe_config *cfg, struct otel_conf *ret);
void otel_conf_fini(struct otel_conf *conf);

/** The name of a mode of TLS, as it is configured. */
const char *otel_tls_name(enum otlp_tls tls);

#endif
