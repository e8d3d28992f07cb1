/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/base/utf8.h - make any bytes a valid UTF-8 string of bounded length.
 *
 * What is not UTF-8 becomes U+FFFD, one for each maximal part that could have begun a character
 * (Unicode 15, 3.9, "U+FFFD Substitution of Maximal Subparts"). NUL becomes U+FFFD too: it is
 * valid UTF-8, but protobuf-c's strings end at it.
 */
#ifndef OTEL_BASE_UTF8_H
#define OTEL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/** Whether utf8_repair() would change nothing but the length. */
bool utf8_is_clean(const char *p, size_t n);

/**
 * Copy what is plain ASCII without NUL, as nearly every string that HAProxy sends is.
 * @param ret  n bytes
 * @return false: it is something else, and ret is undefined; utf8_repair() does it then
 */
bool utf8_copy_clean(const char *p, size_t n, char *ret);

/**
 * Repair.
 * @param max  bytes to write at most; the text is cut before the character that would pass it
 * @param ret  max bytes, or NULL to learn the length only; must not overlap p
 * @return the number of bytes written
 */
size_t utf8_repair(const char *p, size_t n, char *ret, size_t max);

/**
 * The length of the repaired text if it is cut also after so many characters.
 * @param max  bytes
 */
size_t utf8_repair_chars(const char *p, size_t n, size_t max, size_t max_chars);

#endif
