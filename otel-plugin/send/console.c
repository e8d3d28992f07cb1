/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/console.c - the lines of a request, written in pieces that a pipe that is
 * ready takes without blocking: a reader that has stopped reading holds up neither the deadline nor
 * the end of the process.
 */
#include "send/console.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <spoe/util.h>

#include "otlp/span_json.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

struct console {
    struct transport transport; /* first: the two are cast into each other */
    int fd;
    int wake_fd; /* readable from cancel() on */
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

/* @param ret_error  why not all was written, or NULL. @return how much was */
static size_t write_text(const struct console *console, const char *text, size_t size,
                         int64_t deadline_mono_ns, const char **ret_error)
{
    size_t used = 0;

    *ret_error = NULL;
    while (used < size) {
        const size_t piece = size - used < PIPE_BUF ? size - used : PIPE_BUF;
        ssize_t n;

        *ret_error = wait_writable(console, deadline_mono_ns);
        if (*ret_error != NULL)
            return used;
        n = write(console->fd, text + used, piece);
        if (n >= 0) {
            used += (size_t)n;
        } else if (errno != EINTR && errno != EAGAIN) {
            *ret_error = strerror(errno);
            return used;
        }
    }
    return used;
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
    const struct console *console = (const struct console *)transport;
    const char *error;
    char *text = NULL;
    size_t text_size = 0, used;
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
        used = write_text(console, text, text_size, deadline_mono_ns, &error);
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

    if (console == NULL)
        goto failed;
    *console = (struct console){
        .transport = {.send = console_send, .cancel = console_cancel, .stop = console_stop},
        .fd = fd,
        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (console->wake_fd >= 0)
        return &console->transport;
    error = strerror(errno);
    free(console);
failed:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export: %s", error);
    return NULL;
}
