/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf.c - the configuration as a whole: its life, its errors and warnings. */
#include "conf/conf_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *conf_format_text(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));
char *conf_format_text(const char *format, va_list ap)
{
    char *text = NULL;

    return vasprintf(&text, format, ap) < 0 ? NULL : text;
}

char *conf_copy(const char *text, bool *ok)
{
    char *p;

    if (text == NULL)
        return NULL;
    p = strdup(text);
    if (p == NULL)
        *ok = false;
    return p;
}

/* Counted even if there is no memory for its text: none is lost. */
static void add_note(struct notes *notes, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void add_note(struct notes *notes, const char *format, va_list ap)
{
    if (notes->n < CONF_ERRORS_MAX)
        notes->text[notes->n] = conf_format_text(format, ap);
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

void conf_destroy(struct conf *conf)
{
    struct entry *e;

    if (conf == NULL)
        return;
    while ((e = STAILQ_FIRST(&conf->entries)) != NULL) {
        STAILQ_REMOVE_HEAD(&conf->entries, next);
        conf_entry_destroy(e);
    }
    conf_names_destroy(&conf->names);
    conf_names_destroy(&conf->variables);
    for (size_t i = 0; i < CONF_ERRORS_MAX; i++) {
        free(conf->errors.text[i]);
        free(conf->warnings.text[i]);
    }
    free(conf);
}
