/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening on a name whose addresses this machine does not all have, and whether -t says the same.
 * The linker leads socket() and bind() here (--wrap, see CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/listen.h"
#include "net/sockets.h"
#include "net/sockets_check.h"
#include "unit/core/capture.h"

/* What fails, by family; 0: nothing. */
static int socket_error[AF_MAX], bind_error[AF_MAX];
static bool binds_nothing; /* it only says that it did */

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
    int reuses = 0;
    socklen_t n = sizeof reuses;

    if (address->sa_family != AF_UNIX) { /* one that looks is in nobody's way */
        cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuses, &n), 0);
        cr_assert_neq(reuses, 0);
    }
    errno = bind_error[address->sa_family];
    if (binds_nothing)
        return 0;
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

/* An error of each, with this reason. */
static void expect_both(const char *lines, const char *reason)
{
    const char *first = strstr(lines, reason), *end;

    cr_assert_not_null(first, "%s", lines);
    cr_assert_not_null(strstr(first + 1, reason), "%s", lines);
    for (const char *line = lines; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        cr_assert_not_null(end);
        first = strstr(line, "level=error component=listener");
        cr_assert(first != NULL && first < end, "%s", lines);
    }
}

Test(sockets, one_address_must_be_there, .timeout = 30)
{
    struct capture cap;
    char lines[1000];

    socket_error[AF_INET] = socket_error[AF_INET6] = EAFNOSUPPORT;
    capture_begin(&cap);
    cr_assert_not(takes(0));
    (void)capture_end(&cap, lines, sizeof lines);
    expect_both(lines, strerror(EAFNOSUPPORT));
}

