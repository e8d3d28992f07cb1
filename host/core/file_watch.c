/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/file_watch.c - see file_watch.h. */
#include "core/file_watch.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS                                                                                     \
    (IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |            \
     IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define DRAIN_BYTES 4096u

/* What tells one file, and one content of it, from another. */
struct stamp {
    bool there;
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

struct watched_file {
    char *path;
    struct stamp stamp;
};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->there == b->there && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime);
}

static struct stamp stamp_of(const char *path)
{
    struct stamp stamp = {.there = false};
    struct stat st;

    if (stat(path, &st) != 0)
        return stamp;
    return (struct stamp){.there = true,
                          .dev = st.st_dev,
                          .ino = st.st_ino,
                          .size = st.st_size,
                          .mtime = st.st_mtim,
                          .ctime = st.st_ctim};
}

int file_watch_init(struct file_watch *watch, const char *const *paths)
{
    size_t n = 0;

    *watch = (struct file_watch){.fd = -1};
    while (paths != NULL && paths[n] != NULL)
        n++;
    if (n == 0)
        return 0;
    watch->files = calloc(n, sizeof *watch->files);
    if (watch->files == NULL)
        return -1;
    for (; watch->n < n; watch->n++) {
        watch->files[watch->n].path = strdup(paths[watch->n]);
        if (watch->files[watch->n].path == NULL) {
            file_watch_fini(watch);
            return -1;
        }
    }
    return 0;
}

void file_watch_fini(struct file_watch *watch)
{
    for (size_t i = 0; i < watch->n; i++)
        free(watch->files[i].path);
    free(watch->files);
    if (watch->fd >= 0)
        (void)close(watch->fd);
    *watch = (struct file_watch){.fd = -1};
}

void file_watch_drain(struct file_watch *watch)
{
    char events[DRAIN_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));

    while (watch->fd >= 0 && read(watch->fd, events, sizeof events) > 0)
        ;
}

/* The same folder twice is one watch. A folder that is not there has none: a look will tell. */
static void watch_folder_of(int fd, char *path)
{
    if (path == NULL)
        return;
    (void)inotify_add_watch(fd, dirname(path), EVENTS);
    free(path);
}

/* A descriptor of its own each time, so that no watch is left of folders that count no more. */
static void watch_folders(struct file_watch *watch)
{
    const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (watch->fd >= 0)
        (void)close(watch->fd);
    watch->fd = fd;
    for (size_t i = 0; fd >= 0 && i < watch->n; i++) {
        watch_folder_of(fd, strdup(watch->files[i].path));
        watch_folder_of(fd, realpath(watch->files[i].path, NULL));
    }
}

static bool look(struct file_watch *watch)
{
    bool changed = false;

    for (size_t i = 0; i < watch->n; i++) {
        const struct stamp now = stamp_of(watch->files[i].path);

        changed |= !same_stamp(&now, &watch->files[i].stamp);
        watch->files[i].stamp = now;
    }
    return changed;
}

bool file_watch_look(struct file_watch *watch)
{
    bool changed = look(watch);

    if (watch->n != 0 && (changed || watch->fd < 0)) {
        watch_folders(watch);
        changed |= look(watch); /* what came before they were watched */
    }
    return changed;
}
