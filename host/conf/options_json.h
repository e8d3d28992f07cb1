/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/options_json.h - a table of options as JSON, for what is made of it: the
 * documentation's tables, the man pages, the shell's completion. Threads: [any].
 */
#ifndef HOST_CONF_OPTIONS_JSON_H
#define HOST_CONF_OPTIONS_JSON_H

#include <stdio.h>

#include <spoe/plugin.h>

/**
 * Write an array with an object for each option.
 * @param options  ends with NULL; NULL: none. Each has passed option_check()
 */
void options_json(FILE *out, const struct spoe_option *const *options);

/** Write `"name": "text"`, or `"name": null`. */
void options_json_member(FILE *out, const char *name, const char *text);

#endif
