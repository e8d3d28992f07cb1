/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/conf.h - one resolution of options for the host and for every plugin.
 *
 * Sources, in order of preference: command line, environment, file, a socket that was handed over,
 * default. The first that says something sets an option; what the others say has to be of its type
 * and within its bounds all the same, so that a mistake does not lie in wait.
 *
 * Each source is added once; then conf_resolve() turns a table of struct spoe_option into settings,
 * section by section ("host", or a plugin's id); then conf_check_unknown() names what nobody asked
 * for. Errors are collected, each with its origin ("host.conf:12", "environment OTLP_TLS", "command
 * line"), so that one run reports them all; so are warnings. Nothing here logs. Threads: [main].
 */
#ifndef HOST_CONF_CONF_H
#define HOST_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <spoe/plugin.h>

#include "base/error_list.h"

struct conf;
struct conf_section; /* the settings of one table of options */

#define CONF_OPTIONS_MAX 256u
#define CONF_ENTRIES_MAX 8192u /* sections and keys of the file, and of the command line */
#define CONF_PIPE_WAIT_NS INT64_C(30000000000) /* for a file that is a pipe */
#define CONF_ERRORS_MAX ERROR_LIST_MAX

/** A variable of the environment that is set and not empty; NULL: it is not, or must not count. */
const char *conf_env(const char *name);

/** @return NULL out of memory. */
struct conf *conf_create(void);
void conf_destroy(struct conf *conf);

/** Add `section.key=value` from the command line. A malformed text is a collected error. */
void conf_add_set(struct conf *conf, const char *assignment);
/** Add one of the host's own options from the command line (`--listen X` is ("listen", "X")). */
void conf_add_host_option(struct conf *conf, const char *key, const char *value);
/** One of the host's own options takes the sockets with this name, unless somebody sets it. */
void conf_add_socket(struct conf *conf, const char *key, const char *name);
/** From here on a pipe is an error, since it may have to be waited for. */
void conf_wait_for_nothing(struct conf *conf);
/** Read an INI file. A missing file, a bad line, a duplicate key are collected errors, and so is
 * what read_file() refuses. */
void conf_add_file(struct conf *conf, const char *path);
/** The same of a file that need not be there. */
void conf_add_file_if_there(struct conf *conf, const char *path);
/** The same of a stream, which stays the caller's; `name` stands in errors where the path would. */
void conf_add_stream(struct conf *conf, FILE *file, const char *name);

/**
 * Resolve one table.
 *
 * @param section  [borrow] "host" or a plugin's id
 * @param options  [const] ends with NULL
 * @return [give: conf_section_destroy] never NULL but when out of memory; where a value was bad
 *         its setting is the default and the error is collected
 */
struct conf_section *conf_resolve(struct conf *conf, const char *section,
                                  const struct spoe_option *const *options);
void conf_section_destroy(struct conf_section *section);
/** The setting of options[i], or NULL past the end. */
const struct spoe_setting *conf_setting(const struct conf_section *section, size_t i);
/**
 * Collect an error about options[i], for a value that parses but cannot be used:
 * "ORIGIN: SECTION.KEY: TEXT". The text is copied.
 */
void conf_setting_error(struct conf *conf, const struct conf_section *section, size_t i,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
/** A warning about options[i], whose value is used: worded as an error is. The text is copied. */
void conf_setting_warning(struct conf *conf, const struct conf_section *section, size_t i,
                          const char *text);

/**
 * Something is wrong with the value of options[i]. For one of env_lenient[] that is a warning, and
 * the option is set anew, by what comes next in preference; else it is conf_setting_error().
 * @param text  [borrow]
 * @return whether it was a warning
 */
bool conf_setting_reject(struct conf *conf, struct conf_section *section, size_t i,
                         struct spoe_span text);

/* ---- read again while the host runs: a section `s` of the new reading beside the one in use ----
 */

/** Whether both have the same value, wherever it comes from. */
bool conf_setting_same(const struct spoe_setting *a, const struct spoe_setting *b);
/**
 * What conf_setting_reject() has refused of env_lenient[] for the section in use counts as refused
 * for this one: the environment is the same. So does what conf_setting_written() was told, where
 * nothing has changed.
 * @return 0; -1 out of memory
 */
int conf_setting_follow(struct conf *conf, struct conf_section *s, size_t i,
                        const struct conf_section *in_use);
/** Take the setting that is in use, in place of the new one. @return 0; -1 out of memory */
int conf_setting_keep(struct conf_section *s, size_t i, const struct conf_section *in_use);
/** A section of its own with the settings of another. @return [give] NULL: out of memory */
struct conf_section *conf_section_copy(const struct conf_section *section);
/**
 * Set options[i] by hand, in place of what it has.
 * @param origin  [borrow] who does
 * @return 0; 1 a bad value, which is a collected error; -1 out of memory
 */
int conf_setting_put(struct conf *conf, struct conf_section *s, size_t i, const char *text,
                     const char *origin);
/** Whether the file sets options[i] to something else, in vain: another source comes first. */
bool conf_setting_is_shadowed(struct conf *conf, const struct conf_section *s, size_t i);

/**
 * Remember how options[i] is written in a file so that it means what is in effect, where that is
 * not the text of its setting. It is forgotten when the option is set anew.
 * @param text  [borrow] empty: a file cannot say it
 */
void conf_setting_written(struct conf *conf, struct conf_section *section, size_t i,
                          struct spoe_span text);

/** What a section is made of, for those who show it: options[i] is NULL past the end. */
const char *conf_section_name(const struct conf_section *section);
const struct spoe_option *conf_section_option(const struct conf_section *section, size_t i);
/** Whether options[i] is worth a line: those that the host adds to a plugin's are where they are
 * set. */
bool conf_setting_is_shown(const struct conf_section *section, size_t i);
/** How options[i] is written in a file; NULL: not at all. A choice is as its option writes it. */
const char *conf_setting_text(const struct conf_section *section, size_t i);

/**
 * Collect an error for every section and key of file and command line that no table had, and a
 * warning for every variable that begins as ours do and that no table had.
 */
void conf_check_unknown(struct conf *conf);

/** Collect an error; the text is copied. */
void conf_error(struct conf *conf, const char *format, ...) __attribute__((format(printf, 2, 3)));
const struct error_list *conf_errors(const struct conf *conf);
size_t conf_error_count(const struct conf *conf);
/** The i-th error, or NULL past the last that was kept. */
const char *conf_error_text(const struct conf *conf, size_t i);

/** As the errors: what was found wrong and is no reason not to start. */
void conf_warning(struct conf *conf, const char *format, ...) __attribute__((format(printf, 2, 3)));
const struct error_list *conf_warnings(const struct conf *conf);
size_t conf_warning_count(const struct conf *conf);
const char *conf_warning_text(const struct conf *conf, size_t i);

#endif
