/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/conf.c - see conf.h. The sources are kept as a list of entries; resolving a table
 * picks entries by section and key, and marks them as known.
 */
#include "conf/conf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/queue.h>
#include <unistd.h>

#include "conf/ini_file.h"
#include "conf/option.h"
#include "conf/read_file.h"
#include "conf/suggest.h"

enum source { SOURCE_COMMAND_LINE, SOURCE_FILE };

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
 * options listens to only the key counts. */
struct name {
    STAILQ_ENTRY(name) next;
    char *section, *key;
};

/* Texts that are collected. */
struct notes {
    char *text[CONF_ERRORS_MAX];
    size_t n; /* those that were not kept included */
};

struct conf {
    STAILQ_HEAD(, entry) entries;
    size_t n_entries;
    STAILQ_HEAD(names, name) names, variables;
    struct notes errors, warnings;
    bool waits_not; /* for a file */
};

/* The texts behind a setting's spans. */
struct texts {
    char *raw, *origin;
    char *written;     /* by conf_setting_written(); NULL: raw */
    size_t n_rejected; /* of env_lenient[]: will not do, and those before it neither */
};

struct conf_section {
    char *name;
    const struct spoe_option *const *options;
    size_t n;
    struct spoe_setting *settings;
    struct texts *texts;
};

/* A secure wrapper: nothing of the environment counts in a set-uid process. The one place. */
static const char *env_get(const char *name)
{
    const char *value = secure_getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static char *format_text(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));
static char *format_text(const char *format, va_list ap)
{
    char *text = NULL;

    return vasprintf(&text, format, ap) < 0 ? NULL : text;
}

/* Counted even if there is no memory for its text: none is lost. */
static void add_note(struct notes *notes, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void add_note(struct notes *notes, const char *format, va_list ap)
{
    if (notes->n < CONF_ERRORS_MAX)
        notes->text[notes->n] = format_text(format, ap);
    notes->n++;
}

static const char *note_text(const struct notes *notes, size_t i)
{
    if (i >= notes->n || i >= CONF_ERRORS_MAX)
        return NULL;
    return notes->text[i] != NULL ? notes->text[i] : "out of memory";
}

void conf_error(struct conf *conf, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add_note(&conf->errors, format, ap);
    va_end(ap);
}

size_t conf_error_count(const struct conf *conf)
{
    return conf->errors.n;
}

const char *conf_error_text(const struct conf *conf, size_t i)
{
    return note_text(&conf->errors, i);
}

void conf_warning(struct conf *conf, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add_note(&conf->warnings, format, ap);
    va_end(ap);
}

size_t conf_warning_count(const struct conf *conf)
{
    return conf->warnings.n;
}

const char *conf_warning_text(const struct conf *conf, size_t i)
{
    return note_text(&conf->warnings, i);
}

struct conf *conf_create(void)
{
    struct conf *conf = calloc(1, sizeof *conf);

    if (conf == NULL)
        return NULL;
    STAILQ_INIT(&conf->entries);
    STAILQ_INIT(&conf->names);
    STAILQ_INIT(&conf->variables);
    return conf;
}

static void entry_destroy(struct entry *e)
{
    free(e->origin);
    free(e->section);
    free(e->key);
    free(e->value);
    free(e);
}

static void name_destroy(struct name *n)
{
    free(n->section);
    free(n->key);
    free(n);
}

static void names_destroy(struct names *names)
{
    struct name *n;

    while ((n = STAILQ_FIRST(names)) != NULL) {
        STAILQ_REMOVE_HEAD(names, next);
        name_destroy(n);
    }
}

void conf_destroy(struct conf *conf)
{
    struct entry *e;

    if (conf == NULL)
        return;
    while ((e = STAILQ_FIRST(&conf->entries)) != NULL) {
        STAILQ_REMOVE_HEAD(&conf->entries, next);
        entry_destroy(e);
    }
    names_destroy(&conf->names);
    names_destroy(&conf->variables);
    for (size_t i = 0; i < CONF_ERRORS_MAX; i++) {
        free(conf->errors.text[i]);
        free(conf->warnings.text[i]);
    }
    free(conf);
}

/* ---- sources ---------------------------------------------------------------------------- */

static struct entry *find_entry(struct conf *conf, enum source source, const char *section,
                                const char *key)
{
    struct entry *e;

    STAILQ_FOREACH(e, &conf->entries, next)
    {
        if (e->source == source && e->key != NULL && strcmp(e->key, key) == 0 &&
            strcmp(e->section, section) == 0)
            return e;
    }
    return NULL;
}

/* strdup() of what may be NULL; *ok turns false when there is no memory. */
static char *copy(const char *text, bool *ok)
{
    char *p;

    if (text == NULL)
        return NULL;
    p = strdup(text);
    if (p == NULL)
        *ok = false;
    return p;
}

/* All texts are copied. key NULL: a section line. */
static void add_entry(struct conf *conf, enum source source, const char *origin, unsigned line,
                      const char *section, const char *key, const char *value)
{
    struct entry *e;
    bool ok = true;

    if (conf->n_entries >= CONF_ENTRIES_MAX) {
        if (conf->n_entries++ == CONF_ENTRIES_MAX)
            conf_error(conf, "%s: more than %u sections and keys", origin, CONF_ENTRIES_MAX);
        return;
    }
    conf->n_entries++;
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        conf_error(conf, "%s: out of memory", origin);
        return;
    }
    e->source = source;
    e->line = line;
    e->origin = copy(origin, &ok);
    e->section = copy(section, &ok);
    e->key = copy(key, &ok);
    e->value = copy(value, &ok);
    if (!ok) {
        conf_error(conf, "%s: out of memory", origin);
        entry_destroy(e);
        return;
    }
    STAILQ_INSERT_TAIL(&conf->entries, e, next);
}

