/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/sockets_check.c - see sockets_check.h. */
#include "net/sockets_check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

/* ---- what is claimed ------------------------------------------------------------------------- */

/* Two addresses of TCP, or of UDP, cannot be listened on at once: the same port of the same one, or
 * of all. */
static bool overlap_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in *b4 = (const struct sockaddr_in *)(const void *)b;
    const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)(const void *)a;
    const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *)(const void *)b;

    if (a->ss_family == AF_INET)
        return a4->sin_port == b4->sin_port && a4->sin_port != 0 &&
               (a4->sin_addr.s_addr == b4->sin_addr.s_addr || a4->sin_addr.s_addr == INADDR_ANY ||
                b4->sin_addr.s_addr == INADDR_ANY);
    return a6->sin6_port == b6->sin6_port && a6->sin6_port != 0 &&
           ((IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr) &&
             a6->sin6_scope_id == b6->sin6_scope_id) ||
            IN6_IS_ADDR_UNSPECIFIED(&a6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&b6->sin6_addr));
}

static bool overlap(const struct sockets_claim *a, const struct sockets_claim *b)
{
    if (a->address.ss_family != b->address.ss_family)
        return false;
    if (a->address.ss_family == AF_UNSPEC || a->address.ss_family == AF_UNIX)
        assert(a->file != NULL && b->file != NULL);
    if (a->address.ss_family == AF_UNSPEC)
        return strcmp(a->file, b->file) == 0;
    if (a->address.ss_family == AF_UNIX)
        return a->dev == b->dev && a->ino == b->ino && strcmp(a->file, b->file) == 0;
    return a->datagram == b->datagram && overlap_ip(&a->address, &b->address);
}

/* @return 0; -1 with *reterr: one that was looked at before has it */
static int claim(struct sockets_claims *claims, const struct sockets_claim *claim,
                 struct error *reterr)
{
    for (size_t i = 0; i < claims->n; i++) {
        if (overlap(&claims->claim[i], claim))
            return error_set(reterr, "%s, which is named before it, has the same address",
                             claims->claim[i].text);
    }
    if (claims->n < SOCKETS_MAX)
        claims->claim[claims->n++] = *claim;
    return 0;
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* Bound, and let go again. The name that it got back is not looked at: any port will do.
 * @return 0; a positive errno: see sockets_has_not(); -1. The text is set for both */
static int check_ip_address(const struct host_listen *listen_conf, const struct addrinfo *ai,
                            struct error *reterr)
{
    const int type = listen_conf->datagram ? SOCK_DGRAM : SOCK_STREAM;
    const int on = 1;
    int error = 0;
    int fd = socket(ai->ai_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        error = errno;
        (void)error_set(reterr, "%s", strerror(error));
        return sockets_has_not(error) ? error : -1;
    }
    /* As a host does it, which so can bind while this one has not let go yet. */
    if (!listen_conf->datagram)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0)
        error = errno;
    (void)close(fd);
    if (error == 0 || error == EADDRINUSE)
        return 0;
    (void)error_set(reterr, "%s", strerror(error));
    return sockets_has_not(error) ? error : -1;
}

static int check_ip(struct sockets_claims *claims, const struct host_listen *listen_conf,
                    struct error *reterr)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE,
                                   .ai_family = AF_UNSPEC,
                                   .ai_socktype = listen_conf->datagram ? SOCK_DGRAM : SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(listen_conf->host, listen_conf->port, &hints, &list);
    bool any = false;
    int result = 0;

    if (error != 0)
        return error_set(reterr, "%s", gai_strerror(error));
    for (const struct addrinfo *ai = list; ai != NULL && result >= 0; ai = ai->ai_next) {
        struct sockets_claim own = {.text = listen_conf->text, .datagram = listen_conf->datagram};

        memcpy(&own.address, ai->ai_addr, ai->ai_addrlen);
        result = check_ip_address(listen_conf, ai, reterr);
        any |= result == 0;
        if (result == 0)
            result = claim(claims, &own, reterr);
    }
    freeaddrinfo(list);
    return result < 0 || !any ? -1 : 0;
}

static int check_unix(struct sockets_claims *claims, const struct host_listen *listen_conf,
                      struct error *reterr)
{
    struct sockets_claim own = {.text = listen_conf->text,
                                .address = {.ss_family = AF_UNIX},
                                .file = strrchr(listen_conf->path, '/') + 1};
    char folder[sizeof(struct sockaddr_un)];
    struct stat st;

    if (lstat(listen_conf->path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return error_set(reterr, "it is not a socket");
    sockets_folder(listen_conf->path, folder);
    if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode))
        return error_set(reterr, "%s", strerror(ENOTDIR));
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0 || stat(folder, &st) != 0)
        return error_set(reterr, "%s", strerror(errno));
    own.dev = st.st_dev;
    own.ino = st.st_ino;
    return claim(claims, &own, reterr);
}

/* Whether it will be there only the service manager knows, and only at a start. */
static int check_inherited(struct sockets_claims *claims, const struct host_listen *listen_conf,
                           struct error *reterr)
{
    const struct sockets_claim own = {.text = listen_conf->text, .file = listen_conf->fd_name};

    return claim(claims, &own, reterr);
}

static int check_one(struct sockets_claims *claims, const struct host_listen *listen_conf,
                     struct error *reterr)
{
    if (listen_conf->fd_name != NULL)
        return check_inherited(claims, listen_conf, reterr);
    return listen_conf->path != NULL ? check_unix(claims, listen_conf, reterr)
                                     : check_ip(claims, listen_conf, reterr);
}

bool sockets_check(struct sockets_claims *claims, const struct host_listen *listen_conf,
                   const char *component)
{
    struct error error;
    const int result = check_one(claims, listen_conf, &error);

    if (result != 0)
        log_line(SPOE_LOG_ERR, component, "cannot listen on %s: %s", listen_conf->text, error.text);
    return result == 0;
}
