/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/base/test_log_sink.c - lines on their way to a standard error that is a pipe: read at
 * once, late, or never (2.2, 9.1). Each test is a process of its own.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
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

/* All that was taken is in got[], and how many were not where they are missing, maybe in parts. */
static void check_got(size_t n, unsigned n_lines)
{
    unsigned n_read = 0, n_told = 0;
    int64_t last = -1;
    char *line, *next;

    got[n] = '\0';
    for (line = got; (next = strchr(line, '\n')) != NULL; line = next + 1) {
        const char *told = strstr(line, "msg=\"");

        if (told != NULL && told < next) {
            n_told += (unsigned)strtoul(told + 5, NULL, 10);
            continue;
        }
        cr_assert_eq(next + 1 - line, LINE, "whole lines only");
        cr_assert_gt(strtol(line, NULL, 10), last, "in their order");
        last = strtol(line, NULL, 10);
        n_read++;
    }
    cr_assert_eq(n_read + log_dropped(), n_lines);
    cr_assert_eq(n_told, log_dropped(), "%u and %u", n_told, (unsigned)log_dropped());
}

/* Of got[], up to where the pipe ends. */
static size_t n_got;

static void *read_on(void *arg)
{
    n_got += read_all(got + n_got, sizeof got - n_got, sizeof got - n_got - 1);
    return arg;
}

/* Read what is still to come of so many lines, of which `n` bytes are in got[]; meanwhile the log
 * ends. */
static void read_rest(size_t n, unsigned n_lines)
{
    pthread_t thread;

    n_got = n;
    cr_assert_eq(pthread_create(&thread, NULL, read_on, NULL), 0);
    cr_assert(log_sink_flush(clock_mono_ns() + SOON_NS));
    log_stop(clock_mono_ns() + SOON_NS);
    pipe_out();
    (void)pthread_join(thread, NULL);
    check_got(n_got, n_lines);
}

/* 2.2: a pipe that is full holds up nobody; what did not fit is counted, told, and nothing else. */
Test(log_sink, what_nobody_reads_is_dropped_and_counted, .timeout = 120)
{
    const unsigned n_lines = 6000; /* 600 kB: more than the pipe and both buffers hold */

    pipe_in(0);
    cr_assert_eq(log_start(false), 0);
    for (unsigned i = 0; i < n_lines; i++)
        put_number(i);
    cr_assert_gt(log_dropped(), 0);
    cr_assert_leq(log_dropped(), n_lines - (LOG_BUFFER_BYTES / LINE));
    cr_assert_not(log_sink_flush(clock_mono_ns()), "nobody has read");
    read_rest(0, n_lines);
}

/* Numbered lines until so many more are dropped. @return the next number */
static unsigned put_until_dropped(unsigned i, unsigned n)
{
    const uint64_t until = log_dropped() + n;

    while (log_dropped() < until)
        put_number(i++);
    return i;
}

