/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/capture.h - standard error as a string. Each test is a process of its own, so
 * that file descriptor 2 may be turned over to a pipe.
 */
#ifndef TESTS_CAPTURE_H
#define TESTS_CAPTURE_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct capture {
    int saved, reader;
};

/* The pipe holds 64 KiB: no test writes more before it reads. */
static inline void capture_begin(struct capture *cap)
{
    int ends[2], r;

    r = pipe2(ends, O_CLOEXEC);
    assert(r == 0);
    cap->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert(cap->saved >= 0);
    r = dup2(ends[1], STDERR_FILENO);
    assert(r == STDERR_FILENO);
    (void)close(ends[1]);
    cap->reader = ends[0];
}

/* Give standard error back; what was written, NUL-terminated, in `to`. */
static inline size_t capture_end(struct capture *cap, char *to, size_t size)
{
    size_t n = 0;
    ssize_t r;

    r = dup2(cap->saved, STDERR_FILENO); /* closes the last writing end */
    assert(r == STDERR_FILENO);
    (void)close(cap->saved);
    while (n < size - 1) {
        r = read(cap->reader, to + n, size - 1 - n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    (void)close(cap->reader);
    to[n] = '\0';
    return n;
}

#endif
