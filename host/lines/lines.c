/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/lines.c - see lines.h. */
#include "lines/lines.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "lines/reader.h"
#include "net/conn.h"
#include "net/sockets.h"

#define ACCEPT_BURST 64u
#define RETRY_MS 100 /* after too many open files */

/* What a reader is to do, on its worker. */
struct order {
    struct mail mail;
    struct reader *reader;
    void (*run)(struct reader *reader);
};
enum order_kind { ORDER_START, ORDER_DRAIN, ORDER_STOP, N_ORDERS };

struct acceptor {
    struct lines *lines;
    const struct listening_socket *socket;
    struct event event;
    bool has_event, is_waiting; /* for descriptors */
};

struct lines {
    const struct host_conf *conf;
    struct sockets datagrams, streams;
    struct acceptor acceptor[SOCKETS_MAX];
    struct event *retry;
    struct reader reader[HOST_WORKERS_MAX];         /* of the workers */
    struct order order[HOST_WORKERS_MAX][N_ORDERS]; /* each is given once: no memory to want */
    struct gaps_past past;
    uint32_t n_workers;
    uint32_t max; /* connections */
    struct log_limit full_limit, refused_limit, accept_limit;
    pthread_mutex_t lock; /* n_draining */
    pthread_cond_t drained;
    uint32_t n_draining; /* readers that have something to read yet */
};

/* ---- the addresses ---- */

static void set_receive_buffer(const struct lines *lines, const struct listening_socket *s)
{
    const int wanted = (int)lines->conf->log_receive_buffer, on = 1;
    const bool inherited = s->inherited;
    const int64_t delay_ns =
        lines->conf->log_delay_ns > NS_PER_MS ? lines->conf->log_delay_ns : NS_PER_MS;
    int got = 0;
    socklen_t len = sizeof got;

    (void)setsockopt(s->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    if (s->is_unix) /* there it is the sender's that counts */
        return;
    /* Whoever has opened an inherited one may have given it more than we could: it is not made
     * less. */
    if (inherited && getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &got, &len) == 0 && got / 2 >= wanted)
        return;
    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0 && !inherited)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
    if (getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &got, &len) != 0 || got / 2 >= wanted)
        return;
    if (inherited) {
        log_line(SPOE_LOG_WARNING, LINES_COMPONENT,
                 "%s: the kernel keeps %d bytes of datagrams instead of the %d of "
                 "log-receive-buffer: ReceiveBuffer=%d in its .socket unit",
                 s->name, got / 2, wanted, wanted);
        return;
    }
    log_line(SPOE_LOG_WARNING, LINES_COMPONENT,
             "%s: the kernel keeps %d bytes of datagrams instead of the %d of log-receive-buffer, "
             "which stand some %lld lines/s of 450 bytes: sysctl -w net.core.rmem_max=%d",
             s->name, got / 2, wanted,
             (long long)(got / (int)LINE_KERNEL_BYTES * NS_PER_S / delay_ns), wanted);
}

/* Of either kind; with fd+octet: streams alone. @return 0; -1 logged */
static int open_inherited(struct lines *lines, const struct host_log_listen *listen)
{
    int n_datagrams = 0, n_streams;

    if (!listen->octets)
        n_datagrams = sockets_inherit(&lines->datagrams, &listen->at, SOCK_DGRAM);
    if (n_datagrams < 0)
        return -1;
    n_streams = sockets_inherit(&lines->streams, &listen->at, SOCK_STREAM);
    if (n_streams < 0)
        return -1;
    return n_datagrams + n_streams > 0 ? 0 : sockets_inherited_none(&lines->streams, &listen->at);
}

/* @return 0; -1 logged */
static int open_all(struct lines *lines)
{
    const struct host_conf *conf = lines->conf;
    bool exposed = false;

    for (size_t i = 0; i < conf->n_log_listen; i++) {
        const struct host_listen *at = &conf->log_listen[i].at;

        if (at->fd_name != NULL) {
            if (open_inherited(lines, &conf->log_listen[i]) != 0)
                return -1;
            continue;
        }
        if (sockets_open(at->datagram ? &lines->datagrams : &lines->streams, at) != 0)
            return -1;
    }
    for (size_t i = 0; i < lines->datagrams.n; i++) {
        exposed |= lines->datagrams.socket[i].exposed;
        set_receive_buffer(lines, &lines->datagrams.socket[i]);
    }
    for (size_t i = 0; i < lines->streams.n; i++)
        exposed |= lines->streams.socket[i].exposed;
    if (exposed)
        log_line(SPOE_LOG_WARNING, LINES_COMPONENT,
                 "other machines can reach an address of log-listen, and log lines have no "
                 "authentication: whoever sends them is taken for HAProxy%s; listen on 127.0.0.1, "
                 "or keep the port behind a firewall",
                 conf->n_log_from != 0 ? ", if log-from has the address, which can be forged" : "");
    return 0;
}

