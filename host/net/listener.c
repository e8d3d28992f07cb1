/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/listener.c - the addresses that HAProxy connects to. */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/value.h"
#include "core/log.h"
#include "net/conn.h"

#define COMPONENT "listener"
#define SOCKETS_MAX 64u
#define SOCKET_FILE_MODE 0660
#define ACCEPT_BURST 64u /* accepted in one turn, so that signals are not starved */
#define RETRY_MS 100     /* after too many open files */

struct listening_socket {
    struct listeners *all;
    int fd;
    struct event event;
    bool has_event;
    char *path; /* of a socket file, ours to remove */
    dev_t dev;
    ino_t ino;
    char name[128];
};

struct listeners {
    struct listening_socket socket[SOCKETS_MAX];
    size_t n;
    const struct host_conf *conf;
    struct event_base *base;
    struct event *retry;
    struct worker *workers;
    uint32_t n_workers;
    bool paused; /* too many open files */
    bool exposed;
    _Atomic uint64_t refused; /* [any] reads */
    struct log_limit refused_limit;
};

/* "127.0.0.1:4317", "[::1]:4317", "unix:/run/x" */
static void name_address(const struct sockaddr *sa, socklen_t len, char *ret, size_t size)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (sa->sa_family == AF_UNIX)
        (void)snprintf(ret, size, "unix");
    else if (getnameinfo(sa, len, host, sizeof host, port, sizeof port,
                         NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(ret, size, "?");
    else
        (void)snprintf(ret, size, sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static bool is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (sa->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
    return true;
}

static struct listening_socket *add_socket(struct listeners *l, int fd)
{
    struct listening_socket *s;

    if (l->n == SOCKETS_MAX) {
        log_line(SPOE_LOG_ERR, COMPONENT, "more than %u listening sockets", SOCKETS_MAX);
        (void)close(fd);
        return NULL;
    }
    s = &l->socket[l->n++];
    *s = (struct listening_socket){.all = l, .fd = fd};
    return s;
}

static int open_tcp_address(struct listeners *l, const struct host_listen *listen_conf,
                            const struct addrinfo *ai)
{
    const int on = 1;
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof bound;
    struct listening_socket *s;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 && errno == EAFNOSUPPORT && ai->ai_next != NULL)
        return 0; /* no IPv6 here: the other addresses of the name will do */
    if (fd < 0)
        goto fail;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&bound, &len) != 0)
        goto fail;
    s = add_socket(l, fd);
    if (s == NULL)
        return -1;
    name_address((const struct sockaddr *)(const void *)&bound, len, s->name, sizeof s->name);
    if (!is_loopback((const struct sockaddr *)(const void *)&bound))
        l->exposed = true;
    return 0;
fail:
    log_line(SPOE_LOG_ERR, COMPONENT, "cannot listen on %s: %s", listen_conf->text,
             strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static int open_tcp(struct listeners *l, const struct host_listen *listen_conf)
{
    const struct addrinfo hints = {
        .ai_flags = AI_PASSIVE, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(listen_conf->host, listen_conf->port, &hints, &list);
    int result = 0;

    if (error != 0) {
        log_line(SPOE_LOG_ERR, COMPONENT, "cannot listen on %s: %s", listen_conf->text,
                 gai_strerror(error));
        return -1;
    }
    for (const struct addrinfo *ai = list; ai != NULL && result == 0; ai = ai->ai_next)
        result = open_tcp_address(l, listen_conf, ai);
    freeaddrinfo(list);
    return result;
}

/* Remove a socket file that nobody listens on. @return false, logged: somebody does, or no socket
 */
static bool remove_stale(const struct sockaddr_un *address)
{
    struct stat st;
    int fd, error = 0;

    if (lstat(address->sun_path, &st) != 0)
        return true; /* nothing there: bind() will tell */
    if (!S_ISSOCK(st.st_mode)) {
        log_line(SPOE_LOG_ERR, COMPONENT, "cannot listen on unix:%s: it is not a socket",
                 address->sun_path);
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)address, sizeof *address) != 0)
        error = errno;
    if (fd >= 0)
        (void)close(fd);
    if (error != ECONNREFUSED) {
        log_line(SPOE_LOG_ERR, COMPONENT, "cannot listen on unix:%s: %s", address->sun_path,
                 error == 0 || error == EAGAIN ? "another process listens on it" : strerror(error));
        return false;
    }
    return unlink(address->sun_path) == 0 || errno == ENOENT;
}

/* A group by name or, where there is no such name, by number. @return false: neither */
static bool find_group(const char *text, gid_t *ret)
{
    char buffer[4096];
    struct group group, *found = NULL;
    int64_t number;

    (void)getgrnam_r(text, &group, buffer, sizeof buffer, &found);
    if (found != NULL) {
        *ret = found->gr_gid;
        return true;
    }
    /* (gid_t)-1 means "leave it" to chown(). */
    if (value_parse_int(text, &number) != VALUE_OK || number < 0 || number >= (gid_t)-1)
        return false;
    *ret = (gid_t)number;
    return true;
}

/* Give a socket file to the configured group. */
static int set_group(const struct host_conf *conf, const char *path)
{
    gid_t gid;

    if (conf->socket_group == NULL)
        return 0;
    if (!find_group(conf->socket_group, &gid)) {
        log_line(SPOE_LOG_ERR, COMPONENT, "socket-group: no group \"%s\"", conf->socket_group);
        return -1;
    }
    if (lchown(path, (uid_t)-1, gid) != 0) {
        log_line(SPOE_LOG_ERR, COMPONENT, "unix:%s: cannot give it to group %s: %s", path,
                 conf->socket_group, strerror(errno));
        return -1;
    }
    return 0;
}

static int open_unix(struct listeners *l, const struct host_listen *listen_conf)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct listening_socket *s;
    struct stat st;
    mode_t old;
    int fd, error;

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", listen_conf->path);
    if (!remove_stale(&address))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        goto fail;
    /* The mode must hold from the first moment; no other thread runs yet. */
    old = umask((mode_t)~SOCKET_FILE_MODE & 0777);
    error = bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address) != 0 ||
                    listen(fd, SOMAXCONN) != 0
                ? errno
                : 0;
    (void)umask(old);
    if (error != 0) {
        errno = error;
        goto fail;
    }
    s = add_socket(l, fd);
    if (s == NULL)
        return -1;
    (void)snprintf(s->name, sizeof s->name, "unix:%s", listen_conf->path);
    s->path = strdup(listen_conf->path);
    if (s->path == NULL || lstat(s->path, &st) != 0)
        return -1;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    return set_group(l->conf, s->path);
