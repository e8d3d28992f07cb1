/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/console.c - the lines of a request, written in pieces that a pipe that is
 * ready takes without blocking: a reader that has stopped reading holds up neither the deadline nor
 * the end of the process.
 *
 * The log may go to the same pipe, and writes its lines meanwhile. Up to PIPE_BUF a write is one
 * piece (POSIX write()), so a piece is whole lines. A line that is longer is one piece where the
 * pipe is empty and holds it (Linux keeps others out of a write that need not wait), and to a file.
 */
#include "send/console.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <spoe/util.h>

#include "otlp/span_json.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define EMPTY_WAIT_NS NS_PER_S              /* for a pipe to be read to its end */
#define ROOM_FOR_LOG ((size_t)4 * PIPE_BUF) /* lines that come between the look and the write */

struct console {
    struct transport transport; /* first: the two are cast into each other */
    int fd;
    int wake_fd; /* readable from cancel() on */
    bool torn;   /* the last thing written is a part of a line */
    bool is_file;
};

static int64_t mono_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* @return NULL: it can be written to; else why not */
static const char *wait_writable(const struct console *console, int64_t deadline_mono_ns)
{
    struct pollfd fds[2] = {{.fd = console->wake_fd, .events = POLLIN},
                            {.fd = console->fd, .events = POLLOUT}};

    for (;;) {
        const int64_t left = (deadline_mono_ns - mono_now()) / NS_PER_MS;
        const int n = poll(fds, 2, left <= 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX);

        if (n < 0 && errno != EINTR)
            return strerror(errno);
        if (n > 0 && fds[0].revents != 0)
            return "stopping";
        if (n > 0 && fds[1].revents != 0)
            return NULL; /* an error shows when it is written to */
        if (n == 0 && left <= 0)
            return "nobody reads it";
    }
}

/* Wait until a pipe has nothing in it, for a moment. @return whether it has room for a line */
static bool wait_empty(const struct console *console, size_t size, int64_t deadline_mono_ns)
{
    const int64_t now = mono_now();
    const int64_t until =
        now + EMPTY_WAIT_NS < deadline_mono_ns ? now + EMPTY_WAIT_NS : deadline_mono_ns;
    const int room = fcntl(console->fd, F_GETPIPE_SZ);
    struct pollfd wake = {.fd = console->wake_fd, .events = POLLIN};
    int unread;

    if (room < 0 || size + ROOM_FOR_LOG > (size_t)room)
        return false;
    while (ioctl(console->fd, FIONREAD, &unread) == 0) {
        if (unread == 0)
            return true;
        if (mono_now() >= until || poll(&wake, 1, 1) != 0) /* nothing tells of an empty pipe */
            return false;
    }
    return false;
}

/* How much of the text the next write takes: whole lines, or a part of a long one. */
static size_t next_piece(const struct console *console, const char *text, size_t size,
                         int64_t deadline_mono_ns)
{
    const char *end;

    if (size <= PIPE_BUF)
        return size;
    end = memrchr(text, '\n', PIPE_BUF);
    if (end != NULL)
        return (size_t)(end - text) + 1;
    end = memchr(text + PIPE_BUF, '\n', size - PIPE_BUF);
    if (end != NULL)
        size = (size_t)(end - text) + 1;
    if (console->is_file || wait_empty(console, size, deadline_mono_ns))
        return size;
    return PIPE_BUF;
}

/* @param ret_error  why not all was written, or NULL. @return how much was */
static size_t write_text(const struct console *console, const char *text, size_t size,
                         int64_t deadline_mono_ns, const char **ret_error)
{
    size_t used = 0;

    *ret_error = NULL;
    while (used < size) {
        ssize_t n;

        *ret_error = wait_writable(console, deadline_mono_ns);
        if (*ret_error != NULL)
            return used;
        n = write(console->fd, text + used,
                  next_piece(console, text + used, size - used, deadline_mono_ns));
        if (n >= 0) {
            used += (size_t)n;
        } else if (errno != EINTR && errno != EAGAIN) {
            *ret_error = strerror(errno);
            return used;
        }
    }
    return used;
}

/* The rest of a line whose reader did not come in time is gone; the next one begins anew. */
static bool end_torn_line(struct console *console, int64_t deadline_mono_ns, const char **ret_error)
{
    *ret_error = NULL;
    if (console->torn && write_text(console, "\n", 1, deadline_mono_ns, ret_error) == 1)
        console->torn = false;
    return !console->torn;
}

static uint64_t count_lines(const char *text, size_t size)
{
    uint64_t n = 0;

    for (size_t i = 0; i < size; i++)
        n += text[i] == '\n';
    return n;
}

static void console_send(struct transport *transport, unsigned slot, const uint8_t *bytes,
                         size_t size, int64_t deadline_mono_ns, struct transport_result *ret)
{
    struct console *console = (struct console *)transport;
    const char *error;
    char *text = NULL;
    size_t text_size = 0, used = 0;
    FILE *out = open_memstream(&text, &text_size);
    int n = -1;

    (void)slot; /* lines go out one after the other */
    *ret = (struct transport_result){.outcome = TRANSPORT_NOT_RETRYABLE, .text = "out of memory"};
    if (out != NULL) {
        n = span_json_write(bytes, size, out);
        if (fclose(out) != 0)
            n = -1;
    }
    if (n >= 0) {
        if (end_torn_line(console, deadline_mono_ns, &error))
            used = write_text(console, text, text_size, deadline_mono_ns, &error);
        console->torn |= used > 0 && text[used - 1] != '\n';
        /* What is half out must not come again. */
        ret->outcome = error == NULL || used > 0 ? TRANSPORT_OK : TRANSPORT_RETRYABLE;
        ret->rejected = used > 0 ? (uint64_t)n - count_lines(text, used) : 0;
        (void)snprintf(ret->text, sizeof ret->text, "%s", error != NULL ? error : "");
    }
    free(text);
}

static void console_cancel(struct transport *transport)
{
    const struct console *console = (const struct console *)transport;

    (void)!eventfd_write(console->wake_fd, 1); /* fails only where it is readable already */
}

static void console_stop(struct transport *transport, int64_t deadline_mono_ns)
{
    struct console *console = (struct console *)transport;

    (void)deadline_mono_ns;
    (void)close(console->wake_fd); /* nothing to lose */
    free(console);
}

struct transport *console_start(int fd, const struct spoe_host *log_host,
                                struct spoe_instance *log_self)
{
    struct console *console = calloc(1, sizeof *console);
    const char *error = "out of memory";
    struct stat st;

    if (console == NULL)
        goto failed;
    *console = (struct console){
        .transport = {.send = console_send, .cancel = console_cancel, .stop = console_stop},
        .fd = fd,
        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode)};
    if (console->wake_fd >= 0)
        return &console->transport;
    error = strerror(errno);
    free(console);
failed:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export: %s", error);
    return NULL;
}