struct lines *lines_open(const struct host_conf *conf)
{
    struct lines *lines = calloc(1, sizeof *lines);
    pthread_condattr_t attr;

    if (lines == NULL) {
        log_line(SPOE_LOG_ERR, LINES_COMPONENT, "out of memory");
        return NULL;
    }
    lines->conf = conf;
    lines->datagrams = lines->streams =
        (struct sockets){.conf = conf, .component = LINES_COMPONENT, .hint = ""};
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&lines->lock, NULL);
    (void)pthread_cond_init(&lines->drained, &attr);
    (void)pthread_condattr_destroy(&attr);
    gaps_past_init(&lines->past);
    if (open_all(lines) != 0) {
        lines_close(lines);
        return NULL;
    }
    return lines;
}

/* ---- orders to the readers ---- */

static void run_order(struct mail *mail)
{
    const struct order *order = container_of(mail, struct order, mail);

    order->run(order->reader);
}

/* @return false: the worker has ended */
static bool send_order(struct lines *lines, uint32_t worker, enum order_kind kind)
{
    static void (*const runs[N_ORDERS])(struct reader *) = {reader_start, reader_drain,
                                                            reader_stop};
    struct order *order = &lines->order[worker][kind];
    struct reader *reader = &lines->reader[worker];

    *order = (struct order){.mail = {.run = run_order}, .reader = reader, .run = runs[kind]};
    return reader->worker != NULL && mailbox_put(&reader->worker->core.mailbox, &order->mail);
}

/* [worker] */
static void on_drained(void *arg)
{
    struct lines *lines = arg;

    (void)pthread_mutex_lock(&lines->lock);
    lines->n_draining--;
    (void)pthread_cond_broadcast(&lines->drained);
    (void)pthread_mutex_unlock(&lines->lock);
}

/* ---- connections ---- */

/* A connection on its way to its worker. */
struct adoption {
    struct mail mail;
    struct reader *reader;
    int fd;
    bool evict, tcp, octets;
    uint64_t peer;
    char name[SOURCE_NAME_MAX];
};

static void drop(struct reader *reader, int fd)
{
    (void)close(fd);
    (void)atomic_fetch_sub(&reader->n_streams, 1);
}

static void run_adoption(struct mail *mail)
{
    struct adoption *a = container_of(mail, struct adoption, mail);

    if (a->reader->worker == NULL) { /* it has been stopped */
        drop(a->reader, a->fd);
    } else if (a->evict && !reader_evict(a->reader)) {
        (void)atomic_fetch_add(&a->reader->worker->core.shared->n_refused, 1);
        drop(a->reader, a->fd);
    } else {
        reader_add_stream(a->reader, a->fd, a->name, a->peer, a->tcp, a->octets);
    }
    free(a);
}

uint32_t lines_connections(const struct lines *lines)
{
    uint32_t n = 0;

    for (uint32_t i = 0; lines != NULL && i < lines->n_workers; i++)
        n += atomic_load_explicit(&lines->reader[i].n_streams, memory_order_relaxed);
    return n;
}

/* A frontend's number over all readers. @param ret_seen  whether one before `reader` has it */
static uint64_t missing_of(const struct lines *lines, struct spoe_span name, uint32_t reader,
                           bool *ret_seen)
{
    uint64_t sum = 0;

    *ret_seen = false;
    for (uint32_t r = 0; r < lines->n_workers; r++) {
        const struct gaps *gaps = &lines->reader[r].gaps;
        const uint32_t n = atomic_load_explicit(&gaps->n_frontends, memory_order_acquire);

        for (uint32_t i = 0; i < n; i++) {
            const struct gaps_frontend *frontend = &gaps->frontend[i];

            if (frontend->len != name.n || memcmp(frontend->name, name.p, name.n) != 0)
                continue;
            *ret_seen |= r < reader;
            sum += atomic_load_explicit(&frontend->missing, memory_order_relaxed);
        }
    }
    return sum;
}

void lines_each_missing(const struct lines *lines,
                        void (*fn)(void *arg, struct spoe_span frontend, uint64_t missing),
                        void *arg)
{
    for (uint32_t r = 0; lines != NULL && r < lines->n_workers; r++) {
        const struct gaps *gaps = &lines->reader[r].gaps;
        const uint32_t n = atomic_load_explicit(&gaps->n_frontends, memory_order_acquire);

        for (uint32_t i = 0; i < n; i++) {
            const struct spoe_span name = {gaps->frontend[i].name, gaps->frontend[i].len};
            bool seen;
            const uint64_t missing = missing_of(lines, name, r, &seen);

            if (!seen)
                fn(arg, name, missing);
        }
    }
}

/* The reader that takes the next one: that with the fewest or, where all places are taken, that
 * whose stream is quiet for longest. NULL: none */
