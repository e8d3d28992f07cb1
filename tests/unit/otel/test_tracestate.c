/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_tracestate.c - W3C tracestate.
 *
 * The vectors restate what W3C's own test suite sends (trace-context/test/test.py, level 2): every
 * case about tracestate, by the name that it has there, with what it expects.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "context/tracestate.h"

#define LINES 4u

#define B1                                                                                         \
    "bar01=01,bar02=02,bar03=03,bar04=04,bar05=05,bar06=06,bar07=07,bar08=08,bar09=09,bar10=10"
#define B2                                                                                         \
    "bar11=11,bar12=12,bar13=13,bar14=14,bar15=15,bar16=16,bar17=17,bar18=18,bar19=19,bar20=20"
#define B3                                                                                         \
    "bar21=21,bar22=22,bar23=23,bar24=24,bar25=25,bar26=26,bar27=27,bar28=28,bar29=29,bar30=30"

#define X16(c) c c c c c c c c c c c c c c c c
#define Z240 X16("zzzzzzzzzzzzzzz")
#define T240 X16("ttttttttttttttt")
#define V14 "vvvvvvvvvvvvvv"
#define LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
#define PRINTABLE                                                                                  \
    " !\"#$%&'()*+-./"                                                                             \
    "0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

struct vector {
    const char *name;
    const char *lines[LINES];
    const char *out; /* NULL: there is no tracestate */
};

static const struct vector vectors[] = {
    {"both_traceparent_and_tracestate_missing", {NULL}, NULL},
    {"traceparent_included_tracestate_included", {"foo=1,bar=2"}, "foo=1,bar=2"},
    {"empty_header", {""}, NULL},
    {"empty_header after", {"foo=1", ""}, "foo=1"},
    {"empty_header before", {"", "foo=1"}, "foo=1"},
    {"multiple_headers_different_keys",
     {"foo=1,bar=2", "rojo=1,congo=2", "baz=3"},
     "foo=1,bar=2,rojo=1,congo=2,baz=3"},
    {"duplicated_keys, same value", {"foo=1,foo=1"}, NULL},
    {"duplicated_keys, other value", {"foo=1,foo=2"}, NULL},
    {"duplicated_keys on two lines", {"foo=1", "foo=1"}, NULL},
    {"duplicated_keys on two lines, other value", {"foo=1", "foo=2"}, NULL},
    {"all_allowed_characters", {LETTERS "=" PRINTABLE}, LETTERS "=" PRINTABLE},
    {"all_allowed_characters, with a vendor",
     {LETTERS "@a-z0-9_-*/=" PRINTABLE},
     LETTERS "@a-z0-9_-*/=" PRINTABLE},
    {"ows_handling", {"foo=1 \t , \t bar=2, \t baz=3"}, "foo=1,bar=2,baz=3"},
    {"ows_handling tabs", {"foo=1\t \t,\t \tbar=2,\t \tbaz=3"}, "foo=1,bar=2,baz=3"},
    {"ows_handling ' foo=1'", {" foo=1"}, "foo=1"},
    {"ows_handling '\\tfoo=1'", {"\tfoo=1"}, "foo=1"},
    {"ows_handling 'foo=1 '", {"foo=1 "}, "foo=1"},
    {"ows_handling 'foo=1\\t'", {"foo=1\t"}, "foo=1"},
    {"ows_handling both ends", {"\t foo=1 \t"}, "foo=1"},
    {"key_illegal_characters, space", {"foo =1"}, NULL},
    {"key_illegal_characters, upper case", {"FOO=1"}, NULL},
    {"key_illegal_characters, dot", {"foo.bar=1"}, NULL},
    {"key_illegal_vendor_format foo@", {"foo@=1,bar=2"}, NULL},
    {"key_illegal_vendor_format @foo", {"@foo=1,bar=2"}, NULL},
    {"key_illegal_vendor_format foo@@bar", {"foo@@bar=1,bar=2"}, NULL},
    {"key_illegal_vendor_format foo@bar@baz", {"foo@bar@baz=1,bar=2"}, NULL},
    {"member_count_limit 32",
     {B1, B2, B3, "bar31=31,bar32=32"},
     B1 "," B2 "," B3 ",bar31=31,bar32=32"},
    {"member_count_limit 33", {B1, B2, B3, "bar31=31,bar32=32,bar33=33"}, NULL},
    {"key_length_limit 256",
     {"foo=1," Z240 "zzzzzzzzzzzzzzzz=1"},
     "foo=1," Z240 "zzzzzzzzzzzzzzzz=1"},
    {"key_length_limit 257", {"foo=1," Z240 "zzzzzzzzzzzzzzzzz=1"}, NULL},
    {"key_length_limit 241@14", {"foo=1," T240 "t@" V14 "=1"}, "foo=1," T240 "t@" V14 "=1"},
    {"key_length_limit 242@14", {"foo=1," T240 "tt@" V14 "=1"}, NULL},
    {"key_length_limit 241@15", {"foo=1," T240 "t@" V14 "v=1"}, NULL},
    {"value_illegal_characters, equal sign", {"foo=bar=baz"}, NULL},
    {"value_illegal_characters, empty", {"foo=,bar=3"}, NULL},
    /* and what the suite leaves out */
    {"level 2: a key may begin with a digit", {"0foo=1"}, "0foo=1"},
    {"empty members are left out", {",foo=1,, ,bar=2,"}, "foo=1,bar=2"},
    {"no equal sign", {"foo"}, NULL},
    {"no key", {"=1"}, NULL},
    {"a control character in a value", {"foo=a\001b"}, NULL},
    {"DEL in a value", {"foo=a\177b"}, NULL},
    {"not ASCII in a value", {"foo=\303\274"}, NULL},
    {"a tab in a value", {"foo=a\tb"}, NULL},
    {"a space inside a value", {"foo=a b"}, "foo=a b"},
    {"one bad member of several", {"foo=1,BAR=2,baz=3"}, NULL},
};

