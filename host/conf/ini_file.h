/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/ini_file.h - an INI file as events with line numbers, on top of libinih.
 *
 * libinih splits lines into keys and values and strips comments; Debian's build of it cuts lines
 * at 200 bytes and passes no line numbers to its handler. So it gets its lines from a reader of
 * ours, which counts them, refuses overlong ones, and takes the indentation off, because libinih
 * would take an indented line for the continuation of the value before it.
 */
#ifndef HOST_CONF_INI_FILE_H
#define HOST_CONF_INI_FILE_H

#include <stdio.h>

/* What is found, in the order of the file. All texts are [borrow]. */
struct ini_events {
    void (*section)(void *user, unsigned line, const char *name);
    void (*key)(void *user, unsigned line, const char *section, const char *key, const char *value);
    /* A line that is neither; the reading goes on. line 0: the file, which ends here. */
    void (*error)(void *user, unsigned line, const char *text);
};

void ini_read(FILE *file, const struct ini_events *events, void *user);

#endif
