/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/inherited.c - see inherited.h. */
#include "net/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/value.h"

#define COMPONENT "service"
#define FIRST 3 /* SD_LISTEN_FDS_START */
#define NAME_BYTES_MAX 255u
#define NO_NAME "unknown" /* as libsystemd calls one where LISTEN_FDNAMES is not there */

static struct {
    int fd;
    bool taken;
    char name[NAME_BYTES_MAX + 1];
} inherited[INHERITED_MAX];
static size_t n_inherited;

/* @return false: LISTEN_PID is of another process, or there is nothing */
static bool are_ours(void)
{
    const char *pid = secure_getenv("LISTEN_PID");
    int64_t number = 0;

    return secure_getenv("LISTEN_FDS") != NULL && pid != NULL &&
           value_parse_int(pid, &number) == VALUE_OK && number == getpid();
}

/* A list that is empty is none, as for libsystemd. @return 0; -1 with *reterr */
static int read_names(const char *names, struct error *reterr)
{
    size_t n = 0;

    if (names == NULL || names[0] == '\0')
        return 0;
    for (const char *at = names; at != NULL; n++) {
        const char *end = strchr(at, ':');
        const size_t len = end != NULL ? (size_t)(end - at) : strlen(at);

        if (n < n_inherited)
            (void)snprintf(inherited[n].name, sizeof inherited[n].name, "%.*s",
                           len <= NAME_BYTES_MAX ? (int)len : (int)NAME_BYTES_MAX, at);
        at = end != NULL ? end + 1 : NULL;
    }
    if (n == n_inherited)
        return 0;
    return error_set(reterr, "LISTEN_FDNAMES has %zu names, LISTEN_FDS says %zu", n, n_inherited);
}

int inherited_open(struct error *reterr)
{
    int64_t n = 0;

    n_inherited = 0;
    if (!are_ours())
        return 0;
    if (value_parse_int(secure_getenv("LISTEN_FDS"), &n) != VALUE_OK || n < 0 || n > INHERITED_MAX)
        return error_set(reterr, "LISTEN_FDS: expected a number from 0 to %u", INHERITED_MAX);
    n_inherited = (size_t)n;
    for (size_t i = 0; i < n_inherited; i++) {
        inherited[i].fd = FIRST + (int)i;
        inherited[i].taken = false;
        (void)snprintf(inherited[i].name, sizeof inherited[i].name, NO_NAME);
        if (fcntl(inherited[i].fd, F_SETFD, FD_CLOEXEC) != 0) {
            (void)error_set(reterr, "descriptor %d of LISTEN_FDS=%zu: %s", inherited[i].fd,
                            n_inherited, strerror(errno));
            n_inherited = 0;
            return -1;
        }
    }
    return read_names(secure_getenv("LISTEN_FDNAMES"), reterr);
}

static int get_option(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

/* @return 0; -1 with *reterr */
static int check(int fd, struct error *reterr)
{
    const int type = get_option(fd, SO_TYPE), domain = get_option(fd, SO_DOMAIN);

    if (type < 0)
        return error_set(reterr, "descriptor %d is no socket", fd);
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
        return error_set(reterr, "descriptor %d is neither of IP nor a unix socket", fd);
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return error_set(reterr, "descriptor %d is neither a stream nor of datagrams", fd);
    if (type == SOCK_STREAM && get_option(fd, SO_ACCEPTCONN) != 1)
        return error_set(reterr, "descriptor %d does not listen (Accept=no in its unit)", fd);
    return 0;
}

/* Take inherited[i], which is of this kind and good. @return as inherited_take() */
static int take(size_t i, struct error *reterr)
{
    const int fd = inherited[i].fd;
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        (void)error_set(reterr, "descriptor %d: %s", fd, strerror(errno));
        return -2;
    }
    inherited[i].taken = true;
    return fd;
}

