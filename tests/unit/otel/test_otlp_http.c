/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_otlp_http.c - the transport against a server of the test on a plain socket:
 * each kind of answer, none, time-outs, cancelling. TLS is tested end to end.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "send/otlp_http.h"
#include "google/rpc/status.pb-c.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#define S INT64_C(1000000000)
#define GENEROUS_NS (60 * S)

TestSuite(otlp_http, .timeout = 120);

static int64_t mono_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * S + ts.tv_nsec;
}

/* ---- memory that cannot be had ------------------------------------------------------------ */

static volatile unsigned countdown; /* the allocation that fails; 0: none */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

#define FAILS(type, name, parameters, arguments)                                                   \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails() ? NULL : __real_##name arguments;                                           \
    }
FAILS(void *, malloc, (size_t size), (size))
FAILS(void *, calloc, (size_t n, size_t size), (n, size))
FAILS(void *, realloc, (void *p, size_t size), (p, size))
FAILS(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
FAILS(char *, strdup, (const char *text), (text))
FAILS(void *, curl_slist_append, (void *list, const char *text), (list, text))
FAILS(void *, curl_easy_init, (void), ())
FAILS(void *, curl_multi_init, (void), ())
#undef FAILS

/* ---- the server --------------------------------------------------------------------------- */

static struct {
    int listener;
    char endpoint[32], url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. What to answer: a head without Content-Length, and a body; NULL: close. */
    const char *head;
    const uint8_t *body;
    size_t body_len;
    size_t endless;       /* bytes after the body, all zero */
    bool hang;            /* no answer until the client has gone */
    bool cut;             /* the connection ends within the head */
    const char *redirect; /* the head of the first answers, `redirects` of them */
    int redirects;
    int calls, connections;
    char request[8192]; /* the head of the last one */
    size_t received;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static bool send_all(int fd, const void *bytes, size_t size)
{
    const char *p = bytes;

    while (size > 0) {
        const ssize_t n = send(fd, p, size, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/* Read one request into server.request. @return false: the client has gone */
static bool read_request(int fd)
{
    char text[8192];
    size_t used = 0, size, want;
    char *end = NULL;

    while (end == NULL) {
        const ssize_t n = recv(fd, text + used, sizeof text - 1 - used, 0);

        if (n <= 0)
            return false;
        used += (size_t)n;
        text[used] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    size = used - (size_t)(end + 4 - text);
    want = strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10);
    while (size < want) {
        char more[4096];
        const ssize_t n = recv(fd, more, sizeof more, 0);

        if (n <= 0)
            return false;
        size += (size_t)n;
    }
    *end = '\0';
    pthread_mutex_lock(&server.lock);
    (void)snprintf(server.request, sizeof server.request, "%s", text);
    server.received = size;
    server.calls++;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
    return true;
}

/* @return false: the connection is to be closed */
static bool answer(int fd)
{
    static const char zeros[65536];
    char head[512];
    bool ok;

    if (server.hang) {
        char byte;

        (void)!recv(fd, &byte, 1, 0);
        return false;
    }
    if (server.head == NULL)
        return false;
    if (server.cut) {
        (void)send_all(fd, server.head, strlen(server.head));
        return false;
    }
    (void)snprintf(head, sizeof head, "%s\r\nContent-Length: %zu\r\n\r\n",
                   server.redirects > 0 ? server.redirect : server.head,
                   server.body_len + server.endless);
    server.redirects -= server.redirects > 0;
    ok = send_all(fd, head, strlen(head)) && send_all(fd, server.body, server.body_len);
    for (size_t left = server.endless; ok && left > 0;) {
        const size_t n = left < sizeof zeros ? left : sizeof zeros;

        ok = send_all(fd, zeros, n);
        left -= n;
    }
    return ok;
}

static void *serve(void *arg)
{
    (void)arg;
    for (;;) {
        const int fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            return NULL;
        pthread_mutex_lock(&server.lock);
        server.connections++;
        pthread_mutex_unlock(&server.lock);
        while (read_request(fd) && answer(fd))
            continue;
        close(fd);
    }
}

/* Bind a port of the kernel's choice. @return its socket */
static int reserve_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof addr;

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    (void)snprintf(server.endpoint, sizeof server.endpoint, "127.0.0.1:%d", ntohs(addr.sin_port));
    (void)snprintf(server.url, sizeof server.url, "http://%s/v1/traces", server.endpoint);
    return fd;
}

static void start_server(const char *head)
{
    server.head = head;
    server.listener = reserve_port();
    cr_assert_eq(listen(server.listener, 16), 0);
    cr_assert_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop_server(void)
{
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
}

/* ---- the transport ------------------------------------------------------------------------ */

static struct exporter_conf conf(void)
{
    return (struct exporter_conf){.protocol = OTLP_HTTP,
                                  .url = server.url,
                                  .service_name = "haproxy",
                                  .service_version = "1.2.3"};
}

static struct transport *start(void)
{
    const struct exporter_conf c = conf();
    struct transport *transport = otlp_http_start(&c, NULL, NULL);

    cr_assert_not_null(transport);
    return transport;
}

static struct transport_result send_for(struct transport *transport, int64_t ns)
{
    static const uint8_t bytes[1000];
    struct transport_result result = {.outcome = TRANSPORT_OK};

    transport->send(transport, 0, bytes, sizeof bytes, mono_now() + ns, &result);
    return result;
}

/* One send to a server that answers so. */
static struct transport_result exchange(const char *head, const uint8_t *body, size_t body_len)
{
    struct transport *transport;
    struct transport_result result;

    server.body = body;
    server.body_len = body_len;
    start_server(head);
    transport = start();
    result = send_for(transport, GENEROUS_NS);
    transport->stop(transport, 0);
    stop_server();
    return result;
}

static void expect_sent(const char *line)
{
    cr_expect_not_null(strstr(server.request, line), "no %s in\n%s", line, server.request);
}

/* The transport's end of its connection to the server, which it keeps. */
static int client_socket(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer = {.sin_family = AF_UNSPEC};
        socklen_t size = sizeof peer;
        char endpoint[32];

        if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0 || peer.sin_family != AF_INET)
            continue;
        (void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", ntohs(peer.sin_port));
        if (strcmp(endpoint, server.endpoint) == 0)
            return fd;
    }
    cr_assert(false, "there is none");
    return -1;
}

static int get_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    cr_assert_eq(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

Test(otlp_http, keepalive_is_tcps_and_off_unless_asked_for)
{
    start_server("HTTP/1.1 200 OK");
    for (int seconds = 0; seconds <= 25; seconds += 25) {
        struct exporter_conf c = conf();
        struct transport *transport;
        int fd;

        c.keepalive_ns = seconds * S;
        transport = otlp_http_start(&c, NULL, NULL);
        cr_assert_not_null(transport);
        cr_assert_eq(send_for(transport, GENEROUS_NS).outcome, TRANSPORT_OK);
        fd = client_socket();
        cr_expect_eq(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), seconds > 0);
        if (seconds > 0)
            cr_expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), seconds);
        transport->stop(transport, 0);
    }
    stop_server();
}

Test(otlp_http, posts_to_the_right_path_and_keeps_its_connection)
{
    struct transport *transport;

    start_server("HTTP/1.1 200 OK");
    transport = start();
    for (int i = 0; i < 3; i++) {
        const struct transport_result result = send_for(transport, GENEROUS_NS);

        cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
        cr_assert_str_empty(result.text);
    }
    transport->stop(transport, 0);
    stop_server();
    cr_expect_eq(server.calls, 3);
    cr_expect_eq(server.connections, 1);
    cr_expect_eq(server.received, 1000);
    expect_sent("POST /v1/traces HTTP/1.1\r\n");
    expect_sent("Content-Type: application/x-protobuf\r\n");
    expect_sent("User-Agent: spoe-host-otel/1.2.3 OTel-OTLP-Exporter-C/1.2.3\r\n");
    cr_expect_null(strstr(server.request, "Expect"), "%s", server.request);
    cr_expect_null(strstr(server.request, "Content-Encoding"), "%s", server.request);
}

Test(otlp_http, uses_the_whole_url_headers_and_gzip)
{
    struct exporter_conf c = conf();
    struct transport *transport;
    char url[100];

    start_server("HTTP/1.1 204 No Content");
    (void)snprintf(url, sizeof url, "http://%s/a/b?c=d", server.endpoint);
    c.url = url;
    c.headers = "api-key=k%20ey,empty=";
    c.gzip = true;
    transport = otlp_http_start(&c, NULL, NULL);
    cr_assert_not_null(transport);
    cr_assert_eq(send_for(transport, GENEROUS_NS).outcome, TRANSPORT_OK);
    transport->stop(transport, 0);
    stop_server();
    expect_sent("POST /a/b?c=d HTTP/1.1\r\n");
    expect_sent("api-key: k ey\r\n");
    expect_sent("empty:");
    expect_sent("Content-Encoding: gzip\r\n");
    cr_expect_lt(server.received, 100, "1000 zeros compress well");
}

Test(otlp_http, refuses_urls_that_are_not_http)
{
    static const char *const urls[] = {"ftp://host/v1/traces", "http://", "file:///etc/passwd",
                                       "http://host:99999/"};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct exporter_conf c = conf();

        c.url = urls[i];
        cr_expect_null(otlp_http_start(&c, NULL, NULL), "%s", urls[i]);
    }
}

/* 9.2: whatever cannot be had, the start says so and leaves nothing behind. */
Test(otlp_http, without_memory_it_does_not_start)
{
    struct exporter_conf c = conf();
    unsigned n;

    c.url = "http://127.0.0.1:1/v1/traces";
    c.headers = "a=b,c=d";
    c.gzip = true;
    c.concurrency = 2;
    for (n = 1;; n++) {
        struct transport *transport;

        countdown = n;
        transport = otlp_http_start(&c, NULL, NULL);
        if (countdown > 0) { /* so many are not needed */
            countdown = 0;
            cr_assert_not_null(transport);
            transport->stop(transport, 0);
            break;
        }
        cr_assert_null(transport, "allocation %u", n);
    }
    cr_assert_gt(n, 8, "%u", n);
}

/* 9.2: no span is lost for want of memory, and the next request is whole again. */
Test(otlp_http, without_memory_a_request_is_repeated)
{
    struct exporter_conf c = conf();
    unsigned n;
    bool failed = true;

    server.body = (const uint8_t *)"{ }";
    server.body_len = 3;
    start_server("HTTP/1.1 200 OK\r\nContent-Type: application/json");
    c.headers = "a=b";
    c.gzip = true;
    for (n = 1; failed; n++) {
        struct transport *transport = otlp_http_start(&c, NULL, NULL);
        struct transport_result result;

        cr_assert_not_null(transport);
        countdown = n;
        result = send_for(transport, GENEROUS_NS);
        failed = countdown == 0;
        countdown = 0;
        if (!failed)
            cr_assert_str_empty(result.text);
        else if (result.outcome == TRANSPORT_RETRYABLE)
            cr_assert_str_eq(result.text, "out of memory");
        else
            cr_assert_str_eq(result.text, "no memory for its answer");
        cr_assert_neq(result.outcome, TRANSPORT_NOT_RETRYABLE);
        result = send_for(transport, GENEROUS_NS);
        cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
        cr_assert_str_empty(result.text);
        transport->stop(transport, 0);
        expect_sent("Content-Type: application/x-protobuf\r\n");
        expect_sent("Content-Encoding: gzip\r\n");
        expect_sent("a: b\r\n");
    }
    cr_assert_gt(n, 5, "%u", n);
    stop_server();
}

/* ---- answers ------------------------------------------------------------------------------ */

/* OTLP specification, "Retryable Response Codes". */
Test(otlp_http, knows_which_codes_to_retry)
{
    static const int codes[] = {301, 307, 400, 401, 403, 404, 408, 413, 421,
                                429, 500, 501, 502, 503, 504, 505, 511};
    struct transport *transport;

    server.body = (const uint8_t *)"because\r\nof";
    server.body_len = 11;
    start_server(NULL);
    transport = start();
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const bool retryable = codes[i] == 429 || (codes[i] >= 502 && codes[i] <= 504);
        struct transport_result result;
        char head[100], wanted[100];

        (void)snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\nContent-Type: text/plain",
                       codes[i]);
        (void)snprintf(wanted, sizeof wanted, "HTTP %d", codes[i]);
        server.head = head;
        result = send_for(transport, GENEROUS_NS);
        cr_expect_eq(result.outcome, retryable ? TRANSPORT_RETRYABLE : TRANSPORT_NOT_RETRYABLE,
                     "code %d: %s", codes[i], result.text);
        cr_expect_eq(result.min_wait_ns, 0);
        cr_expect_eq(strncmp(result.text, wanted, strlen(wanted)), 0, "%s", result.text);
        cr_expect_not_null(strstr(result.text, ": because of"), "%s", result.text);
    }
    transport->stop(transport, 0);
    stop_server();
}