static struct reader *choose(struct lines *lines, bool *ret_evict)
{
    struct reader *best = &lines->reader[0];
    int64_t oldest = INT64_MAX;

    *ret_evict = lines_connections(lines) >= lines->max;
    if (!*ret_evict) {
        for (uint32_t i = 1; i < lines->n_workers; i++) {
            if (atomic_load(&lines->reader[i].n_streams) < atomic_load(&best->n_streams))
                best = &lines->reader[i];
        }
        return best;
    }
    best = NULL;
    for (uint32_t i = 0; i < lines->n_workers; i++) {
        const int64_t ns = atomic_load_explicit(&lines->reader[i].oldest_ns, memory_order_relaxed);

        if (ns != 0 && ns < oldest) {
            oldest = ns;
            best = &lines->reader[i];
        }
    }
    return best;
}

/*
 * Such a connection is closed by a reset, also where the process is killed: a ring of HAProxy 3.0
 * with log-proto octet-count does not see an end (it stays in CLOSE-WAIT and sends nothing more,
 * for good), but does see a reset. There is nothing of ours that a peer would miss.
 */
static void close_by_reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static bool has_octets(const struct lines *lines, const struct listening_socket *socket)
{
    for (size_t i = 0; i < lines->conf->n_log_listen; i++) {
        if (&lines->conf->log_listen[i].at == socket->conf)
            return lines->conf->log_listen[i].octets;
    }
    return false;
}

static void take(struct acceptor *acceptor, int fd, const struct sockaddr *sa, socklen_t len)
{
    struct lines *lines = acceptor->lines;
    struct adoption *a;
    char peer[CONN_PEER_MAX];
    struct reader *reader;
    bool evict;

    sockets_name(sa, len, peer, sizeof peer);
    if (!networks_allow(lines->conf->log_from, lines->conf->n_log_from, sa)) {
        COUNT_SHARED(&lines->reader[0].worker->core.counters, log_refused);
        log_limited(&lines->refused_limit, SPOE_LOG_WARNING, LINES_COMPONENT,
                    "%s: a connection from %s, which log-from does not have, is closed",
                    acceptor->socket->name, peer);
        (void)close(fd);
        return;
    }
    reader = choose(lines, &evict);
    a = reader != NULL ? calloc(1, sizeof *a) : NULL;
    if (evict)
        log_limited(&lines->full_limit, SPOE_LOG_WARNING, LINES_COMPONENT,
                    "max-connections (%u) reached by connections with log lines, closing %s",
                    lines->max,
                    reader != NULL ? "the one that is quiet for longest" : "the new one");
    if (a == NULL) {
        (void)atomic_fetch_add(&lines->reader[0].worker->core.shared->n_refused, 1);
        (void)close(fd);
        return;
    }
    if (sa->sa_family != AF_UNIX) {
        sockets_tune(fd);
        close_by_reset(fd);
    }
    *a = (struct adoption){.mail = {.run = run_adoption},
                           .reader = reader,
                           .fd = fd,
                           .evict = evict,
                           .tcp = sa->sa_family != AF_UNIX,
                           .peer = source_peer(sa)};
    a->octets = has_octets(lines, acceptor->socket);
    (void)snprintf(a->name, sizeof a->name, "%s from %s", acceptor->socket->conf->text, peer);
    (void)atomic_fetch_add(&reader->n_streams, 1);
    if (!mailbox_put(&reader->worker->core.mailbox, &a->mail)) {
        drop(reader, fd);
        free(a);
    }
}

/* @return whether there may be more */
static bool accept_some(struct acceptor *acceptor)
{
    const struct timeval wait = {0, RETRY_MS * 1000L};
    struct lines *lines = acceptor->lines;

    for (unsigned i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        const int accepted = accept4(acceptor->socket->fd, (struct sockaddr *)(void *)&address,
                                     &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (accepted >= 0) {
            if (acceptor->socket->is_unix)
                address.ss_family = AF_UNIX;
            take(acceptor, accepted, (const struct sockaddr *)(const void *)&address, len);
            continue;
        }
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
            return false;
        log_limited(&lines->accept_limit, SPOE_LOG_WARNING, LINES_COMPONENT,
                    "accept: %s, new connections wait", strerror(errno));
        (void)event_del(&acceptor->event);
        acceptor->is_waiting = true;
        (void)evtimer_add(lines->retry, &wait);
        return false;
    }
    return true;
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)accept_some(arg);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct lines *lines = arg;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < lines->streams.n; i++) {
        if (lines->acceptor[i].is_waiting)
            (void)event_add(&lines->acceptor[i].event, NULL);
        lines->acceptor[i].is_waiting = false;
    }
}

/* ---- life ---- */

