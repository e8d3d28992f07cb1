/* SPDX-License-Identifier: Apache-2.0 */
/* host/new_plugin.c - see new_plugin.h. */
#include "new_plugin.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/read_file.h"
#include "core/descriptor.h"

/* What stands in the files for the name, and for the name as C and HAProxy's variables want it. */
#define NAME "@NAME@"
#define IDENT "@IDENT@"

/* In their order; a folder ends with "/". NULL: as it is called there. */
static const struct {
    const char *from, *to;
} files[] = {
    {"CMakeLists.txt", NULL},
    {"plugin.c.in", NAME ".c"},
    {"plugin.script", NAME ".script"},
    {"haproxy.cfg", NULL},
    {"README.md", NULL},
    {"Containerfile", NULL},
    {NULL, ".github/"},
    {NULL, ".github/workflows/"},
    {"workflow.yml", ".github/workflows/build.yml"},
};

/* @return 0; -1 with *reterr */
static int check_name(const char *name, struct error *reterr)
{
    const size_t n = strlen(name);

    if (n == 0 || n > PLUGIN_ID_MAX || name[0] < 'a' || name[0] > 'z' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n || strcmp(name, "host") == 0)
        return error_set(reterr,
                         "\"%.64s\" is no name for a plugin: a letter, then up to %u more of a-z, "
                         "0-9 and -, and not host",
                         name, PLUGIN_ID_MAX - 1);
    return 0;
}

/* The text with the names put in. */
static void put_text(FILE *out, const char *text, const char *name)
{
    while (*text != '\0') {
        if (strncmp(text, NAME, strlen(NAME)) == 0) {
            (void)fputs(name, out);
            text += strlen(NAME);
        } else if (strncmp(text, IDENT, strlen(IDENT)) == 0) {
            for (const char *p = name; *p != '\0'; p++)
                (void)fputc(*p == '-' ? '_' : *p, out);
            text += strlen(IDENT);
        } else {
            (void)fputc(*text++, out);
        }
    }
}

/* @return 0; -1 with *reterr */
static int write_file(const char *path, const char *text, const char *name, struct error *reterr)
{
    FILE *out = fopen(path, "wxe"); /* nothing that is there is written over */
    int result = 0;

    if (out == NULL)
        return error_set(reterr, "%s: %s", path, strerror(errno));
    put_text(out, text, name);
    if (ferror(out) != 0)
        result = -1;
    if (fclose(out) != 0)
        result = -1;
    return result == 0 ? 0 : error_set(reterr, "%s: it could not be written", path);
}

/* Where the i-th goes. @return 0; -1 it does not fit */
static int path_of(size_t i, const char *name, char ret[PATH_MAX])
{
    const char *to = files[i].to != NULL ? files[i].to : files[i].from;
    FILE *out;

    if (strlen(to) + (size_t)2 * PLUGIN_ID_MAX + 2 > PATH_MAX)
        return -1;
    out = fmemopen(ret, PATH_MAX, "w");
    if (out == NULL)
        return -1;
    (void)fprintf(out, "%s/", name);
    put_text(out, to, name);
    return fclose(out) == 0 ? 0 : -1;
}

/* @return 0; -1 with *reterr */
static int write_one(const char *templates, size_t i, const char *name, struct error *reterr)
{
    char from[PATH_MAX], to[PATH_MAX], *text = NULL;
    size_t n;
    int result;

    if (path_of(i, name, to) != 0)
        return error_set(reterr, "out of memory");
    if (files[i].from == NULL)
        return mkdir(to, 0777) == 0 ? 0 : error_set(reterr, "%s: %s", to, strerror(errno));
    (void)snprintf(from, sizeof from, "%s/%s", templates, files[i].from);
    if (read_file(from, 0, &text, &n, reterr) != 0)
        return -1;
    result = write_file(to, text, name, reterr);
    free(text);
    return result;
}

int new_plugin_write(const char *templates, const char *name, struct error *reterr)
{
    if (check_name(name, reterr) != 0)
        return -1;
    if (mkdir(name, 0777) != 0)
        return error_set(reterr, "%s: %s", name, strerror(errno));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (write_one(templates, i, name, reterr) != 0)
            return -1;
    }
    return 0;
}
