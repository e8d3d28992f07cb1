/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/conf.h - the plugin's options and what they come to. */
#ifndef AUTH_REQUEST_CONF_H
#define AUTH_REQUEST_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "auth-request/names.h"

enum auth_option {
    OPT_URL,
    OPT_SEND,
    OPT_REQUEST_HEADERS,
    OPT_RESPONSE_HEADERS,
    OPT_DENY_STATUS,
    OPT_FAIL,
    OPT_TIMEOUT,
    OPT_MAX_IN_FLIGHT,
    OPT_MAX_IN_FLIGHT_BYTES,
    OPT_CONNECTIONS,
    OPT_COALESCE,
    OPT_CACHE_TTL,
    OPT_CACHE_DENY_TTL,
    OPT_CACHE_ENTRIES,
    OPT_CACHE_BYTES,
    OPT_HTTP_VERSION,
    OPT_TLS_CA,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_SOURCE_ADDRESS,
    OPT_COUNT
};

/* What of the request is sent; the words of option send, in their order. */
enum {
    SEND_METHOD = 1,
    SEND_URI = 2,
    SEND_PATH = 4,
    SEND_HOST = 8,
    SEND_PROTO = 16,
    SEND_CLIENT = 32
};

enum http_version { HTTP_AUTO, HTTP_1_1, HTTP_2 };

#define DENY_STATUS_MAX 16u

struct auth_conf {
    char *url;
    unsigned send; /* SEND_* */
    struct names to_service, from_service;
    uint16_t deny_status[DENY_STATUS_MAX];
    size_t n_deny_status;
    bool fail_open, coalesce;
    int64_t timeout_ns, ttl_ns, deny_ttl_ns;
    int64_t patience_ns; /* of the host: processing-timeout */
    /* Of all workers together. */
    uint64_t in_flight, in_flight_bytes, connections, cache_entries, cache_bytes;
    enum http_version http_version;
    char *tls_ca, *tls_cert, *tls_key; /* files; NULL: none */
    char *source;                      /* CURLOPT_INTERFACE; NULL: any */
};

extern const struct spoe_option *const auth_options[OPT_COUNT + 1];

/**
 * Read the options during configure(). What is wrong is reported by config_error().
 * @param ret  [give: auth_conf_fini()] in any case
 * @return SPOE_OK, SPOE_E_CONFIG, SPOE_E_NOMEM
 */
spoe_status auth_conf_read(const struct spoe_host *host, struct spoe_config *cfg,
                           struct auth_conf *ret);
void auth_conf_fini(struct auth_conf *conf);

/* Whether a status of the service says no. */
bool auth_conf_denies(const struct auth_conf *conf, unsigned status);

#endif
