/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_span.c - spans and the repair of their strings. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "signal/span.h"
#include "base/utf8.h"

#define KEY(text) text, sizeof text - 1

static const struct trace_context context = {
    .trace_id = {1, 2, 3}, .span_id = {4, 5, 6}, .flags = TRACE_FLAG_SAMPLED};

static struct span *new_span(void)
{
    struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 100, KEY("GET"));

    cr_assert_not_null(span);
    return span;
}

static bool find(const struct span *span, const char *key, struct span_attr *ret)
{
    size_t pos = 0;

    while (span_attribute(span, &pos, ret))
        if (ret->key_len == strlen(key) && memcmp(ret->key, key, ret->key_len) == 0)
            return true;
    return false;
}

static size_t count(const struct span *span)
{
    struct span_attr attr;
    size_t pos = 0, n = 0;

    while (span_attribute(span, &pos, &attr))
        n++;
    return n;
}

static void expect_str(const struct span *span, const char *key, const char *value)
{
    struct span_attr attr;

    cr_assert(find(span, key, &attr), "no %s", key);
    cr_expect_eq(attr.type, SPAN_STRING);
    cr_expect(attr.str_len == strlen(value) && memcmp(attr.str, value, attr.str_len) == 0,
              "%s: got '%.*s', wanted '%s'", key, (int)attr.str_len, attr.str, value);
}

Test(span, holds_what_it_was_opened_with, .timeout = 10)
{
    static const uint8_t parent[8] = {9, 9};
    struct span *span = span_create(SPAN_CLIENT, &context, parent, true, 100, KEY("POST"));
    size_t n;

    cr_assert_not_null(span);
    cr_expect_eq(span->kind, SPAN_CLIENT);
    cr_expect_eq(memcmp(&span->context, &context, sizeof context), 0);
    cr_expect_eq(memcmp(span->parent_id, parent, 8), 0);
    cr_expect(span->parent_remote);
    cr_expect_eq(span->start_unix_ns, 100);
    cr_expect_eq(span->end_unix_ns, 0);
    cr_expect_eq(span->status, SPAN_STATUS_UNSET);
    cr_expect_eq(memcmp(span_name(span, &n), "POST", 4), 0);
    cr_expect_eq(n, 4);
    cr_expect_eq(count(span), 0);
    span_destroy(span);
    span_destroy(NULL);
}

Test(span, keeps_attributes_of_each_type, .timeout = 10)
{
    struct span *span = new_span();
    struct span_attr attr;

    span_set_str(span, KEY("url.path"), KEY("/a"));
    span_set_str(span, KEY("my.key"), KEY(""));
    span_set_int(span, KEY("server.port"), -8080);
    span_set_bool(span, KEY("haproxy.incomplete"), true);
    span_set_bool(span, KEY("no"), false);
    cr_expect_eq(span->n_attributes, 5);
    cr_expect_eq(count(span), 5);
    expect_str(span, "url.path", "/a");
    expect_str(span, "my.key", "");
    cr_assert(find(span, "server.port", &attr));
    cr_expect(attr.type == SPAN_INT && attr.i == -8080);
    cr_assert(find(span, "haproxy.incomplete", &attr));
    cr_expect(attr.type == SPAN_BOOL && attr.i == 1);
    cr_assert(find(span, "no", &attr));
    cr_expect(attr.type == SPAN_BOOL && attr.i == 0);
    span_destroy(span);
}

Test(span, replaces_a_key_with_any_type, .timeout = 10)
{
    struct span *span = new_span();
    struct span_attr attr;

    span_set_str(span, KEY("a"), KEY("one"));
    span_set_str(span, KEY("url.path"), KEY("/one"));
    span_set_str(span, KEY("b"), KEY("bee"));
    span_set_str(span, KEY("a"), KEY("a longer value"));
    span_set_int(span, KEY("url.path"), 7);
    cr_expect_eq(span->n_attributes, 3);
    cr_expect_eq(count(span), 3);
    expect_str(span, "a", "a longer value");
    expect_str(span, "b", "bee");
    cr_assert(find(span, "url.path", &attr));
    cr_expect(attr.type == SPAN_INT && attr.i == 7);
    span_set_str(span, KEY("b"), KEY("x"));
    expect_str(span, "b", "x");
    cr_expect_eq(span->dropped_attributes, 0);
    span_destroy(span);
}

