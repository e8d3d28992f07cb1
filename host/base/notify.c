/* SPDX-License-Identifier: Apache-2.0 */
/* host/base/notify.c - see notify.h. */
#include "base/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define US_MAX (INT64_MAX / NS_PER_US)

/* A path, or with @ an abstract address, which has no NUL at its end. @return 0; -1 with errno */
static int read_address(const char *text, struct notify *notify)
{
    const size_t n = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || text[1] == '\0') {
        errno = EAFNOSUPPORT; /* vsock: of virtual machines, and whatever may come */
        return -1;
    }
    if (n >= sizeof notify->address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify->address.sun_path, text, n);
    notify->address_len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (text[0] == '/' ? 1 : 0));
    if (text[0] == '@')
        notify->address.sun_path[0] = '\0';
    return 0;
}

/* A positive decimal number. @return false: it is none */
static bool read_number(const char *text, int64_t max, int64_t *ret)
{
    char *end = NULL;
    intmax_t value;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    value = strtoimax(text, &end, 10);
    if (errno != 0 || *end != '\0' || value <= 0 || value > max)
        return false;
    *ret = value;
    return true;
}

/* @return 0; -1 with errno */
static int read_watchdog(struct notify *notify)
{
    const char *usec = secure_getenv("WATCHDOG_USEC"), *pid = secure_getenv("WATCHDOG_PID");
    int64_t us = 0, mine = 0;

    if (usec == NULL)
        return 0;
    if (pid != NULL && !read_number(pid, INT32_MAX, &mine))
        goto invalid;
    if (pid != NULL && mine != getpid()) /* it is of who has started us */
        return 0;
    if (!read_number(usec, US_MAX, &us))
        goto invalid;
    notify->watchdog_ns = us * NS_PER_US;
    return 0;
invalid:
    errno = EINVAL;
    return -1;
}

int notify_open(struct notify *ret)
{
    const char *address = secure_getenv("NOTIFY_SOCKET");

    *ret = (struct notify){.fd = -1};
    if (address == NULL || address[0] == '\0')
        return 0;
    if (read_address(address, ret) != 0)
        return -1;
    ret->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (ret->fd < 0)
        return -1;
    if (read_watchdog(ret) == 0)
        return 0;
    ret->watchdog_ns = 0;
    return -1;
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        (void)close(notify->fd);
    notify->fd = -1;
}

bool notify_send(const struct notify *notify, const char *text)
{
    return notify->fd < 0 ||
           sendto(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                  (const struct sockaddr *)(const void *)&notify->address,
                  notify->address_len) >= 0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS && errno != ENOMEM);
}
