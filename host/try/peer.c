/* SPDX-License-Identifier: Apache-2.0 */
/* host/try/peer.c - see peer.h. */
#include "try/peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "spop/wire.h"

/* @return 1 the socket can go on; 0 the deadline came first; -1 with *reterr */
static int wait_for(const struct peer *peer, short events, int64_t deadline_ns,
                    struct error *reterr)
{
    struct pollfd pfd = {.fd = peer->fd, .events = events};

    for (;;) {
        const int64_t left_ns = deadline_ns - clock_mono_ns();
        const int64_t ms = left_ns > 0 ? left_ns / NS_PER_MS + 1 : 0;
        const int n = poll(&pfd, 1, ms < INT32_MAX ? (int)ms : INT32_MAX);

        if (n > 0)
            return 1;
        if (n < 0 && errno != EINTR)
            return error_set(reterr, "poll: %s", strerror(errno));
        if (n == 0 && left_ns <= 0)
            return 0;
    }
}

int peer_send(struct peer *peer, const uint8_t *frame, size_t n, int64_t deadline_ns,
              struct error *reterr)
{
    while (n > 0) {
        const ssize_t sent = send(peer->fd, frame, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        int ready;

        if (sent > 0) {
            frame += sent;
            n -= (size_t)sent;
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return error_set(reterr, "the host has closed the connection: %s", strerror(errno));
        ready = wait_for(peer, POLLOUT, deadline_ns, reterr);
        if (ready < 0)
            return -1;
        if (ready == 0)
            return error_set(reterr, "the host does not read");
    }
    return 0;
}

/* Bytes more. @return as peer_receive() */
static int read_more(struct peer *peer, int64_t deadline_ns, struct error *reterr)
{
    ssize_t n;
    int ready;

    memmove(peer->in, peer->in + peer->used, peer->n_in - peer->used);
    peer->n_in -= peer->used;
    peer->used = 0;
    ready = wait_for(peer, POLLIN, deadline_ns, reterr);
    if (ready <= 0)
        return ready;
    n = recv(peer->fd, peer->in + peer->n_in, sizeof peer->in - peer->n_in, MSG_DONTWAIT);
    if (n > 0)
        peer->n_in += (size_t)n;
    else if (n == 0)
        return error_set(reterr, "the host has closed the connection");
    else if (errno != EAGAIN && errno != EINTR)
        return error_set(reterr, "the connection: %s", strerror(errno));
    return 1;
}

int peer_receive(struct peer *peer, int64_t deadline_ns, struct spop_frame *ret,
                 struct error *reterr)
{
    size_t size;
    int found, result;

    while ((found = wire_frame_find(peer->in + peer->used, peer->n_in - peer->used, FRAME_SIZE,
                                    &size)) == 0) {
        result = read_more(peer, deadline_ns, reterr);
        if (result <= 0)
            return result;
    }
    if (found < 0 || wire_frame_decode(peer->in + peer->used + SPOP_LENGTH_BYTES,
                                       size - SPOP_LENGTH_BYTES, ret) != 0)
        return error_set(reterr, "the host has sent what is no frame");
    peer->used += size;
    return 1;
}

static int shake_hands(struct peer *peer, int64_t deadline_ns, struct error *reterr)
{
    uint8_t hello[FRAME_SIZE + SPOP_LENGTH_BYTES];
    struct spop_frame answer = {.type = SPOP_UNSET};
    const size_t n = frame_hello(hello);
    int result = peer_send(peer, hello, n, deadline_ns, reterr);

    if (result == 0)
        result = peer_receive(peer, deadline_ns, &answer, reterr);
    if (result == 0)
        return error_set(reterr, "the host does not answer HELLO");
    if (result > 0 && answer.type != SPOP_AGENT_HELLO)
        return error_set(reterr, "the host answers HELLO with a frame of type %u", answer.type);
    return result > 0 ? 0 : -1;
}

int peer_open(struct peer *peer, struct worker *worker, int64_t deadline_ns, struct error *reterr)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        return error_set(reterr, "socketpair: %s", strerror(errno));
    *peer = (struct peer){.fd = fds[0], .worker = worker};
    worker_adopt(worker, fds[1], "try", WORKER_EVICTS_NONE);
    if (shake_hands(peer, deadline_ns, reterr) == 0)
        return 0;
    peer_close(peer);
    return -1;
}

void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        (void)close(peer->fd);
    peer->fd = -1;
}
