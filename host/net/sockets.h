/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/sockets.h - listening sockets: TCP, UDP and unix. Threads: [main].
 */
#ifndef HOST_NET_SOCKETS_H
#define HOST_NET_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "conf/host_conf.h"

#define SOCKETS_MAX 64u

struct listening_socket {
    int fd;
    const struct host_listen *conf; /* that it was opened for */
    bool is_unix;
    char *path; /* of a socket file, ours to remove; NULL: there is none, or it is not ours */
    dev_t dev;
    ino_t ino;
    bool inherited;   /* whoever has started the host has opened it */
    bool exposed;     /* other machines can reach it */
    bool open_to_all; /* an inherited unix socket that every user of this machine can reach */
    char name[128];   /* "127.0.0.1:4317", "[::1]:4317", "unix:/run/x" */
};

/* Sockets, and how their failures are told. */
struct sockets {
    const struct host_conf *conf; /* whose group socket files get */
    const char *component;        /* of log lines */
    const char *hint;             /* what may help where an address is taken; may be empty */
    size_t n;
    struct listening_socket socket[SOCKETS_MAX];
};

/**
 * Bind and listen on an address (to datagrams there is no listening), on all that its name stands
 * for and this machine has. An inherited socket that is bound to one of them already is taken
 * instead (net/inherited.h). A socket file that nobody listens on is replaced; one that somebody
 * does is an error.
 * @return 0; -1 with the reason logged; sockets_close() is due either way
 */
int sockets_open(struct sockets *sockets, const struct host_listen *listen);
/**
 * Take the inherited sockets (net/inherited.h) that an address names, fd:NAME.
 * @param type  SOCK_STREAM or SOCK_DGRAM: those of the other one are left
 * @return how many; -1 logged
 */
int sockets_inherit(struct sockets *sockets, const struct host_listen *listen, int type);
/** Log that there is none. @return -1 */
int sockets_inherited_none(const struct sockets *sockets, const struct host_listen *listen);
/** Close them and remove our socket files, unless somebody has replaced them. */
void sockets_close(struct sockets *sockets);

/**
 * Set what an accepted TCP connection needs: answers leave at once, and a peer that is gone without
 * a word is noticed, idle within 90 s, with an answer on its way within 30.
 */
void sockets_tune(int fd);

/**
 * Whether a failed socket() or bind() says that this machine does not have an address, such as one
 * of IPv6 where that is off: the others of its name will do.
 */
bool sockets_has_not(int error);

/** The folder of a socket file, whose path is absolute; "/" for one in the root. */
void sockets_folder(const char *path, char ret[sizeof(struct sockaddr_un)]);

/** Whether nobody but this machine has it: 127.0.0.0/8, ::1, or a socket file's. */
bool sockets_is_loopback(const struct sockaddr *sa);

/** An address as it is logged; "unix" for a socket file's. */
void sockets_name(const struct sockaddr *sa, socklen_t len, char *ret, size_t size);

#endif
