/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/log_sink.c - see log_sink.h. Two buffers: one is filled under the lock, the other one
 * is being written, without it; when it is done they change places.
 */
#include "base/log_sink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#define LINE_MS 100 /* for the thread to end the line that it writes, in a crash */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more, gone;
    pthread_t thread;
    _Atomic bool runs;
    bool wait; /* whoever logs waits until the line is written */
    bool quit;
    uint64_t put, written;    /* lines */
    uint64_t full;            /* lines for which there was no room, since it was told */
    _Atomic uint64_t dropped; /* those, and lines that write() refused */
    /* Atomic for the crash handler, which cannot take the lock. */
    _Atomic(char *) fill;
    _Atomic size_t n_fill;
    _Atomic(const char *) out;
    _Atomic size_t out_at, n_out;
    _Atomic bool crashing; /* the crash handler writes what is left, and nobody else any more */
    _Atomic bool busy;     /* the thread changes the buffers or writes */
    char buffer[2][LOG_BUFFER_BYTES];
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static _Thread_local bool is_sink; /* writes at once */

/* Write one line, as long as it takes; what can never be written is lost. */
static bool write_line(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t r = write(STDERR_FILENO, p, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0 && errno == EAGAIN && atomic_load(&sink.runs)) {
            struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

            (void)poll(&out, 1, -1); /* somebody else has made it non-blocking */
            continue;
        }
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

/* Of the thread and a crash handler one writes: what both did would be there twice, and behind the
 * last line. Each says what it does first and then looks at what the other has said. */
static bool begin(void)
{
    atomic_store(&sink.busy, true);
    if (!atomic_load(&sink.crashing))
        return true;
    atomic_store(&sink.busy, false);
    return false;
}

/* Up to PIPE_BUF a write to a pipe is one piece: one line at a time. */
static bool write_lines(const char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *end = memchr(p + at, '\n', n - at);
        size_t len = (size_t)(end - (p + at)) + 1; /* each has its end */

        if (!begin())
            return false;
        if (!write_line(p + at, len))
            (void)atomic_fetch_add(&sink.dropped, 1);
        at += len;
        atomic_store(&sink.out_at, at);
    }
    return true;
}

/* Change the buffers. Locked. @return bytes to write */
static size_t turn(void)
{
    char *full = atomic_load(&sink.fill);
    size_t n = atomic_load(&sink.n_fill);

    atomic_store(&sink.n_out, 0);
    atomic_store(&sink.out, full);
    atomic_store(&sink.out_at, 0);
    atomic_store(&sink.n_fill, 0);
    atomic_store(&sink.fill, full == sink.buffer[0] ? sink.buffer[1] : sink.buffer[0]);
    atomic_store(&sink.n_out, n);
    return n;
}

static void *sink_main(void *arg)
{
    (void)arg;
    (void)pthread_setname_np(pthread_self(), "log");
    thread_begin("log");
    is_sink = true;
    (void)pthread_mutex_lock(&sink.lock);
    for (;;) {
        uint64_t upto, full;
        size_t n;
        bool mine; /* no crash handler has taken over */

        while (atomic_load(&sink.n_fill) == 0 && !sink.quit)
            (void)pthread_cond_wait(&sink.more, &sink.lock);
        n = begin() ? turn() : 0;
        if (n == 0)
            break;
        upto = sink.put;
        full = sink.full;
        sink.full = 0;
        (void)pthread_mutex_unlock(&sink.lock);
        mine = write_lines(atomic_load(&sink.out), n);
        if (mine && full != 0)
            log_line(SPOE_LOG_WARNING, "host",
                     "%ju log lines were dropped: standard error was not read in time",
                     (uintmax_t)full);
        atomic_store(&sink.busy, false);
        (void)pthread_mutex_lock(&sink.lock);
        if (!mine)
            break;
        sink.written = upto;
        (void)pthread_cond_broadcast(&sink.gone);
    }
    (void)pthread_mutex_unlock(&sink.lock);
    atomic_store(&sink.busy, false);
    thread_end();
    return NULL;
}

