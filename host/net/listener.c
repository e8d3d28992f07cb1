/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/listener.c - the addresses that HAProxy connects to. */
#include "net/listener.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/sockets.h"

#define COMPONENT "listener"
#define ACCEPT_BURST 64u /* accepted in one turn, so that signals are not starved */
#define RETRY_MS 100     /* after too many open files */
#define EVICT_BURST 4u   /* connections that a worker is asked to make a place for at a time */
#define EVICT_WAIT_MS 1  /* until it has */
#define LATE_NS (500 * NS_PER_MS) /* a worker that has taken nothing for so long gets no more */

/*
 * Descriptors that connections leave to plugins, exports and the admin endpoint: a quarter of the
 * limit, within these bounds. A library that gets none may end the process.
 */
#define RESERVE_MIN 16u
#define RESERVE_MAX 256u

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
    struct host_shared *shared;
    _Atomic uint32_t max; /* connections; 0: not known yet. [any] reads */
    bool paused;          /* too many open files */
    struct log_limit evict_limit, refused_limit, paused_limit, resumed_limit;
};

struct listeners *listeners_open(const struct host_conf *conf)
{
    struct listeners *l = calloc(1, sizeof *l);
    bool exposed = false;

    if (l == NULL) {
        log_line(SPOE_LOG_ERR, COMPONENT, "out of memory");
        return NULL;
    }
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

/* The descriptors that are open now. */
static uint32_t count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint32_t n = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL) /* no other thread uses this stream */
        n++;
    (void)closedir(dir);
    return n - 3; /* ".", "..", and the folder's own */
}

/* Whether connections may bring log lines as well: as many again. */
static bool has_log_streams(const struct host_conf *conf)
{
    for (size_t i = 0; i < conf->n_log_listen; i++) {
        if (!conf->log_listen[i].at.datagram)
            return true;
    }
    return false;
}

uint32_t listeners_fit(const struct host_conf *conf, uint64_t limit, uint32_t open)
{
    uint64_t reserve = limit / 4 < RESERVE_MAX ? limit / 4 : RESERVE_MAX;
    uint64_t fit;

    if (reserve < RESERVE_MIN)
        reserve = RESERVE_MIN;
    fit = limit > open + reserve ? limit - open - reserve : 1;
    if (has_log_streams(conf))
        fit = fit / 2 + fit % 2;
    return fit < conf->max_connections ? (uint32_t)fit : conf->max_connections;
}

/* How many connections there may be: as the options say, as far as descriptors go. */
static void set_max(struct listeners *l)
{
    const uint32_t wanted = l->conf->max_connections;
    struct rlimit limit;
    uint32_t max = wanted;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        max = listeners_fit(l->conf, limit.rlim_cur, count_descriptors());
    if (max < wanted)
        log_line(SPOE_LOG_WARNING, COMPONENT,
                 "max-connections is %u, but the limit of %llu open files leaves room for %u: "
                 "raise it (LimitNOFILE=, ulimit -n), or lower max-connections",
                 wanted, (unsigned long long)limit.rlim_cur, max);
    atomic_store_explicit(&l->max, max, memory_order_relaxed);
}

uint32_t listeners_max(const struct listeners *l)
{
    return atomic_load_explicit(&l->max, memory_order_relaxed);
}

/* A plugin does not return: whoever is sent there has no answer, not even to its HELLO. */
static bool is_late(const struct worker *worker)
{
    return heartbeat_is_late(&worker->taken, clock_mono_ns(), LATE_NS);
}

/* @param ret_total  connections of all workers. @return the one with the fewest of those that turn,
 * if one does */
static struct worker *least_busy(struct listeners *l, uint32_t *ret_total)
{
    struct worker *best = &l->workers[0];
    uint64_t least = UINT64_MAX;

    *ret_total = 0;
    for (uint32_t i = 0; i < l->n_workers; i++) {
        const uint32_t n = atomic_load(&l->workers[i].n_conns);
        const uint64_t rank = n + (is_late(&l->workers[i]) ? UINT64_C(1) << 32 : 0);

        *ret_total += n;
        if (rank < least) {
            least = rank;
            best = &l->workers[i];
        }
    }
    return best;
}

/* What becomes of the next connection. */
enum plan { PLAN_TAKE, PLAN_EVICT, PLAN_REFUSE, PLAN_WAIT };

/* Since when a worker has had the oldest of the step's kinds; INT64_MAX: it has none. */
static int64_t oldest_of(const struct worker *worker, const struct evict_step *step)
{
    int64_t oldest_ns = INT64_MAX;

    for (unsigned kind = 0; kind < N_EVICTABLE; kind++) {
        const int64_t ns = atomic_load_explicit(&worker->oldest_ns[kind], memory_order_relaxed);

        if ((step->kinds & 1u << kind) != 0 && ns != 0 && ns < oldest_ns)
            oldest_ns = ns;
    }
    return oldest_ns;
}

