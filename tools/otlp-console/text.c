/* SPDX-License-Identifier: Apache-2.0 */
/* tools/otlp-console/text.c - escaping. */
#include "text.h"

#include <string.h>

/*
 * The length of the UTF-8 character at the head of a string.
 * @return 0: it is not one (RFC 3629, table of section 4)
 */
static size_t utf8_length(const unsigned char *p)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

/* C0, DEL, and C1 in UTF-8 (0xc2 0x80 .. 0xc2 0x9f): what terminals may act on. */
static int is_control(const unsigned char *p)
{
    return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

void text_plain(FILE *out, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    while (*p != '\0') {
        const size_t n = utf8_length(p);

        if (n == 0 || is_control(p)) {
            (void)fprintf(out, "\\x%02x", *p++);
        } else {
            (void)fwrite(p, 1, n, out);
            p += n;
        }
    }
}

void text_json(FILE *out, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    (void)putc('"', out);
    while (*p != '\0') {
        const size_t n = utf8_length(p);

        if (n == 0) {
            (void)fputs("\\ufffd", out);
            p++;
        } else if (*p == '"' || *p == '\\') {
            (void)fprintf(out, "\\%c", *p++);
        } else if (n == 1 && is_control(p)) {
            (void)fprintf(out, "\\u%04x", *p++);
        } else {
            (void)fwrite(p, 1, n, out);
            p += n;
        }
    }
    (void)putc('"', out);
}

void text_hex(FILE *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fprintf(out, "%02x", p[i]);
}
