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

/* 9.1: "entries larger than 128 characters long" go first: 128 is none, 129 is one. */
Test(tracestate, a_member_of_128_bytes_is_not_a_long_one, .timeout = 10)
{
    for (int size = 128; size <= 129; size++) {
        char line[2048], out[TRACESTATE_MAX];
        struct text text = {line, members(line, 1, size, 0)};
        size_t n;

        line[text.n++] = ',';
        text.n += members(line + text.n, 4, 100, 1); /* 128 + 4 * 101: more than 512 */
        n = tracestate_read(&text, 1, out);
        if (size == 128) /* none is long: the last one goes */
            cr_expect_eq(n, 128u + 3 * 101, "got %zu", n);
        else /* the first one goes, and the rest fits */
            cr_expect_eq(n, 4u * 101 - 1, "got %zu", n);
    }
}

/* 9.1: nothing is left out of a list that fits as it is, long members or not. */
Test(tracestate, exactly_512_bytes_keep_their_long_members, .timeout = 10)
{
    for (int more = 0; more < 2; more++) {
        char line[1024], out[TRACESTATE_MAX];
        struct text text = {line, members(line, 1, 200, 0)};
        size_t n;

        line[text.n++] = ',';
        text.n += members(line + text.n, 1, 200, 1);
        line[text.n++] = ',';
        text.n += members(line + text.n, 1, 512 - 402 + more, 2);
        n = tracestate_read(&text, 1, out);
        cr_expect_eq(n, more ? 200u + 1 + 111 : 512u, "got %zu", n);
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
