/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf_sources.c - what command line, file and sockets say, as entries. */
#include "conf/conf_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ini_file.h"
#include "conf/read_file.h"

struct entry *conf_find_entry(struct conf *conf, enum source source, const char *section,
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

void conf_entry_destroy(struct entry *e)
{
    free(e->origin);
    free(e->section);
    free(e->key);
    free(e->value);
    free(e);
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
    e->origin = conf_copy(origin, &ok);
    e->section = conf_copy(section, &ok);
    e->key = conf_copy(key, &ok);
    e->value = conf_copy(value, &ok);
    if (!ok) {
        conf_error(conf, "%s: out of memory", origin);
        conf_entry_destroy(e);
        return;
    }
    STAILQ_INSERT_TAIL(&conf->entries, e, next);
}

static void add_command_line(struct conf *conf, const char *section, const char *key,
                             const char *value)
{
    if (conf_find_entry(conf, SOURCE_COMMAND_LINE, section, key) != NULL)
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

void conf_add_socket(struct conf *conf, const char *key, const char *name)
{
    char *value = NULL, *origin = NULL;

    if (asprintf(&value, "fd:%s", name) < 0)
        value = NULL;
    if (asprintf(&origin, "socket %s", name) < 0)
        origin = NULL;
    if (value == NULL || origin == NULL)
        conf_error(conf, "socket %s: out of memory", name);
    else
        add_entry(conf, SOURCE_SOCKET, origin, 0, "host", key, value);
    free(value);
    free(origin);
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
    const struct entry *before = conf_find_entry(file->conf, SOURCE_FILE, section, key);

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
