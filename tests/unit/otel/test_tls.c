/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_tls.c - good and bad PEM files, made by OpenSSL as the test runs. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "send/tls.h"
#include "certs.h"

/* A folder with the files of one test. */
static char dir[] = "/tmp/spoe-tls-XXXXXX";
static char ca[64], cert[64], key[64], other_key[64], encrypted[64], empty[64], broken[64], bad[64],
    chain[64], missing[64], encrypted_cert[64];

static FILE *create(char path[64], const char *name)
{
    FILE *file;

    cr_assert_lt(snprintf(path, 64, "%s/%s", dir, name), 64);
    file = fopen(path, "we");
    cr_assert_not_null(file, "%s", path);
    return file;
}

static void write_text(char path[64], const char *name, const char *text)
{
    FILE *file = create(path, name);

    (void)fputs(text, file);
    (void)fclose(file);
}

static void write_cert(char path[64], const char *name, X509 *one, X509 *two, const char *tail)
{
    FILE *file = create(path, name);

    cr_assert(PEM_write_X509(file, one));
    if (two != NULL)
        cr_assert(PEM_write_X509(file, two));
    (void)fputs(tail, file);
    (void)fclose(file);
}

static void write_key(char path[64], const char *name, EVP_PKEY *pkey, const char *password)
{
    FILE *file = create(path, name);
    char text[32] = "";

    if (password != NULL)
        (void)snprintf(text, sizeof text, "%s", password);
    cr_assert(PEM_write_PKCS8PrivateKey(file, pkey, password != NULL ? EVP_aes_128_cbc() : NULL,
                                        password != NULL ? text : NULL, (int)strlen(text), NULL,
                                        NULL));
    (void)fclose(file);
}

static void write_encrypted_cert(char path[64], const char *name, X509 *x509)
{
    unsigned char password[] = "secret";
    FILE *file = create(path, name);

    cr_assert_eq(PEM_ASN1_write((i2d_of_void *)i2d_X509, PEM_STRING_X509, file, x509,
                                EVP_aes_128_cbc(), password, 6, NULL, NULL),
                 1);
    (void)fclose(file);
}

