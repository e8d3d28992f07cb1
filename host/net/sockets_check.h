/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/sockets_check.h - whether addresses could be listened on, without doing it. Threads:
 * [main].
 */
#ifndef HOST_NET_SOCKETS_CHECK_H
#define HOST_NET_SOCKETS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "net/sockets.h"

/* What one address would take. */
struct sockets_claim {
    const char *text;                /* as it was named */
    bool datagram;                   /* UDP */
    struct sockaddr_storage address; /* AF_UNIX: a socket file, by its folder and its name;
                                        AF_UNSPEC: an inherited one, by its name */
    dev_t dev;
    ino_t ino;
    const char *file;
};

/* What those that were looked at would take; starts as {0}. What a start has no sockets for is not
 * remembered. */
struct sockets_claims {
    size_t n;
    struct sockets_claim claim[SOCKETS_MAX];
};

/**
 * Look whether sockets_open() could do it, but for the port or the socket file being taken by
 * another process, which may well be a host that runs: names resolve, addresses are this machine's,
 * folders of socket files can be written to, and none of those looked at before has it. Leaves
 * nothing behind.
 * @param claims     those of before, and this one's then; borrows from `listen`
 * @param component  [borrow] of the log lines
 * @return false, logged: it could not
 */
bool sockets_check(struct sockets_claims *claims, const struct host_listen *listen,
                   const char *component);

#endif
