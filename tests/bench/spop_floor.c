/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/spop_floor.c - the least that an SPOP agent can do: one thread that reads what has
 * arrived, answers each NOTIFY with constant bytes, and writes once per wake-up. What it costs is
 * the floor against which agents are measured; it understands no more than a frame's head.
 *
 *   spop-floor [--listen 127.0.0.1:0] [--threads 1]     prints "listening on 127.0.0.1:PORT"
 *
 * More threads share nothing but the listener: connections go to each in turn.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spop/wire.h"

#define INPUT_SIZE 65536u
#define OUTPUT_SIZE (INPUT_SIZE * 8u)
#define EVENTS_MAX 64
#define FDS_MAX 1024
#define THREADS_MAX 16u

/* set-var txn.traceparent, as a tracing agent answers. */
static const char TRACEPARENT[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct peer {
    int fd;
    size_t len; /* of a frame that is not whole yet */
    uint8_t in[INPUT_SIZE];
};

static struct peer peers[FDS_MAX]; /* by descriptor; pages that nobody uses cost nothing */
static _Thread_local uint8_t out[OUTPUT_SIZE];
static uint8_t action[128];
static size_t action_len;
static int listener = -1;       /* the first thread's */
static int epolls[THREADS_MAX]; /* of each thread */
static unsigned n_threads = 1;

static size_t answer(const uint8_t *frame, size_t len, uint8_t *p, size_t size)
{
    struct spop_frame f;
    size_t n;

    if (wire_frame_decode(frame, len, &f) != 0)
        return 0;
    if (f.type == SPOP_HAPROXY_HELLO)
        return spop_put_agent_hello(p, size, 16380);
    if (f.type == SPOP_HAPROXY_DISCONNECT)
        return spop_put_agent_disconnect(p, size, SPOP_OK);
    n = spop_put_ack_head(p, size, f.stream_id, f.frame_id, action_len);
    memcpy(p + n, action, action_len);
    return n + action_len;
}

/* @return 0, or -1 to close */
static int serve(struct peer *peer)
{
    size_t start = 0, used = 0, size;
    ssize_t n = read(peer->fd, peer->in + peer->len, INPUT_SIZE - peer->len);

    if (n <= 0)
        return -1;
    peer->len += (size_t)n;
    while (wire_frame_find(peer->in + start, peer->len - start, INPUT_SIZE - 4, &size) == 1) {
        used += answer(peer->in + start + 4, size - 4, out + used, OUTPUT_SIZE - used);
        start += size;
    }
    memmove(peer->in, peer->in + start, peer->len - start);
    peer->len -= start;
    return used == 0 || write(peer->fd, out, used) == (ssize_t)used ? 0 : -1;
}

static int listen_on(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    const char *colon = strchr(text, ':');
    char host[64];
    int fd;

    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return -1;
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)(void *)&address, sizeof address) != 0 ||
        listen(fd, 128) != 0 || getsockname(fd, (struct sockaddr *)(void *)&address, &len) != 0)
        return -1;
    (void)printf("listening on %s:%u\n", host, ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}

static void accept_one(void)
{
    static unsigned turn;
    const int on = 1;
    const int fd = accept(listener, NULL, NULL);
    struct epoll_event event = {.events = EPOLLIN};

    if (fd < 0)
        return;
    if (fd >= FDS_MAX) {
        (void)close(fd);
        return;
    }
    peers[fd].fd = fd;
    peers[fd].len = 0;
    event.data.ptr = &peers[fd];
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(epolls[turn++ % n_threads], EPOLL_CTL_ADD, fd, &event) != 0)
        (void)close(fd);
}

static void *loop(void *arg)
{
    const int epoll = *(const int *)arg;
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;

            if (peer == NULL) {
                accept_one();
            } else if (serve(peer) != 0) {
                (void)close(peer->fd);
            }
        }
    }
    return NULL;
}

/* Run all threads but the caller's, and give the first the listener. @return 0, or -1 with errno */
static int start(const char *address)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    for (unsigned i = 0; i < n_threads; i++) {
        pthread_t thread;

        epolls[i] = epoll_create1(EPOLL_CLOEXEC);
        if (epolls[i] < 0 || (i > 0 && pthread_create(&thread, NULL, loop, &epolls[i]) != 0))
            return -1;
    }
    listener = listen_on(address);
    return listener < 0 ? -1 : epoll_ctl(epolls[0], EPOLL_CTL_ADD, listener, &event);
}

int main(int argc, char **argv)
{
    const struct spoe_value value = {.type = SPOE_T_STR,
                                     .u.s = {TRACEPARENT, sizeof TRACEPARENT - 1}};
    const char *address = "127.0.0.1:0";

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--listen") == 0)
            address = argv[i + 1];
        else if (strcmp(argv[i], "--threads") == 0)
            n_threads = (unsigned)strtoul(argv[i + 1], NULL, 10);
    }
    if (n_threads == 0 || n_threads > THREADS_MAX) {
        (void)fprintf(stderr, "spop-floor: 1 to %u threads\n", THREADS_MAX);
        return 2;
    }
    action_len = spop_put_set_var(action, sizeof action, SPOE_SCOPE_TXN,
                                  (struct spoe_span){"traceparent", 11}, &value);
    if (start(address) != 0) {
        (void)fprintf(stderr, "spop-floor: %s\n", strerror(errno));
        return 1;
    }
    (void)loop(&epolls[0]); /* for ever */
    return 0;
}