void log_sink_put(const char *line, size_t n, bool may_wait)
{
    uint64_t mine;

    /* The thread's own line, of what was dropped, goes to where those lines are missing. In the
     * buffer it might find no room, and nobody would be told. */
    if (is_sink || !atomic_load_explicit(&sink.runs, memory_order_acquire)) {
        if (!write_line(line, n))
            (void)atomic_fetch_add(&sink.dropped, 1);
        return;
    }
    (void)pthread_mutex_lock(&sink.lock);
    may_wait = may_wait && sink.wait;
    while (may_wait && LOG_BUFFER_BYTES - atomic_load(&sink.n_fill) < n)
        (void)pthread_cond_wait(&sink.gone, &sink.lock);
    if (LOG_BUFFER_BYTES - atomic_load(&sink.n_fill) < n) {
        (void)atomic_fetch_add(&sink.dropped, 1);
        sink.full++;
        (void)pthread_mutex_unlock(&sink.lock);
        return;
    }
    memcpy(atomic_load(&sink.fill) + atomic_load(&sink.n_fill), line, n);
    (void)atomic_fetch_add(&sink.n_fill, n);
    mine = ++sink.put;
    (void)pthread_cond_signal(&sink.more);
    while (may_wait && sink.written < mine)
        (void)pthread_cond_wait(&sink.gone, &sink.lock);
    (void)pthread_mutex_unlock(&sink.lock);
}

bool log_sink_flush(int64_t deadline_mono_ns)
{
    const struct timespec at = {.tv_sec = deadline_mono_ns / NS_PER_S,
                                .tv_nsec = deadline_mono_ns % NS_PER_S};
    uint64_t upto;
    bool done;
    int error = 0;

    if (!atomic_load(&sink.runs))
        return true;
    (void)pthread_mutex_lock(&sink.lock);
    upto = sink.put;
    while (sink.written < upto && error == 0)
        error = pthread_cond_timedwait(&sink.gone, &sink.lock, &at);
    done = sink.written >= upto;
    (void)pthread_mutex_unlock(&sink.lock);
    return done;
}

/* ---- life ------------------------------------------------------------------------------------ */

int log_start(bool wait)
{
    pthread_condattr_t attr;
    int error;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&sink.gone, &attr);
    (void)pthread_condattr_destroy(&attr);
    sink.wait = wait;
    sink.quit = false;
    atomic_store(&sink.fill, sink.buffer[0]);
    error = pthread_create(&sink.thread, NULL, sink_main, NULL);
    if (error == 0)
        atomic_store_explicit(&sink.runs, true, memory_order_release);
    return error;
}

void log_waits(bool wait)
{
    (void)pthread_mutex_lock(&sink.lock);
    sink.wait = wait;
    (void)pthread_mutex_unlock(&sink.lock);
}

void log_stop(int64_t deadline_mono_ns)
{
    if (!atomic_load(&sink.runs))
        return;
    if (!log_sink_flush(deadline_mono_ns))
        return; /* the thread hangs in write(), and goes with the process */
    (void)pthread_mutex_lock(&sink.lock);
    sink.quit = true;
    (void)pthread_cond_signal(&sink.more);
    (void)pthread_mutex_unlock(&sink.lock);
    (void)pthread_join(sink.thread, NULL);
    atomic_store(&sink.runs, false);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&sink.dropped, memory_order_relaxed);
}

/* ---- crash ----------------------------------------------------------------------------------- */

/* A pipe that poll() finds writable takes PIPE_BUF bytes; what does not fit now cannot be helped.
 */
static void write_now(const char *p, size_t n)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&out, 1, 0) == 1)
        (void)!write(STDERR_FILENO, p, n);
}

static void write_now_lines(const char *p, size_t n)
{
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t len = end != NULL ? (size_t)(end - p) + 1 : n;

        write_now(p, len);
        p += len;
        n -= len;
    }
}

/* A thread that hangs in write() is not waited for, nor one that has crashed itself. */
static void take_over(void)
{
    atomic_store(&sink.crashing, true);
    for (int ms = 0; ms < LINE_MS && !is_sink && atomic_load(&sink.busy); ms++)
        (void)poll(NULL, 0, 1);
}

void log_sink_crash(const char *line, size_t n)
{
    if (atomic_load(&sink.runs)) {
        size_t at, end;

        take_over();
        at = atomic_load(&sink.out_at);
        end = atomic_load(&sink.n_out);
        if (at < end)
            write_now_lines(atomic_load(&sink.out) + at, end - at);
        write_now_lines(atomic_load(&sink.fill), atomic_load(&sink.n_fill));
    }
    write_now(line, n);
}
