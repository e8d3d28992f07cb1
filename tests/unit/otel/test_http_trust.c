/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_http_trust.c - whom the transport over HTTP believes: a server whose
 * certificate comes from one of the system's authorities. libcurl's own folder of those is built
 * in; the test gives each of its handles another one.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "send/otlp_http.h"
#include "certs.h"

TestSuite(http_trust, .timeout = 120);

static char dir[] = "/tmp/spoe-trust-XXXXXX";
static char system_file[64], private_file[64];

CURL *__real_curl_easy_init(void); /* NOLINT: the linker's names */
CURL *__wrap_curl_easy_init(void); /* NOLINT */
CURL *__wrap_curl_easy_init(void)  /* NOLINT */
{
    CURL *easy = __real_curl_easy_init();

    cr_assert_not_null(easy);
    cr_assert_eq(curl_easy_setopt(easy, CURLOPT_CAPATH, dir), CURLE_OK);
    return easy;
}

static void write_cert(const char *path, X509 *x509)
{
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file, "%s", path);
    cr_assert(PEM_write_X509(file, x509));
    (void)fclose(file);
}

/* ---- a server with a certificate of "the system's" ------------------------------------------ */

static struct {
    SSL_CTX *context;
    int listener;
    char url[64];
    pthread_t thread;
} server;

static void answer(SSL *ssl)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    char text[4096];
    int used = 0, n;

    while ((n = SSL_read(ssl, text + used, (int)sizeof text - 1 - used)) > 0) {
        used += n;
        text[used] = '\0';
        if (strstr(text, "\r\n\r\nx") != NULL) { /* the body has one byte */
            (void)SSL_write(ssl, ok, sizeof ok - 1);
            (void)SSL_shutdown(ssl);
            return;
        }
    }
}

static void *serve(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        SSL *ssl = SSL_new(server.context);

        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1)
            answer(ssl);
        SSL_free(ssl);
        close(fd);
    }
    return NULL;
}

static void start_server(EVP_PKEY *pkey, X509 *x509)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;

    server.context = SSL_CTX_new(TLS_server_method());
    cr_assert_eq(SSL_CTX_use_certificate(server.context, x509), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(server.context, pkey), 1);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(server.listener, (struct sockaddr *)&addr, sizeof addr), 0);
    cr_assert_eq(listen(server.listener, 16), 0);
    cr_assert_eq(getsockname(server.listener, (struct sockaddr *)&addr, &size), 0);
    (void)snprintf(server.url, sizeof server.url, "https://127.0.0.1:%d/v1/traces",
                   ntohs(addr.sin_port));
    cr_assert_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void set_up(void)
{
    EVP_PKEY *key = make_key(), *other = make_key();
    X509 *x509 = make_cert(key, "system"), *private = make_cert(other, "private");

    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(system_file, sizeof system_file, "%s/%08lx.0", dir,
                   X509_subject_name_hash(x509));
    (void)snprintf(private_file, sizeof private_file, "%s/private.pem", dir);
    write_cert(system_file, x509);
    write_cert(private_file, private);
    start_server(key, x509);
    X509_free(x509);
    X509_free(private);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void tear_down(void)
{
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
    SSL_CTX_free(server.context);
    unlink(system_file);
    unlink(private_file);
    rmdir(dir);
}

/* ---- the transport -------------------------------------------------------------------------- */

static struct transport_result send_one(const char *tls_ca)
{
    const struct exporter_conf conf = {.protocol = OTLP_HTTP,
                                       .url = server.url,
                                       .tls = OTLP_TLS_ENABLED,
                                       .tls_ca = tls_ca,
                                       .service_version = "1.2.3"};
    struct transport *transport = otlp_http_start(&conf, NULL, NULL);
    struct transport_result result = {.outcome = TRANSPORT_OK};

    cr_assert_not_null(transport);
    transport->send(transport, 0, (const uint8_t *)"x", 1, INT64_MAX, &result);
    transport->stop(transport, 0);
    return result;
}

Test(http_trust, the_systems_authorities_are_believed_where_none_is_named, .init = set_up,
     .fini = tear_down)
{
    const struct transport_result result = send_one(NULL);

    cr_expect_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
}

Test(http_trust, tls_ca_is_the_only_one, .init = set_up, .fini = tear_down)
{
    struct transport_result result = send_one(private_file);

    cr_expect_eq(result.outcome, TRANSPORT_RETRYABLE);
    cr_expect_not_null(strstr(result.text, "certificate"), "%s", result.text);
    result = send_one(system_file);
    cr_expect_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
}
