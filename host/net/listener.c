/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/listener.c - the addresses that HAProxy connects to. */
#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/conn.h"
#include "net/sockets.h"

#define COMPONENT "listener"
#define ACCEPT_BURST 64u /* accepted in one turn, so that signals are not starved */
#define RETRY_MS 100     /* after too many open files */

struct listener {
    struct listeners *all;
    struct listening_socket *socket;
    struct event event;
    bool has_event;
};

struct listeners {
    struct sockets sockets;
    struct listener listener[SOCKETS_MAX];
    const struct host_conf *conf;
    struct event_base *base;
    struct event *retry;
    struct worker *workers;
    uint32_t n_workers;
    bool paused;              /* too many open files */
    _Atomic uint64_t refused; /* [any] reads */
    struct log_limit refused_limit, paused_limit, resumed_limit;
};

struct listeners *listeners_open(const struct host_conf *conf)
{
    struct listeners *l = calloc(1, sizeof *l);
    bool exposed = false;

    if (l == NULL)
        return NULL;
    l->conf = conf;
    l->sockets = (struct sockets){.conf = conf, .component = COMPONENT, .hint = ""};
    for (size_t i = 0; i < conf->n_listen; i++) {
        if (sockets_open(&l->sockets, &conf->listen[i]) != 0) {
            listeners_close(l);
            return NULL;
        }
    }
    for (size_t i = 0; i < l->sockets.n; i++)
        exposed |= l->sockets.socket[i].exposed;
    if (exposed)
        log_line(SPOE_LOG_WARNING, COMPONENT,
                 "other machines can reach a listening address, and SPOP has no authentication: "
                 "whoever connects is taken for HAProxy; listen on 127.0.0.1 or unix:/path, or "
                 "keep the port behind a firewall");
    return l;
}

static struct worker *least_busy(struct listeners *l, uint32_t *ret_total)
{
    struct worker *best = &l->workers[0];
    uint32_t least = UINT32_MAX;

    *ret_total = 0;
    for (uint32_t i = 0; i < l->n_workers; i++) {
        uint32_t n = atomic_load(&l->workers[i].n_conns);

        *ret_total += n;
        if (n < least) {
            least = n;
            best = &l->workers[i];
        }
    }
    return best;
}

static void take(struct listeners *l, int fd, const struct sockaddr *sa, socklen_t len)
{
    char peer[CONN_PEER_MAX];
    const int on = 1;
    uint32_t total;
    struct worker *worker = least_busy(l, &total);

    if (total >= l->conf->max_connections) {
        (void)atomic_fetch_add_explicit(&l->refused, 1, memory_order_relaxed);
        log_limited(&l->refused_limit, SPOE_LOG_WARNING, COMPONENT,
                    "max-connections (%u) reached, closing a new connection",
                    l->conf->max_connections);
        (void)close(fd);
        return;
    }
    if (sa->sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets_name(sa, len, peer, sizeof peer);
    worker_adopt(worker, fd, peer);
}

static void set_accepting(struct listeners *l, bool on)
{
    for (size_t i = 0; i < l->sockets.n; i++) {
        if (on)
            (void)event_add(&l->listener[i].event, NULL);
        else
            (void)event_del(&l->listener[i].event);
    }
}

/* Too many open files, or no memory for a socket: the backlog waits, until it is empty again. */
static void pause_accepting(struct listeners *l, int error)
{
    const struct timeval tv = {0, RETRY_MS * 1000L};

    if (!l->paused)
        log_limited(&l->paused_limit, SPOE_LOG_WARNING, COMPONENT,
                    "accept: %s, new connections wait", strerror(error));
    l->paused = true;
    set_accepting(l, false);
    (void)evtimer_add(l->retry, &tv);
}

/* Nobody waits any more. */
static void resume_accepting(struct listeners *l)
{
    l->paused = false;
    log_limited(&l->resumed_limit, SPOE_LOG_INFO, COMPONENT, "accepting again");
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    set_accepting(arg, true);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct listener *s = arg;

    (void)what;
    for (unsigned i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        int accepted =
            accept4(fd, (struct sockaddr *)(void *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (accepted < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(s->all, errno);
            else if (errno == EAGAIN && s->all->paused)
                resume_accepting(s->all);
            return; /* else a connection that was gone again */
        }
        if (s->socket->path != NULL)
            address.ss_family = AF_UNIX;
        take(s->all, accepted, (const struct sockaddr *)(const void *)&address, len);
    }
}

int listeners_start(struct listeners *l, struct event_base *base, struct worker *workers,
                    uint32_t n_workers)
{
    l->base = base;
    l->workers = workers;
    l->n_workers = n_workers;
    l->retry = evtimer_new(base, on_retry, l);
    if (l->retry == NULL)
        goto nomem;
    for (size_t i = 0; i < l->sockets.n; i++) {
        struct listener *s = &l->listener[i];

        *s = (struct listener){.all = l, .socket = &l->sockets.socket[i]};
        if (event_assign(&s->event, base, s->socket->fd, EV_READ | EV_PERSIST, on_accept, s) != 0 ||
            event_add(&s->event, NULL) != 0)
            goto nomem;
        s->has_event = true;
        log_line(SPOE_LOG_INFO, COMPONENT, "listening on %s", s->socket->name);
    }
    return 0;
nomem:
    log_line(SPOE_LOG_ERR, COMPONENT, "out of memory");
    return -1;
}

void listeners_stop(struct listeners *l)
{
    for (size_t i = 0; i < l->sockets.n; i++) {
        if (l->listener[i].has_event)
            (void)event_del(&l->listener[i].event);
    }
    sockets_close(&l->sockets);
    if (l->retry != NULL)
        event_free(l->retry);
    l->retry = NULL;
}

void listeners_close(struct listeners *l)
{
    if (l == NULL)
        return;
    listeners_stop(l);
    free(l);
}

uint64_t listeners_refused(const struct listeners *l)
{
    return atomic_load_explicit(&l->refused, memory_order_relaxed);
}
