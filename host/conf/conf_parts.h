/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/conf_parts.h - what the configuration consists of, for its own files alone: conf.c (its
 * life, errors and warnings), conf_sources.c (what command line, file
 * and sockets say), conf_resolve.c
 * (which source sets an option), conf_section.c (the settings of one table), conf_reread.c (two
 * readings side by side), conf_unknown.c (what nobody asked for).
 *
 * The sources are kept as a list of entries; resolving a table picks entries by section and key,
 * and marks them as known.
 */
#ifndef HOST_CONF_CONF_PARTS_H
#define HOST_CONF_CONF_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error_list.h"
#include "conf/conf.h"

enum source { SOURCE_COMMAND_LINE, SOURCE_FILE, SOURCE_SOCKET };

/* One assignment, or (key NULL) one section line of the file. */
struct entry {
    STAILQ_ENTRY(entry) next;
    enum source source;
    unsigned line; /* of the file */
    char *origin;
    char *section, *key, *value;
    bool known; /* a table had it */
    bool bad;   /* of the file: its value will not do, which is a collected error */
};

/* One key of a table that was resolved; key NULL: the section itself. Of a variable that one of its
 * options listens to the key is its name, and the section that of the instance that it was made
 * for, else NULL. */
struct name {
    STAILQ_ENTRY(name) next;
    char *section, *key;
};

struct conf {
    STAILQ_HEAD(, entry) entries;
    size_t n_entries;
    STAILQ_HEAD(names, name) names, variables;
    struct error_list errors, warnings;
    bool waits_not; /* for a file */
};

/* The texts behind a setting's spans. */
struct texts {
    char *raw, *origin;
    char *secret;        /* of SPOE_OPT_SECRET that lies in a file; NULL: raw */
    char *written;       /* by conf_setting_written(); NULL: raw */
    char *before;        /* by conf_setting_put(): the origin that it took the place of */
    bool before_lenient; /* and whether that was SPOE_SETTING_LENIENT */
    size_t n_rejected;   /* of env_lenient[]: will not do, and those before it neither */
};

struct conf_section {
    char *name;
    const struct spoe_option *const *options;
    size_t n;
    struct spoe_setting *settings;
    struct texts *texts;
};

/* ---- conf.c ---- */

/* strdup() of what may be NULL; *ok turns false when there is no memory. */
char *conf_copy(const char *text, bool *ok);

/* ---- conf_sources.c ---- */

/* @return NULL: the source does not say it */
struct entry *conf_find_entry(struct conf *conf, enum source source, const char *section,
                              const char *key);
void conf_entry_destroy(struct entry *e);

/* ---- conf_resolve.c ---- */

/* What one of env_lenient[] says will not do: set options[i] by what comes next in preference.
 * @return 0, with errors collected; -1 out of memory */
int conf_set_by_next(struct conf *conf, struct conf_section *s, size_t i);

/* ---- conf_unknown.c ---- */

/* Remember that there is such a section (key NULL), key or variable. @return 0; -1 out of memory */
int conf_add_name(struct names *names, const char *section, const char *key);
void conf_names_destroy(struct names *names);

/* ---- conf_section.c ---- */

/* Of an option that nobody has set. */
extern const struct spoe_setting conf_not_set;
/* Of n options, none of which is set. @return NULL out of memory */
struct conf_section *conf_section_create(const char *name, const struct spoe_option *const *options,
                                         size_t n);
void conf_texts_fini(struct texts *texts);

#endif