/* The strings of a list, joined by '|'. */
static void expect_list(const struct span *span, const char *key, const char *joined)
{
    char got[SPAN_VALUE_MAX + 1];
    struct span_attr attr;
    size_t n = 0, pos = 0, len;
    const char *p;

    cr_assert(span_find(span, key, strlen(key), &attr), "no %s", key);
    cr_assert_eq(attr.type, SPAN_STRINGS);
    while (span_attr_string(&attr, &pos, &p, &len)) {
        if (n > 0)
            got[n++] = '|';
        memcpy(got + n, p, len);
        n += len;
    }
    got[n] = '\0';
    cr_expect_str_eq(got, joined, "%s: got '%s'", key, got);
}

Test(span, keeps_bytes_as_they_are, .timeout = 10)
{
    static const char big[SPAN_VALUE_MAX + 1];
    struct span *span = new_span();
    struct span_attr attr;

    span_set_bytes(span, KEY("a"), KEY("\0\xff\xc3"));
    span_set_bytes(span, KEY("none"), NULL, 0);
    span_set_bytes(span, KEY("big"), big, sizeof big);
    cr_assert(span_find(span, KEY("a"), &attr));
    cr_expect(attr.type == SPAN_BYTES && attr.str_len == 3 &&
              memcmp(attr.str, "\0\xff\xc3", 3) == 0);
    cr_assert(span_find(span, KEY("none"), &attr));
    cr_expect(attr.type == SPAN_BYTES && attr.str_len == 0);
    cr_assert(span_find(span, KEY("big"), &attr));
    cr_expect_eq(attr.str_len, SPAN_VALUE_MAX);
    cr_expect_eq(count(span), 3);
    span_destroy(span);
}

Test(span, adds_strings_to_lists, .timeout = 10)
{
    struct span *span = new_span();

    span_add_str(span, KEY("a"), KEY("one"));
    span_set_int(span, KEY("between"), 1);
    span_add_str(span, KEY("b"), KEY(""));
    span_add_str(span, KEY("a"), KEY("two"));
    span_add_str(span, KEY("a"), KEY("\xff"));
    span_add_str(span, KEY("between"), KEY("takes the place of the number"));
    expect_list(span, "a", "one|two|\xef\xbf\xbd");
    expect_list(span, "b", "");
    expect_list(span, "between", "takes the place of the number");
    cr_expect_eq(span->n_attributes, 3);
    cr_expect_eq(count(span), 3);
    span_set_str(span, KEY("a"), KEY("text"));
    expect_str(span, "a", "text");
    cr_expect_eq(span->dropped_attributes, 0);
    span_destroy(span);
}

Test(span, bounds_lists, .timeout = 10)
{
    static char half[SPAN_VALUE_MAX / 2];
    struct span *span = new_span();
    struct span_attr attr;
    size_t pos = 0, n = 0, len;
    const char *p;

    memset(half, 'h', sizeof half);
    span_add_str(span, KEY("a"), half, sizeof half);
    span_add_str(span, KEY("a"), KEY("fits"));
    span_add_str(span, KEY("a"), half, sizeof half);
    cr_expect_eq(span->dropped_attributes, 1);
    cr_assert(span_find(span, KEY("a"), &attr));
    while (span_attr_string(&attr, &pos, &p, &len))
        n++;
    cr_expect_eq(n, 2);
    cr_expect_eq(count(span), 1);
    span_destroy(span);
}

/* 9.1: each string takes two bytes for its length beside itself. */
Test(span, a_list_may_be_full_to_its_last_byte, .timeout = 10)
{
    static char text[SPAN_VALUE_MAX];

    memset(text, 't', sizeof text);
    for (size_t more = 0; more < 2; more++) {
        struct span *span = new_span();
        struct span_attr attr;
        size_t pos = 0, n = 0, len;
        const char *p;

        span_add_str(span, KEY("a"), text, 1000);
        span_add_str(span, KEY("a"), text, SPAN_VALUE_MAX - 1002 - 2 + more);
        cr_expect_eq(span->dropped_attributes, more);
        span_add_str(span, KEY("b"), KEY("behind")); /* not touched by what fills the list */
        cr_assert(span_find(span, KEY("a"), &attr));
        while (span_attr_string(&attr, &pos, &p, &len))
            n++;
        cr_expect_eq(n, 2 - more);
        expect_list(span, "b", "behind");
        span_destroy(span);
    }
}

