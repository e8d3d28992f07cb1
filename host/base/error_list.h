/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/error_list.h - several errors, or warnings, of one piece of work that goes on after the
 * first: texts as in error.h. Zero-initialised it is empty. No locking.
 */
#ifndef HOST_BASE_ERROR_LIST_H
#define HOST_BASE_ERROR_LIST_H

#include <stdarg.h>
#include <stddef.h>

#define ERROR_LIST_MAX 64u /* kept; further ones are only counted */

struct error_list {
    size_t n; /* those that were not kept included */
    char *text[ERROR_LIST_MAX];
};

/** Add one. Counted even if there is no memory for its text: none is lost. */
void error_list_add(struct error_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void error_list_addv(struct error_list *list, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));

/** The i-th, or NULL past the last that was kept. */
const char *error_list_text(const struct error_list *list, size_t i);

/** Log those from number `from` on, a line each, and how many more there are. */
void error_list_log(const struct error_list *list, size_t from, int level, const char *component);

void error_list_fini(struct error_list *list);

#endif
