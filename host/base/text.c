/* SPDX-License-Identifier: Apache-2.0 */
/* host/base/text.c - see text.h. */
#include "base/text.h"

#include <stdbool.h>
#include <string.h>

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Unicode 15, table 3-7. */
size_t text_utf8_len(const unsigned char *s, size_t n)
{
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t len;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        len = 2;
    else if ((s[0] & 0xf0) == 0xe0)
        len = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        len = 4;
    else
        return 0;
    if (s[0] == 0xe0) /* overlong */
        low = 0xa0;
    else if (s[0] == 0xed) /* surrogates */
        high = 0x9f;
    else if (s[0] == 0xf0) /* overlong */
        low = 0x90;
    else if (s[0] == 0xf4) /* above U+10FFFF */
        high = 0x8f;
    if (n < len || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_continuation(s[i]))
            return 0;
    return len;
}

/* How JSON writes a control character, quote or backslash; 0 for any other. */
static size_t escape(unsigned code, char to[7])
{
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "\"\"\\\\\nn\rr\tt"; /* pairs: the character, its letter */

    for (const char *letter = named; *letter != '\0'; letter += 2) {
        if (code == (unsigned char)letter[0]) {
            to[0] = '\\';
            to[1] = letter[1];
            return 2;
        }
    }
    if (code >= 0x20 && (code < 0x7f || code > 0x9f))
        return 0;
    memcpy(to, "\\u00", 4);
    to[4] = hex[code >> 4];
    to[5] = hex[code & 0x0f];
    return 6;
}

size_t text_json_escape(const unsigned char *s, size_t len, char to[7])
{
    /* Of the longer ones only U+0080 to U+009F, control characters too, are escaped. */
    return escape(len == 1 ? s[0] : len == 2 ? (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu) : 0x100, to);
}

void text_put_json(FILE *out, struct spoe_span text)
{
    const unsigned char *s = (const unsigned char *)text.p;
    size_t left = text.n;

    (void)fputc('"', out);
    while (left > 0) {
        size_t len = text_utf8_len(s, left), n;
        char esc[7];

        if (len == 0) {
            (void)fputs(TEXT_REPLACEMENT, out);
            len = 1;
        } else if ((n = text_json_escape(s, len, esc)) != 0) {
            (void)fwrite(esc, 1, n, out);
        } else {
            (void)fwrite(s, 1, len, out);
        }
        s += len;
        left -= len;
    }
    (void)fputc('"', out);
}
