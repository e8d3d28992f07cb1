/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf.c - the configuration as a whole: its life, its errors and warnings. */
#include "conf/conf_parts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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

void conf_error(struct conf *conf, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    error_list_addv(&conf->errors, format, ap);
    va_end(ap);
}

const struct error_list *conf_errors(const struct conf *conf)
{
    return &conf->errors;
}

size_t conf_error_count(const struct conf *conf)
{
    return conf->errors.n;
}

const char *conf_error_text(const struct conf *conf, size_t i)
{
    return error_list_text(&conf->errors, i);
}

void conf_warning(struct conf *conf, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    error_list_addv(&conf->warnings, format, ap);
    va_end(ap);
}

const struct error_list *conf_warnings(const struct conf *conf)
{
    return &conf->warnings;
}

size_t conf_warning_count(const struct conf *conf)
{
    return conf->warnings.n;
}

const char *conf_warning_text(const struct conf *conf, size_t i)
{
    return error_list_text(&conf->warnings, i);
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
    error_list_fini(&conf->errors);
    error_list_fini(&conf->warnings);
    free(conf);
}
