/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_trace_context.c - traceparent and ids. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "context/ids.h"
#include "context/trace_context.h"
#include "w3c_vectors.h"

#define T "12345678901234567890123456789012"
#define S "1234567890123456"

/* What W3C's own test suite sends, and more: tests/lib/w3c.py. */
static const struct vector {
    const char *name;
    const char *text;
    bool valid;
    uint8_t flags;
} vectors[] = {W3C_TRACEPARENTS};

Test(trace_context, parses_as_the_standard_says, .timeout = 10)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct vector *v = &vectors[i];
        struct trace_context c = {.flags = 0x55};
        const bool valid = traceparent_parse(v->text, strlen(v->text), &c);

        cr_expect_eq(valid, v->valid, "%s: got %d", v->name, valid);
        if (!valid) {
            cr_expect_eq(c.flags, 0x55, "%s: the result was touched", v->name);
            continue;
        }
        cr_expect_eq(c.flags, v->flags, "%s: flags %02x", v->name, c.flags);
        cr_expect_eq(memcmp(c.trace_id,
                            "\x12\x34\x56\x78\x90\x12\x34\x56\x78\x90\x12\x34\x56\x78\x90\x12", 16),
                     0, "%s: trace id", v->name);
        cr_expect_eq(memcmp(c.span_id, "\x12\x34\x56\x78\x90\x12\x34\x56", 8), 0, "%s: span id",
                     v->name);
    }
}

Test(trace_context, every_shorter_text_is_invalid, .timeout = 10)
{
    static const char text[] = "00-" T "-" S "-01";
    struct trace_context c;

    for (size_t n = 0; n < TRACEPARENT_LEN; n++)
        cr_expect_not(traceparent_parse(text, n, &c), "%zu bytes", n);
    cr_expect(traceparent_parse(text, TRACEPARENT_LEN, &c));
}

Test(trace_context, no_single_byte_may_be_a_nul, .timeout = 10)
{
    for (size_t i = 0; i < TRACEPARENT_LEN; i++) {
        char text[] = "00-" T "-" S "-01";
        struct trace_context c;

        text[i] = '\0';
        cr_expect_not(traceparent_parse(text, TRACEPARENT_LEN, &c), "byte %zu", i);
    }
}

Test(trace_context, formats_what_it_parsed, .timeout = 10)
{
    static const char text[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
    struct trace_context c;
    char out[TRACEPARENT_LEN];

    cr_assert(traceparent_parse(text, TRACEPARENT_LEN, &c));
    traceparent_format(&c, out);
    cr_assert_eq(memcmp(out, text, TRACEPARENT_LEN), 0, "got %.55s", out);
}

Test(trace_context, a_later_version_goes_out_as_version_0, .timeout = 10)
{
    static const char text[] = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
    struct trace_context c;
    char out[TRACEPARENT_LEN];

    cr_assert(traceparent_parse(text, strlen(text), &c));
    traceparent_format(&c, out);
    cr_assert_eq(memcmp(out, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 55), 0);
}

Test(ids, differ_and_are_never_zero, .timeout = 10)
{
    static const uint8_t zero[16];
    struct id_source a, b;
    uint8_t t[16], last[16] = {0}, sa[8], sb[8];

    cr_assert_eq(id_source_init(&a), 0);
    cr_assert_eq(id_source_init(&b), 0);
    for (int i = 0; i < 1000; i++) {
        id_trace(&a, t);
        cr_assert_neq(memcmp(t, zero, 16), 0);
        cr_assert_neq(memcmp(t, last, 16), 0);
        memcpy(last, t, 16);
        id_span(&a, sa);
        id_span(&b, sb);
        cr_assert_neq(memcmp(sa, zero, 8), 0);
        cr_assert_neq(memcmp(sa, sb, 8), 0, "two sources gave one id");
    }
    id_source_fini(&a);
    id_source_fini(&b);
}

/* 3.8: the keystream of RFC 8439, A.1, test vector 1, on and on; no part of it comes twice. */
Test(ids, are_chacha20s_keystream, .timeout = 10)
{
    static const uint8_t key[ID_SOURCE_KEY];
    static const uint8_t wanted[] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
                                     0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
                                     0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a};
    uint8_t trace[16], span[8], later[8];
    struct id_source ids;

    cr_assert_eq(id_source_init_key(&ids, key), 0);
    id_trace(&ids, trace);
    id_span(&ids, span);
    cr_expect_arr_eq(trace, wanted, 16);
    cr_expect_arr_eq(span, wanted + 16, 8);
    for (size_t i = 0; i < 4 * ID_SOURCE_BUFFER / sizeof later; i++) {
        id_span(&ids, later);
        cr_assert_neq(memcmp(later, span, sizeof span), 0);
    }
    id_source_fini(&ids);
}

/* 3.8: what was handed out is not kept, so that memory tells no ids of before. */
Test(ids, are_gone_from_the_buffer, .timeout = 10)
{
    static const uint8_t zero[16];
    struct id_source ids;
    uint8_t trace[16];

    cr_assert_eq(id_source_init(&ids), 0);
    id_trace(&ids, trace);
    cr_expect_arr_eq(ids._buffer, zero, sizeof zero);
    id_source_fini(&ids);
    id_source_fini(&ids); /* takes one that is all zero */
}

/* The C library's digits for every byte, at every place of a group and behind the groups. */
Test(hex, writes_and_reads_every_byte, .timeout = 10)
{
    uint8_t bytes[7], back[7];
    char text[2 * sizeof bytes + 1], wanted[3];

    for (int i = 0; i < 256; i++) {
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (uint8_t)(i + 37 * (int)at);
        hex_write(bytes, sizeof bytes, text);
        for (size_t at = 0; at < sizeof bytes; at++) {
            (void)snprintf(wanted, sizeof wanted, "%02x", bytes[at]);
            cr_expect_arr_eq(text + 2 * at, wanted, 2);
        }
        cr_assert(hex_read(text, back, sizeof back));
        cr_expect_arr_eq(back, bytes, sizeof bytes);
    }
}

Test(hex, reads_nothing_but_lower_case_digits, .timeout = 10)
{
    uint8_t byte;

    for (int c = 0; c < 256; c++) {
        const bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        const char high[] = {(char)c, '0'}, low[] = {'0', (char)c};

        cr_expect_eq(hex_read(high, &byte, 1), is_digit, "%d", c);
        cr_expect_eq(hex_read(low, &byte, 1), is_digit, "%d", c);
    }
}

/* Eight digits are read at once: what is none is seen at each place, whatever is beside it. */
Test(hex, reads_nothing_but_lower_case_digits_at_once, .timeout = 20)
{
    static const char others[] = "0189afgo@`\x00\xff";
    uint8_t bytes[4];

    for (size_t at = 0; at < 8; at++) {
        for (int c = 0; c < 256; c++) {
            for (size_t other = 0; other < sizeof others - 1; other++) {
                char text[8] = {'0', '9', 'a', 'f', '5', 'c', '1', 'e'};
                bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

                is_digit = is_digit && other < 6;
                text[at] = (char)c;
                text[(at + 1) % 8] = others[other];
                cr_assert_eq(hex_read(text, bytes, 4), is_digit, "%d at %zu", c, at);
            }
        }
    }
}
