/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/sockets.c - listening sockets, TCP, UDP and unix. */
#include "net/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "net/inherited.h"

#define SOCKET_FILE_MODE 0660
#define LOCK_TRIES 100
#define LOCK_PAUSE_MS 20

void sockets_name(const struct sockaddr *sa, socklen_t len, char *ret, size_t size)
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

void sockets_tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},          {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 60}, /* seconds */
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},       {IPPROTO_TCP, TCP_KEEPCNT, 3},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 30000}, /* milliseconds */
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
}

bool sockets_is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (sa->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
    return true;
}

/* "cannot listen on ADDRESS: REASON" */
static void report(const struct sockets *sockets, const char *address, const char *reason)
{
    log_line(SPOE_LOG_ERR, sockets->component, "cannot listen on %s: %s", address, reason);
}

/* The same of one that is taken, and what may help then. */
static void report_taken(const struct sockets *sockets, const char *address, const char *reason)
{
    log_line(SPOE_LOG_ERR, sockets->component, "cannot listen on %s: %s%s", address, reason,
             sockets->hint);
}

/* The same of one whose port a socket that was handed over has, at another address. */
static void report_held(const struct sockets *sockets, const char *address, const char *name)
{
    log_line(SPOE_LOG_ERR, sockets->component,
             "cannot listen on %s: the service manager holds its port, as the socket %s: disable "
             "the .socket unit of that name, or set the address there and not here",
             address, name);
}

static void report_error(const struct sockets *sockets, const char *address, int error)
{
    if (error == EADDRINUSE)
        report_taken(sockets, address, strerror(error));
    else
        report(sockets, address, strerror(error));
}

static struct listening_socket *add_socket(struct sockets *sockets, int fd,
                                           const struct host_listen *listen_conf)
{
    struct listening_socket *s;

    if (sockets->n == SOCKETS_MAX) {
        log_line(SPOE_LOG_ERR, sockets->component, "more than %u listening sockets", SOCKETS_MAX);
        (void)close(fd);
        return NULL;
    }
    s = &sockets->socket[sockets->n++];
    *s = (struct listening_socket){.fd = fd, .conf = listen_conf};
    return s;
}

/* Who may connect says the file's mode, which is systemd's (SocketMode=, by default 0666), or, of
 * an abstract address, nothing. */
static bool is_open_to_all(const struct sockaddr_un *bound)
{
    struct stat st;

    return bound->sun_path[0] == '\0' ||
           (stat(bound->sun_path, &st) == 0 && (st.st_mode & S_IWOTH) != 0);
}

/* @return 0; -1 logged */
static int adopt(struct sockets *sockets, const struct host_listen *listen_conf, int fd, int type)
{
    union {
        struct sockaddr sa;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } bound = {.storage = {.ss_family = AF_UNSPEC}};
    struct listening_socket *s = add_socket(sockets, fd, listen_conf);
    socklen_t len = sizeof bound.storage;

    if (s == NULL)
        return -1;
    if (getsockname(fd, &bound.sa, &len) != 0) {
        report_error(sockets, listen_conf->text, errno);
        return -1;
    }
    s->inherited = true;
    s->exposed = !sockets_is_loopback(&bound.sa);
    s->is_unix = bound.sa.sa_family == AF_UNIX;
    s->open_to_all = s->is_unix && is_open_to_all(&bound.un);
    if (!s->is_unix)
        sockets_name(&bound.sa, len, s->name, sizeof s->name);
    else if (bound.un.sun_path[0] != '\0')
        (void)snprintf(s->name, sizeof s->name, "%s:%.*s", type == SOCK_DGRAM ? "unixgram" : "unix",
                       (int)(len - offsetof(struct sockaddr_un, sun_path)), bound.un.sun_path);
    else
        (void)snprintf(s->name, sizeof s->name, "%s:@", type == SOCK_DGRAM ? "unixgram" : "unix");
    return 0;
}

/* The one that is bound to this address, if there is one. @return 1 it is taken; 0; -1 logged */
static int adopt_bound(struct sockets *sockets, const struct host_listen *listen_conf,
                       const struct sockaddr *sa)
{
    const int type = listen_conf->datagram ? SOCK_DGRAM : SOCK_STREAM;
    struct error error;
    const int fd = inherited_take_bound(sa, type, &error);

    if (fd == -1)
        return 0;
    if (fd >= 0)
        return adopt(sockets, listen_conf, fd, type) == 0 ? 1 : -1;
    report(sockets, listen_conf->text, error.text);
    return -1;
}

