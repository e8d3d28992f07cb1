/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening on a name whose addresses this machine does not all have, and whether -t says the same.
 * The linker leads socket() and bind() here (--wrap, see CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "net/sockets.h"
#include "net/sockets_check.h"
#include "unit/core/capture.h"

/* What fails, by family; 0: nothing. */
static int socket_error[AF_MAX], bind_error[AF_MAX];

int __real_socket(int family, int type, int protocol);
int __real_bind(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_socket(int family, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len);

int __wrap_socket(int family, int type, int protocol)
{
    errno = socket_error[family];
    return errno != 0 ? -1 : __real_socket(family, type, protocol);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    errno = bind_error[address->sa_family];
    return errno != 0 ? -1 : __real_bind(fd, address, len);
}

static char text[] = "*:0", port[] = "0";
static const struct host_conf conf = {.workers = 1};
static const struct host_listen everywhere = {.text = text, .port = port};
static struct sockets sockets;

/* -t and a start agree. @return whether they take it, on so many sockets */
static bool takes(size_t n)
{
    struct sockets_claims claims = {.n = 0};
    bool opened;

    sockets = (struct sockets){.conf = &conf, .component = "listener", .hint = ""};
    opened = sockets_open(&sockets, &everywhere) == 0;
    cr_assert_eq(sockets_check(&claims, &everywhere, "listener"), opened);
    if (opened) {
        cr_assert_eq(sockets.n, n);
        cr_assert_eq(claims.n, n);
    }
    sockets_close(&sockets);
    return opened;
}

Test(sockets, what_a_machine_does_not_have_is_left_out, .timeout = 30)
{
    cr_assert(takes(2));
    socket_error[AF_INET6] = EAFNOSUPPORT;
    cr_assert(takes(1), "IPv6 is not in the kernel");
    socket_error[AF_INET6] = 0;
    bind_error[AF_INET6] = EADDRNOTAVAIL;
    cr_assert(takes(1), "IPv6 is off");
    bind_error[AF_INET6] = 0;
    bind_error[AF_INET] = EADDRNOTAVAIL;
    cr_assert(takes(1), "the first of them");
}

Test(sockets, one_address_must_be_there, .timeout = 30)
{
    struct capture cap;
    char lines[1000];

    socket_error[AF_INET] = socket_error[AF_INET6] = EAFNOSUPPORT;
    capture_begin(&cap);
    cr_assert_not(takes(0));
    (void)capture_end(&cap, lines, sizeof lines);
    cr_assert_not_null(strstr(lines, strerror(EAFNOSUPPORT)), "%s", lines);
}

Test(sockets, another_failure_is_one, .timeout = 30)
{
    struct capture cap;
    char lines[1000];

    bind_error[AF_INET6] = EACCES;
    capture_begin(&cap);
    cr_assert_not(takes(0));
    (void)capture_end(&cap, lines, sizeof lines);
    cr_assert_not_null(strstr(lines, strerror(EACCES)), "%s", lines);
    bind_error[AF_INET6] = 0;
    socket_error[AF_INET6] = EMFILE;
    cr_assert_not(takes(0));
}

/* What may help is said where it may. */
Test(sockets, hints_where_an_address_is_taken, .timeout = 30)
{
    static const int errors[] = {EADDRINUSE, EACCES, EADDRNOTAVAIL};

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct capture cap;
        char lines[1000];

        bind_error[AF_INET] = bind_error[AF_INET6] = errors[i];
        sockets = (struct sockets){.conf = &conf, .component = "admin", .hint = " (do this)"};
        capture_begin(&cap);
        cr_assert_neq(sockets_open(&sockets, &everywhere), 0);
        (void)capture_end(&cap, lines, sizeof lines);
        sockets_close(&sockets);
        cr_assert_not_null(strstr(lines, strerror(errors[i])), "%s", lines);
        cr_assert_eq(strstr(lines, "(do this)") != NULL, errors[i] == EADDRINUSE, "%s", lines);
    }
}