static size_t read_lines(const char *const lines[LINES], char out[TRACESTATE_MAX])
{
    struct text texts[LINES];

    for (size_t i = 0; i < LINES; i++)
        texts[i] = lines[i] != NULL ? text_of(lines[i]) : (struct text){NULL, 0};
    return tracestate_read(texts, LINES, out);
}

Test(tracestate, reads_as_the_standard_says, .timeout = 20)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct vector *v = &vectors[i];
        char out[TRACESTATE_MAX];
        const size_t n = read_lines(v->lines, out);
        const size_t want = v->out != NULL ? strlen(v->out) : 0;

        cr_expect(n == want && (n == 0 || memcmp(out, v->out, n) == 0), "%s: got '%.*s'", v->name,
                  (int)n, out);
    }
}

Test(tracestate, values_have_at_most_256_bytes, .timeout = 10)
{
    char line[300], out[TRACESTATE_MAX];
    struct text text = {line, 0};

    (void)snprintf(line, sizeof line, "foo=%0256d", 0);
    text.n = strlen(line);
    cr_expect_eq(tracestate_read(&text, 1, out), 260);
    (void)snprintf(line, sizeof line, "foo=%0257d", 0);
    text.n = strlen(line);
    cr_expect_eq(tracestate_read(&text, 1, out), 0);
}

/* n members of `size` bytes each: k000=00..., k001=... */
static size_t members(char *p, size_t n, int size, int first)
{
    char *const begin = p;

    for (size_t i = 0; i < n; i++)
        p += snprintf(p, 512, "%sk%03d=%0*d", i > 0 ? "," : "", first + (int)i, size - 5, 0);
    return (size_t)(p - begin);
}

Test(tracestate, carries_512_bytes, .timeout = 10)
{
    char line[1024], out[TRACESTATE_MAX];
    struct text text = {line, members(line, 27, 18, 0)}; /* 27 * 18 + 26 */

    cr_assert_eq(text.n, 512);
    cr_assert_eq(tracestate_read(&text, 1, out), 512);
    cr_expect_eq(memcmp(out, line, 512), 0);
}

Test(tracestate, drops_whole_members_from_the_right, .timeout = 10)
{
    char line[2048], out[TRACESTATE_MAX];
    struct text text = {line, members(line, 32, 20, 0)};
    const size_t n = tracestate_read(&text, 1, out);

    cr_assert_eq(n, 24u * 20 + 23, "got %zu", n); /* one more would be 524 */
    cr_expect_eq(memcmp(out, line, n), 0);
}

Test(tracestate, drops_members_above_128_bytes_first, .timeout = 10)
{
    char line[2048], out[TRACESTATE_MAX], want[TRACESTATE_MAX];
    struct text text = {line, 0};
    size_t n, want_n;

    /* long, short, long, short of 100: the right of the two long ones goes, and that is enough */
    n = members(line, 1, 200, 0);
    line[n++] = ',';
    n += members(line + n, 1, 100, 1);
    line[n++] = ',';
    n += members(line + n, 1, 200, 2);
    line[n++] = ',';
    n += members(line + n, 1, 100, 3);
    text.n = n;
    cr_assert_gt(n, TRACESTATE_MAX);
    want_n = members(want, 1, 200, 0);
    want[want_n++] = ',';
    want_n += members(want + want_n, 1, 100, 1);
    want[want_n++] = ',';
    want_n += members(want + want_n, 1, 100, 3);
    n = tracestate_read(&text, 1, out);
    cr_expect_eq(n, want_n);
    cr_expect_eq(memcmp(out, want, want_n), 0, "got %.*s", (int)n, out);
}

Test(tracestate, a_member_that_cannot_fit_leaves_nothing, .timeout = 10)
{
    char line[600], out[TRACESTATE_MAX];
    struct text text = {line, 0};

    text.n = (size_t)snprintf(line, sizeof line, "%s%s=%0256d", Z240, "zzzzzzzzzzzzzzzz",
                              0); /* 513 bytes */
    cr_assert_eq(text.n, 513);
    cr_expect_eq(tracestate_read(&text, 1, out), 0);
}
