/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/file_watch.h - whether files are others than they were.
 *
 * Who a file is is decided by stat(2) alone, through all symbolic links. inotify(7) on the folders
 * only says when to look: on those of the paths as given and on those that they lead to, so that a
 * rename over the file, a link that is turned and a write through a link are all told. Where
 * inotify is not to be had, or cannot know (NFS, a link further up), whoever looks now and then
 * sees it.
 *
 * Threads: one at a time.
 */
#ifndef HOST_CORE_FILE_WATCH_H
#define HOST_CORE_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>

struct watched_file;

struct file_watch {
    struct watched_file *files;
    size_t n;
    int fd; /* readable when it is time to look; -1: nobody tells */
};

/** @param paths  [borrow] ends with NULL; may be NULL @return 0; -1 out of memory */
int file_watch_init(struct file_watch *watch, const char *const *paths);
void file_watch_fini(struct file_watch *watch);

/** Take what inotify has told. */
void file_watch_drain(struct file_watch *watch);

/**
 * Look at all files; the first look begins to watch.
 * @return whether any is another, was written to, came or went since the last look
 */
bool file_watch_look(struct file_watch *watch);

#endif