Test(span, takes_another_name, .timeout = 10)
{
    static char longest[SPAN_VALUE_MAX + 1];
    static const char *const names[] = {"GET /a/rather/long/route/{id}", "G", "", "POST"};
    struct span *span = new_span();
    size_t n;

    span_set_str(span, KEY("url.path"), KEY("/a"));
    span_set_int(span, KEY("my.key"), 7);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *got;

        span_set_name(span, names[i], strlen(names[i]));
        got = span_name(span, &n);
        cr_expect(n == strlen(names[i]) && memcmp(got, names[i], n) == 0, "got '%.*s'", (int)n,
                  got);
        expect_str(span, "url.path", "/a");
        cr_expect_eq(count(span), 2);
    }
    memset(longest, 'n', sizeof longest);
    span_set_name(span, longest, sizeof longest);
    (void)span_name(span, &n);
    cr_expect_eq(n, SPAN_VALUE_MAX);
    expect_str(span, "url.path", "/a");
    span_destroy(span);
}

Test(span, finds_by_key, .timeout = 10)
{
    struct span *span = new_span();
    struct span_attr attr;

    cr_expect_not(span_find(span, KEY("url.path"), &attr));
    span_set_str(span, KEY("url.path"), KEY("/a"));
    span_set_bool(span, KEY("url.patx"), true);
    cr_assert(span_find(span, KEY("url.path"), &attr));
    cr_expect(attr.type == SPAN_STRING && attr.key_len == 8);
    cr_assert(span_find(span, KEY("url.patx"), &attr));
    cr_expect(attr.type == SPAN_BOOL && attr.i == 1);
    cr_expect_not(span_find(span, KEY("url.patz"), &attr));
    cr_expect_not(span_find(span, "", 0, &attr));
    span_destroy(span);
}

Test(span, counts_attributes_past_the_limit, .timeout = 10)
{
    struct span *span = new_span();
    char key[16];

    for (unsigned i = 0; i < SPAN_ATTRIBUTES_DEFAULT + 3; i++) {
        const int n = snprintf(key, sizeof key, "k%u", i);

        span_set_int(span, key, (size_t)n, i);
    }
    cr_expect_eq(span->n_attributes, SPAN_ATTRIBUTES_DEFAULT);
    cr_expect_eq(count(span), SPAN_ATTRIBUTES_DEFAULT);
    cr_expect_eq(span->dropped_attributes, 3);
    span_set_int(span, KEY("k0"), 99); /* a known key still takes a value */
    cr_expect_eq(span->dropped_attributes, 3);
    span_destroy(span);
}

Test(span, limits_keys, .timeout = 10)
{
    struct span *span = new_span();
    char key[SPAN_KEY_MAX + 1];
    struct span_attr attr;

    memset(key, 'k', sizeof key);
    span_set_int(span, key, SPAN_KEY_MAX, 1);
    cr_expect_eq(span->n_attributes, 1);
    span_set_int(span, key, SPAN_KEY_MAX + 1, 2);
    span_set_int(span, "", 0, 3);
    key[SPAN_KEY_MAX - 1] = '\xff'; /* grows past the limit by the repair */
    span_set_int(span, key, SPAN_KEY_MAX, 4);
    cr_expect_eq(span->n_attributes, 1);
    cr_expect_eq(span->dropped_attributes, 3);
    key[SPAN_KEY_MAX - 2] = '\xff'; /* by one byte */
    span_set_int(span, key, SPAN_KEY_MAX - 1, 4);
    cr_expect_eq(span->dropped_attributes, 4);
    key[SPAN_KEY_MAX - 3] = '\xff'; /* to the limit itself */
    span_set_int(span, key, SPAN_KEY_MAX - 2, 4);
    cr_expect_eq(span->dropped_attributes, 4);
    cr_expect_eq(span->n_attributes, 2);
    span_set_int(span, KEY("x\xff"), 5);
    cr_expect(find(span, "x\xef\xbf\xbd", &attr));
    span_set_int(span, KEY("x\xfe"), 6); /* the same key once it is repaired */
    cr_expect_eq(span->n_attributes, 3);
    span_destroy(span);
}

Test(span, cuts_values_on_a_character, .timeout = 10)
{
    /* U+20AC is three bytes: the limit falls before, inside and behind it. */
    for (size_t before = SPAN_VALUE_MAX - 4; before <= SPAN_VALUE_MAX + 1; before++) {
        struct span *span = new_span();
        char value[SPAN_VALUE_MAX + 64];
        struct span_attr attr;
        const size_t wanted = before >= SPAN_VALUE_MAX       ? SPAN_VALUE_MAX
                              : before + 3 <= SPAN_VALUE_MAX ? before + 3
                                                             : before;

        memset(value, 'v', before);
        memcpy(value + before, "\xe2\x82\xac", 3);
        span_set_str(span, KEY("k"), value, before + 3);
        cr_assert(find(span, "k", &attr));
        cr_expect_eq(attr.str_len, wanted, "%zu: got %zu, wanted %zu", before, attr.str_len,
                     wanted);
        cr_expect(utf8_is_clean(attr.str, attr.str_len));
        span_destroy(span);
    }
}

