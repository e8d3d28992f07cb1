/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/otlp_creds.c - disabled, enabled and skip-verify.
 *
 * skip-verify needs gRPC's experimental TLS options: verify_server_cert = 0 alone still ends in
 * "Hostname Verification Check failed", so the verifier is replaced and the check of the name at
 * each call is switched off too (measured with 1.51.1).
 */
#include "export/otlp_creds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/grpc_security.h>

#include <openssl/crypto.h>

#include "export/tls.h"

/* The texts of the PEM files; NULL where none is configured. */
struct pem {
    char *ca, *cert, *key;
};

static void pem_free(struct pem *pem)
{
    free(pem->ca);
    free(pem->cert);
    if (pem->key != NULL)
        OPENSSL_cleanse(pem->key, strlen(pem->key));
    free(pem->key);
    *pem = (struct pem){0};
}

static int read_one(const char *path, char **ret, char *ret_error, size_t size)
{
    if (path == NULL)
        return 0;
    *ret = tls_read_file(path, ret_error, size);
    return *ret != NULL ? 0 : -1;
}

static int pem_read(const struct exporter_conf *conf, struct pem *ret, char *ret_error, size_t size)
{
    *ret = (struct pem){0};
    if (read_one(conf->tls_ca, &ret->ca, ret_error, size) == 0 &&
        read_one(conf->tls_cert, &ret->cert, ret_error, size) == 0 &&
        read_one(conf->tls_key, &ret->key, ret_error, size) == 0)
        return 0;
    pem_free(ret);
    return -1;
}

/* Without a CA file gRPC takes the system's. */
static grpc_channel_credentials *create_verifying(const struct pem *pem)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = pem->key, .cert_chain = pem->cert};

    return grpc_ssl_credentials_create_ex(pem->ca, pem->cert != NULL ? &pair : NULL, NULL, NULL);
}

static grpc_channel_credentials *create_skip_verify(const struct pem *pem)
{
    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
    grpc_tls_certificate_verifier *verifier = grpc_tls_certificate_verifier_no_op_create();

    grpc_tls_credentials_options_set_verify_server_cert(options, 0);
    grpc_tls_credentials_options_set_certificate_verifier(options, verifier);
    grpc_tls_certificate_verifier_release(verifier);
    grpc_tls_credentials_options_set_check_call_host(options, 0);
    if (pem->ca != NULL || pem->cert != NULL) {
        grpc_tls_identity_pairs *pairs = NULL;
        grpc_tls_certificate_provider *provider;

        if (pem->cert != NULL) {
            pairs = grpc_tls_identity_pairs_create();
            grpc_tls_identity_pairs_add_pair(pairs, pem->key, pem->cert);
        }
        provider = grpc_tls_certificate_provider_static_data_create(pem->ca, pairs);
        grpc_tls_credentials_options_set_certificate_provider(options, provider);
        grpc_tls_certificate_provider_release(provider);
        if (pem->ca != NULL)
            grpc_tls_credentials_options_watch_root_certs(options);
        if (pem->cert != NULL)
            grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
    }
    return grpc_tls_credentials_create(options);
}

grpc_channel_credentials *otlp_creds_create(const struct exporter_conf *conf, char *ret_error,
                                            size_t size)
{
    grpc_channel_credentials *creds;
    struct pem pem;

    if (conf->tls == OTLP_TLS_DISABLED) {
        creds = grpc_insecure_credentials_create();
    } else {
        if (pem_read(conf, &pem, ret_error, size) != 0)
            return NULL;
        creds = conf->tls == OTLP_TLS_ENABLED ? create_verifying(&pem) : create_skip_verify(&pem);
        pem_free(&pem);
    }
    if (creds == NULL)
        (void)snprintf(ret_error, size, "gRPC does not take the TLS settings");
    return creds;
}