Test(otlp_http, reads_the_status_of_a_refusal)
{
    Google__Rpc__Status status;
    struct transport_result result;
    uint8_t bytes[64];

    google__rpc__status__init(&status);
    status.message = (char *)(uintptr_t) "no such tenant";
    result = exchange("HTTP/1.1 403 Forbidden\r\nContent-Type: application/x-protobuf", bytes,
                      google__rpc__status__pack(&status, bytes));
    cr_assert_eq(result.outcome, TRANSPORT_NOT_RETRYABLE);
    cr_assert_str_eq(result.text,
                     "HTTP 403: no such tenant; are the headers those that the collector wants?");
}

/* W12, 5.4: what is wrong, where, and what to do. */
Test(otlp_http, shows_what_a_refusal_says)
{
    const struct {
        const char *head, *body, *wanted;
    } rows[] = {
        {"HTTP/1.1 401 No\r\nContent-Type: application/json",
         "{\n  \"error\": \"token\x1b expired\"\n}",
         "HTTP 401: { \"error\": \"token expired\" }; are the headers those that the collector "
         "wants?"},
        {"HTTP/1.1 401 No\r\nContent-Type: text/html", "<html>",
         "HTTP 401; are the headers those that the collector wants?"},
        {"HTTP/1.1 404 No\r\nContent-Type: text/plain", "no such page",
         "HTTP 404 of http://127.0.0.1:"},
        {"HTTP/1.1 405 No", "", "HTTP 405 of http://127.0.0.1:"},
        {"HTTP/1.1 400 No", "bad", "HTTP 400: bad"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct transport_result result =
            exchange(rows[i].head, (const uint8_t *)rows[i].body, strlen(rows[i].body));

        cr_expect_eq(result.outcome, TRANSPORT_NOT_RETRYABLE);
        cr_expect_eq(strncmp(result.text, rows[i].wanted, strlen(rows[i].wanted)), 0, "%s",
                     result.text);
    }
}

/* W12 */
Test(otlp_http, empty_answers_in_other_words_are_no_matter)
{
    const struct {
        const char *type, *body, *wanted;
    } rows[] = {{"application/json", "{}", ""},
                {"application/json; charset=utf-8", "{ }\n", ""},
                {"application/json", "", ""},
                {"application/json", "{\"partialSuccess\": {}}", ""},
                {"text/plain", "OK", ""},
                {"text/html", "OK", ""},
                {"text/html", "", ""},
                {"text/html; charset=utf-8", "\n<!doctype html>",
                 "its answer is a web page; is that the collector's address?"},
                {"application/json", "{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}",
                 "{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}"}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct transport_result result;
        char head[100];

        (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s", rows[i].type);
        result = exchange(head, (const uint8_t *)rows[i].body, strlen(rows[i].body));
        cr_expect_eq(result.outcome, TRANSPORT_OK);
        cr_expect_eq(result.rejected, 0);
        cr_expect_str_eq(result.text, rows[i].wanted);
    }
}

/* ---- redirects ----------------------------------------------------------------------------- */

/* 3.7: within the origin, with the same method and body. */
Test(otlp_http, follows_307_and_308_within_the_origin)
{
    static const char *const codes[] = {"307", "308"};

    for (size_t i = 0; i < 2; i++) {
        struct transport *transport;
        struct transport_result result;
        char head[100];

        (void)snprintf(head, sizeof head, "HTTP/1.1 %s Go\r\nLocation: /new/v1/traces", codes[i]);
        server.redirect = head;
        server.redirects = 2;
        start_server("HTTP/1.1 200 OK");
        transport = start();
        for (int n = 0; n < 2; n++) {
            result = send_for(transport, GENEROUS_NS);
            cr_expect_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
            cr_expect_str_empty(result.text);
            cr_expect_eq(server.received, 1000);
        }
        expect_sent("POST /v1/traces HTTP/1.1\r\n"); /* the second began anew */
        transport->stop(transport, 0);
        stop_server();
    }
}

Test(otlp_http, says_where_it_is_sent_to_otherwise)
{
    const struct {
        const char *head, *wanted;
    } rows[] = {
        {"HTTP/1.1 307 Go\r\nLocation: http://u:pw@elsewhere.example:4318/v1/traces?token=x",
         "HTTP 307 sends to http://elsewhere.example:4318/v1/traces, which is not followed to "
         "another origin; is that the collector's URL?"},
        {"HTTP/1.1 308 Go\r\nLocation: https://127.0.0.1/v1/traces",
         "HTTP 308 sends to https://127.0.0.1/v1/traces, which is not"},
        {"HTTP/1.1 301 Go\r\nLocation: /elsewhere", "HTTP 301 sends to http://127.0.0.1:"},
        {"HTTP/1.1 307 Go\r\nLocation: /v1/traces", "HTTP 307 sends to http://127.0.0.1:"},
        {"HTTP/1.1 307 Go", "HTTP 307"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct transport_result result = exchange(rows[i].head, NULL, 0);

        cr_expect_eq(result.outcome, TRANSPORT_NOT_RETRYABLE);
        cr_expect_eq(strncmp(result.text, rows[i].wanted, strlen(rows[i].wanted)), 0, "%s",
                     result.text);
        cr_expect_null(strstr(result.text, "token"), "%s", result.text);
    }
}

Test(otlp_http, does_not_show_pages)
{
    const char page[] = "<html>";
    const struct transport_result result =
        exchange("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html", (const uint8_t *)page,
                 sizeof page - 1);

    cr_assert_str_eq(result.text, "HTTP 502");
}

Test(otlp_http, waits_as_long_as_retry_after_says)
{
    const struct {
        const char *value;
        int64_t low_s, high_s;
    } table[] = {{"7", 7, 7},
                 {"0", 0, 0},
                 {"nonsense", 0, 0},
                 {"-5", 0, 0},
                 {"999999999", 3600, 3600},
                 {"Fri, 31 Dec 1999 23:59:59 GMT", 0, 0},
                 {"date", 1700, 1800}};
    struct transport *transport;

    start_server(NULL);
    transport = start();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char head[200], date[64];
        const time_t in_30_minutes = time(NULL) + 1800;
        struct tm tm;

        (void)gmtime_r(&in_30_minutes, &tm);
        (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        (void)snprintf(head, sizeof head, "HTTP/1.1 503 Busy\r\nRetry-After: %s",
                       strcmp(table[i].value, "date") == 0 ? date : table[i].value);
        server.head = head;
        const struct transport_result result = send_for(transport, GENEROUS_NS);

        cr_expect_eq(result.outcome, TRANSPORT_RETRYABLE);
        cr_expect(result.min_wait_ns >= table[i].low_s * S &&
                      result.min_wait_ns <= table[i].high_s * S,
                  "%s: %ld ns", table[i].value, (long)result.min_wait_ns);
    }
    transport->stop(transport, 0);
    stop_server();
}

Test(otlp_http, reads_a_partial_success)
{
    Opentelemetry__Proto__Collector__Trace__V1__ExportTracePartialSuccess partial;
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse response;
    struct transport_result result;
    uint8_t bytes[64];
    size_t n;

    opentelemetry__proto__collector__trace__v1__export_trace_partial_success__init(&partial);
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__init(&response);
    partial.rejected_spans = 3;
    partial.error_message = (char *)(uintptr_t) "too old";
    response.partial_success = &partial;
    n = opentelemetry__proto__collector__trace__v1__export_trace_service_response__pack(&response,
                                                                                        bytes);
    result = exchange("HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf", bytes, n);
    cr_assert_eq(result.outcome, TRANSPORT_OK);
    cr_assert_eq(result.rejected, 3);
    cr_assert_str_eq(result.text, "too old");
}

Test(otlp_http, an_answer_that_cannot_be_read_is_still_a_success)
{
    static const uint8_t bytes[] = {0xff, 0xff, 0xff};
    const struct transport_result result = exchange("HTTP/1.1 200 OK", bytes, sizeof bytes);

    cr_assert_eq(result.outcome, TRANSPORT_OK);
    cr_assert_str_not_empty(result.text);
}

Test(otlp_http, reads_no_more_than_4_mib_of_an_answer)
{
    struct transport_result result;

    server.endless = 100u * 1024 * 1024;
    result = exchange("HTTP/1.1 200 OK", NULL, 0); /* O6: lost and counted, not sent again */
    cr_assert_eq(result.outcome, TRANSPORT_NOT_RETRYABLE);
    cr_assert_str_eq(result.text, "HTTP 200, but its answer is above 4 MiB");
    result = exchange("HTTP/1.1 400 Bad Request", NULL, 0);
    cr_assert_eq(result.outcome, TRANSPORT_NOT_RETRYABLE, "%s", result.text);
}

/* ---- no answer ---------------------------------------------------------------------------- */

Test(otlp_http, a_connection_that_closes_is_retryable)
{
    const struct transport_result result = exchange(NULL, NULL, 0);

    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    cr_assert_str_not_empty(result.text);
}

/* 3.1: libcurl calls that a success. */
Test(otlp_http, a_connection_that_closes_within_the_headers_is_retryable)
{
    struct transport_result result;

    server.cut = true;
    result = exchange("HTTP/1.1 200 OK\r\nContent-Type: appli", NULL, 0);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    cr_assert_str_not_empty(result.text);
}

Test(otlp_http, nobody_there_is_retryable)
{
    struct transport *transport;
    struct transport_result result;

    server.listener = reserve_port(); /* nobody listens there, and it is nobody else's */
    transport = start();
    result = send_for(transport, GENEROUS_NS);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    cr_assert_not_null(strstr(result.text, "Failed to connect"), "%s", result.text);
    transport->stop(transport, 0);
    close(server.listener);
}

Test(otlp_http, a_collector_that_hangs_ends_at_the_deadline)
{
    struct transport *transport;
    struct transport_result result;

    server.hang = true;
    start_server("HTTP/1.1 200 OK");
    transport = start();
    result = send_for(transport, S / 2);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    cr_assert_not_null(strstr(result.text, "timed out"), "%s", result.text);
    server.hang = false;
    result = send_for(transport, GENEROUS_NS); /* over a new connection */
    cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
    transport->stop(transport, 0);
    stop_server();
}

static void *cancel_when_called(void *arg)
{
    struct transport *transport = arg;

    pthread_mutex_lock(&server.lock);
    while (server.calls == 0)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
    transport->cancel(transport);
    return NULL;
}

Test(otlp_http, cancel_ends_a_call_and_all_later_ones)
{
    struct transport *transport;
    struct transport_result result;
    pthread_t thread;

    server.hang = true;
    start_server(NULL);
    transport = start();
    cr_assert_eq(pthread_create(&thread, NULL, cancel_when_called, transport), 0);
    result = send_for(transport, 3600 * S);
    pthread_join(thread, NULL);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    result = send_for(transport, 3600 * S);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    transport->stop(transport, 0);
    stop_server();
}
