/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/otlp_creds.c - disabled, enabled and skip-verify.
 *
 * skip-verify needs gRPC's experimental TLS options: verify_server_cert = 0 alone still ends in
 * "Hostname Verification Check failed", so the verifier is replaced and the check of the name at
 * each call is switched off too (measured with 1.51.1).
 */
#include "send/otlp_creds.h"

#include <grpc/grpc_security.h>

/* Without a CA file gRPC takes the system's. */
static grpc_channel_credentials *create_verifying(const struct tls_pem *pem)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = pem->key, .cert_chain = pem->cert};

    return grpc_ssl_credentials_create_ex(pem->ca, pem->cert != NULL ? &pair : NULL, NULL, NULL);
}

static grpc_channel_credentials *create_skip_verify(const struct tls_pem *pem)
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

grpc_channel_credentials *otlp_creds_create(enum otlp_tls tls, const struct tls_pem *pem)
{
    switch (tls) {
    case OTLP_TLS_ENABLED:
        return create_verifying(pem);
    case OTLP_TLS_SKIP_VERIFY:
        return create_skip_verify(pem);
    default:
        return grpc_insecure_credentials_create();
    }
}
