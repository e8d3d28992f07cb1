/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/ini_file.c - see ini_file.h. */
#include "conf/ini_file.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <string.h>

#include "conf/conf.h"

struct reader {
    FILE *file;
    const struct ini_events *events;
    void *user;
    unsigned line;
    bool pending;                    /* a line that must turn out to be a key was handed out */
    bool lost;                       /* the last section line was bad: keys belong nowhere */
    char section[CONF_LINE_MAX + 1]; /* the whole name: libinih cuts it at 50 bytes */
};

enum line_status { LINE_OK, LINE_END, LINE_LONG, LINE_NUL, LINE_FAILED };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Read one line without its LF or CR LF; at most `limit` bytes of it are kept. */
static enum line_status read_line(FILE *file, size_t limit, char line[CONF_LINE_MAX + 2])
{
    enum line_status status = LINE_OK;
    size_t n = 0;
    int c;

    while ((c = getc(file)) != EOF && c != '\n') {
        if (c == '\0')
            status = LINE_NUL;
        else if (n <= limit) /* one more, which may be the CR */
            line[n++] = (char)c;
        else if (status == LINE_OK)
            status = LINE_LONG;
    }
    if (c == EOF && ferror(file))
        return LINE_FAILED;
    if (c == EOF && n == 0 && status == LINE_OK)
        return LINE_END;
    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (n > limit) {
        n = limit;
        if (status == LINE_OK)
            status = LINE_LONG;
    }
    line[n] = '\0';
    return status;
}

/* @return NULL, or what is wrong with a line that begins with '['. */
static const char *read_section(struct reader *r, const char *line)
{
    const char *end = strchr(line, ']');
    const char *rest;
    size_t n;

    if (end == NULL)
        return "a section without its ]";
    for (rest = end + 1; is_blank(*rest); rest++)
        ;
    if (*rest != '\0' && *rest != ';' && *rest != '#')
        return "text after the ] of a section";
    n = (size_t)(end - line) - 1;
    if (n == 0)
        return "a section without a name";
    memcpy(r->section, line + 1, n);
    r->section[n] = '\0';
    r->events->section(r->user, r->line, r->section);
    return NULL;
}

/* The last line that was handed out should have come back through on_key(). */
static void check_pending(struct reader *r)
{
    if (r->pending)
        r->events->error(r->user, r->line, "neither [section] nor key = value");
    r->pending = false;
}

/* libinih's source of lines. A line that it must not see becomes an empty one. */
static char *next_line(char *str, int num, void *stream)
{
    struct reader *r = stream;
    const size_t room = num > 0 ? (size_t)num - 1 : 0;
    const size_t limit = room < CONF_LINE_MAX ? room : CONF_LINE_MAX;
    char line[CONF_LINE_MAX + 2] = "";
    const char *p = line;
    enum line_status status;

    check_pending(r);
    status = read_line(r->file, limit, line);
    if (status == LINE_END)
        return NULL;
    if (status == LINE_FAILED) {
        char text[128];

        (void)snprintf(text, sizeof text, "cannot be read: %m");
        r->events->error(r->user, 0, text);
        return NULL;
    }
    r->line++;
    str[0] = '\0';
    if (status == LINE_LONG || status == LINE_NUL) {
        char text[64];

        (void)snprintf(text, sizeof text, "a line of more than %zu bytes", limit);
        r->events->error(r->user, r->line, status == LINE_LONG ? text : "a NUL byte");
        return str;
    }
    if (r->line == 1 && strncmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    while (is_blank(*p))
        p++;
    if (*p == '[') {
        const char *wrong = read_section(r, p);

        if (wrong != NULL)
            r->events->error(r->user, r->line, wrong);
        r->lost = wrong != NULL;
        return str;
    }
    r->pending = *p != '\0' && *p != ';' && *p != '#';
    memcpy(str, p, strlen(p) + 1);
    return str;
}

static int on_key(void *user, const char *section, const char *name, const char *value)
{
    struct reader *r = user;

    (void)section; /* cut; and the section lines stay with the reader */
    r->pending = false;
    if (r->lost)
        return 1;
    if (name[0] == '\0')
        r->events->error(r->user, r->line, "a value without a key");
    else if (r->section[0] == '\0')
        r->events->error(r->user, r->line, "a key before any [section]");
    else
        r->events->key(r->user, r->line, r->section, name, value != NULL ? value : "");
    return 1;
}

void ini_read(FILE *file, const struct ini_events *events, void *user)
{
    struct reader r = {.file = file, .events = events, .user = user};

    /* Its result is the first bad line, which the reader has seen already, or out of memory. */
    if (ini_parse_stream(next_line, &r, on_key, &r) == -2)
        events->error(user, 0, "cannot be read: out of memory");
}
