/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/read_file.h - the bytes of a configuration file: a regular file, or for a limited time
 * a pipe, as `-f <(...)` and `-f /dev/stdin` have it. /dev/null is an empty file. Anything else (a
 * terminal, another device) may have no end, and is refused; so is what is past FILE_BYTES_MAX.
 */
#ifndef HOST_CONF_READ_FILE_H
#define HOST_CONF_READ_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)

/**
 * @param wait_ns  how long a pipe may take to its end; 0: a pipe is refused
 * @param ret      [give: free()] the bytes and a NUL
 * @return 0; 1 there is no such file, -1: both with *reterr, which begins with the path
 */
int read_file(const char *path, int64_t wait_ns, char **ret, size_t *ret_size,
              struct error *reterr);

#endif
