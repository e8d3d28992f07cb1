/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/ini_file.h - an INI file as events with line numbers.
 *
 * A line is empty, a comment (; or # first), [section], or key = value, with ':' in place of '=' as
 * well. White space around each of them does not count, and neither does what stands behind a ';'
 * with white space before it. A line is never the continuation of the one before.
 */
#ifndef HOST_CONF_INI_FILE_H
#define HOST_CONF_INI_FILE_H

#include <stdio.h>

#define INI_LINE_MAX 65536u /* bytes of a line, without its LF or CR LF */

/* What is found, in the order of the file. All texts are [borrow]. */
struct ini_events {
    void (*section)(void *user, unsigned line, const char *name);
    void (*key)(void *user, unsigned line, const char *section, const char *key, const char *value);
    /* A line that is neither; the reading goes on. line 0: the file, which ends here. */
    void (*error)(void *user, unsigned line, const char *text);
};

void ini_read(FILE *file, const struct ini_events *events, void *user);

#endif
