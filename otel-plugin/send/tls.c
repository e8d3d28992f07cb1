/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/tls.c - check the PEM files when they are read, so that a bad one is named
 * then and not in the first failed handshake.
 */
#include "send/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* ---- files -------------------------------------------------------------------------------- */

static void set_error(char *ret_error, size_t size, const char *path, const char *reason)
{
    (void)snprintf(ret_error, size, "%s: %s", path, reason);
}

/* Read up to size bytes. @return how many; -1 with errno */
static ssize_t read_full(int fd, char *to, size_t size)
{
    size_t used = 0;

    while (used < size) {
        ssize_t n = read(fd, to + used, size - used);

        if (n == 0)
            break;
        if (n > 0)
            used += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)used;
}

char *tls_read_file(const char *path, char *ret_error, size_t size)
{
    /* Not to hang on a FIFO before it can be refused. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *bytes = NULL;
    struct stat st;
    ssize_t n;

    if (fd < 0) {
        set_error(ret_error, size, path, strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) != 0) {
        set_error(ret_error, size, path, strerror(errno));
        goto close_file;
    }
    if (!S_ISREG(st.st_mode)) {
        set_error(ret_error, size, path, "not a regular file");
        goto close_file;
    }
    if (st.st_size > (off_t)TLS_FILE_MAX) {
        set_error(ret_error, size, path, "larger than 1 MiB");
        goto close_file;
    }
    bytes = malloc((size_t)st.st_size + 1);
    if (bytes == NULL) {
        set_error(ret_error, size, path, "out of memory");
        goto close_file;
    }
    n = read_full(fd, bytes, (size_t)st.st_size);
    if (n < 0) {
        set_error(ret_error, size, path, strerror(errno));
        free(bytes);
        bytes = NULL;
        goto close_file;
    }
    bytes[n] = '\0';
close_file:
    (void)close(fd); /* only read from */
    return bytes;
}

/* ---- certificates and keys ---------------------------------------------------------------- */

/* OpenSSL's reason for the last failure, for people. */
static void set_ssl_error(char *ret_error, size_t size, const char *path, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    (void)snprintf(ret_error, size, "%s: %s%s%s", path, what, reason != NULL ? ": " : "",
                   reason != NULL ? reason : "");
}

static BIO *open_memory(const char *text)
{
    return BIO_new_mem_buf(text, -1);
}

/* Asked for a password: there is nobody to ask. */
static int refuse_password(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    *(int *)arg = 1;
    return -1;
}

/*
 * Read every certificate of a PEM text; the first is kept.
 * @return [give: X509_free()] NULL: none, or one of them is not readable
 */
static X509 *parse_certificates(const char *text, const char *path, char *ret_error, size_t size)
{
    BIO *bio = open_memory(text);
    X509 *first = NULL, *cert;
    int encrypted = 0;

    if (bio == NULL) {
        set_error(ret_error, size, path, "out of memory");
        return NULL;
    }
    ERR_clear_error();
    while ((cert = PEM_read_bio_X509(bio, NULL, refuse_password, &encrypted)) != NULL) {
        if (first == NULL)
            first = cert;
        else
            X509_free(cert);
    }
    /* The end of the text is an error like others, but for its reason. */
    if (encrypted) {
        set_error(ret_error, size, path,
                  "a certificate in it is encrypted, which is not supported");
        X509_free(first);
        first = NULL;
    } else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        set_ssl_error(ret_error, size, path, "a certificate in it cannot be read");
        X509_free(first);
        first = NULL;
    } else if (first == NULL) {
        set_error(ret_error, size, path, "no PEM certificate in it");
    }
    ERR_clear_error();
    BIO_free(bio);
    return first;
}