static void add_command_line(struct conf *conf, const char *section, const char *key,
                             const char *value)
{
    if (find_entry(conf, SOURCE_COMMAND_LINE, section, key) != NULL)
        conf_error(conf, "command line: %s.%s: given twice", section, key);
    else
        add_entry(conf, SOURCE_COMMAND_LINE, "command line", 0, section, key, value);
}

void conf_add_host_option(struct conf *conf, const char *key, const char *value)
{
    add_command_line(conf, "host", key, value);
}

void conf_add_set(struct conf *conf, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    const char *dot = strchr(assignment, '.');
    char *section = NULL, *key = NULL;

    if (equals == NULL || dot == NULL || dot > equals || dot == assignment || dot + 1 == equals) {
        /* What stands after the = may be a secret. */
        int n = (int)(equals != NULL ? equals - assignment : (ptrdiff_t)strlen(assignment));

        conf_error(conf, "command line: --set \"%.*s%s\": expected SECTION.KEY=VALUE",
                   n > 64 ? 64 : n, assignment, equals != NULL ? "=..." : "");
        return;
    }
    section = strndup(assignment, (size_t)(dot - assignment));
    key = strndup(dot + 1, (size_t)(equals - dot) - 1);
    if (section == NULL || key == NULL)
        conf_error(conf, "command line: out of memory");
    else
        add_command_line(conf, section, key, equals + 1);
    free(section);
    free(key);
}

/* The file that is being read. */
struct file {
    struct conf *conf;
    const char *name;
};

static void on_error(void *user, unsigned line, const char *text)
{
    const struct file *file = user;

    if (line == 0)
        conf_error(file->conf, "%s: %s", file->name, text);
    else
        conf_error(file->conf, "%s:%u: %s", file->name, line, text);
}

static void on_entry(const struct file *file, unsigned line, const char *section, const char *key,
                     const char *value)
{
    char *origin = NULL;

    if (asprintf(&origin, "%s:%u", file->name, line) < 0) {
        conf_error(file->conf, "%s: out of memory", file->name);
        return;
    }
    add_entry(file->conf, SOURCE_FILE, origin, line, section, key, value);
    free(origin);
}

static void on_section(void *user, unsigned line, const char *name)
{
    on_entry(user, line, name, NULL, NULL);
}

static void on_key(void *user, unsigned line, const char *section, const char *key,
                   const char *value)
{
    const struct file *file = user;
    const struct entry *before = find_entry(file->conf, SOURCE_FILE, section, key);

    if (before != NULL)
        conf_error(file->conf, "%s:%u: %s.%s: set before at line %u", file->name, line, section,
                   key, before->line);
    else
        on_entry(file, line, section, key, value);
}

