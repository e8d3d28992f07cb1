/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/live_files.h - those settings of the export that are files and may change
 * while it runs: CA, certificate and key, and the file of headers.
 *
 * A file counts as changed when its name leads to another inode, or time or size differ; then all
 * of its kind are read and checked anew. New ones that are not usable leave the old ones in use,
 * and are tried again: there may have been no descriptor for them. Each change makes one line of
 * the log, and what is usable at last another one.
 */
#ifndef OTEL_SEND_LIVE_FILES_H
#define OTEL_SEND_LIVE_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "send/headers.h"
#include "send/tls.h"

struct file_stamp {
    const char *path; /* NULL: there is none, and it never changes */
    bool there;
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

/* Read by its user, which has a lock of its own. */
struct live_files {
    struct tls_pem pem;
    struct pair_list headers; /* the constant ones, and the file's, which win */
    uint64_t generation;      /* changes with any of the two above */
    struct exporter_conf _conf;
    const struct spoe_host *_log_host;
    struct spoe_instance *_log_self;
    struct file_stamp _tls[3], _headers;
    bool _tls_due, _headers_due; /* the last try to read them has failed */
};

/**
 * Read all.
 * @param conf       copied; its strings outlive `files`
 * @param ret        live_files_fini() is due also after a failure
 * @param ret_error  on failure: what and which file; size bytes
 * @return 0; -1
 */
int live_files_init(struct live_files *files, const struct exporter_conf *conf,
                    const struct spoe_host *log_host, struct spoe_instance *log_self,
                    char *ret_error, size_t size);
void live_files_fini(struct live_files *files);

/** Look whether a file has changed, which takes a stat() each. */
void live_files_refresh(struct live_files *files);

#endif
