/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a configuration file: nothing that has no end is waited for (2.1). */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf/read_file.h"

#define LONG_NS (60 * NS_PER_S)
#define SHORT_NS NS_PER_MS

TestSuite(read_file, .timeout = 60);

static char folder[] = "/tmp/spoe-test-read-XXXXXX";
static char path[64];

static void begin(void)
{
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
}

static void end(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

static void expect_bytes(const char *name, int64_t wait_ns, const char *wanted)
{
    struct error error = {"-"};
    char *bytes = NULL;
    size_t size = 0;

    cr_assert_eq(read_file(name, wait_ns, &bytes, &size, &error), 0, "%s", error.text);
    cr_expect_eq(size, strlen(wanted));
    cr_expect_str_eq(bytes, wanted);
    free(bytes);
}

static void expect_error(const char *name, int64_t wait_ns, const char *wanted)
{
    struct error error = {""};
    char *bytes = NULL;
    size_t size = 0;

    cr_assert_eq(read_file(name, wait_ns, &bytes, &size, &error), -1);
    cr_assert_null(bytes);
    cr_expect_eq(strncmp(error.text, name, strlen(name)), 0, "%s", error.text);
    cr_expect_not_null(strstr(error.text, wanted), "%s", error.text);
}

static void write_file(const char *text, size_t n)
{
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, n, file), n);
    cr_assert_eq(fclose(file), 0);
}

Test(read_file, a_regular_file_and_an_empty_one, .init = begin, .fini = end)
{
    write_file("a = b\n", 6);
    expect_bytes(path, 0, "a = b\n");
    write_file("", 0);
    expect_bytes(path, 0, "");
    expect_bytes("/dev/null", 0, "");
}

Test(read_file, up_to_its_limit, .init = begin, .fini = end)
{
    char *large = malloc(FILE_BYTES_MAX + 2);

    cr_assert_not_null(large);
    memset(large, 'x', FILE_BYTES_MAX + 1);
    large[FILE_BYTES_MAX] = '\0';
    write_file(large, FILE_BYTES_MAX);
    expect_bytes(path, 0, large);
    write_file(large, FILE_BYTES_MAX + 1);
    expect_error(path, 0, "more than 1 MiB");
    free(large);
}

Test(read_file, what_may_have_no_end_is_refused, .init = begin, .fini = end)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sockaddr_un own = address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    expect_error("/dev/zero", LONG_NS, "not a regular file");
    expect_error("/dev/ptmx", LONG_NS, "not a regular file"); /* a terminal */
    expect_error("/", LONG_NS, "cannot be read: Is a directory");
    (void)snprintf(own.sun_path, sizeof own.sun_path, "%s", path);
    cr_assert_eq(bind(fd, (const struct sockaddr *)(const void *)&own, sizeof own), 0);
    expect_error(path, LONG_NS, "cannot be opened");
    (void)close(fd);
}

/* 9.2: that it is not there is told apart: the usual place may be empty. */
Test(read_file, what_is_not_there_is_told_apart, .init = begin, .fini = end)
{
    static const char *const names[] = {"/tmp/spoe-test-none/file", "/dev/null/file"};

    for (size_t i = 0; i < 2; i++) {
        struct error error = {""};
        char *bytes = NULL;
        size_t size = 0;

        cr_assert_eq(read_file(names[i], LONG_NS, &bytes, &size, &error), 1);
        cr_assert_null(bytes);
        cr_assert_eq(strncmp(error.text, names[i], strlen(names[i])), 0, "%s", error.text);
        cr_assert_not_null(strstr(error.text, i == 0 ? ": cannot be opened: No such file"
                                                     : ": cannot be opened: Not a directory"));
    }
    cr_assert_eq(symlink("file", path), 0);
    expect_error(path, LONG_NS, "cannot be opened: Too many levels of symbolic links");
}

/* 9.2: a host that was started with standard input closed. */
Test(read_file, descriptor_0_is_one_as_any_other, .init = begin, .fini = end)
{
    write_file("a = b\n", 6);
    (void)close(STDIN_FILENO);
    for (unsigned i = 0; i < 2; i++) {
        errno = ENOENT; /* of something before */
        expect_bytes(path, 0, "a = b\n");
        expect_error("/", 0, "cannot be read: Is a directory");
        expect_error("/dev/zero", 0, "not a regular file");
        cr_assert_eq(fcntl(STDIN_FILENO, F_GETFD), -1, "it is closed again");
    }
}

Test(read_file, a_fifo_that_nobody_writes_to, .init = begin, .fini = end)
{
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_error(path, 0, "not a regular file");
    expect_error(path, SHORT_NS, "a pipe that has not come to its end in time");
}

Test(read_file, a_fifo_that_is_written_to_without_an_end, .init = begin, .fini = end)
{
    int fd;

    cr_assert_eq(mkfifo(path, 0600), 0);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    cr_assert_eq(write(fd, "a = b\n", 6), 6);
    expect_error(path, SHORT_NS, "a pipe that has not come to its end in time");
    (void)close(fd);
}

static void *write_late(void *arg)
{
    FILE *file = fopen(path, "we"); /* until there is a reader */

    (void)fputs(arg, file);
    (void)fclose(file);
    return NULL;
}

Test(read_file, a_fifo_whose_writer_comes_later, .init = begin, .fini = end)
{
    static char text[] = "a = b\n", nothing[] = "";
    pthread_t thread;

    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(pthread_create(&thread, NULL, write_late, text), 0);
    expect_bytes(path, LONG_NS, text);
    (void)pthread_join(thread, NULL);
    cr_assert_eq(pthread_create(&thread, NULL, write_late, nothing), 0);
    expect_bytes(path, LONG_NS, nothing);
    (void)pthread_join(thread, NULL);
}

/* As a shell's <(...) and /dev/stdin are: its writer may have gone before it is opened. */
Test(read_file, a_pipe_without_a_name)
{
    char name[64];
    int fds[2];

    cr_assert_eq(pipe(fds), 0);
    (void)snprintf(name, sizeof name, "/dev/fd/%d", fds[0]);
    cr_assert_eq(write(fds[1], "a = b\n", 6), 6);
    (void)close(fds[1]);
    expect_bytes(name, LONG_NS, "a = b\n");
    expect_bytes(name, LONG_NS, "");
    cr_expect_eq(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0, "it is its owner's");
    (void)close(fds[0]);
}