Test(span, bounds_and_repairs_the_name, .timeout = 10)
{
    char name[SPAN_VALUE_MAX + 100];
    struct span *span;
    size_t n;

    memset(name, '\x80', sizeof name);
    span = span_create(SPAN_SERVER, &context, NULL, false, 1, name, sizeof name);
    cr_assert_not_null(span);
    cr_expect(utf8_is_clean(span_name(span, &n), SPAN_VALUE_MAX / 3 * 3));
    cr_expect_eq(n, SPAN_VALUE_MAX / 3 * 3);
    span_destroy(span);
}

Test(span, holds_the_largest_attributes_there_can_be, .timeout = 20)
{
    struct span *span = new_span();
    static char value[SPAN_VALUE_MAX];
    char key[SPAN_KEY_MAX];

    memset(value, 'v', sizeof value);
    memset(key, 'k', sizeof key);
    for (unsigned i = 0; i < SPAN_ATTRIBUTES_DEFAULT; i++) {
        key[0] = (char)('0' + i % 10);
        key[1] = (char)('0' + i / 10);
        span_set_str(span, key, sizeof key, value, sizeof value);
    }
    cr_expect_eq(count(span), SPAN_ATTRIBUTES_DEFAULT);
    cr_expect_eq(span->dropped_attributes, 0);
    span_destroy(span);
}

Test(span, ends_no_earlier_than_it_began, .timeout = 10)
{
    struct span *span = new_span();

    span_end(span, 99);
    cr_expect_eq(span->end_unix_ns, 100);
    span_end(span, 101);
    cr_expect_eq(span->end_unix_ns, 101);
    span_destroy(span);
}

Test(span, keeps_a_few_events, .timeout = 10)
{
    struct span *span = new_span();

    for (int i = 0; i < (int)SPAN_EVENTS_MAX + 2; i++)
        span_add_event(span, "event", i);
    cr_expect_eq(span->n_events, SPAN_EVENTS_MAX);
    cr_expect_str_eq(span->events[0].name, "event");
    cr_expect_eq(span->events[SPAN_EVENTS_MAX - 1].time_unix_ns, SPAN_EVENTS_MAX - 1);
    span_destroy(span);
}

struct repair {
    const char *in;
    size_t in_len;
    const char *out;
};

#define FFFD "\xef\xbf\xbd"
#define CASE(in, out)                                                                              \
    {                                                                                              \
        in, sizeof in - 1, out                                                                     \
    }