void conf_add_stream(struct conf *conf, FILE *stream, const char *name)
{
    static const struct ini_events events = {
        .section = on_section, .key = on_key, .error = on_error};
    struct file file = {.conf = conf, .name = name};

    ini_read(stream, &events, &file);
}

void conf_wait_for_nothing(struct conf *conf)
{
    conf->waits_not = true;
}

static void add_file(struct conf *conf, const char *path, bool optional)
{
    struct error error;
    char *bytes = NULL;
    size_t size = 0;
    FILE *file;
    const int result =
        read_file(path, conf->waits_not ? 0 : CONF_PIPE_WAIT_NS, &bytes, &size, &error);

    if (result > 0 && optional)
        return;
    if (result != 0) {
        conf_error(conf, "%s", error.text);
        return;
    }
    file = fmemopen(bytes, size, "r");
    if (file == NULL) {
        conf_error(conf, "%s: out of memory", path);
    } else {
        conf_add_stream(conf, file, path);
        (void)fclose(file); /* only read */
    }
    free(bytes);
}

void conf_add_file(struct conf *conf, const char *path)
{
    add_file(conf, path, false);
}

void conf_add_file_if_there(struct conf *conf, const char *path)
{
    add_file(conf, path, true);
}

/* ---- resolution ------------------------------------------------------------------------- */

/* Remember that there is such a section (key NULL), key or variable. */
static int add_name(struct names *names, const char *section, const char *key)
{
    struct name *n = calloc(1, sizeof *n);
    bool ok = true;

    if (n == NULL)
        return -1;
    n->section = copy(section, &ok);
    n->key = copy(key, &ok);
    if (!ok) {
        name_destroy(n);
        return -1;
    }
    STAILQ_INSERT_TAIL(names, n, next);
    return 0;
}

typedef int parse_fn(const struct spoe_option *option, const char *text, struct spoe_value *ret,
                     struct error *reterr);

/*
 * Set a setting to a text, in place of what it had. A bad text leaves it as it was.
 * @return 0; 1 bad text, with *reterr; -1 out of memory
 */
static int set_value(struct conf_section *s, size_t i, const char *text, const char *origin,
                     uint32_t flags, parse_fn *parse, struct error *reterr)
{
    struct spoe_setting *setting = &s->settings[i];
    char *own_raw, *own_origin;
    struct spoe_value value;
    bool ok = true;

    own_raw = copy(text, &ok);
    own_origin = copy(origin, &ok);
    if (!ok || parse(s->options[i], own_raw, &value, reterr) != 0) {
        free(own_raw);
        free(own_origin);
        return ok ? 1 : -1;
    }
    free(s->texts[i].raw);
    free(s->texts[i].origin);
    free(s->texts[i].written);
    s->texts[i].written = NULL;
    s->texts[i].raw = own_raw;
    s->texts[i].origin = own_origin;
    setting->raw = (struct spoe_span){own_raw, strlen(own_raw)};
    setting->origin = (struct spoe_span){own_origin, strlen(own_origin)};
    setting->flags = flags;
    setting->value = value;
    return 0;
}

/*
 * A source's turn: it sets the setting, unless one before it did, and a bad text is an error either
 * way.
 * @param turn  in and out: 1 set, or its bad value is reported; 0 no source has said anything yet;
 *              -1 out of memory
 * @return whether the text is bad
 */
static bool take_turn(struct conf *conf, struct conf_section *s, size_t i, const char *text,
                      const char *origin, int *turn)
{
    const struct spoe_option *option = s->options[i];
    struct error err;
    struct spoe_value value;
    int result = 0;

    if (*turn == 0)
        result = set_value(s, i, text, origin, 0, option_parse, &err);
    else if (*turn > 0)
        result = option_parse(option, text, &value, &err) != 0 ? 1 : 0;
    if (result == 1)
        conf_error(conf, "%s: %s.%s: %s", origin, s->name, option->key, err.text);
    if (*turn == 0)
        *turn = result < 0 ? -1 : 1;
    return result == 1;
}

