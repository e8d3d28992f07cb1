/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/conf.c - the options table, and what the host cannot check by type and range. */
#include "conf.h"

#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "handlers/http_parts.h"
#include "span/utf8.h"

#define SECONDS INT64_C(1000000000)
#define TEXT_MAX 1024u /* bytes of the service name, the endpoint and the like */

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
    OPT_KNOWN_METHODS,
    N_OPTIONS
};

#define ENV(name)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        name, NULL                                                                                 \
    }

static const char *const tls_choices[] = {
    [OTLP_TLS_DISABLED] = "disabled",
    [OTLP_TLS_ENABLED] = "enabled",
    [OTLP_TLS_SKIP_VERIFY] = "skip-verify",
    NULL,
};

#define OPTION(...)                                                                                \
    &(const struct spoe_option)                                                                    \
    {                                                                                              \
        .size = sizeof(struct spoe_option), __VA_ARGS__                                            \
    }

const struct spoe_option *const otel_options[] = {
    [OPT_ENDPOINT] = OPTION(.type = SPOE_OPT_STRING, .key = "endpoint",
                            .default_text = "localhost:4317", .env = ENV("OTLP_ENDPOINT"),
                            .help = "collector's OTLP/gRPC address, host:port without a scheme"),
    [OPT_SERVICE_NAME] =
        OPTION(.type = SPOE_OPT_STRING, .key = "service-name", .default_text = "haproxy",
               .env = ENV("SERVICE_NAME"), .help = "service.name of the resource"),
    [OPT_TLS] = OPTION(.type = SPOE_OPT_ENUM, .key = "tls", .default_text = "disabled",
                       .env = ENV("OTLP_TLS"), .choices = tls_choices,
                       .help = "TLS to the collector; skip-verify takes any certificate"),
    [OPT_TLS_CA] = OPTION(.type = SPOE_OPT_STRING, .key = "tls-ca", .env = ENV("OTLP_TLS_CA"),
                          .help = "PEM file of authorities; without it the system's"),
    [OPT_TLS_CERT] = OPTION(.type = SPOE_OPT_STRING, .key = "tls-cert", .env = ENV("OTLP_TLS_CERT"),
                            .help = "PEM file of the client's certificate; needs tls-key"),
    [OPT_TLS_KEY] = OPTION(.type = SPOE_OPT_STRING, .key = "tls-key", .env = ENV("OTLP_TLS_KEY"),
                           .help = "PEM file of the client's key; needs tls-cert"),
    [OPT_SPAN_TTL] = OPTION(.type = SPOE_OPT_DURATION, .key = "span-ttl", .default_text = "30s",
                            .env = ENV("SPAN_TTL"), .min = SECONDS / 1000, .max = 86400 * SECONDS,
                            .help = "a request without a response ends as incomplete after this"),
    [OPT_SPAN_STORE_MAX] = OPTION(.type = SPOE_OPT_INT, .key = "span-store-max",
                                  .default_text = "200000", .env = ENV("SPAN_STORE_MAX"), .min = 1,
                                  .max = 100000000, .help = "open requests at most"),
    /* 2: a request's two spans leave the store together */
    [OPT_SPAN_QUEUE_MAX] =
        OPTION(.type = SPOE_OPT_INT, .key = "span-queue-max", .default_text = "10000",
               .env = ENV("SPAN_QUEUE_MAX"), .min = 2, .max = 100000000,
               .help = "ended spans that wait for the collector at most"),
    [OPT_KNOWN_METHODS] =
        OPTION(.type = SPOE_OPT_STRING, .key = "known-methods", .default_text = HTTP_KNOWN_METHODS,
               .env = ENV("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"),
               .help = "request methods that are not shown as _OTHER"),
    [N_OPTIONS] = NULL,
};

const char *otel_tls_name(enum otlp_tls tls)
{
    return tls_choices[tls];
}

/* Copy a string option. @return false: out of memory. *ret stays NULL where nothing is set. */
static bool copy(const struct spoe_host *host, struct spoe_config *cfg, size_t option, char **ret)
{
    const struct spoe_value *value = &host->config_get(cfg, option)->value;

    if (value->type != SPOE_T_STR || value->u.s.n == 0)
        return true;
    *ret = malloc(value->u.s.n + 1);
    if (*ret == NULL)
        return false;
    memcpy(*ret, value->u.s.p, value->u.s.n);
    (*ret)[value->u.s.n] = '\0';
    return true;
}

