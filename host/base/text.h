/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/text.h - text from outside: white space and lists; and on its way into logs and pages:
 * well-formed UTF-8, and what JSON escapes. No state; threads: [any].
 */
#ifndef HOST_BASE_TEXT_H
#define HOST_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <spoe/plugin.h>

#define TEXT_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, in place of each byte that is no UTF-8 */

/** White space within a line. */
static inline bool text_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/** Without the white space at both ends. */
static inline struct spoe_span text_trim(struct spoe_span text)
{
    for (; text.n > 0 && text_is_blank(text.p[0]); text.n--)
        text.p++;
    while (text.n > 0 && text_is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/**
 * Take the next item off a list, without the white space around it; it may be empty. An empty list
 * has one item, which is empty.
 * @param list  what is left; its p is NULL behind the last item
 * @return false: there is none
 */
static inline bool text_next_item(struct spoe_span *list, char separator,
                                  struct spoe_span *ret_item)
{
    const char *end;

    if (list->p == NULL)
        return false;
    end = memchr(list->p, separator, list->n);
    if (end == NULL) {
        *ret_item = text_trim(*list);
        *list = (struct spoe_span){NULL, 0};
        return true;
    }
    *ret_item = text_trim((struct spoe_span){list->p, (size_t)(end - list->p)});
    list->n -= (size_t)(end - list->p) + 1;
    list->p = end + 1;
    return true;
}

/** Length of the well-formed UTF-8 sequence at s, 0 if there is none; n is at least 1. */
size_t text_utf8_len(const unsigned char *s, size_t n);

/**
 * How JSON writes the character at s, of len bytes as text_utf8_len() says: control characters,
 * quotes and backslashes are escaped.
 * @return bytes in `to`; 0: it stands as it is
 */
size_t text_json_escape(const unsigned char *s, size_t len, char to[7]);

/** Write a JSON string, with its quotes. */
void text_put_json(FILE *out, struct spoe_span text);

#endif