/* By the command line or by env[]. @return as take_turn()'s turn */
static int set_by_first(struct conf *conf, struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    struct entry *line = find_entry(conf, SOURCE_COMMAND_LINE, s->name, option->key);
    int turn = 0;

    if (line != NULL) {
        line->known = true;
        (void)take_turn(conf, s, i, line->value, line->origin, &turn); /* reported */
    }
    for (size_t e = 0; option->env != NULL && option->env[e] != NULL; e++) {
        const char *text = env_get(option->env[e]);
        char *origin = NULL;

        if (text == NULL)
            continue;
        if (asprintf(&origin, "environment %s", option->env[e]) < 0)
            return -1;
        (void)take_turn(conf, s, i, text, origin, &turn);
        free(origin);
    }
    return turn;
}

/* By env_lenient[], as set_by_first(); what will not do is a warning, and the next one's turn. */
static int set_by_lenient(struct conf *conf, struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    const char *const *env = option->env_lenient;

    for (size_t e = s->texts[i].n_rejected; env != NULL && env[e] != NULL; e++) {
        const char *text = env_get(env[e]);
        char *origin = NULL;
        struct error err;
        int result;

        if (text == NULL)
            continue;
        if (asprintf(&origin, "environment %s", env[e]) < 0)
            return -1;
        s->texts[i].n_rejected = e + 1;
        result = set_value(s, i, text, origin, SPOE_SETTING_LENIENT, option_parse_lenient, &err);
        if (result == 1)
            conf_warning(conf, "%s: %s.%s: %s; %s", origin, s->name, option->key, err.text,
                         option->type == SPOE_OPT_BOOL ? "taken for false" : "ignored");
        if (result == 1 && option->type == SPOE_OPT_BOOL)
            result = set_value(s, i, "false", origin, SPOE_SETTING_LENIENT, option_parse, &err);
        free(origin);
        if (result <= 0)
            return result == 0 ? 1 : -1;
    }
    return 0;
}

/* @param turn  as take_turn()'s @return the same, now */
static int set_by_file(struct conf *conf, struct conf_section *s, size_t i, int turn)
{
    struct entry *file = find_entry(conf, SOURCE_FILE, s->name, s->options[i]->key);

    if (file == NULL)
        return turn;
    file->known = true;
    if (file->bad) /* it had its turn before, after one of env_lenient[] */
        return 1;
    file->bad = take_turn(conf, s, i, file->value, file->origin, &turn);
    return turn;
}

static void report_not_set(struct conf *conf, const char *section, const struct spoe_option *option)
{
    const char *variable = option->env != NULL ? option->env[0] : NULL;

    if (variable != NULL)
        conf_error(conf, "%s.%s: must be set: --set %s.%s=..., environment %s, or the file",
                   section, option->key, section, option->key, variable);
    else
        conf_error(conf, "%s.%s: must be set: --set %s.%s=..., or the file", section, option->key,
                   section, option->key);
}

/* @return 0, with errors collected; -1 out of memory */
static int set_default(struct conf *conf, struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    struct error err;
    int result = 0;

    if (option->default_text != NULL)
        result = set_value(s, i, option->default_text, "default", SPOE_SETTING_DEFAULT,
                           option_parse, &err);
    if (result == 1)
        conf_error(conf, "option %s of plugin %s: bad default: %s", option->key, s->name, err.text);
    return result < 0 ? -1 : 0;
}

/* @return 0, with errors collected; -1 out of memory */
static int resolve_one(struct conf *conf, struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    int result;

    if (set_default(conf, s, i) != 0)
        return -1;
    result = set_by_first(conf, s, i);
    if (result == 0)
        result = set_by_lenient(conf, s, i);
    result = set_by_file(conf, s, i, result);
    if (result == 0 && (option->flags & SPOE_OPTION_REQUIRED) != 0 && option->default_text == NULL)
        report_not_set(conf, s->name, option);
    return result < 0 ? -1 : 0;
}

/* @return whether options[i] can be resolved; if not the error is collected. */
static bool check_option(struct conf *conf, const struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    struct error wrong;
    int result = option_check(option, &wrong);

    for (size_t j = 0; j < i && result == 0; j++) {
        if (option_has_key(s->options[j]) && strcmp(s->options[j]->key, option->key) == 0)
            result = error_set(&wrong, "another option has its key");
    }
    if (result == 0)
        return true;
    if (option_has_key(option))
        conf_error(conf, "option %s of plugin %s: %s", option->key, s->name, wrong.text);
    else
        conf_error(conf, "option %zu of plugin %s: %s", i, s->name, wrong.text);
    return false;
}

