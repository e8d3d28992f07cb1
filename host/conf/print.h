/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/print.h - the configuration in effect, as a file that says the same when it is read.
 */
#ifndef HOST_CONF_PRINT_H
#define HOST_CONF_PRINT_H

#include <stdio.h>

#include "conf/conf.h"

/**
 * Write a section: one line for each option, with the origin of its value behind it. Commented out
 * are defaults, so that the file stays silent where it was silent before; secrets and values with
 * credentials, of which only the origin is shown; and what a file cannot say.
 */
void conf_print_section(FILE *out, const struct conf_section *section);

/**
 * A value as it may be shown: user and password of each URL in it are three stars.
 * @return [give: free()] NULL out of memory
 */
char *print_without_userinfo(const char *value);

#endif
