/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/base/utf8.c - UTF-8 by table 3-7 of the Unicode standard. */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define REPLACEMENT_LEN 3u

/*
 * Length of the character, or of the broken part of one, at p. n is at least 1.
 * *ret_ok says which of the two it is.
 */
static size_t step(const unsigned char *p, size_t n, bool *ret_ok)
{
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t need;

    *ret_ok = false;
    if (p[0] < 0x80) {
        *ret_ok = p[0] != 0;
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        need = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        need = 3;
        if (p[0] == 0xe0)
            low = 0xa0;
        else if (p[0] == 0xed)
            high = 0x9f; /* no surrogates */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        need = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        else if (p[0] == 0xf4)
            high = 0x8f; /* nothing above U+10FFFF */
    } else {
        return 1;
    }
    if (n < 2 || p[1] < low || p[1] > high)
        return 1;
    for (size_t i = 2; i < need; i++)
        if (i >= n || (p[i] & 0xc0) != 0x80)
            return i;
    *ret_ok = true;
    return need;
}

#define HIGH_BITS UINT64_C(0x8080808080808080)
#define ONES UINT64_C(0x0101010101010101)

/*
 * Has a high bit where a byte of the word is 0 or above 0x7f: 0 borrows from its high bit. Others
 * may show one as well then, but with none of these two kinds nothing can set one.
 */
static inline uint64_t not_plain(uint64_t word)
{
    return (word | (word - ONES)) & HIGH_BITS;
}

bool utf8_copy_clean(const char *p, size_t n, char *ret)
{
    uint64_t word, bad = 0;
    uint32_t half;
    size_t i = 0;

    if (n >= sizeof word) {
        for (; n - i >= sizeof word; i += sizeof word) {
            memcpy(&word, p + i, sizeof word);
            memcpy(ret + i, &word, sizeof word);
            bad |= not_plain(word);
        }
        i = n - sizeof word; /* the last word overlaps with the one before */
        memcpy(&word, p + i, sizeof word);
        memcpy(ret + i, &word, sizeof word);
        return (bad | not_plain(word)) == 0;
    }
    if (n >= sizeof half) {
        memcpy(&half, p, sizeof half);
        memcpy(ret, &half, sizeof half);
        word = half;
        memcpy(&half, p + n - sizeof half, sizeof half);
        memcpy(ret + n - sizeof half, &half, sizeof half);
        return not_plain(word << 32 | half) == 0;
    }
    for (; i < n; i++) {
        ret[i] = p[i];
        bad |= (unsigned char)p[i] - 1u >= 0x7fu;
    }
    return bad == 0;
}

/*
 * How many of the first n bytes are plain ASCII without NUL: whole words of them at least. Nearly
 * every string that HAProxy sends is, to its end.
 */
static size_t plain_length(const char *p, size_t n)
{
    size_t i = 0;

    for (uint64_t word; n - i >= sizeof word; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        if (not_plain(word) != 0)
            return i;
    }
    while (i < n && (unsigned char)p[i] - 1u < 0x7fu)
        i++;
    return i;
}

bool utf8_is_clean(const char *p, size_t n)
{
    bool ok = true;

    for (size_t i = plain_length(p, n); i < n && ok;)
        i += step((const unsigned char *)p + i, n - i, &ok);
    return ok;
}

size_t utf8_repair(const char *p, size_t n, char *ret, size_t max)
{
    size_t written = plain_length(p, n < max ? n : max);

    if (ret != NULL)
        memcpy(ret, p, written);
    for (size_t i = written; i < n;) {
        bool ok;
        const size_t len = step((const unsigned char *)p + i, n - i, &ok);
        const char *from = ok ? p + i : REPLACEMENT;
        const size_t from_len = ok ? len : REPLACEMENT_LEN;

        if (from_len > max - written)
            break;
        if (ret != NULL)
            memcpy(ret + written, from, from_len);
        written += from_len;
        i += len;
    }
    return written;
}

size_t utf8_repair_chars(const char *p, size_t n, size_t max, size_t max_chars)
{
    size_t written = 0, chars = 0;

    for (size_t i = 0; i < n && chars < max_chars; chars++) {
        bool ok;
        const size_t len = step((const unsigned char *)p + i, n - i, &ok);
        const size_t out = ok ? len : REPLACEMENT_LEN;

        if (out > max - written)
            break;
        written += out;
        i += len;
    }
    return written;
}