int inherited_take(const char *name, int type, struct error *reterr)
{
    for (size_t i = 0; i < n_inherited; i++) {
        if (inherited[i].taken || strcmp(inherited[i].name, name) != 0)
            continue;
        if (check(inherited[i].fd, reterr) != 0)
            return -2;
        if (get_option(inherited[i].fd, SO_TYPE) == type)
            return take(i, reterr);
    }
    return -1;
}

/* ---- by address ---- */

union address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
};

/* @return false: it is no socket of this type, or has no address */
static bool find_bound(int fd, int type, union address *ret)
{
    socklen_t len = sizeof ret->storage;

    *ret = (union address){.storage = {.ss_family = AF_UNSPEC}};
    return get_option(fd, SO_TYPE) == type && getsockname(fd, &ret->sa, &len) == 0;
}

/* Of IP alone; 0: it has none. */
static in_port_t port_of(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)sa)->sin_port;
    return sa->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)sa)->sin6_port
                                     : 0;
}

static bool is_bound_to(const union address *bound, const struct sockaddr *sa)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)sa;

    if (bound->sa.sa_family != sa->sa_family)
        return false;
    if (sa->sa_family == AF_UNIX) /* of an abstract one there is no way to write it */
        return bound->un.sun_path[0] != '\0' &&
               strncmp(bound->un.sun_path, un->sun_path, sizeof un->sun_path) == 0;
    if (port_of(&bound->sa) != port_of(sa))
        return false;
    if (sa->sa_family == AF_INET)
        return bound->in.sin_addr.s_addr == in->sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&bound->in6.sin6_addr, &in6->sin6_addr) &&
           bound->in6.sin6_scope_id == in6->sin6_scope_id;
}

int inherited_take_bound(const struct sockaddr *sa, int type, struct error *reterr)
{
    union address bound;

    for (size_t i = 0; i < n_inherited; i++) {
        if (!inherited[i].taken && find_bound(inherited[i].fd, type, &bound) &&
            is_bound_to(&bound, sa))
            return check(inherited[i].fd, reterr) == 0 ? take(i, reterr) : -2;
    }
    return -1;
}

const char *inherited_holder(const struct sockaddr *sa, int type)
{
    union address bound;

    for (size_t i = 0; i < n_inherited; i++) {
        if (find_bound(inherited[i].fd, type, &bound) && port_of(&bound.sa) != 0 &&
            port_of(&bound.sa) == port_of(sa))
            return inherited[i].name;
    }
    return NULL;
}

/* ---- the rest ---- */

void inherited_explain(const char *name, struct error *reterr)
{
    char names[160] = "";
    size_t n = 0;

    for (size_t i = 0; i < n_inherited; i++) {
        if (strcmp(inherited[i].name, name) == 0) {
            (void)error_set(reterr, inherited[i].taken
                                        ? "the sockets of that name are taken by another option"
                                        : "the socket of that name is not of the kind that this "
                                          "option takes");
            return;
        }
        if (n < sizeof names)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i == 0 ? "" : ", ",
                                  inherited[i].name);
    }
    (void)error_set(reterr,
                    "the service manager has handed over no socket of that name "
                    "(FileDescriptorName= of a .socket unit that is started), but %s",
                    n_inherited == 0 ? "none at all" : names);
}

void inherited_close_rest(void)
{
    for (size_t i = 0; i < n_inherited; i++) {
        if (inherited[i].taken)
            continue;
        log_line(SPOE_LOG_WARNING, COMPONENT,
                 "the service manager has handed over a socket with the name %s, and no option "
                 "takes it: closed, and nobody reads what is sent there",
                 inherited[i].name);
        (void)close(inherited[i].fd);
        inherited[i].taken = true;
    }
}

static bool has_name(const char *name)
{
    for (size_t i = 0; i < n_inherited; i++) {
        if (strcmp(inherited[i].name, name) == 0)
            return true;
    }
    return false;
}

void inherited_offer(struct conf *conf)
{
    static const struct {
        const char *key, *name;
    } units[] = {{"listen", "spop"}, {"log-listen", "log"}, {"admin", "admin"}};

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (has_name(units[i].name))
            conf_add_socket(conf, units[i].key, units[i].name);
    }
}
