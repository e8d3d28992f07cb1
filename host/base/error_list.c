/* SPDX-License-Identifier: Apache-2.0 */
/* host/base/error_list.c - see error_list.h. */
#include "base/error_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

void error_list_addv(struct error_list *list, const char *format, va_list ap)
{
    if (list->n < ERROR_LIST_MAX && vasprintf(&list->text[list->n], format, ap) < 0)
        list->text[list->n] = NULL;
    list->n++;
}

void error_list_add(struct error_list *list, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    error_list_addv(list, format, ap);
    va_end(ap);
}

const char *error_list_text(const struct error_list *list, size_t i)
{
    if (i >= list->n || i >= ERROR_LIST_MAX)
        return NULL;
    return list->text[i] != NULL ? list->text[i] : "out of memory";
}

void error_list_log(const struct error_list *list, size_t from, int level, const char *component)
{
    const char *text;

    for (size_t i = from; (text = error_list_text(list, i)) != NULL; i++)
        log_line(level, component, "%s", text);
    if (list->n > ERROR_LIST_MAX)
        log_line(level, component, "and %zu more", list->n - ERROR_LIST_MAX);
}

void error_list_fini(struct error_list *list)
{
    for (size_t i = 0; i < ERROR_LIST_MAX; i++)
        free(list->text[i]);
    *list = (struct error_list){.n = 0};
}