static EVP_PKEY *parse_key(const char *text, const char *path, char *ret_error, size_t size)
{
    BIO *bio = open_memory(text);
    EVP_PKEY *key;
    int encrypted = 0;

    if (bio == NULL) {
        set_error(ret_error, size, path, "out of memory");
        return NULL;
    }
    ERR_clear_error();
    key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, &encrypted);
    if (key == NULL && encrypted)
        set_error(ret_error, size, path, "the key is encrypted, which is not supported");
    else if (key == NULL && strstr(text, "PRIVATE KEY-----") == NULL)
        set_error(ret_error, size, path, "no PEM private key in it");
    else if (key == NULL)
        set_ssl_error(ret_error, size, path, "the key cannot be read");
    ERR_clear_error();
    BIO_free(bio);
    return key;
}

static int check_ca(const char *text, const char *path, char *ret_error, size_t size)
{
    X509 *cert = parse_certificates(text, path, ret_error, size);

    X509_free(cert);
    return cert != NULL ? 0 : -1;
}

static int check_pair(const struct exporter_conf *conf, const struct tls_pem *pem, char *ret_error,
                      size_t size, const char **ret_option)
{
    X509 *cert = NULL;
    EVP_PKEY *key = NULL;
    int rc = -1;

    *ret_option = "tls-cert";
    cert = parse_certificates(pem->cert, conf->tls_cert, ret_error, size);
    if (cert == NULL)
        return -1;
    *ret_option = "tls-key";
    key = parse_key(pem->key, conf->tls_key, ret_error, size);
    if (key == NULL)
        goto done;
    if (X509_check_private_key(cert, key) != 1) {
        (void)snprintf(ret_error, size, "%s: not the key of the certificate in %s", conf->tls_key,
                       conf->tls_cert);
        goto done;
    }
    rc = 0;
done:
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(cert);
    return rc;
}

/* ---- all three ---------------------------------------------------------------------------- */

void tls_pem_free(struct tls_pem *pem)
{
    free(pem->ca);
    free(pem->cert);
    if (pem->key != NULL)
        OPENSSL_cleanse(pem->key, strlen(pem->key));
    free(pem->key);
    *pem = (struct tls_pem){NULL, NULL, NULL};
}

static int read_one(const char *path, const char *option, char **ret, char *ret_error, size_t size,
                    const char **ret_option)
{
    if (path == NULL)
        return 0;
    *ret_option = option;
    *ret = tls_read_file(path, ret_error, size);
    return *ret != NULL ? 0 : -1;
}

int tls_pem_read(const struct exporter_conf *conf, struct tls_pem *ret, char *ret_error,
                 size_t size, const char **ret_option)
{
    struct tls_pem pem = {NULL, NULL, NULL};

    if (conf->tls == OTLP_TLS_DISABLED)
        goto done;
    if ((conf->tls_cert == NULL) != (conf->tls_key == NULL)) {
        *ret_option = conf->tls_cert != NULL ? "tls-cert" : "tls-key";
        (void)snprintf(ret_error, size, "certificate and key go together, but no %s is given",
                       conf->tls_cert != NULL ? "key" : "certificate");
        return -1;
    }
    if (read_one(conf->tls_ca, "tls-ca", &pem.ca, ret_error, size, ret_option) != 0 ||
        (pem.ca != NULL && check_ca(pem.ca, conf->tls_ca, ret_error, size) != 0) ||
        read_one(conf->tls_cert, "tls-cert", &pem.cert, ret_error, size, ret_option) != 0 ||
        read_one(conf->tls_key, "tls-key", &pem.key, ret_error, size, ret_option) != 0 ||
        (pem.cert != NULL && check_pair(conf, &pem, ret_error, size, ret_option) != 0)) {
        tls_pem_free(&pem);
        return -1;
    }
done:
    *ret = pem;
    return 0;
}

int exporter_check_tls(const struct exporter_conf *conf, char *ret_error, size_t size,
                       const char **ret_option)
{
    struct tls_pem pem;

    if (tls_pem_read(conf, &pem, ret_error, size, ret_option) != 0)
        return -1;
    tls_pem_free(&pem);
    return 0;
}