static int open_socket(int family, const struct host_listen *listen_conf)
{
    const int type = listen_conf->datagram ? SOCK_DGRAM : SOCK_STREAM;

    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int begin_listening(int fd, const struct host_listen *listen_conf)
{
    return listen_conf->datagram ? 0 : listen(fd, SOMAXCONN);
}

bool sockets_has_not(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* @return 0; a positive errno, not logged: see sockets_has_not(); -1, logged */
static int open_tcp_address(struct sockets *sockets, const struct host_listen *listen_conf,
                            const struct addrinfo *ai)
{
    const int on = 1, type = listen_conf->datagram ? SOCK_DGRAM : SOCK_STREAM;
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof bound;
    struct listening_socket *s;
    int error, fd = -1, adopted = adopt_bound(sockets, listen_conf, ai->ai_addr);

    if (adopted != 0)
        return adopted > 0 ? 0 : -1;
    fd = open_socket(ai->ai_family, listen_conf);
    if (fd < 0)
        goto fail;
    if (!listen_conf->datagram) /* of datagrams two hosts could take turns */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || begin_listening(fd, listen_conf) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&bound, &len) != 0)
        goto fail;
    s = add_socket(sockets, fd, listen_conf);
    if (s == NULL)
        return -1;
    sockets_name((const struct sockaddr *)(const void *)&bound, len, s->name, sizeof s->name);
    s->exposed = !sockets_is_loopback((const struct sockaddr *)(const void *)&bound);
    return 0;
fail:
    error = errno;
    if (fd >= 0)
        (void)close(fd);
    if (sockets_has_not(error))
        return error;
    if (error == EADDRINUSE && inherited_holder(ai->ai_addr, type) != NULL)
        report_held(sockets, listen_conf->text, inherited_holder(ai->ai_addr, type));
    else
        report_error(sockets, listen_conf->text, error);
    return -1;
}

static int open_tcp(struct sockets *sockets, const struct host_listen *listen_conf)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE,
                                   .ai_family = AF_UNSPEC,
                                   .ai_socktype = listen_conf->datagram ? SOCK_DGRAM : SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(listen_conf->host, listen_conf->port, &hints, &list);
    int result = 0, missing = 0;
    bool any = false;

    if (error != 0) {
        report(sockets, listen_conf->text, gai_strerror(error));
        return -1;
    }
    for (const struct addrinfo *ai = list; ai != NULL && result >= 0; ai = ai->ai_next) {
        result = open_tcp_address(sockets, listen_conf, ai);
        if (result > 0)
            missing = result;
        any |= result == 0;
    }
    freeaddrinfo(list);
    if (result < 0)
        return -1;
    if (!any)
        report_error(sockets, listen_conf->text, missing);
    return any ? 0 : -1;
}

/* Remove a socket file that nobody listens on. @return false, logged: somebody does, or no socket
 */
static bool remove_stale(const struct sockets *sockets, const struct host_listen *listen_conf,
                         const struct sockaddr_un *address)
{
    struct stat st;
    int fd, error = 0;

    if (lstat(address->sun_path, &st) != 0)
        return true; /* nothing there: bind() will tell */
    if (!S_ISSOCK(st.st_mode)) {
        report(sockets, listen_conf->text, "it is not a socket");
        return false;
    }
    fd = open_socket(AF_UNIX, listen_conf);
    if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)address, sizeof *address) != 0)
        error = errno;
    if (fd >= 0)
        (void)close(fd);
    if (error == 0 || error == EAGAIN) {
        report_taken(sockets, listen_conf->text, "another process listens on it");
        return false;
    }
    if (error != ECONNREFUSED) {
        report_error(sockets, listen_conf->text, error);
        return false;
    }
    if (unlink(address->sun_path) == 0 || errno == ENOENT)
        return true;
    report_error(sockets, listen_conf->text, errno);
    return false;
}

void sockets_folder(const char *path, char ret[sizeof(struct sockaddr_un)])
{
    const char *slash = strrchr(path, '/');

    (void)snprintf(ret, sizeof(struct sockaddr_un), "%.*s", slash == path ? 1 : (int)(slash - path),
                   path);
}

/*
 * Lock the folder of a socket file while it is replaced: of two hosts that start at once, the
 * second would take the first one's new file for the stale one that it has just seen. A folder
 * that cannot be locked, or that somebody else keeps locked, stops nobody.
 * @return descriptor to close(), or -1
 */
