/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/base/test_log_sink.c - lines on their way to a standard error that is a pipe: read at
 * once, late, or never (2.2, 9.1). Each test is a process of its own.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_sink.h"

#define SOON_NS (30 * NS_PER_S) /* longer than anything here takes */

static int saved, reader;

static void pipe_in(int flags)
{
    int ends[2];

    cr_assert_eq(pipe2(ends, O_CLOEXEC | flags), 0);
    saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    cr_assert_geq(saved, 0);
    cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(ends[1]);
    reader = ends[0];
    cr_assert_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
}

static void pipe_out(void)
{
    cr_assert_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
}

/* All that comes until the writing end is closed, or until `until` bytes are there. */
static size_t read_all(char *to, size_t size, size_t until)
{
    size_t n = 0;

    while (n < until) {
        struct pollfd in = {.fd = reader, .events = POLLIN};
        ssize_t r;

        cr_assert_lt(n, size);
        cr_assert_eq(poll(&in, 1, 30000), 1, "nothing came");
        r = read(reader, to + n, size - n < until - n ? size - n : until - n);
        cr_assert_geq(r, 0);
        if (r == 0)
            break;
        n += (size_t)r;
    }
    return n;
}

static size_t waiting(void)
{
    struct pollfd in = {.fd = reader, .events = POLLIN};

    return (size_t)poll(&in, 1, 0);
}

static char got[2 * 1024 * 1024];

/* What the process writes before the log has its thread, or where none could be made. */
Test(log_sink, without_its_thread_a_line_is_written_at_once, .timeout = 60)
{
    pipe_in(0);
    log_sink_put("one\n", 4, false);
    cr_assert_eq(read_all(got, sizeof got, 4), 4);
    cr_assert_eq(memcmp(got, "one\n", 4), 0);
    cr_assert(log_sink_flush(0), "nothing is waiting");
    log_sink_crash("crash\n", 6);
    cr_assert_eq(read_all(got, sizeof got, 6), 6);
    cr_assert_eq(memcmp(got, "crash\n", 6), 0);
    log_stop(0); /* nothing to stop */
    cr_assert_eq(log_dropped(), 0);
    (void)close(STDERR_FILENO);
    log_sink_put("lost\n", 5, false);
    cr_assert_eq(log_dropped(), 1);
    pipe_out();
}

Test(log_sink, who_may_wait_waits_until_the_line_is_written, .timeout = 60)
{
    pipe_in(0);
    cr_assert_eq(log_start(true), 0);
    for (int i = 0; i < 100; i++) {
        log_sink_put("a line\n", 7, true);
        cr_assert_eq(waiting(), 1u, "line %d is there when the call is over", i);
        cr_assert_eq(read_all(got, sizeof got, 7), 7);
        cr_assert_eq(memcmp(got, "a line\n", 7), 0);
    }
    log_waits(false);
    log_sink_put("later\n", 6, true);
    cr_assert(log_sink_flush(clock_mono_ns() + SOON_NS));
    cr_assert_eq(read_all(got, sizeof got, 6), 6);
    log_sink_crash("crash\n", 6);
    cr_assert_eq(read_all(got, sizeof got, 6), 6);
    cr_assert_eq(memcmp(got, "crash\n", 6), 0);
    log_stop(clock_mono_ns() + SOON_NS);
    log_sink_put("after\n", 6, true);
    cr_assert_eq(read_all(got, sizeof got, 6), 6);
    pipe_out();
}

/* Numbered lines of 100 bytes. */
#define LINE 100

static void put_number(unsigned i)
{
    char line[LINE + 1];

    (void)snprintf(line, sizeof line, "%099u\n", i);
    log_sink_put(line, LINE, true);
}

/* 2.2: a pipe that is full holds up nobody; what did not fit is counted, told, and nothing else. */
Test(log_sink, what_nobody_reads_is_dropped_and_counted, .timeout = 120)
{
    const unsigned n_lines = 6000; /* 600 kB: more than the pipe and both buffers hold */
    unsigned n_read = 0, n_told = 0;
    int64_t last = -1;
    char *line, *next;
    size_t n;

    pipe_in(0);
    cr_assert_eq(log_start(false), 0);
    for (unsigned i = 0; i < n_lines; i++)
        put_number(i);
    cr_assert_gt(log_dropped(), 0);
    cr_assert_leq(log_dropped(), n_lines - (LOG_BUFFER_BYTES / LINE));
    cr_assert_not(log_sink_flush(clock_mono_ns()), "nobody has read");
    /* All that was taken comes, then how many were not. */
    n = read_all(got, sizeof got, (n_lines - log_dropped()) * LINE);
    got[n] = '\0';
    for (line = got; (next = strchr(line, '\n')) != NULL; line = next + 1) {
        cr_assert_eq(next + 1 - line, LINE, "whole lines only");
        cr_assert_gt(strtol(line, NULL, 10), last, "in their order");
        last = strtol(line, NULL, 10);
        n_read++;
    }
    cr_assert_eq(n_read + log_dropped(), n_lines);
    cr_assert(log_sink_flush(clock_mono_ns() + SOON_NS));
    log_stop(clock_mono_ns() + SOON_NS);
    pipe_out();
    n = read_all(got, sizeof got, sizeof got - 1);
    got[n] = '\0';
    line = strstr(got, "msg=\"");
    cr_assert_not_null(line, "%s", got);
    for (; line != NULL; line = strstr(line + 1, "msg=\""))
        n_told += (unsigned)strtoul(line + 5, NULL, 10);
    cr_assert_eq(n_told, log_dropped(), "%s", got);
}

static void *read_later(void *arg)
{
    *(size_t *)arg = read_all(got, sizeof got - 1, sizeof got - 1);
    return NULL;
}

/* Somebody else has made the description non-blocking: lines longer than PIPE_BUF come in pieces.
 */
Test(log_sink, a_long_line_comes_whole_through_a_pipe_that_does_not_block, .timeout = 60)
{
    static char line[150000];
    pthread_t thread;
    size_t n = 0;

    for (size_t i = 0; i < sizeof line - 1; i++)
        line[i] = (char)('a' + i % 23);
    line[sizeof line - 1] = '\n';
    pipe_in(O_NONBLOCK);
    cr_assert_eq(log_start(true), 0);
    cr_assert_eq(pthread_create(&thread, NULL, read_later, &n), 0);
    log_sink_put(line, sizeof line, true);
    log_sink_put("end\n", 4, true);
    log_stop(clock_mono_ns() + SOON_NS);
    pipe_out();
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(n, sizeof line + 4);
    cr_assert_eq(memcmp(got, line, sizeof line), 0);
    cr_assert_eq(memcmp(got + sizeof line, "end\n", 4), 0);
    cr_assert_eq(log_dropped(), 0);
}

/* More than a buffer at once, from somebody who may wait: nothing is lost. */
Test(log_sink, who_may_wait_loses_nothing, .timeout = 60)
{
    const unsigned n_lines = 9000;
    pthread_t thread;
    size_t n = 0;

    pipe_in(0);
    cr_assert_eq(log_start(true), 0);
    cr_assert_eq(pthread_create(&thread, NULL, read_later, &n), 0);
    for (unsigned i = 0; i < n_lines; i++)
        put_number(i);
    log_stop(clock_mono_ns() + SOON_NS);
    pipe_out();
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(n, (size_t)n_lines * LINE);
    for (unsigned i = 0; i < n_lines; i++)
        cr_assert_eq(strtol(got + (size_t)i * LINE, NULL, 10), i);
    cr_assert_eq(log_dropped(), 0);
}
