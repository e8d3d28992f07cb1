/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf.h - the plugin's options, from the host's settings to one struct.
 */
#ifndef OTEL_CONF_H
#define OTEL_CONF_H

#include "export/exporter.h"

struct otel_conf {
    struct exporter_conf exporter; /* its strings are the ones below, or constant */
    char *endpoint, *service_name, *tls_ca, *tls_cert, *tls_key;
    char *known_methods;
    int64_t span_ttl_ns;
    size_t span_store_max, span_queue_max;
};

/* For the plugin's descriptor: [const], ends with NULL. */
extern const struct spoe_option *const otel_options[];

/**
 * Read and check. Everything that is wrong is reported through config_error().
 * @param ret  zero-initialised; otel_conf_fini() is due also after a failure
 * @return SPOE_OK; SPOE_E_CONFIG reported; SPOE_E_NOMEM
 */
spoe_status otel_conf_read(const struct spoe_host *host, struct spoe_config *cfg,
                           struct otel_conf *ret);
void otel_conf_fini(struct otel_conf *conf);

/** The name of a mode of TLS, as it is configured. */
const char *otel_tls_name(enum otlp_tls tls);

/** Why a text is no host:port, or NULL. For otel_conf_read() and its tests. */
const char *otel_conf_endpoint_error(struct spoe_span text);

#endif