/* The last four are the examples of the Unicode standard, tables 3-8 to 3-11. */
static const struct repair repairs[] = {
    CASE("", ""),
    CASE("plain", "plain"),
    CASE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
    CASE("a\x80z", "a" FFFD "z"),
    CASE("a\0z", "a" FFFD "z"),
    CASE("\xff\xfe", FFFD FFFD),
    CASE("\xc3", FFFD),
    CASE("\xc3(", FFFD "("),
    CASE("\xe2\x82", FFFD),
    CASE("\xe2\x82(", FFFD "("),
    CASE("\xf0\x9f\x98", FFFD),
    CASE("\xf0\x9f\x98\xc3\xa9", FFFD "\xc3\xa9"),
    CASE("\xf5\x80\x80\x80", FFFD FFFD FFFD FFFD),
    CASE("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD),
    CASE("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"),
    CASE("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"),
    CASE("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "\x41"),
    CASE("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "\x41"),
    CASE("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", FFFD FFFD FFFD FFFD FFFD "\x41" FFFD FFFD "\x42"),
    CASE("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", FFFD FFFD FFFD FFFD "\x41"),
};

Test(utf8, repairs_as_the_standard_recommends, .timeout = 10)
{
    for (size_t i = 0; i < sizeof repairs / sizeof repairs[0]; i++) {
        char out[64];
        const size_t n = utf8_repair(repairs[i].in, repairs[i].in_len, out, sizeof out);

        cr_expect(n == strlen(repairs[i].out) && memcmp(out, repairs[i].out, n) == 0,
                  "case %zu: got %zu bytes", i, n);
        cr_expect_eq(utf8_repair(repairs[i].in, repairs[i].in_len, NULL, sizeof out), n);
        cr_expect(utf8_is_clean(out, n), "case %zu", i);
        cr_expect_eq(utf8_is_clean(repairs[i].in, repairs[i].in_len),
                     n == repairs[i].in_len && memcmp(repairs[i].in, out, n) == 0, "case %zu", i);
    }
}

/* As UTF-8 would write a number, whether it is a character's or not. */
static void write_number(uint32_t c, size_t n, char out[4])
{
    static const unsigned first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(first[n] | c);
}

/* 9.2: every character there is, and nothing else: no longer forms, no surrogates, none above. */
Test(utf8, knows_every_character, .timeout = 60)
{
    static const uint32_t end[] = {0, 0x80, 0x800, 0x10000, 0x200000};
    char text[4];

    for (size_t n = 1; n <= 4; n++) {
        for (uint32_t c = 1; c < end[n]; c++) {
            const bool good = c >= end[n - 1] && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);

            write_number(c, n, text);
            cr_assert_eq(utf8_is_clean(text, n), good, "U+%04X in %zu bytes", c, n);
            if (n > 1)
                cr_assert_not(utf8_is_clean(text, n - 1), "U+%04X without its end", c);
        }
    }
}

Test(utf8, cuts_before_the_character_that_would_pass, .timeout = 10)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff";
    static const size_t wanted[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10, 10, 13, 13};

    for (size_t max = 0; max < sizeof wanted / sizeof wanted[0]; max++) {
        char out[16];

        memset(out, '#', sizeof out);
        cr_expect_eq(utf8_repair(text, sizeof text - 1, out, max), wanted[max], "max %zu", max);
        for (size_t i = wanted[max]; i < sizeof out; i++)
            cr_expect_eq(out[i], '#', "max %zu wrote byte %zu", max, i);
    }
}

/* The word at a time and the byte at a time agree, whatever the length and whatever is where. */
Test(utf8, copies_what_is_plain_and_nothing_else, .timeout = 10)
{
    static const unsigned char bad[] = {0x00, 0x80, 0xc3, 0xff};
    char text[40], copy[40];

    for (size_t n = 0; n <= sizeof text; n++) {
        for (size_t i = 0; i < n; i++)
            text[i] = (char)(1 + (i * 41 + n) % 127);
        cr_assert(utf8_copy_clean(text, n, copy), "%zu", n);
        cr_expect_arr_eq(copy, text, n);
        for (size_t at = 0; at < n; at++) {
            for (size_t b = 0; b < sizeof bad; b++) {
                const char was = text[at];

                text[at] = (char)bad[b];
                cr_expect_not(utf8_copy_clean(text, n, copy), "%02x at %zu of %zu", bad[b], at, n);
                text[at] = was;
            }
        }
    }
}

/* ---- known keys by their number, and the short ways ----------------------------------------- */

Test(span, a_known_key_is_the_same_by_number_and_by_text, .timeout = 10)
{
    struct span *span = new_span();

    span_set_known_str(span, SPAN_KEY_URL_PATH, KEY("/a"));
    expect_str(span, "url.path", "/a");
    span_set_str(span, KEY("url.path"), KEY("/b"));
    expect_str(span, "url.path", "/b");
    span_set_known_str(span, SPAN_KEY_URL_PATH, KEY("/c\xff"));
    expect_str(span, "url.path", "/c\xef\xbf\xbd");
    span_set_known_int(span, SPAN_KEY_URL_PATH, 7);
    span_set_known_str(span, SPAN_KEY_URL_PATH, KEY(""));
    expect_str(span, "url.path", "");
    cr_expect_eq(count(span), 1);
    cr_expect_eq(span->n_attributes, 1);
    cr_expect_str_eq(span_key_text(SPAN_KEY_URL_PATH), "url.path");
    cr_expect_null(span_key_text(SPAN_KEY_NONE));
    span_destroy(span);
}

/* More keys than bits tell them apart, each set twice, into a block that grows on the way. */
Test(span, other_keys_keep_their_last_value_however_many_there_are, .timeout = 10)
{
    struct span *span = new_span();
    char key[16], value[16];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++) {
            const int key_len = snprintf(key, sizeof key, "k%d", i);
            const int n = snprintf(value, sizeof value, "%d-%d", round, i);

            span_set_str(span, key, (size_t)key_len, value, (size_t)n);
        }
    }
    cr_expect_eq(count(span), 100);
    cr_expect_eq(span->n_attributes, 100);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        (void)snprintf(value, sizeof value, "1-%d", i);
        expect_str(span, key, value);
    }
    span_set_str(span, KEY("odd\xff"), KEY("a"));
    span_set_str(span, KEY("odd\xff"), KEY("b"));
    expect_str(span, "odd\xef\xbf\xbd", "b");
    cr_expect_eq(count(span), 101);
    span_destroy(span);
}
