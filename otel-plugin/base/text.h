/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/base/text.h - a run of bytes as it came from a header, borrowed.
 */
#ifndef OTEL_BASE_TEXT_H
#define OTEL_BASE_TEXT_H

#include <stddef.h>
#include <string.h>

struct text {
    const char *p; /* may be NULL where n is 0 */
    size_t n;      /* 0: the header was not there, or empty */
};

/** A text over a NUL-terminated string. */
static inline struct text text_of(const char *s)
{
    return (struct text){s, strlen(s)};
}

static inline int text_is(struct text text, const char *s)
{
    return text.n == strlen(s) && memcmp(text.p, s, text.n) == 0;
}

#endif