static int start_accepting(struct lines *lines, struct event_base *base)
{
    lines->retry = evtimer_new(base, on_retry, lines);
    if (lines->retry == NULL)
        return -1;
    for (size_t i = 0; i < lines->streams.n; i++) {
        struct acceptor *a = &lines->acceptor[i];

        *a = (struct acceptor){.lines = lines, .socket = &lines->streams.socket[i]};
        if (event_assign(&a->event, base, a->socket->fd, EV_READ | EV_PERSIST, on_accept, a) != 0 ||
            event_add(&a->event, NULL) != 0)
            return -1;
        a->has_event = true;
    }
    return 0;
}

/* As the option says it: "tcp+octet:127.0.0.1:12514". Files have their kind in the name. */
static void log_addresses(const struct lines *lines, const struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->n; i++) {
        const struct listening_socket *s = &sockets->socket[i];
        const char *kind = "";

        if (!s->is_unix && sockets == &lines->datagrams)
            kind = "udp:";
        else if (!s->is_unix)
            kind = has_octets(lines, s) ? "tcp+octet:" : "tcp:";
        log_line(SPOE_LOG_INFO, LINES_COMPONENT, "taking log lines on %s%s%s%s%s", kind, s->name,
                 s->conf->fd_name != NULL ? " (" : "",
                 s->conf->fd_name != NULL ? s->conf->text : "",
                 s->conf->fd_name != NULL ? ")" : "");
    }
}

int lines_start(struct lines *lines, struct event_base *base, struct worker *workers,
                uint32_t n_workers, uint32_t max)
{
    lines->max = max;
    for (uint32_t i = 0; i < n_workers; i++) {
        struct reader *reader = &lines->reader[i];

        lines->n_workers = i + 1;
        if (reader_init(reader, &workers[i], lines->datagrams.n > i, &lines->past, on_drained,
                        lines) != 0)
            goto nomem;
        for (size_t s = i; s < lines->datagrams.n; s += n_workers) {
            const struct listening_socket *socket = &lines->datagrams.socket[s];

            if (reader_add_datagrams(reader, socket->fd, socket->conf->text) != 0)
                goto nomem;
        }
    }
    for (uint32_t i = 0; i < n_workers; i++) {
        if (!send_order(lines, i, ORDER_START))
            goto nomem;
    }
    if (start_accepting(lines, base) != 0)
        goto nomem;
    log_addresses(lines, &lines->datagrams);
    log_addresses(lines, &lines->streams);
    return 0;
nomem:
    log_line(SPOE_LOG_ERR, LINES_COMPONENT, "out of memory");
    return -1;
}

static void stop_accepting(struct lines *lines)
{
    for (size_t i = 0; i < lines->streams.n; i++) {
        if (lines->acceptor[i].has_event)
            (void)event_del(&lines->acceptor[i].event);
    }
    sockets_close(&lines->streams);
    if (lines->retry != NULL)
        event_free(lines->retry);
    lines->retry = NULL;
}

void lines_drain(struct lines *lines)
{
    if (lines == NULL)
        return;
    for (size_t i = 0; i < lines->streams.n; i++) { /* those that wait may have sent already */
        struct acceptor *acceptor = &lines->acceptor[i];
        unsigned n = 0;

        while (acceptor->has_event && n < SOMAXCONN && accept_some(acceptor))
            n += ACCEPT_BURST;
    }
    stop_accepting(lines);
    lines->n_draining = lines->n_workers;
    for (uint32_t i = 0; i < lines->n_workers; i++) {
        if (!send_order(lines, i, ORDER_DRAIN))
            on_drained(lines);
    }
}

bool lines_wait(struct lines *lines, int64_t deadline_mono_ns)
{
    const struct timespec ts = {.tv_sec = deadline_mono_ns / NS_PER_S,
                                .tv_nsec = deadline_mono_ns % NS_PER_S};
    int error = 0;
    bool drained;

    if (lines == NULL)
        return true;
    (void)pthread_mutex_lock(&lines->lock);
    while (lines->n_draining > 0 && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&lines->drained, &lines->lock, &ts);
    drained = lines->n_draining == 0;
    (void)pthread_mutex_unlock(&lines->lock);
    return drained;
}

void lines_stop(struct lines *lines)
{
    if (lines == NULL)
        return;
    stop_accepting(lines);
    for (uint32_t i = 0; i < lines->n_workers; i++) {
        /* A worker whose mailbox is closed has ended: nothing of it runs any more. */
        if (!send_order(lines, i, ORDER_STOP))
            reader_stop(&lines->reader[i]);
    }
}

void lines_close(struct lines *lines)
{
    if (lines == NULL)
        return;
    stop_accepting(lines);
    sockets_close(&lines->datagrams);
    (void)pthread_cond_destroy(&lines->drained);
    (void)pthread_mutex_destroy(&lines->lock);
    gaps_past_fini(&lines->past);
    free(lines);
}
