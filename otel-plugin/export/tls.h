/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/tls.h - PEM files: reading them, for exporter_check_tls() and for the
 * credentials that are made later.
 */
#ifndef OTEL_EXPORT_TLS_H
#define OTEL_EXPORT_TLS_H

#include <stddef.h>

#define TLS_FILE_MAX (1024u * 1024u)

/**
 * Read a whole regular file of at most TLS_FILE_MAX bytes.
 * @param ret_error  on failure: the file and the reason; size bytes, NUL-terminated
 * @return [give: free()] its bytes and a NUL; NULL
 */
char *tls_read_file(const char *path, char *ret_error, size_t size);

#endif