/*
 * The worker that has the oldest connection of a step. *busy is set where there is one, but its
 * worker makes EVICT_BURST places already.
 */
static struct worker *with_oldest(struct listeners *l, const struct evict_step *step,
                                  int64_t now_ns, bool *busy)
{
    int64_t since_ns = now_ns - step->min_age_ns;
    struct worker *best = NULL;

    if (step->min_age_ns == 0)
        since_ns = INT64_MAX - 1;
    for (uint32_t i = 0; i < l->n_workers; i++) {
        struct worker *worker = &l->workers[i];
        const int64_t ns = oldest_of(worker, step);

        if (ns > since_ns || is_late(worker))
            continue;
        if (atomic_load(&worker->n_evicting) >= EVICT_BURST) {
            *busy = true;
            continue;
        }
        since_ns = ns;
        best = worker;
    }
    return best;
}

static bool is_crowded(const struct listeners *l)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->n_workers; i++)
        n += atomic_load(&l->workers[i].n_newcomers) + atomic_load(&l->workers[i].n_arriving);
    return evict_is_crowded(n, listeners_max(l));
}

/* All places are taken: who can make one? */
static enum plan plan_eviction(struct listeners *l, struct worker **ret,
                               enum worker_eviction *ret_evicts)
{
    const bool crowded = is_crowded(l);
    const int64_t now_ns = clock_mono_ns();
    bool busy = false;

    *ret = NULL;
    *ret_evicts = crowded ? WORKER_EVICTS_CROWDED : WORKER_EVICTS;
    for (size_t i = 0; i < N_EVICT_STEPS && *ret == NULL; i++) {
        if (crowded || !evict_steps[i].only_crowded)
            *ret = with_oldest(l, &evict_steps[i], now_ns, &busy);
    }
    if (*ret != NULL)
        return PLAN_EVICT;
    return busy ? PLAN_WAIT : PLAN_REFUSE;
}

static enum plan plan(struct listeners *l, struct worker **ret, enum worker_eviction *ret_evicts)
{
    uint32_t total;

    *ret = least_busy(l, &total);
    *ret_evicts = WORKER_EVICTS_NONE;
    if (total < listeners_max(l))
        return PLAN_TAKE;
    return plan_eviction(l, ret, ret_evicts);
}

static void take(struct listeners *l, int fd, const struct sockaddr *sa, socklen_t len,
                 struct worker *worker, enum worker_eviction evicts)
{
    char peer[CONN_PEER_MAX];

    if (evicts != WORKER_EVICTS_NONE)
        log_limited(&l->evict_limit, SPOE_LOG_WARNING, COMPONENT,
                    "max-connections (%u) reached, closing one that has nothing to do",
                    listeners_max(l));
    if (sa->sa_family != AF_UNIX)
        sockets_tune(fd);
    sockets_name(sa, len, peer, sizeof peer);
    worker_adopt(worker, fd, peer, evicts);
    heartbeat_ask(&worker->taken, &worker->core.mailbox, clock_mono_ns());
}

static void refuse(struct listeners *l, int fd)
{
    (void)atomic_fetch_add(&l->shared->n_refused, 1);
    log_limited(&l->refused_limit, SPOE_LOG_WARNING, COMPONENT,
                "max-connections (%u) reached, closing a new connection", listeners_max(l));
    (void)close(fd);
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

/* The backlog waits. */
static void accept_later(struct listeners *l, int ms)
{
    const struct timeval tv = {0, ms * 1000L};

    set_accepting(l, false);
    (void)evtimer_add(l->retry, &tv);
}

/* Too many open files, or no memory for a socket: the backlog waits, until it is empty again. */
static void pause_accepting(struct listeners *l, int error)
{
    if (!l->paused)
        log_limited(&l->paused_limit, SPOE_LOG_WARNING, COMPONENT,
                    "accept: %s, new connections wait", strerror(error));
    l->paused = true;
    accept_later(l, RETRY_MS);
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
    struct listeners *l = s->all;

    (void)what;
    for (unsigned i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        struct worker *worker;
        enum worker_eviction evicts;
        const enum plan next = plan(l, &worker, &evicts);
        int accepted;

        if (next == PLAN_WAIT) {
            accept_later(l, EVICT_WAIT_MS);
            return;
        }
        accepted =
            accept4(fd, (struct sockaddr *)(void *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (accepted < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(l, errno);
            else if (errno == EAGAIN && l->paused)
                resume_accepting(l);
            return; /* else a connection that was gone again */
        }
        if (s->socket->is_unix)
            address.ss_family = AF_UNIX;
        if (next == PLAN_REFUSE)
            refuse(l, accepted);
        else
            take(l, accepted, (const struct sockaddr *)(const void *)&address, len, worker, evicts);
    }
}

int listeners_start(struct listeners *l, struct event_base *base, struct worker *workers,
                    uint32_t n_workers)
{
    l->base = base;
    l->workers = workers;
    l->n_workers = n_workers;
    l->shared = workers[0].core.shared;
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
    set_max(l);
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
