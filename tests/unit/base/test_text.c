/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_text.c - every character of Unicode, and what is none (9.1). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

TestSuite(text, .timeout = 60);

/* As the definition has it, valid or not: n bytes hold the lowest 7, 11, 16 or 21 bits. */
static void encode(uint32_t c, size_t n, unsigned char to[4])
{
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i-- > 1; c >>= 6)
        to[i] = (unsigned char)(0x80 | (c & 0x3f));
    to[0] = (unsigned char)(marks[n] | c);
}

static size_t shortest(uint32_t c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

Test(text, well_formed_sequences_are_those_of_the_definition)
{
    static const uint32_t ends[] = {0, 0x80, 0x800, 0x10000, 0x200000};

    for (size_t n = 1; n <= 4; n++) {
        unsigned char *exact = malloc(n); /* its end is guarded */

        cr_assert_not_null(exact);
        for (uint32_t c = 0; c < ends[n]; c++) {
            const bool surrogate = c >= 0xd800 && c <= 0xdfff;
            const bool good = shortest(c) == n && !surrogate && c <= 0x10ffff;

            encode(c, n, exact);
            if (text_utf8_len(exact, n) != (good ? n : 0))
                cr_assert_fail("U+%04X in %zu bytes", c, n);
            for (size_t cut = 1; cut < n; cut++) {
                if (text_utf8_len(exact, cut) != 0)
                    cr_assert_fail("U+%04X cut at %zu", c, cut);
            }
            if (c >= 0x12000)
                c += 0x3f; /* each lead and second byte once */
        }
        free(exact);
    }
}

Test(text, every_byte_of_a_sequence_is_looked_at)
{
    static const char *const good[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    for (size_t g = 0; g < 3; g++) {
        const size_t n = strlen(good[g]);

        for (size_t i = 1; i < n; i++) {
            for (unsigned b = 0; b < 256; b++) {
                unsigned char s[4];

                memcpy(s, good[g], n);
                s[i] = (unsigned char)b;
                if (b < 0x80 || b > 0xbf)
                    cr_assert_eq(text_utf8_len(s, n), 0, "byte %zu is %02x", i, b);
                else if (i > 1)
                    cr_assert_eq(text_utf8_len(s, n), n, "byte %zu is %02x", i, b);
            }
        }
    }
    for (unsigned b = 0x80; b < 256; b++)
        cr_assert_eq(text_utf8_len((const unsigned char[]){(unsigned char)b, 'a', 'a', 'a'}, 4), 0);
}

/* What JSON must escape, what breaks a line of a log, and nothing else. */
Test(text, json_escapes_control_characters_quotes_and_backslashes)
{
    for (uint32_t c = 0; c < 0x3000; c++) {
        const size_t n = shortest(c);
        unsigned char s[4];
        char got[7] = {0}, want[8] = "";

        encode(c, n, s);
        if (c == '"' || c == '\\')
            (void)snprintf(want, sizeof want, "\\%c", (char)c);
        else if (c == '\n')
            (void)snprintf(want, sizeof want, "\\n");
        else if (c == '\r')
            (void)snprintf(want, sizeof want, "\\r");
        else if (c == '\t')
            (void)snprintf(want, sizeof want, "\\t");
        else if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
            (void)snprintf(want, sizeof want, "\\u%04x", c);
        cr_assert_eq(text_json_escape(s, n, got), strlen(want), "U+%04X", c);
        cr_assert_eq(memcmp(got, want, strlen(want)), 0, "U+%04X: %s", c, got);
    }
}

static void expect_json(const char *bytes, size_t n, const char *want)
{
    char *got;
    size_t size;
    FILE *out = open_memstream(&got, &size);

    cr_assert_not_null(out);
    text_put_json(out, (struct spoe_span){bytes, n});
    cr_assert_eq(fclose(out), 0);
    cr_assert_str_eq(got, want);
    free(got);
}

Test(text, json_strings_are_whole)
{
    expect_json(NULL, 0, "\"\"");
    expect_json("abc", 3, "\"abc\"");
    expect_json("a\"\xff\xc3\xa4\xe2\x82\xac\n\0z", 11,
                "\"a\\\"" TEXT_REPLACEMENT "\xc3\xa4\xe2\x82\xac\\n\\u0000z\"");
    expect_json("\xe2\x82", 2, "\"" TEXT_REPLACEMENT TEXT_REPLACEMENT "\"");
    expect_json("\xc2\x85", 2, "\"\\u0085\"");
}
