/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/read_file.c - see read_file.h. */
#include "conf/read_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"

struct source {
    const char *path;
    int fd;
    bool fifo;      /* with a name: its first writer may be still to come */
    bool hung_up;   /* its last writer has gone */
    int64_t end_ns; /* monotonic; of a pipe */
};

/* Not to wait for a writer, nor to take a terminal as our own. */
static int open_source(struct source *source, int64_t wait_ns, struct error *reterr)
{
    struct stat st, null;
    struct statfs fs;

    source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (source->fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        (void)error_set(reterr, "%s: cannot be opened: %s", source->path, strerror(errno));
        return 1;
    }
    if (source->fd < 0 || fstat(source->fd, &st) != 0)
        return error_set(reterr, "%s: cannot be opened: %s", source->path, strerror(errno));
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) /* reading the latter fails, and says so */
        return 0;
    if (S_ISCHR(st.st_mode) && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev)
        return 0;
    if (!S_ISFIFO(st.st_mode) || wait_ns == 0)
        return error_set(reterr, "%s: not a regular file", source->path);
    source->fifo = fstatfs(source->fd, &fs) != 0 || fs.f_type != PIPEFS_MAGIC;
    source->end_ns = clock_mono_ns() + wait_ns;
    return 0;
}

/* Wait for more of a pipe. @return 0; -1 with *reterr: its time is over */
static int wait_for_more(struct source *source, struct error *reterr)
{
    struct pollfd in = {.fd = source->fd, .events = POLLIN};
    const int64_t left_ms = (source->end_ns - clock_mono_ns() + NS_PER_MS - 1) / NS_PER_MS;

    if (left_ms <= 0)
        return error_set(reterr, "%s: a pipe that has not come to its end in time", source->path);
    if (poll(&in, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX) > 0)
        source->hung_up = (in.revents & POLLIN) == 0;
    return 0;
}

/* @return bytes read, 0 at the end; -1 with *reterr */
static ssize_t read_some(struct source *source, char *to, size_t size, bool first,
                         struct error *reterr)
{
    for (;;) {
        const ssize_t n = read(source->fd, to, size);

        if (n > 0 || (n == 0 && (!first || !source->fifo || source->hung_up)))
            return n;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return error_set(reterr, "%s: cannot be read: %s", source->path, strerror(errno));
        if (wait_for_more(source, reterr) != 0)
            return -1;
    }
}

static int read_all(struct source *source, char *to, size_t *ret_size, struct error *reterr)
{
    size_t used = 0;
    ssize_t n;

    assert(to != NULL);
    while ((n = read_some(source, to + used, FILE_BYTES_MAX + 1 - used, used == 0, reterr)) > 0) {
        used += (size_t)n;
        if (used > FILE_BYTES_MAX)
            return error_set(reterr, "%s: more than 1 MiB", source->path);
    }
    to[used] = '\0';
    *ret_size = used;
    return n < 0 ? -1 : 0;
}

int read_file(const char *path, int64_t wait_ns, char **ret, size_t *ret_size, struct error *reterr)
{
    struct source source = {.path = path};
    char *bytes = NULL;
    int result = open_source(&source, wait_ns, reterr);

    if (result == 0 && (bytes = malloc(FILE_BYTES_MAX + 1)) == NULL)
        result = error_set(reterr, "%s: out of memory", path);
    if (result == 0)
        result = read_all(&source, bytes, ret_size, reterr);
    if (source.fd >= 0)
        (void)close(source.fd); /* only read */
    if (result == 0)
        *ret = bytes;
    else
        free(bytes);
    return result;
}
