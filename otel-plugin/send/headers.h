/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/headers.h - headers of the export requests: from a list, and from a file. Their
 * values are secrets: no error says anything of one.
 */
#ifndef OTEL_SEND_HEADERS_H
#define OTEL_SEND_HEADERS_H

#include "base/pairs.h"

#define HEADERS_FILE_MAX 65536u

/**
 * Read the headers of a list, "name=value,name=value" with %XX for bytes, and those of a file, one
 * "name: value" a line, as they are; empty lines and lines that begin with # do not count. Names
 * are written in lower case; one that both have takes the file's value.
 *
 * They must be able to be headers of HTTP as well as metadata of gRPC, and none of those that the
 * export sets itself.
 *
 * @param text        [borrow] NULL: none
 * @param path        [borrow] NULL: none
 * @param ret         [give: pair_list_fini] set on success only
 * @param ret_error   PAIRS_E_INVAL: what is wrong; size bytes, NUL-terminated
 * @param ret_of_file PAIRS_E_INVAL: whether it is the file
 * @return 0; PAIRS_E_INVAL; PAIRS_E_NOMEM
 * Threads: [any]
 */
int headers_read(const char *text, const char *path, struct pair_list *ret, char *ret_error,
                 size_t size, bool *ret_of_file);

#endif
