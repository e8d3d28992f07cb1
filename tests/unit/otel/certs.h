/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/certs.h - keys, and certificates that are signed with their own. */
#ifndef TEST_CERTS_H
#define TEST_CERTS_H

#include <criterion/criterion.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline EVP_PKEY *make_key(void)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");

    cr_assert_not_null(pkey);
    return pkey;
}

/* For 127.0.0.1. */
static inline X509 *make_cert(EVP_PKEY *pkey, const char *name)
{
    X509 *x509 = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");

    cr_assert(x509 != NULL && names != NULL);
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pkey);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    cr_assert_gt(X509_sign(x509, pkey, EVP_sha256()), 0);
    return x509;
}

#endif
