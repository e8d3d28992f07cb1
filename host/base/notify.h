/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/notify.h - what a service tells its manager: sd_notify(3)'s protocol, datagrams of
 * NAME=VALUE lines to the unix socket that NOTIFY_SOCKET names. Podman and others speak it too.
 *
 * Of libsystemd these lines would be all that is used, and with it come liblzma, libzstd, liblz4,
 * libgcrypt and libcap into every process and image.
 *
 * Nothing waits for the manager: a socket that is full, gone, or was never there costs a system
 * call, or none.
 */
#ifndef HOST_BASE_NOTIFY_H
#define HOST_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NOTIFY_BYTES_MAX 1024u /* of one message */

struct notify {
    int fd; /* -1: nobody asks */
    struct sockaddr_un address;
    socklen_t address_len;
    int64_t watchdog_ns; /* WATCHDOG=1 is due within this, again and again; 0: it is not */
};

/**
 * Read NOTIFY_SOCKET, and WATCHDOG_USEC where WATCHDOG_PID is this process or is not set.
 * @param ret  notify_close() is due
 * @return 0, also where nobody asks; -1 with errno: there is no sending to such a socket, or, where
 *         fd is not -1, the watchdog's numbers are none
 */
int notify_open(struct notify *ret);
void notify_close(struct notify *notify);

/**
 * Send lines. [any]
 * @param text  [borrow] "READY=1\nSTATUS=ready"
 * @return false: the socket is full, a little later there may be room. True: it was taken, or there
 * is nobody who would
 */
bool notify_send(const struct notify *notify, const char *text);

#endif