const char *otel_conf_endpoint_error(struct spoe_span text)
{
    struct spoe_span host;
    uint32_t port;

    for (size_t i = 0; i + 2 < text.n; i++)
        if (memcmp(text.p + i, "://", 3) == 0)
            return "is written without a scheme: host:port, and TLS is the option tls";
    if (text.n > TEXT_MAX || !http_split_host(text, &host, &port))
        return "is not host:port nor [v6]:port";
    if (port == 0)
        return "has no port; OTLP/gRPC's usual one is 4317";
    return NULL;
}

/* A text that goes onto every span's resource: one bad byte and collectors refuse the batch. */
static const char *name_error(const char *text)
{
    if (text == NULL)
        return "must not be empty";
    if (strlen(text) > TEXT_MAX)
        return "is too long";
    return utf8_is_clean(text, strlen(text)) ? NULL : "is not UTF-8";
}

static void check_tls(const struct spoe_host *host, struct spoe_config *cfg,
                      const struct otel_conf *conf, bool *bad)
{
    const char *key = NULL;
    char error[512] = "";

    if (conf->exporter.tls == OTLP_TLS_DISABLED)
        return; /* the files are ignored, not even looked at */
    if (exporter_check_tls(&conf->exporter, error, sizeof error, &key) == 0)
        return;
    *bad = true;
    for (size_t i = OPT_TLS_CA; i <= OPT_TLS_KEY; i++) {
        if (key != NULL && strcmp(otel_options[i]->key, key) == 0) {
            host->config_error(cfg, i, spoe_str(error));
            return;
        }
    }
    host->config_error(cfg, OPT_TLS, spoe_str(error));
}

static int64_t number(const struct spoe_host *host, struct spoe_config *cfg, size_t option)
{
    int64_t n = 0;

    (void)spoe_get_int(&host->config_get(cfg, option)->value, &n); /* the host checked the type */
    return n;
}

spoe_status otel_conf_read(const struct spoe_host *host, struct spoe_config *cfg,
                           struct otel_conf *ret)
{
    const char *error;
    bool bad = false;

    if (!copy(host, cfg, OPT_ENDPOINT, &ret->endpoint) ||
        !copy(host, cfg, OPT_SERVICE_NAME, &ret->service_name) ||
        !copy(host, cfg, OPT_TLS_CA, &ret->tls_ca) ||
        !copy(host, cfg, OPT_TLS_CERT, &ret->tls_cert) ||
        !copy(host, cfg, OPT_TLS_KEY, &ret->tls_key) ||
        !copy(host, cfg, OPT_KNOWN_METHODS, &ret->known_methods))
        return SPOE_E_NOMEM;
    ret->span_ttl_ns = number(host, cfg, OPT_SPAN_TTL);
    ret->span_store_max = (size_t)number(host, cfg, OPT_SPAN_STORE_MAX);
    ret->span_queue_max = (size_t)number(host, cfg, OPT_SPAN_QUEUE_MAX);
    ret->exporter = (struct exporter_conf){
        .endpoint = ret->endpoint,
        .service_name = ret->service_name,
        .service_version = OTEL_PLUGIN_VERSION,
        .tls = (enum otlp_tls)number(host, cfg, OPT_TLS),
        .tls_ca = ret->tls_ca,
        .tls_cert = ret->tls_cert,
        .tls_key = ret->tls_key,
        .batch_max = 512,
        .batch_delay_ns = 5 * SECONDS,
        .timeout_ns = 10 * SECONDS,
        .retry_initial_ns = 5 * SECONDS,
        .retry_max_ns = 30 * SECONDS,
        .retry_give_up_ns = 300 * SECONDS,
    };

    error = otel_conf_endpoint_error(spoe_str(ret->endpoint));
    if (error != NULL) {
        host->config_error(cfg, OPT_ENDPOINT, spoe_str(error));
        bad = true;
    }
    error = name_error(ret->service_name);
    if (error != NULL) {
        host->config_error(cfg, OPT_SERVICE_NAME, spoe_str(error));
        bad = true;
    }
    if (ret->known_methods == NULL) {
        host->config_error(cfg, OPT_KNOWN_METHODS, spoe_str("must name a method"));
        bad = true;
    }
    check_tls(host, cfg, ret, &bad);
    return bad ? SPOE_E_CONFIG : SPOE_OK;
}

void otel_conf_fini(struct otel_conf *conf)
{
    free(conf->endpoint);
    free(conf->service_name);
    free(conf->tls_ca);
    free(conf->tls_cert);
    free(conf->tls_key);
    free(conf->known_methods);
    *conf = (struct otel_conf){.span_ttl_ns = 0};
}
