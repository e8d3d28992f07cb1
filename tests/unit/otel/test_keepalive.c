/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_keepalive.c - pings of the gRPC transport, counted by a collector that knows
 * just enough of HTTP/2 to take an export. It sends no DATA, to which gRPC would answer with pings
 * of another purpose, to measure the bandwidth.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "send/otlp_grpc.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
#define GENEROUS_NS (60 * S)
#define CONNECTIONS_MAX 4u
#define PREFACE_LEN 24u
#define HEAD_LEN 9u

TestSuite(keepalive, .timeout = 120);

/* Under AddressSanitizer: what c-ares allocates when gRPC starts it stays until the exit. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcares.so";
}

/* RFC 9113, 6. */
enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6 };
enum { FLAG_END_STREAM = 1, FLAG_ACK = 1, FLAG_END_HEADERS = 4 };

struct connection {
    int fd;
    pthread_t thread;
    unsigned pings; /* under lock */
};

static struct {
    int listener;
    char endpoint[32];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct connection connection[CONNECTIONS_MAX];
    unsigned n; /* under lock */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static bool read_all(int fd, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t n = recv(fd, bytes, size, 0);

        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static void send_frame(int fd, uint8_t type, uint8_t flags, uint8_t stream, const uint8_t *bytes,
                       size_t size)
{
    uint8_t frame[HEAD_LEN + 128] = {[2] = (uint8_t)size, [3] = type, [4] = flags, [8] = stream};

    cr_assert_leq(size, 128);
    if (size > 0)
        memcpy(frame + HEAD_LEN, bytes, size);
    (void)!send(fd, frame, HEAD_LEN + size, MSG_NOSIGNAL); /* the client may have gone */
}

/* Nothing but trailers: status OK, no message. RFC 7541: literals that are not indexed. */
static void send_ok(int fd, uint8_t stream)
{
    static const char block[] = "\x88"         /* :status: 200 */
                                "\x0f\x10\x10" /* content-type */
                                "application/grpc"
                                "\x00\x0b"
                                "grpc-status"
                                "\x01"
                                "0";

    send_frame(fd, HEADERS, FLAG_END_STREAM | FLAG_END_HEADERS, stream, (const uint8_t *)block,
               sizeof block - 1);
}

static void *serve_connection(void *arg)
{
    struct connection *connection = arg;
    const int fd = connection->fd;
    uint8_t head[HEAD_LEN], body[16384];

    send_frame(fd, SETTINGS, 0, 0, NULL, 0);
    if (!read_all(fd, body, PREFACE_LEN))
        return NULL;
    while (read_all(fd, head, sizeof head)) {
        const size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

        if (size > sizeof body || !read_all(fd, body, size))
            break;
        if (head[3] == SETTINGS && (head[4] & FLAG_ACK) == 0)
            send_frame(fd, SETTINGS, FLAG_ACK, 0, NULL, 0);
        if (head[3] == DATA && (head[4] & FLAG_END_STREAM) != 0)
            send_ok(fd, head[8]);
        if (head[3] == PING && (head[4] & FLAG_ACK) == 0) {
            send_frame(fd, PING, FLAG_ACK, 0, body, size);
            pthread_mutex_lock(&server.lock);
            connection->pings++;
            pthread_cond_broadcast(&server.changed);
            pthread_mutex_unlock(&server.lock);
        }
    }
    return NULL;
}

static void *serve(void *arg)
{
    (void)arg;
    for (;;) {
        const int fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
        struct connection *connection;

        if (fd < 0)
            return NULL;
        pthread_mutex_lock(&server.lock);
        cr_assert_lt(server.n, CONNECTIONS_MAX);
        connection = &server.connection[server.n++];
        connection->fd = fd;
        pthread_mutex_unlock(&server.lock);
        cr_assert_eq(pthread_create(&connection->thread, NULL, serve_connection, connection), 0);
    }
}

static void start_server(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;

    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(server.listener, 0);
    cr_assert_eq(bind(server.listener, (struct sockaddr *)&addr, sizeof addr), 0);
    cr_assert_eq(listen(server.listener, 16), 0);
    cr_assert_eq(getsockname(server.listener, (struct sockaddr *)&addr, &size), 0);
    (void)snprintf(server.endpoint, sizeof server.endpoint, "127.0.0.1:%d", ntohs(addr.sin_port));
    cr_assert_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop_server(void)
{
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
    for (unsigned i = 0; i < server.n; i++) {
        shutdown(server.connection[i].fd, SHUT_RDWR);
        pthread_join(server.connection[i].thread, NULL);
        close(server.connection[i].fd);
    }
}

/* A transport whose one connection is the server's n-th, and has had an export. */
static struct transport *connect_as(unsigned n, int64_t keepalive_ns)
{
    static const uint8_t bytes[1000];
    const struct exporter_conf conf = {.endpoint = server.endpoint,
                                       .service_name = "haproxy",
                                       .service_version = "1.2.3",
                                       .keepalive_ns = keepalive_ns};
    struct transport *transport = otlp_grpc_start(&conf, NULL, NULL);
    struct transport_result result = {.outcome = TRANSPORT_RETRYABLE};
    struct timespec now;

    cr_assert_not_null(transport);
    clock_gettime(CLOCK_MONOTONIC, &now);
    transport->send(transport, 0, bytes, sizeof bytes,
                    (int64_t)now.tv_sec * S + now.tv_nsec + GENEROUS_NS, &result);
    cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
    pthread_mutex_lock(&server.lock);
    cr_assert_eq(server.n, n + 1);
    pthread_mutex_unlock(&server.lock);
    return transport;
}

/* While the one pings its idle connection, the other one, which is older, stays silent. */
Test(keepalive, an_idle_connection_is_pinged_if_and_only_if_it_is_on)
{
    struct transport *off, *on;

    start_server();
    off = connect_as(0, 0);
    on = connect_as(1, 100 * MS); /* gRPC sends one a second at most */
    pthread_mutex_lock(&server.lock);
    while (server.connection[1].pings < 2)
        pthread_cond_wait(&server.changed, &server.lock);
    cr_expect_eq(server.connection[0].pings, 0);
    cr_expect_eq(server.n, 2, "and nobody connects anew");
    pthread_mutex_unlock(&server.lock);
    on->stop(on, 0);
    off->stop(off, 0);
    stop_server();
}
