/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/text.h - text from outside on its way into logs and pages: well-formed UTF-8, and
 * what JSON escapes. No state; threads: [any].
 */
#ifndef HOST_BASE_TEXT_H
#define HOST_BASE_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include <spoe/plugin.h>

#define TEXT_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, in place of each byte that is no UTF-8 */

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