static const struct spoe_setting not_set = {
    .size = sizeof(struct spoe_setting),
    .flags = SPOE_SETTING_DEFAULT,
    .origin = {"default", sizeof "default" - 1},
    .value = {.type = SPOE_T_NULL},
};

static struct conf_section *section_create(const char *name,
                                           const struct spoe_option *const *options, size_t n)
{
    struct conf_section *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->options = options;
    s->n = n;
    s->name = strdup(name);
    s->settings = calloc(n + 1, sizeof *s->settings);
    s->texts = calloc(n + 1, sizeof *s->texts);
    if (s->name == NULL || s->settings == NULL || s->texts == NULL) {
        conf_section_destroy(s);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        s->settings[i] = not_set;
    return s;
}

static int add_names(struct conf *conf, const char *section, const struct spoe_option *option)
{
    const char *const *lists[] = {option->env, option->env_lenient};

    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; lists[l] != NULL && lists[l][i] != NULL; i++) {
            if (add_name(&conf->variables, NULL, lists[l][i]) != 0)
                return -1;
        }
    }
    return add_name(&conf->names, section, option->key);
}

struct conf_section *conf_resolve(struct conf *conf, const char *section,
                                  const struct spoe_option *const *options)
{
    struct conf_section *s;
    size_t n = 0;

    while (n < CONF_OPTIONS_MAX && options[n] != NULL)
        n++;
    if (options[n] != NULL)
        conf_error(conf, "plugin %s: more than %u options", section, CONF_OPTIONS_MAX);
    s = section_create(section, options, n);
    if (s == NULL || add_name(&conf->names, section, NULL) != 0) {
        conf_section_destroy(s);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!check_option(conf, s, i))
            continue;
        if (add_names(conf, section, options[i]) != 0 || resolve_one(conf, s, i) != 0) {
            conf_section_destroy(s);
            return NULL;
        }
    }
    return s;
}

static void texts_fini(struct texts *texts)
{
    free(texts->raw);
    free(texts->origin);
    free(texts->written);
}

void conf_section_destroy(struct conf_section *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n && s->texts != NULL; i++)
        texts_fini(&s->texts[i]);
    free(s->texts);
    free(s->settings);
    free(s->name);
    free(s);
}

const struct spoe_setting *conf_setting(const struct conf_section *s, size_t i)
{
    return i < s->n ? &s->settings[i] : NULL;
}

void conf_setting_written(struct conf *conf, struct conf_section *s, size_t i,
                          struct spoe_span text)
{
    char *own = strndup(text.n > 0 ? text.p : "", text.n);

    assert(i < s->n);
    if (own == NULL)
        conf_error(conf, "%s.%s: out of memory", s->name, s->options[i]->key);
    free(s->texts[i].written);
    s->texts[i].written = own;
}

const char *conf_section_name(const struct conf_section *s)
{
    return s->name;
}

const struct spoe_option *conf_section_option(const struct conf_section *s, size_t i)
{
    return i < s->n ? s->options[i] : NULL;
}

const char *conf_setting_text(const struct conf_section *s, size_t i)
{
    const struct spoe_setting *setting = &s->settings[i];

    assert(i < s->n);
    if (s->texts[i].written != NULL)
        return s->texts[i].written[0] != '\0' ? s->texts[i].written : NULL;
    if (s->options[i]->type == SPOE_OPT_ENUM && setting->value.type == SPOE_T_UINT32)
        return s->options[i]->choices[setting->value.u.u32];
    return s->texts[i].raw;
}

void conf_setting_error(struct conf *conf, const struct conf_section *s, size_t i,
                        const char *format, ...)
{
    const struct spoe_setting *setting = conf_setting(s, i);
    char *text;
    va_list ap;

    assert(setting != NULL);
    va_start(ap, format);
    text = format_text(format, ap);
    va_end(ap);
    conf_error(conf, "%.*s: %s.%s: %s", (int)setting->origin.n, setting->origin.p, s->name,
               option_has_key(s->options[i]) ? s->options[i]->key : "?",
               text != NULL ? text : "out of memory");
    free(text);
}

