/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_notify.c - the protocol of sd_notify(3), with a real socket at the other
 * end. 13.2 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/notify.h"

static struct notify notify;
static char folder[] = "/tmp/notify.XXXXXX", path[64];
static int manager = -1;

static void listen_on(const char *name, size_t n)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, name, n);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    cr_assert_geq(manager, 0);
    cr_assert_eq(bind(manager, (const struct sockaddr *)(const void *)&address,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
                 0);
}

static void setup(void)
{
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
}

static void teardown(void)
{
    notify_close(&notify);
    if (manager >= 0)
        (void)close(manager);
    (void)unlink(path);
    (void)rmdir(folder);
}

TestSuite(notify, .init = setup, .fini = teardown, .timeout = 30);

static void expect(const char *want)
{
    char got[NOTIFY_BYTES_MAX];
    ssize_t n = recv(manager, got, sizeof got, 0);

    cr_assert_eq(n, (ssize_t)strlen(want));
    cr_assert_eq(memcmp(got, want, (size_t)n), 0);
}

Test(notify, without_a_manager_nothing_is_sent)
{
    cr_assert_eq(notify_open(&notify), 0);
    cr_assert_eq(notify.fd, -1);
    cr_assert(notify_send(&notify, "READY=1"));
    cr_assert_eq(setenv("NOTIFY_SOCKET", "", 1), 0);
    cr_assert_eq(notify_open(&notify), 0);
    cr_assert_eq(notify.fd, -1);
}

Test(notify, goes_to_a_path)
{
    listen_on(path, strlen(path) + 1);
    cr_assert_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
    cr_assert_eq(notify_open(&notify), 0);
    cr_assert(notify_send(&notify, "READY=1\nSTATUS=x"));
    expect("READY=1\nSTATUS=x");
    cr_assert((fcntl(notify.fd, F_GETFD) & FD_CLOEXEC) != 0);
}

Test(notify, goes_to_an_abstract_address)
{
    char name[64];
    const int n = snprintf(name, sizeof name, "@notify.%d", (int)getpid());

    cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    name[0] = '\0';
    listen_on(name, (size_t)n);
    cr_assert_eq(notify_open(&notify), 0);
    cr_assert(notify_send(&notify, "STOPPING=1"));
    expect("STOPPING=1");
}

Test(notify, an_address_of_another_kind_is_an_error)
{
    char long_path[200];

    memset(long_path, 'x', sizeof long_path - 1);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    const struct {
        const char *address;
        int error;
    } cases[] = {{"vsock:2:1234", EAFNOSUPPORT},
                 {"relative/path", EAFNOSUPPORT},
                 {"@", EAFNOSUPPORT},
                 {"/", EAFNOSUPPORT},
                 {long_path, ENAMETOOLONG}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(setenv("NOTIFY_SOCKET", cases[i].address, 1), 0);
        cr_assert_eq(notify_open(&notify), -1, "%s", cases[i].address);
        cr_assert_eq(errno, cases[i].error, "%s", cases[i].address);
        cr_assert_eq(notify.fd, -1);
        cr_assert(notify_send(&notify, "READY=1"));
    }
}

/* Whoever waits for one of these tests waits for ever: the time-out of the suite ends it. */
Test(notify, a_manager_that_is_gone_or_does_not_read_holds_up_nobody)
{
    unsigned n = 0;

    cr_assert_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
    cr_assert_eq(notify_open(&notify), 0);
    cr_assert(notify_send(&notify, "READY=1"), "nobody is there: not to be tried again at once");
    listen_on(path, strlen(path) + 1);
    while (notify_send(&notify, "READY=1") && n < 1000000)
        n++;
    cr_assert_gt(n, 0);
    cr_assert_lt(n, 1000000, "a full socket is told");
    expect("READY=1");
    cr_assert(notify_send(&notify, "READY=1"), "there is room again");
    (void)close(manager);
    manager = -1;
    cr_assert(notify_send(&notify, "READY=1"));
}

Test(notify, the_watchdog_is_ours_or_of_who_started_us)
{
    char mine[16];
    const struct {
        const char *usec, *pid;
        int result;
        int64_t ns;
    } cases[] = {{"2000000", NULL, 0, 2 * NS_PER_S},
                 {"2000000", mine, 0, 2 * NS_PER_S},
                 {"2000000", "1", 0, 0},
                 {NULL, mine, 0, 0},
                 {"0", NULL, -1, 0},
                 {"-1", NULL, -1, 0},
                 {"+1", NULL, -1, 0},
                 {" 1", NULL, -1, 0},
                 {"2s", NULL, -1, 0},
                 {"", NULL, -1, 0},
                 {"9223372036854775807", NULL, -1, 0},
                 {"99999999999999999999", NULL, -1, 0},
                 {"1", NULL, 0, NS_PER_US},
                 {"2000000", "", -1, 0},
                 {"2000000", "x", -1, 0}};

    (void)snprintf(mine, sizeof mine, "%d", (int)getpid());
    cr_assert_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)unsetenv("WATCHDOG_USEC");
        (void)unsetenv("WATCHDOG_PID");
        if (cases[i].usec != NULL)
            cr_assert_eq(setenv("WATCHDOG_USEC", cases[i].usec, 1), 0);
        if (cases[i].pid != NULL)
            cr_assert_eq(setenv("WATCHDOG_PID", cases[i].pid, 1), 0);
        cr_assert_eq(notify_open(&notify), cases[i].result, "case %zu", i);
        cr_assert_eq(notify.watchdog_ns, cases[i].ns, "case %zu", i);
        cr_assert_geq(notify.fd, 0, "what is to be told is told all the same");
        notify_close(&notify);
    }
}
