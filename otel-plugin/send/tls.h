/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/tls.h - PEM files: reading and checking them, for exporter_check_tls() and for
 * the transports, which use the very texts that were checked.
 */
#ifndef OTEL_SEND_TLS_H
#define OTEL_SEND_TLS_H

#include <stddef.h>

#include "send/exporter.h"

#define TLS_FILE_MAX (1024u * 1024u)

/* The texts of the PEM files; NULL where none is configured. */
struct tls_pem {
    char *ca, *cert, *key;
};

/**
 * Read a whole regular file of at most TLS_FILE_MAX bytes.
 * @param ret_error  on failure: the file and the reason; size bytes, NUL-terminated
 * @return [give: free()] its bytes and a NUL; NULL
 */
char *tls_read_file(const char *path, char *ret_error, size_t size);

/**
 * Read the files that are configured, and check them: certificates and key can be read, and belong
 * together. Reads nothing where TLS is disabled.
 * @param ret         [give: tls_pem_free()] set on success only
 * @param ret_error   on failure: what and which file; size bytes, NUL-terminated
 * @param ret_option  on failure: the option to blame
 * @return 0; -1
 */
int tls_pem_read(const struct exporter_conf *conf, struct tls_pem *ret, char *ret_error,
                 size_t size, const char **ret_option);
void tls_pem_free(struct tls_pem *pem);

#endif
