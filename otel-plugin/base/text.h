/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/base/text.h - a run of bytes as it came from a header, borrowed; and lists in one.
 */
#ifndef OTEL_BASE_TEXT_H
#define OTEL_BASE_TEXT_H

#include <stdbool.h>
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

/** White space between what counts; a secret that is mounted as a file ends in a line end. */
static inline bool text_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/** Without the white space at both ends. */
static inline struct text text_trim(struct text text)
{
    for (; text.n > 0 && text_is_space(text.p[0]); text.n--)
        text.p++;
    while (text.n > 0 && text_is_space(text.p[text.n - 1]))
        text.n--;
    return text;
}

/** What stands before the first c, or all of it. */
static inline struct text text_before(struct text text, char c)
{
    const char *at = text.n > 0 ? memchr(text.p, c, text.n) : NULL;

    return at != NULL ? (struct text){text.p, (size_t)(at - text.p)} : text;
}

/**
 * Take the next item off a list, without the white space around it; it may be empty. An empty list
 * has one item, which is empty.
 * @param list  what is left; its p is NULL behind the last item
 * @return false: there is none
 */
static inline bool text_next_item(struct text *list, char separator, struct text *ret)
{
    struct text item;

    if (list->p == NULL)
        return false;
    item = text_before(*list, separator);
    *ret = text_trim(item);
    if (item.n == list->n)
        *list = (struct text){NULL, 0};
    else
        *list = (struct text){item.p + item.n + 1, list->n - item.n - 1};
    return true;
}

#endif