static int lock_folder(const char *path)
{
    char folder[sizeof(struct sockaddr_un)];
    int fd;

    sockets_folder(path, folder);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            break;
        (void)poll(NULL, 0, LOCK_PAUSE_MS);
    }
    return fd;
}

/* Give a socket file to the configured group. */
static int set_group(const struct sockets *sockets, const char *path)
{
    const struct host_conf *conf = sockets->conf;

    if (conf->socket_group == NULL)
        return 0;
    if (lchown(path, (uid_t)-1, conf->socket_gid) != 0) {
        log_line(SPOE_LOG_ERR, sockets->component, "unix:%s: cannot give it to group %s: %s", path,
                 conf->socket_group, strerror(errno));
        return -1;
    }
    return 0;
}

/* @return the listening descriptor; -1, logged */
static int bind_unix(const struct sockets *sockets, const struct host_listen *listen_conf,
                     const struct sockaddr_un *address)
{
    mode_t old;
    int fd, error;

    if (!remove_stale(sockets, listen_conf, address))
        return -1;
    fd = open_socket(AF_UNIX, listen_conf);
    if (fd < 0) {
        report_error(sockets, listen_conf->text, errno);
        return -1;
    }
    /* The mode must hold from the first moment; no other thread makes files yet. */
    old = umask((mode_t)~SOCKET_FILE_MODE & 0777);
    error = bind(fd, (const struct sockaddr *)(const void *)address, sizeof *address) != 0 ||
                    begin_listening(fd, listen_conf) != 0
                ? errno
                : 0;
    (void)umask(old);
    if (error == 0)
        return fd;
    report_error(sockets, listen_conf->text, error);
    (void)close(fd);
    return -1;
}

static int open_unix(struct sockets *sockets, const struct host_listen *listen_conf)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct listening_socket *s;
    struct stat st;
    int lock, fd, adopted;

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", listen_conf->path);
    adopted = adopt_bound(sockets, listen_conf, (const struct sockaddr *)(const void *)&address);
    if (adopted != 0)
        return adopted > 0 ? 0 : -1;
    lock = lock_folder(listen_conf->path);
    fd = bind_unix(sockets, listen_conf, &address);
    if (lock >= 0)
        (void)close(lock);
    if (fd < 0)
        return -1;
    s = add_socket(sockets, fd, listen_conf);
    if (s == NULL)
        return -1;
    (void)snprintf(s->name, sizeof s->name, "%s:%s", listen_conf->datagram ? "unixgram" : "unix",
                   listen_conf->path);
    s->is_unix = true;
    s->path = strdup(listen_conf->path);
    if (s->path == NULL || lstat(s->path, &st) != 0) {
        report_error(sockets, listen_conf->text, errno);
        return -1;
    }
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    return set_group(sockets, s->path);
}

/* ---- inherited, by name ---- */

int sockets_inherit(struct sockets *sockets, const struct host_listen *listen_conf, int type)
{
    struct error error;
    int fd, n = 0;

    for (; (fd = inherited_take(listen_conf->fd_name, type, &error)) >= 0; n++) {
        if (adopt(sockets, listen_conf, fd, type) != 0)
            return -1;
    }
    if (fd == -1)
        return n;
    report(sockets, listen_conf->text, error.text);
    return -1;
}

int sockets_inherited_none(const struct sockets *sockets, const struct host_listen *listen_conf)
{
    struct error error;

    inherited_explain(listen_conf->fd_name, &error);
    report(sockets, listen_conf->text, error.text);
    return -1;
}

int sockets_open(struct sockets *sockets, const struct host_listen *listen_conf)
{
    if (listen_conf->fd_name != NULL) {
        const int n = sockets_inherit(sockets, listen_conf, SOCK_STREAM);

        return n == 0 ? sockets_inherited_none(sockets, listen_conf) : n > 0 ? 0 : -1;
    }
    return listen_conf->path != NULL ? open_unix(sockets, listen_conf)
                                     : open_tcp(sockets, listen_conf);
}

void sockets_close(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->n; i++) {
        struct listening_socket *s = &sockets->socket[i];
        struct stat st;

        /* Somebody may have replaced the file: then it is theirs. */
        if (s->path != NULL && lstat(s->path, &st) == 0 && st.st_dev == s->dev &&
            st.st_ino == s->ino)
            (void)unlink(s->path);
        free(s->path);
        if (s->fd >= 0)
            (void)close(s->fd);
    }
    sockets->n = 0;
}
