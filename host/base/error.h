/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/error.h - how a function says what went wrong.
 *
 *   result   0 or a count; negative where it failed: -1, or a code of its module's one enum
 *   text     one sentence without an end, in a struct error of the caller's; set on failure only.
 *            Each caller may put what it knows before it; who decides what happens logs it, once
 *   several  where the work goes on after the first: base/error_list.h
 */
#ifndef HOST_BASE_ERROR_H
#define HOST_BASE_ERROR_H

#include <stdarg.h>
#include <stdio.h>

/* Long enough for a path and two versions. */
struct error {
    char text[1024];
};

/** Set the text. @return -1, to be returned at once; NULL suits those who return pointers */
static inline int error_set(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline int error_set(struct error *error, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(error->text, sizeof error->text, format, ap);
    va_end(ap);
    return -1;
}

#endif
