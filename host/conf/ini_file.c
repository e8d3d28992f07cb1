/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/ini_file.c - see ini_file.h. */
#include "conf/ini_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

_Static_assert(INI_LINE_MAX == 65536, "the error says so");

struct reader {
    FILE *file;
    const struct ini_events *events;
    void *user;
    unsigned line;
    bool lost;                      /* the last section line was bad: keys belong nowhere */
    char text[INI_LINE_MAX + 2];    /* the line, with room for its CR and the NUL */
    char section[INI_LINE_MAX + 1]; /* of the keys that come */
};

enum line_status { LINE_OK, LINE_END, LINE_LONG, LINE_NUL, LINE_FAILED };

/* Read one line without its LF or CR LF. */
static enum line_status read_line(struct reader *r)
{
    enum line_status status = LINE_OK;
    size_t n = 0;
    int c;

    while ((c = getc(r->file)) != EOF && c != '\n') {
        if (c == '\0')
            status = LINE_NUL;
        else if (n <= INI_LINE_MAX) /* one more, which may be the CR */
            r->text[n++] = (char)c;
        else if (status == LINE_OK)
            status = LINE_LONG;
    }
    if (c == EOF && ferror(r->file))
        return LINE_FAILED;
    if (c == EOF && n == 0 && status == LINE_OK)
        return LINE_END;
    if (n > 0 && r->text[n - 1] == '\r')
        n--;
    if (n > INI_LINE_MAX && status == LINE_OK)
        status = LINE_LONG;
    r->text[n] = '\0';
    return status;
}

/* Take the white space off both ends. */
static char *trim(char *text)
{
    const struct spoe_span span = text_trim((struct spoe_span){text, strlen(text)});

    text += span.p - text;
    text[span.n] = '\0';
    return text;
}

/* End the text where a comment begins: at a ';' with white space before it. */
static void cut_comment(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if (*p == ';' && p > text && text_is_blank(p[-1])) {
            *p = '\0';
            return;
        }
    }
}

/* A line that begins with '['. @return 0; -1 with *reterr */
static int read_section(struct reader *r, const char *line, struct error *reterr)
{
    const char *end = strchr(line, ']');
    const char *rest;
    size_t n;

    if (end == NULL)
        return error_set(reterr, "a section without its ]");
    for (rest = end + 1; text_is_blank(*rest); rest++)
        ;
    if (*rest != '\0' && *rest != ';' && *rest != '#')
        return error_set(reterr, "text after the ] of a section");
    n = (size_t)(end - line) - 1;
    if (n == 0)
        return error_set(reterr, "a section without a name");
    memcpy(r->section, line + 1, n);
    r->section[n] = '\0';
    r->events->section(r->user, r->line, r->section);
    return 0;
}

/* Any other line. @return 0; -1 with *reterr */
static int read_key(struct reader *r, char *line, struct error *reterr)
{
    char *separator, *value;

    cut_comment(line);
    separator = strpbrk(line, "=:");
    if (separator == NULL)
        return error_set(reterr, "neither [section] nor key = value");
    *separator = '\0';
    value = trim(separator + 1);
    line = trim(line);
    if (r->lost)
        return 0;
    if (*line == '\0')
        return error_set(reterr, "a value without a key");
    if (r->section[0] == '\0')
        return error_set(reterr, "a key before any [section]");
    r->events->key(r->user, r->line, r->section, line, value);
    return 0;
}

/* @return 0; -1 with *reterr */
static int read_text(struct reader *r, struct error *reterr)
{
    char *line = r->text;
    int result;

    if (r->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3; /* a byte order mark */
    while (text_is_blank(*line))
        line++;
    if (*line == '\0' || *line == ';' || *line == '#')
        return 0;
    if (*line != '[')
        return read_key(r, line, reterr);
    result = read_section(r, line, reterr);
    r->lost = result != 0;
    return result;
}

void ini_read(FILE *file, const struct ini_events *events, void *user)
{
    struct reader *r = calloc(1, sizeof *r);
    enum line_status status = LINE_OK;
    struct error error;
    int result;

    if (r == NULL) {
        events->error(user, 0, "cannot be read: out of memory");
        return;
    }
    r->file = file;
    r->events = events;
    r->user = user;
    while ((status = read_line(r)) != LINE_END && status != LINE_FAILED) {
        r->line++;
        result = status == LINE_LONG  ? error_set(&error, "a line of more than 65536 bytes")
                 : status == LINE_NUL ? error_set(&error, "a NUL byte")
                                      : read_text(r, &error);
        if (result != 0)
            events->error(user, r->line, error.text);
    }
    if (status == LINE_FAILED) {
        (void)error_set(&error, "cannot be read: %s", strerror(errno));
        events->error(user, 0, error.text);
    }
    free(r);
}