/* What one of env_lenient[] says will not do: set options[i] by what comes next in preference. */
static int set_by_next(struct conf *conf, struct conf_section *s, size_t i)
{
    int result;

    s->settings[i] = not_set;
    free(s->texts[i].raw);
    free(s->texts[i].origin);
    s->texts[i].raw = s->texts[i].origin = NULL;
    if (set_default(conf, s, i) != 0)
        return -1;
    result = set_by_lenient(conf, s, i);
    if (result == 0)
        result = set_by_file(conf, s, i, 0);
    return result < 0 ? -1 : 0;
}

bool conf_setting_reject(struct conf *conf, struct conf_section *s, size_t i, struct spoe_span text)
{
    const struct spoe_setting *setting = conf_setting(s, i);

    assert(setting != NULL);
    if ((setting->flags & SPOE_SETTING_LENIENT) == 0) {
        conf_setting_error(conf, s, i, "%.*s", (int)text.n, text.p);
        return false;
    }
    conf_warning(conf, "%.*s: %s.%s: %.*s; ignored", (int)setting->origin.n, setting->origin.p,
                 s->name, s->options[i]->key, (int)text.n, text.p);
    if (set_by_next(conf, s, i) != 0)
        conf_error(conf, "%s.%s: out of memory", s->name, s->options[i]->key);
    return true;
}

/* ---- read again ------------------------------------------------------------------------- */

static bool same_span(struct spoe_span a, struct spoe_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool same_value(const struct spoe_value *a, const struct spoe_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) { /* the types of settings */
    case SPOE_T_NULL:
        return true;
    case SPOE_T_BOOL:
        return a->u.b == b->u.b;
    case SPOE_T_UINT32:
        return a->u.u32 == b->u.u32;
    case SPOE_T_STR:
        return same_span(a->u.s, b->u.s);
    default:
        return a->u.u64 == b->u.u64;
    }
}

bool conf_setting_same(const struct spoe_setting *a, const struct spoe_setting *b)
{
    return same_value(&a->value, &b->value);
}

int conf_setting_follow(struct conf *conf, struct conf_section *s, size_t i,
                        const struct conf_section *in_use)
{
    const struct spoe_setting *setting = conf_setting(s, i), *old = conf_setting(in_use, i);

    assert(setting != NULL && old != NULL);
    while ((setting->flags & SPOE_SETTING_LENIENT) != 0 &&
           ((old->flags & SPOE_SETTING_LENIENT) == 0 || !same_span(setting->origin, old->origin))) {
        if (set_by_next(conf, s, i) != 0)
            return -1;
    }
    if (s->texts[i].written == NULL && same_span(setting->origin, old->origin) &&
        conf_setting_same(setting, old)) {
        bool ok = true;

        s->texts[i].written = copy(in_use->texts[i].written, &ok);
        return ok ? 0 : -1;
    }
    return 0;
}

int conf_setting_keep(struct conf_section *s, size_t i, const struct conf_section *in_use)
{
    struct spoe_setting *setting = &s->settings[i];
    const struct texts *from = &in_use->texts[i];
    struct texts texts = {.n_rejected = from->n_rejected};
    bool ok = true;

    texts.raw = copy(from->raw, &ok);
    texts.origin = copy(from->origin, &ok);
    texts.written = copy(from->written, &ok);
    if (!ok) {
        texts_fini(&texts);
        return -1;
    }
    texts_fini(&s->texts[i]);
    s->texts[i] = texts;
    *setting = in_use->settings[i];
    if (texts.raw != NULL) { /* else it is not set at all */
        setting->raw.p = texts.raw;
        setting->origin.p = texts.origin;
    }
    if (setting->value.type == SPOE_T_STR)
        setting->value.u.s.p = texts.raw;
    return 0;
}

bool conf_setting_is_shadowed(struct conf *conf, const struct conf_section *s, size_t i)
{
    const struct entry *file = find_entry(conf, SOURCE_FILE, s->name, s->options[i]->key);
    const struct spoe_setting *setting = conf_setting(s, i);
    struct error err;
    struct spoe_value value;

    if (file == NULL ||
        same_span(setting->origin, (struct spoe_span){file->origin, strlen(file->origin)}))
        return false;
    return option_parse(s->options[i], file->value, &value, &err) == 0 &&
           !same_value(&value, &setting->value);
}