/* 2.2: what is dropped is told although there is no room again by then. */
Test(log_sink, what_is_dropped_is_told_while_more_is, .timeout = 120)
{
    const unsigned pipe_lines = 4096 / LINE;
    unsigned n_lines;
    size_t n;

    pipe_in(0);
    cr_assert_gt(fcntl(reader, F_SETPIPE_SZ, 4096), 0);
    cr_assert_eq(log_start(false), 0);
    n_lines = put_until_dropped(0, 3);
    /* The thread is at its last buffer, the one that was full, and has some lines of it still to
     * write: what was dropped it knows, and has not told. */
    n = read_all(got, sizeof got, (n_lines - log_dropped() - 2 * pipe_lines) * LINE);
    n_lines = put_until_dropped(n_lines, 3);
    read_rest(n, n_lines);
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

/* ---- who waits can be changed ---- */

/* Write into the pipe until `room` bytes are left in it, in whole pages. */
static void fill_pipe(size_t room)
{
    static const char page[4096];
    const int size = fcntl(reader, F_GETPIPE_SZ);

    cr_assert_gt(size, (int)room);
    for (size_t n = 0; n < (size_t)size - room; n += sizeof page)
        cr_assert_eq(write(STDERR_FILENO, page, sizeof page), (ssize_t)sizeof page);
}

/* 9.2: a command that has become a service is not held up by its log any more. */
Test(log_sink, nobody_waits_any_more_where_that_is_said, .timeout = 60)
{
    pipe_in(0);
    cr_assert_eq(log_start(true), 0);
    log_sink_put("first\n", 6, true);
    cr_assert_eq(read_all(got, sizeof got, 6), 6);
    log_waits(false);
    fill_pipe(0);
    log_sink_put("nobody reads this\n", 18, true); /* does not hang */
    cr_assert_not(log_sink_flush(clock_mono_ns()));
    pipe_out();
}

/* 9.2 */
Test(log_sink, from_now_on_all_wait_where_that_is_said, .timeout = 60)
{
    pipe_in(0);
    cr_assert_eq(log_start(false), 0);
    log_waits(true);
    for (int i = 0; i < 100; i++) {
        log_sink_put("a line\n", 7, true);
        cr_assert_eq(waiting(), 1u, "line %d is there when the call is over", i);
        cr_assert_eq(read_all(got, sizeof got, 7), 7);
    }
    log_stop(clock_mono_ns() + SOON_NS);
    pipe_out();
}

/* ---- signals ---- */

static int tick_writer, tick_reader;

static void on_tick(int signal)
{
    (void)signal;
    (void)!write(tick_writer, "t", 1);
}

/* Read what was written only after so many signals have come. */
static void *read_after_ticks(void *arg)
{
    char ticks[20];

    for (size_t n = 0; n < sizeof ticks;) {
        ssize_t r = read(tick_reader, ticks, sizeof ticks - n);

        n += r > 0 ? (size_t)r : 0;
    }
    *(size_t *)arg = read_all(got, sizeof got, sizeof got - 1);
    return NULL;
}

/* 9.2: a signal that comes while a line is written does not lose it. */
Test(log_sink, a_signal_does_not_cost_a_line, .timeout = 60)
{
    const struct sigaction action = {.sa_handler = on_tick}; /* without SA_RESTART */
    const struct itimerval every_ms = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    sigset_t alarm;
    pthread_t thread;
    int ends[2];
    size_t n = 0;

    pipe_in(0);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    tick_reader = ends[0];
    tick_writer = ends[1];
    fill_pipe(0);
    (void)sigemptyset(&alarm);
    (void)sigaddset(&alarm, SIGALRM);
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(pthread_sigmask(SIG_BLOCK, &alarm, NULL), 0); /* the reader inherits that */
    cr_assert_eq(pthread_create(&thread, NULL, read_after_ticks, &n), 0);
    cr_assert_eq(pthread_sigmask(SIG_UNBLOCK, &alarm, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
    log_sink_put("a line\n", 7, true); /* waits for the reader, and is interrupted meanwhile */
    cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    cr_assert_eq(log_dropped(), 0);
    pipe_out();
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_geq(n, 7);
    cr_assert_eq(memcmp(got + n - 7, "a line\n", 7), 0);
}

/* ---- crash ---- */

static size_t in_pipe(void)
{
    int n = 0;

    cr_assert_eq(ioctl(reader, FIONREAD, &n), 0);
    return (size_t)n;
}

#define LONG_LINE 40000

/*
 * The log as it is when its thread is in the middle of a long line and three more wait; then a copy
 * of the process, in which no thread of the log goes on, crashes with another standard error.
 * What comes of that is in `got`. @return its bytes
 */
static size_t crash_in_a_copy(int writer, int from)
{
    static char line[LONG_LINE];
    size_t before;
    pid_t child;
    int status;
    ssize_t r;
    size_t n = 0;

    pipe_in(0);
    cr_assert_eq(log_start(false), 0);
    fill_pipe(4096);
    before = in_pipe();
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    log_sink_put(line, sizeof line, false);
    while (in_pipe() != before + 4096) /* part of it is there: write() waits for the rest */
        cr_assert_eq(waiting(), 1u);
    log_sink_put("one\n", 4, false);
    log_sink_put("two\n", 4, false);
    log_sink_put("three\n", 6, false);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        if (dup2(writer, STDERR_FILENO) == STDERR_FILENO)
            log_sink_crash("crash\n", 6);
        _exit(0);
    }
    (void)close(writer);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    while (n < sizeof got - 1 && (r = read(from, got + n, sizeof got - 1 - n)) > 0)
        n += (size_t)r;
    got[n] = '\0';
    pipe_out();
    return n;
}

/* 2.2, 9.2: what the log has taken comes before the last line, each line whole. */
Test(log_sink, a_crash_writes_what_waits_and_then_its_line, .timeout = 60)
{
    int ends[2];
    size_t n;

    cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    n = crash_in_a_copy(ends[1], ends[0]);
    cr_assert_eq(n, LONG_LINE + strlen("one\ntwo\nthree\ncrash\n"));
    cr_assert_str_eq(got + LONG_LINE - 1, "\none\ntwo\nthree\ncrash\n");
}

/* 9.2: where nobody reads, nobody waits. */
Test(log_sink, a_crash_does_not_wait_for_a_reader, .timeout = 60)
{
    int ends[2];

    cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], got, 4096) > 0)
        ;
    cr_assert_eq(fcntl(ends[1], F_SETFL, 0), 0);
    (void)crash_in_a_copy(ends[1], ends[0]);
    cr_assert_null(strstr(got, "crash"));
}

#define N_RACES 50
#define RACE_LINES 20

/* A process that logs some lines and crashes at once, while the thread of the log has begun with
 * them; it lives until all that anybody writes is written. */
static void log_and_crash(int writer)
{
    if (dup2(writer, STDERR_FILENO) != STDERR_FILENO || log_start(false) != 0)
        _exit(1);
    for (unsigned i = 0; i < RACE_LINES; i++)
        put_number(i);
    log_sink_crash("crash\n", 6);
    (void)log_sink_flush(clock_mono_ns() + 10 * NS_PER_MS);
    _exit(0);
}

/* 2.8: each line once, and nothing behind the last one. */
Test(log_sink, a_crash_and_the_thread_do_not_write_the_same, .timeout = 60)
{
    for (unsigned race = 0; race < N_RACES; race++) {
        int ends[2], status;
        size_t n = 0;
        ssize_t r;
        pid_t child;

        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        child = fork();
        cr_assert_geq(child, 0);
        if (child == 0)
            log_and_crash(ends[1]);
        (void)close(ends[1]);
        while ((r = read(ends[0], got + n, sizeof got - 1 - n)) > 0)
            n += (size_t)r;
        (void)close(ends[0]);
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0);
        got[n] = '\0';
        cr_assert_eq(n, (size_t)RACE_LINES * LINE + 6, "%s", got);
        for (unsigned i = 0; i < RACE_LINES; i++)
            cr_assert_eq(strtol(got + (size_t)i * LINE, NULL, 10), i);
        cr_assert_str_eq(got + (size_t)RACE_LINES * LINE, "crash\n");
    }
}
