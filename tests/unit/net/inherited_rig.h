/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/net/inherited_rig.h - a process that a service manager has handed sockets to, as
 * sd_listen_fds(3) has it. Descriptors from 3 on are Criterion's in a test's own process, so each
 * case runs in a child, with CHECK() in place of cr_assert().
 */
#ifndef TESTS_UNIT_NET_INHERITED_RIG_H
#define TESTS_UNIT_NET_INHERITED_RIG_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

#define RIG_FIRST 3
#define RIG_HIGH 200 /* above all that are handed over */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            rig_fail(__FILE__, __LINE__, #condition);                                              \
    } while (0)

static int rig_stderr, rig_log;

static inline void rig_fail(const char *file, int line, const char *what)
{
    (void)dprintf(rig_stderr, "%s:%d: not so: %s\n", file, line, what);
    _exit(1);
}

/* What has been logged since the last call. */
static inline const char *rig_logged(void)
{
    static char text[65536];
    const ssize_t n = pread(rig_log, text, sizeof text - 1, 0);

    CHECK(n >= 0);
    text[n] = '\0';
    CHECK(ftruncate(rig_log, 0) == 0 && lseek(rig_log, 0, SEEK_SET) == 0);
    return text;
}

/* Run a case, with standard error kept for it to look at. */
static inline void rig_run(void (*fn)(void))
{
    int status = -1;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0) {
        rig_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, RIG_HIGH);
        rig_log = fcntl(memfd_create("log", 0), F_DUPFD_CLOEXEC, RIG_HIGH);
        if (rig_stderr < 0 || rig_log < 0 || dup2(rig_log, STDERR_FILENO) < 0)
            _exit(2);
        log_init(SPOE_LOG_INFO, LOG_LOGFMT);
        fn();
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0, "the child ended with %#x", (unsigned)status);
}

/* A socket of loopback. @param listens  of a stream */
static inline int rig_socket(int type, bool listens)
{
    const struct sockaddr_in in = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, type, 0);

    CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)(const void *)&in, sizeof in) == 0);
    CHECK(!listens || listen(fd, 1) == 0);
    return fd;
}

/* Say that there are so many, in words of the test's. names NULL: not said. */
static inline void rig_say(const char *n, const char *names)
{
    char pid[24];

    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    CHECK(setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", n, 1) == 0);
    CHECK((names == NULL ? unsetenv("LISTEN_FDNAMES") : setenv("LISTEN_FDNAMES", names, 1)) == 0);
}

/* Make descriptors 3, 4, ... of them; no other is open below RIG_HIGH. */
static inline void rig_hand_over(const int *fds, size_t n, const char *names)
{
    int high[64];
    char number[24];

    CHECK(n <= sizeof high / sizeof high[0]);
    for (size_t i = 0; i < n; i++)
        CHECK((high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, RIG_HIGH)) >= 0);
    for (size_t i = 0; i < n; i++)
        CHECK(dup2(high[i], RIG_FIRST + (int)i) >= 0); /* without FD_CLOEXEC, as they come */
    for (size_t i = 0; i < n; i++)
        (void)close(high[i]);
    for (int fd = RIG_FIRST + (int)n; fd < RIG_HIGH; fd++)
        (void)close(fd);
    (void)snprintf(number, sizeof number, "%zu", n);
    rig_say(number, names);
}

static inline bool rig_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

#endif