/* ---- what nobody asked for -------------------------------------------------------------- */

static bool section_known(const struct conf *conf, const char *section)
{
    const struct name *n;

    STAILQ_FOREACH(n, &conf->names, next)
    {
        if (n->key == NULL && strcmp(n->section, section) == 0)
            return true;
    }
    return false;
}

static void report_section(struct conf *conf, const struct entry *e)
{
    struct suggestion near;
    const struct name *n;

    suggest_begin(&near, e->section);
    STAILQ_FOREACH(n, &conf->names, next)
    {
        if (n->key == NULL)
            suggest_offer(&near, n->section);
    }
    if (near.best != NULL)
        conf_error(conf, "%s: unknown section [%s]; did you mean [%s]?", e->origin, e->section,
                   near.best);
    else
        conf_error(conf, "%s: unknown section [%s]: neither host nor the id of a loaded plugin",
                   e->origin, e->section);
}

static void report_key(struct conf *conf, const struct entry *e)
{
    struct suggestion near;
    const struct name *n;

    suggest_begin(&near, e->key);
    STAILQ_FOREACH(n, &conf->names, next)
    {
        if (n->key != NULL && strcmp(n->section, e->section) == 0)
            suggest_offer(&near, n->key);
    }
    if (near.best != NULL)
        conf_error(conf, "%s: unknown option %s.%s; did you mean %s?", e->origin, e->section,
                   e->key, near.best);
    else
        conf_error(conf, "%s: unknown option %s.%s", e->origin, e->section, e->key);
}

/* One of those that Kubernetes and Docker make of the names of services: SPOE_HOST_SERVICE_PORT,
 * OTLP_PORT_4317_TCP_ADDR. */
static bool is_service_link(const char *name)
{
    const char *p = name;

    if (strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL)
        return true;
    while ((p = strstr(p, "_PORT")) != NULL) {
        p += strlen("_PORT");
        if (*p == '\0' || (*p == '_' && p[1] >= '0' && p[1] <= '9'))
            return true;
    }
    return false;
}

/* A variable of ours, by its beginning `prefix`, that no option listens to. */
static void check_variable(struct conf *conf, const char *prefix, const char *name)
{
    struct suggestion near;
    const struct name *n;
    bool ours = false;

    suggest_begin(&near, name);
    STAILQ_FOREACH(n, &conf->variables, next)
    {
        if (strcmp(n->key, name) == 0)
            return;
        ours = ours || strncmp(n->key, prefix, strlen(prefix)) == 0;
        suggest_offer(&near, n->key);
    }
    if (is_service_link(name))
        return;
    if (near.best != NULL)
        conf_warning(conf, "environment %s: unknown variable; did you mean %s?", name, near.best);
    else if (ours)
        conf_warning(conf, "environment %s: unknown variable: no option listens to it", name);
}

static void check_environment(struct conf *conf)
{
    static const char *const prefixes[] = {"SPOE_", "OTLP_"};

    if (getauxval(AT_SECURE) != 0) /* as for env_get() */
        return;
    for (char *const *e = environ; e != NULL && *e != NULL; e++) {
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
            const char *equals = strchr(*e, '=');
            char *name;

            if (equals == NULL || equals[1] == '\0' ||
                strncmp(*e, prefixes[i], strlen(prefixes[i])) != 0)
                continue;
            name = strndup(*e, (size_t)(equals - *e));
            if (name == NULL)
                conf_error(conf, "environment: out of memory");
            else
                check_variable(conf, prefixes[i], name);
            free(name);
        }
    }
}

void conf_check_unknown(struct conf *conf)
{
    const struct entry *e;

    STAILQ_FOREACH(e, &conf->entries, next)
    {
        if (section_known(conf, e->section)) {
            if (e->key != NULL && !e->known)
                report_key(conf, e);
        } else if (e->key == NULL || e->source == SOURCE_COMMAND_LINE) {
            /* In the file the section's own line says it once for all of its keys. */
            report_section(conf, e);
        }
    }
    check_environment(conf);
}
