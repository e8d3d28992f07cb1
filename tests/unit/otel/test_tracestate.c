/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_tracestate.c - W3C tracestate. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "context/tracestate.h"
#include "w3c_vectors.h"

#define LINES W3C_LINES_MAX

/* What W3C's own test suite sends, and more: tests/lib/w3c.py. */
static const struct vector {
    const char *name;
    const char *lines[LINES];
    const char *out; /* NULL: there is no tracestate */
} vectors[] = {W3C_TRACESTATES};

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

/* 6.2: an over-long one is dropped whole, not cut */
Test(tracestate, is_none_above_512_bytes, .timeout = 10)
{
    char line[2048], out[TRACESTATE_MAX];
    struct text lines[3];
    size_t n = members(line, 27, 18, 0);

    lines[0] = (struct text){line, n + 1};
    line[n] = ' '; /* HAProxy's cut may have been here */
    cr_expect_eq(tracestate_read(lines, 1, out), 0);
    n = members(line, 32, 20, 0);
    lines[0] = (struct text){line, n};
    cr_expect_eq(tracestate_read(lines, 1, out), 0);
    n = members(line, 9, 20, 0); /* three lines that fit each */
    lines[0] = (struct text){line, n};
    lines[1] = (struct text){line + n, members(line + n, 9, 20, 10)};
    lines[2] = (struct text){line + 2 * n, members(line + 2 * n, 9, 20, 20)};
    cr_expect_eq(tracestate_read(lines, 2, out), 2 * n + 1);
    cr_expect_eq(tracestate_read(lines, 3, out), 0);
}

/* 9.2: of two lines with a member each, whose value has 256 bytes at most. */
Test(tracestate, two_lines_have_512_bytes_together, .timeout = 10)
{
    for (size_t first = 254; first <= 258; first++) {
        char one[TRACESTATE_MAX], two[TRACESTATE_MAX], out[TRACESTATE_MAX];
        struct text lines[2] = {{one, first}, {two, TRACESTATE_MAX - 1 - first}};

        memset(one, 'v', sizeof one);
        memset(two, 'v', sizeof two);
        memcpy(one, "a=", 2);
        memcpy(two, "b=", 2);
        cr_expect_eq(tracestate_read(lines, 2, out), TRACESTATE_MAX, "%zu bytes", first);
        lines[1].n++;
        cr_expect_eq(tracestate_read(lines, 2, out), 0, "%zu bytes", first);
    }
}

/* O7, 3.9 */
Test(tracestate, says_at_which_threshold_we_sampled, .timeout = 10)
{
    static const struct {
        const char *in, *all, *unknown;
    } cases[] = {
        {"ot=th:c", "ot=th:0", ""},
        {"x=1,ot=th:c,y=2", "ot=th:0,x=1,y=2", "x=1,y=2"},
        {"x=1,ot=th:fff8", "ot=th:0,x=1", "x=1"},
        {"ot=rv:0123456789abcd;th:8;zz:1,x=1", "ot=rv:0123456789abcd;th:0;zz:1,x=1",
         "ot=rv:0123456789abcd;zz:1,x=1"},
        {"x=1,ot=rv:0123456789abcd", "x=1,ot=rv:0123456789abcd", "x=1,ot=rv:0123456789abcd"},
        {"not=th:c,ot2=th:c", "not=th:c,ot2=th:c", "not=th:c,ot2=th:c"},
        {"ot=oth:c", "ot=oth:c", "ot=oth:c"},
        {"ot=th:", "", ""}, /* no threshold: nothing that could be put in its place is as short */
        {"ot=th:;th:;th:8;th:c", "ot=th:0", ""},
        {"x=1,ot=;th:c;", "ot=th:0,x=1", "x=1"},
        {"ot=a:1 ;th:c", "ot=a:1 ;th:0", "ot=a:1"},
        {"x=1", "x=1", "x=1"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int all = 0; all < 2; all++) {
            const char *wanted = all ? cases[i].all : cases[i].unknown;
            char text[TRACESTATE_MAX];
            size_t n = strlen(cases[i].in);

            memcpy(text, cases[i].in, n);
            n = tracestate_set_threshold(text, n, all);
            cr_expect(n == strlen(wanted) && memcmp(text, wanted, n) == 0, "%s: got '%.*s'",
                      cases[i].in, (int)n, text);
        }
    }
}

/* What any client may send: as long as it may be, and each `th` with nothing behind it. */
Test(tracestate, a_threshold_takes_no_more_room_than_what_came, .timeout = 10)
{
    char line[TRACESTATE_MAX + 1], text[TRACESTATE_MAX];
    size_t n = (size_t)snprintf(line, sizeof line, "a=%0250d,ot=", 0);

    while (n < TRACESTATE_MAX)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s",
                              n + 4 > TRACESTATE_MAX ? "z" : "th:;");
    cr_assert_eq(n, TRACESTATE_MAX);
    cr_assert_eq(tracestate_read(&(struct text){line, n}, 1, text), n);
    for (int all = 0; all < 2; all++) {
        memcpy(text, line, n);
        cr_expect_leq(tracestate_set_threshold(text, n, all), n);
    }
}

Test(tracestate, a_member_that_cannot_fit_leaves_nothing, .timeout = 10)
{
    char line[600], out[TRACESTATE_MAX];
    struct text text = {line, 0};

    memset(line, 'z', 256);
    text.n = 256 + (size_t)snprintf(line + 256, sizeof line - 256, "=%0256d", 0); /* 513 bytes */
    cr_assert_eq(text.n, 513);
    cr_expect_eq(tracestate_read(&text, 1, out), 0);
}
