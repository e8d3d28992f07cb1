/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/live_files.c - files that are read again when they change. */
#include "send/live_files.h"

#include <stdio.h>

#include <spoe/util.h>

#define ERROR_MAX 512u

#define LOG(files, level, ...)                                                                     \
    do {                                                                                           \
        if ((files)->_log_host != NULL)                                                            \
            spoe_logf((files)->_log_host, (files)->_log_self, (level), __VA_ARGS__);               \
    } while (0)

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Look at the file. @return whether it is another than at the last look */
static bool stamp_changed(struct file_stamp *stamp)
{
    const struct file_stamp old = *stamp;
    struct stat st;

    if (stamp->path == NULL)
        return false;
    *stamp = (struct file_stamp){.path = old.path};
    if (stat(stamp->path, &st) == 0) {
        stamp->there = true;
        stamp->dev = st.st_dev;
        stamp->ino = st.st_ino;
        stamp->size = st.st_size;
        stamp->mtime = st.st_mtim;
        stamp->ctime = st.st_ctim;
    }
    return stamp->there != old.there || stamp->dev != old.dev || stamp->ino != old.ino ||
           stamp->size != old.size || !same_time(&stamp->mtime, &old.mtime) ||
           !same_time(&stamp->ctime, &old.ctime);
}

/* The constant headers and the file's. @return 0; -1, ret is untouched */
static int read_headers(const struct exporter_conf *conf, struct pair_list *ret, char *ret_error,
                        size_t size)
{
    bool of_file;

    (void)snprintf(ret_error, size, "out of memory");
    return headers_read(conf->headers, conf->headers_file, ret, ret_error, size, &of_file) == 0
               ? 0
               : -1;
}

/* In the order of the stamps, each before its file is read: what changes meanwhile is seen later.
 */
static bool look_at_tls(struct live_files *files)
{
    bool changed = false;

    for (size_t i = 0; i < sizeof files->_tls / sizeof files->_tls[0]; i++)
        changed |= stamp_changed(&files->_tls[i]);
    return changed;
}

int live_files_init(struct live_files *files, const struct exporter_conf *conf,
                    const struct spoe_host *log_host, struct spoe_instance *log_self,
                    char *ret_error, size_t size)
{
    const bool tls = conf->tls != OTLP_TLS_DISABLED;
    const char *option;

    *files = (struct live_files){._conf = *conf,
                                 ._log_host = log_host,
                                 ._log_self = log_self,
                                 ._headers.path = conf->headers_file};
    files->_tls[0].path = tls ? conf->tls_ca : NULL;
    files->_tls[1].path = tls ? conf->tls_cert : NULL;
    files->_tls[2].path = tls ? conf->tls_key : NULL;
    (void)look_at_tls(files);
    (void)stamp_changed(&files->_headers);
    if (tls_pem_read(conf, &files->pem, ret_error, size, &option) != 0)
        return -1;
    return read_headers(conf, &files->headers, ret_error, size);
}

void live_files_fini(struct live_files *files)
{
    tls_pem_free(&files->pem);
    pair_list_fini(&files->headers);
}

void live_files_refresh(struct live_files *files)
{
    const bool tls_changed = look_at_tls(files), headers_changed = stamp_changed(&files->_headers);
    char error[ERROR_MAX] = "";

    if (tls_changed || files->_tls_due) {
        struct tls_pem pem;
        const char *option;

        files->_tls_due = true;
        if (tls_pem_read(&files->_conf, &pem, error, sizeof error, &option) == 0) {
            tls_pem_free(&files->pem);
            files->pem = pem;
            files->_tls_due = false;
            files->generation++;
            LOG(files, SPOE_LOG_NOTICE, "the TLS files have changed: the new ones are in use");
        } else if (tls_changed) {
            LOG(files, SPOE_LOG_WARNING,
                "the TLS files have changed, but the old ones stay in use: %s", error);
        }
    }
    if (headers_changed || files->_headers_due) {
        struct pair_list headers;

        files->_headers_due = true;
        if (read_headers(&files->_conf, &headers, error, sizeof error) == 0) {
            pair_list_fini(&files->headers);
            files->headers = headers;
            files->_headers_due = false;
            files->generation++;
            LOG(files, SPOE_LOG_NOTICE, "the headers' file has changed: the new ones are in use");
        } else if (headers_changed) {
            LOG(files, SPOE_LOG_WARNING,
                "the headers' file has changed, but the old ones stay in use: %s", error);
        }
    }
}