fail:
    log_line(SPOE_LOG_ERR, COMPONENT, "cannot listen on %s: %s", listen_conf->text,
             strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

struct listeners *listeners_open(const struct host_conf *conf)
{
    struct listeners *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->conf = conf;
    for (size_t i = 0; i < conf->n_listen; i++) {
        const struct host_listen *one = &conf->listen[i];

        if ((one->path != NULL ? open_unix(l, one) : open_tcp(l, one)) != 0) {
            listeners_close(l);
            return NULL;
        }
    }
    if (l->exposed)
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
    name_address(sa, len, peer, sizeof peer);
    worker_adopt(worker, fd, peer);
}

static void set_accepting(struct listeners *l, bool on)
{
    for (size_t i = 0; i < l->n; i++) {
        if (on)
            (void)event_add(&l->socket[i].event, NULL);
        else
            (void)event_del(&l->socket[i].event);
    }
}

/* Too many open files, or no memory for a socket: the backlog waits. */
static void pause_accepting(struct listeners *l, int error)
{
    const struct timeval tv = {0, RETRY_MS * 1000L};

    if (!l->paused)
        log_line(SPOE_LOG_WARNING, COMPONENT, "accept: %s, new connections wait", strerror(error));
    l->paused = true;
    set_accepting(l, false);
    (void)evtimer_add(l->retry, &tv);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    set_accepting(arg, true);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct listening_socket *s = arg;

    (void)what;
    for (unsigned i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        int accepted =
            accept4(fd, (struct sockaddr *)(void *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (accepted < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(s->all, errno);
            return; /* EAGAIN, or a connection that was gone again */
        }
        if (s->all->paused) {
            s->all->paused = false;
            log_line(SPOE_LOG_INFO, COMPONENT, "accepting again");
        }
        if (s->path != NULL)
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
    for (size_t i = 0; i < l->n; i++) {
        struct listening_socket *s = &l->socket[i];

        if (event_assign(&s->event, base, s->fd, EV_READ | EV_PERSIST, on_accept, s) != 0 ||
            event_add(&s->event, NULL) != 0)
            goto nomem;
        s->has_event = true;
        log_line(SPOE_LOG_INFO, COMPONENT, "listening on %s", s->name);
    }
    return 0;
nomem:
    log_line(SPOE_LOG_ERR, COMPONENT, "out of memory");
    return -1;
}

void listeners_stop(struct listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct listening_socket *s = &l->socket[i];
        struct stat st;

        if (s->has_event)
            (void)event_del(&s->event);
        /* Somebody may have replaced the file: then it is theirs. */
        if (s->path != NULL && lstat(s->path, &st) == 0 && st.st_dev == s->dev &&
            st.st_ino == s->ino)
            (void)unlink(s->path);
        free(s->path);
        (void)close(s->fd);
    }
    l->n = 0;
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