Test(sockets, another_failure_is_one, .timeout = 30)
{
    struct capture cap;
    char lines[1000];

    bind_error[AF_INET6] = EACCES;
    capture_begin(&cap);
    cr_assert_not(takes(0));
    (void)capture_end(&cap, lines, sizeof lines);
    expect_both(lines, strerror(EACCES));
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

/* Whether -t takes one address and then another. */
static bool takes_both(const char *first, const char *second)
{
    struct sockets_claims claims = {.n = 0};
    struct host_listen listens[2];
    struct capture cap;
    struct error error;
    char lines[1000];
    bool taken;

    cr_assert_eq(listen_parse(first, &listens[0], &error), 0, "%s", first);
    cr_assert_eq(listen_parse(second, &listens[1], &error), 0, "%s", second);
    cr_assert(sockets_check(&claims, &listens[0], "listener"), "%s", first);
    capture_begin(&cap);
    taken = sockets_check(&claims, &listens[1], "listener");
    (void)capture_end(&cap, lines, sizeof lines);
    if (!taken) {
        cr_assert_not_null(strstr(lines, "which is named before it, has the same address"), "%s",
                           lines);
        cr_assert_not_null(strstr(lines, first), "%s", lines);
        cr_assert_not_null(strstr(lines, second), "%s", lines);
    }
    listen_fini(&listens[0]);
    listen_fini(&listens[1]);
    return taken;
}

/* 9.2: what is one address, however it is spelt. */
Test(sockets, an_address_is_named_once, .timeout = 30)
{
    static const struct {
        const char *first, *second;
        bool both;
    } cases[] = {
        {"127.0.0.1:7", "127.0.0.1:7", false},
        {"127.0.0.1:7", "127.0.0.1:8", true},
        {"127.0.0.1:7", "127.0.0.2:7", true},
        {"0.0.0.0:7", "127.0.0.1:7", false},
        {"127.0.0.1:7", "0.0.0.0:7", false},
        {"0.0.0.0:7", "127.0.0.1:8", true},
        {"127.0.0.1:0", "127.0.0.1:0", true},
        {"0.0.0.0:0", "127.0.0.1:0", true},
        {"127.0.0.1:7", "[::1]:7", true},
        {"[::]:7", "127.0.0.1:7", true},
        {"[::1]:7", "[::1]:7", false},
        {"[::1]:7", "[0:0::1]:7", false},
        {"[::1]:7", "[::1]:8", true},
        {"[::1]:7", "[::2]:7", true},
        {"[::]:7", "[::1]:7", false},
        {"[::1]:7", "[::]:7", false},
        {"[::]:7", "[::1]:8", true},
        {"[::1]:0", "[::1]:0", true},
        {"[fe80::1%1]:7", "[fe80::1%1]:7", false},
        {"[fe80::1%1]:7", "[fe80::1%2]:7", true},
        {"*:7", "127.0.0.1:7", false},
        {":7", "[::1]:7", false},
    };

    binds_nothing = true; /* which of them this machine has does not matter */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(takes_both(cases[i].first, cases[i].second), cases[i].both, "%s and %s",
                     cases[i].first, cases[i].second);
}

static char folder[] = "/tmp/sockets-XXXXXX";

static void make_folder(void)
{
    char below[80];

    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(below, sizeof below, "%s/below", folder);
    cr_assert_eq(mkdir(below, 0700), 0);
}

static void remove_folder(void)
{
    char below[80];

    (void)snprintf(below, sizeof below, "%s/below", folder);
    (void)rmdir(below);
    (void)rmdir(folder);
}

/* 9.2: nor is a socket file: the same name in the same folder. */
Test(sockets, a_socket_file_is_named_once, .init = make_folder, .fini = remove_folder,
     .timeout = 30)
{
    static const struct {
        const char *second;
        bool both;
    } cases[] = {{"s", false}, {"./s", false},    {"below/../s", false},
                 {"t", true},  {"below/s", true}, {"below/t", true}};
    char first[80], second[80];

    (void)snprintf(first, sizeof first, "unix:%s/s", folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(second, sizeof second, "unix:%s/%s", folder, cases[i].second);
        cr_assert_eq(takes_both(first, second), cases[i].both, "%s", second);
    }
}

/* 9.2: what a start has no sockets for is not remembered. */
Test(sockets, claims_have_an_end, .timeout = 30)
{
    static struct sockets_claims claims;
    static char ports[SOCKETS_MAX + 2][8];
    static char one[] = "127.0.0.1";

    binds_nothing = true;
    for (size_t i = 0; i < SOCKETS_MAX + 2; i++) {
        const struct host_listen own = {.text = one, .host = one, .port = ports[i]};

        (void)snprintf(ports[i], sizeof ports[i], "%zu", i + 1);
        cr_assert(sockets_check(&claims, &own, "listener"));
        cr_assert_eq(claims.n, i < SOCKETS_MAX ? i + 1 : SOCKETS_MAX);
    }
}

/* 9.2: a host that was started with standard input closed: the first descriptor is 0. */
Test(sockets, no_descriptor_stays_open, .init = make_folder, .fini = remove_folder, .timeout = 30)
{
    char name[80], address[90];
    struct host_listen own = {.text = address, .path = name};
    struct sockaddr_un stale = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(name, sizeof name, "%s/s", folder);
    (void)snprintf(address, sizeof address, "unix:%s", name);
    (void)snprintf(stale.sun_path, sizeof stale.sun_path, "%s", name);
    cr_assert_eq(bind(fd, (const struct sockaddr *)(const void *)&stale, sizeof stale), 0);
    (void)close(fd);
    (void)close(STDIN_FILENO);
    for (unsigned i = 0; i < 2; i++) { /* with a file that is to be replaced, and without */
        sockets = (struct sockets){.conf = &conf, .component = "listener", .hint = ""};
        cr_assert_eq(sockets_open(&sockets, &own), 0);
        cr_assert_gt(sockets.socket[0].fd, 0);
        cr_assert_eq(fcntl(STDIN_FILENO, F_GETFD), -1, "the folder's lock is gone");
        sockets_close(&sockets);
        cr_assert_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
        cr_assert_eq(access(name, F_OK), -1);
    }
}

/* -t and a start both refuse this path, with this reason. */
static void refuse(const char *below, const char *reason)
{
    struct sockets_claims claims = {.n = 0};
    char name[100], address[110], lines[1000];
    const struct host_listen own = {.text = address, .path = name};
    struct capture cap;

    (void)snprintf(name, sizeof name, "%s/%s", folder, below);
    (void)snprintf(address, sizeof address, "unix:%s", name);
    sockets = (struct sockets){.conf = &conf, .component = "listener", .hint = ""};
    capture_begin(&cap);
    cr_assert_not(sockets_check(&claims, &own, "listener"));
    cr_assert_neq(sockets_open(&sockets, &own), 0);
    (void)capture_end(&cap, lines, sizeof lines);
    sockets_close(&sockets);
    expect_both(lines, reason);
}

/* 9.2 */
Test(sockets, a_socket_file_needs_a_folder_and_a_free_name, .init = make_folder,
     .fini = remove_folder, .timeout = 30)
{
    char name[80];
    int fd;

    refuse("none/s", strerror(ENOENT));
    refuse("below", "it is not a socket");
    (void)snprintf(name, sizeof name, "%s/file", folder);
    fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    refuse("file", "it is not a socket");
    refuse("file/s", strerror(ENOTDIR));
    (void)unlink(name);
    if (geteuid() == 0) /* to whom a folder's mode does not apply */
        cr_assert_eq(chmod(folder, 0755), 0);
    else
        cr_assert_eq(chmod(folder, 0555), 0);
    if (geteuid() == 0)
        cr_assert_eq(seteuid(65534), 0);
    refuse("s", strerror(EACCES));
    cr_assert_eq(seteuid(getuid()), 0);
    (void)chmod(folder, 0700);
}
