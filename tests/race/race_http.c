/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/race/race_http.c - the slots of the HTTP transport, the file of headers that changes under
 * them, and cancel() at the same time, against a port where somebody accepts and hangs up. Meant
 * for the TSan build.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "send/otlp_http.h"

#define SLOTS 4u
#define SENDS 200u /* of each slot */
#define NS_PER_S INT64_C(1000000000)

static struct transport *transport;
static int listener;
static _Atomic unsigned sent;

static int64_t mono_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void *hang_up(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        (void)close(fd);
    return NULL;
}

static void *send_all(void *arg)
{
    static const uint8_t bytes[1000];
    const unsigned slot = *(const unsigned *)arg;

    for (unsigned i = 0; i < SENDS; i++) {
        struct transport_result result;

        transport->send(transport, slot, bytes, sizeof bytes, mono_now() + 120 * NS_PER_S, &result);
        if (result.outcome == TRANSPORT_RETRYABLE)
            atomic_fetch_add(&sent, 1);
    }
    return NULL;
}

static bool write_headers(const char *path, unsigned n)
{
    FILE *file = fopen(path, "we");

    if (file == NULL)
        return false;
    (void)fprintf(file, "number: %u\n", n);
    return fclose(file) == 0;
}

static bool open_listener(char url[64])
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&addr, &size) != 0)
        return false;
    (void)snprintf(url, 64, "http://127.0.0.1:%d/v1/traces", ntohs(addr.sin_port));
    return true;
}

int main(void)
{
    char url[64], path[] = "/tmp/spoe-race-XXXXXX";
    const struct exporter_conf conf = {.protocol = OTLP_HTTP,
                                       .url = url,
                                       .service_version = "1",
                                       .gzip = true,
                                       .headers_file = path,
                                       .concurrency = SLOTS};
    pthread_t server, threads[SLOTS];
    unsigned slots[SLOTS];
    const int fd = mkstemp(path);

    if (fd < 0 || close(fd) != 0 || !open_listener(url))
        return 1;
    transport = otlp_http_start(&conf, NULL, NULL);
    if (transport == NULL || pthread_create(&server, NULL, hang_up, NULL) != 0)
        return 1;
    for (unsigned i = 0; i < SLOTS; i++) {
        slots[i] = i;
        if (pthread_create(&threads[i], NULL, send_all, &slots[i]) != 0)
            return 1;
    }
    for (unsigned i = 0; atomic_load(&sent) < SLOTS * SENDS / 2; i++)
        if (!write_headers(path, i))
            return 1;
    transport->cancel(transport);
    for (unsigned i = 0; i < SLOTS; i++)
        (void)pthread_join(threads[i], NULL);
    transport->stop(transport, 0);
    (void)shutdown(listener, SHUT_RDWR);
    (void)pthread_join(server, NULL);
    (void)close(listener);
    (void)unlink(path);
    printf("%u sends\n", atomic_load(&sent));
    return atomic_load(&sent) == SLOTS * SENDS ? 0 : 1;
}