static void set_up(void)
{
    EVP_PKEY *one = make_key(), *two = make_key();
    X509 *x509 = make_cert(one, "one"), *other = make_cert(two, "two");

    cr_assert_not_null(mkdtemp(dir));
    write_cert(ca, "ca.pem", other, NULL, "");
    write_cert(cert, "cert.pem", x509, NULL, "");
    write_cert(chain, "chain.pem", x509, other, "\nafter the certificates\n");
    write_cert(broken, "broken.pem", x509, NULL,
               "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write_key(key, "key.pem", one, NULL);
    write_key(other_key, "other-key.pem", two, NULL);
    write_key(encrypted, "encrypted.pem", one, "secret");
    write_encrypted_cert(encrypted_cert, "encrypted-cert.pem", x509);
    write_text(empty, "empty.pem", "");
    write_text(bad, "bad.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    (void)snprintf(missing, sizeof missing, "%s/missing.pem", dir);
    X509_free(x509);
    X509_free(other);
    EVP_PKEY_free(one);
    EVP_PKEY_free(two);
}

static void tear_down(void)
{
    const char *const files[] = {ca,        cert,  key,    other_key, chain,
                                 encrypted, empty, broken, bad,       encrypted_cert};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlink(files[i]);
    rmdir(dir);
}

TestSuite(tls, .timeout = 60, .init = set_up, .fini = tear_down);

static struct exporter_conf conf_of(const char *ca_file, const char *cert_file,
                                    const char *key_file)
{
    return (struct exporter_conf){
        .tls = OTLP_TLS_ENABLED, .tls_ca = ca_file, .tls_cert = cert_file, .tls_key = key_file};
}

static void expect_good(const struct exporter_conf *conf)
{
    char error[512] = "";
    const char *option = NULL;

    cr_assert_eq(exporter_check_tls(conf, error, sizeof error, &option), 0, "%s", error);
}

/* The check fails, names the option, and says each of the NULL-terminated words. */
static void expect_bad(const struct exporter_conf *conf, const char *wanted_option, ...)
{
    char error[512] = "";
    const char *option = "none", *word;
    va_list ap;

    cr_assert_eq(exporter_check_tls(conf, error, sizeof error, &option), -1);
    cr_assert_str_eq(option, wanted_option, "%s: %s", option, error);
    va_start(ap, wanted_option);
    while ((word = va_arg(ap, const char *)) != NULL)
        cr_assert_not_null(strstr(error, word), "\"%s\" does not say \"%s\"", error, word);
    va_end(ap);
}

Test(tls, good_files_pass)
{
    struct exporter_conf conf = conf_of(ca, cert, key);

    expect_good(&conf);
    conf.tls = OTLP_TLS_SKIP_VERIFY;
    expect_good(&conf);
    conf = conf_of(NULL, NULL, NULL);
    expect_good(&conf);
    conf = conf_of(chain, chain, key);
    expect_good(&conf);
}

Test(tls, disabled_looks_at_no_file)
{
    struct exporter_conf conf = conf_of(missing, missing, NULL);

    conf.tls = OTLP_TLS_DISABLED;
    expect_good(&conf);
}

Test(tls, certificate_and_key_go_together)
{
    struct exporter_conf conf = conf_of(NULL, cert, NULL);

    expect_bad(&conf, "tls-cert", "no key", NULL);
    conf = conf_of(NULL, NULL, key);
    expect_bad(&conf, "tls-key", "no certificate", NULL);
}

Test(tls, each_missing_file_is_named)
{
    struct exporter_conf conf = conf_of(missing, cert, key);

    expect_bad(&conf, "tls-ca", missing, "No such file", NULL);
    conf = conf_of(ca, missing, key);
    expect_bad(&conf, "tls-cert", missing, "No such file", NULL);
    conf = conf_of(ca, cert, missing);
    expect_bad(&conf, "tls-key", missing, "No such file", NULL);
}

Test(tls, what_is_no_file_is_named)
{
    char fifo[64];
    struct exporter_conf conf = conf_of(dir, NULL, NULL);

    expect_bad(&conf, "tls-ca", dir, "not a regular file", NULL);
    (void)snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    conf = conf_of(fifo, NULL, NULL);
    expect_bad(&conf, "tls-ca", fifo, "not a regular file", NULL);
    unlink(fifo);
}

/* 9.2: a bundle of 1 MiB is read to its end, and none that is larger. */
Test(tls, a_file_has_a_size_at_most)
{
    const struct exporter_conf conf = conf_of(chain, NULL, NULL);
    struct stat st;
    FILE *file;

    cr_assert_eq(stat(chain, &st), 0);
    file = fopen(chain, "ae");
    cr_assert_not_null(file);
    for (off_t n = st.st_size; n < (off_t)TLS_FILE_MAX; n++)
        (void)putc('\n', file);
    (void)fflush(file);
    expect_good(&conf);
    (void)putc('\n', file);
    (void)fclose(file);
    expect_bad(&conf, "tls-ca", chain, "larger than 1 MiB", NULL);
}

Test(tls, files_without_the_right_content_are_named)
{
    struct exporter_conf conf = conf_of(empty, NULL, NULL);

    expect_bad(&conf, "tls-ca", empty, "no PEM certificate", NULL);
    conf = conf_of(key, NULL, NULL);
    expect_bad(&conf, "tls-ca", key, "no PEM certificate", NULL);
    conf = conf_of(NULL, empty, key);
    expect_bad(&conf, "tls-cert", empty, "no PEM certificate", NULL);
    conf = conf_of(NULL, cert, empty);
    expect_bad(&conf, "tls-key", empty, "no PEM private key", NULL);
    conf = conf_of(NULL, cert, ca);
    expect_bad(&conf, "tls-key", ca, "no PEM private key", NULL);
}

Test(tls, broken_files_are_named)
{
    struct exporter_conf conf = conf_of(broken, NULL, NULL);

    expect_bad(&conf, "tls-ca", broken, "cannot be read", NULL);
    conf = conf_of(NULL, cert, bad);
    expect_bad(&conf, "tls-key", bad, NULL);
}

Test(tls, a_foreign_or_encrypted_key_is_named)
{
    struct exporter_conf conf = conf_of(NULL, cert, other_key);

    expect_bad(&conf, "tls-key", other_key, cert, "not the key", NULL);
    conf = conf_of(NULL, cert, encrypted);
    expect_bad(&conf, "tls-key", encrypted, "encrypted", NULL);
}

/* OpenSSL would ask for its password, on the terminal if there is one. */
Test(tls, an_encrypted_certificate_is_refused)
{
    const struct exporter_conf conf = conf_of(encrypted_cert, NULL, NULL);

    expect_bad(&conf, "tls-ca", encrypted_cert, "is encrypted, which is not supported", NULL);
}
