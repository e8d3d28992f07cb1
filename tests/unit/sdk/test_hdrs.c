/* SPDX-License-Identifier: Apache-2.0 */
/* spoe/hdrs.h: HAProxy's binary headers, whole, cut anywhere and of any bytes. Issue 12, 2. */
#include <spoe/hdrs.h>
#include <spoe/util.h>

#include <criterion/criterion.h>
#include <stdlib.h>

/* What `curl -H 'X-Empty;' -H 'X-A: b' http://127.0.0.1/` sends, in the manual's format. */
static const char real[] = "\4host\011127.0.0.1\12user-agent\13curl/7.88.1\6accept\3*/*"
                           "\7x-empty\0\3x-a\1b\0\0";
#define REAL_SIZE (sizeof real - 1)

static struct spoe_span span_of(const char *p, size_t n)
{
    return (struct spoe_span){p, n};
}

static unsigned count(struct spoe_span bin, int *ret_cut)
{
    struct spoe_hdrs hdrs = spoe_hdrs_of(bin);
    struct spoe_span name, value;
    unsigned n = 0;

    while (spoe_hdrs_next(&hdrs, &name, &value)) {
        cr_assert(name.n > 0 && name.p >= bin.p && name.p + name.n <= bin.p + bin.n);
        cr_assert(value.p >= bin.p && value.p + value.n <= bin.p + bin.n);
        n++;
    }
    *ret_cut = hdrs.cut;
    cr_assert(!spoe_hdrs_next(&hdrs, &name, &value), "it went on after its end");
    cr_assert_eq(hdrs.cut, *ret_cut);
    return n;
}

Test(hdrs, walks_all_in_order, .timeout = 10)
{
    static const char *const wanted[][2] = {{"host", "127.0.0.1"},
                                            {"user-agent", "curl/7.88.1"},
                                            {"accept", "*/*"},
                                            {"x-empty", ""},
                                            {"x-a", "b"}};
    struct spoe_hdrs hdrs = spoe_hdrs_of(span_of(real, REAL_SIZE));
    struct spoe_span name, value;

    for (size_t i = 0; i < 5; i++) {
        cr_assert(spoe_hdrs_next(&hdrs, &name, &value));
        cr_assert(spoe_span_is(name, wanted[i][0]) && spoe_span_is(value, wanted[i][1]));
    }
    cr_assert(!spoe_hdrs_next(&hdrs, &name, &value));
    cr_assert(!hdrs.cut);
}

Test(hdrs, says_of_every_cut_that_it_is_one, .timeout = 10)
{
    for (size_t n = 1; n < REAL_SIZE; n++) {
        char *exact = malloc(n); /* its end is guarded under ASan */
        int cut = 0;

        cr_assert_not_null(exact);
        memcpy(exact, real, n);
        cr_assert(count(span_of(exact, n), &cut) <= 5);
        cr_assert(cut, "cut at %zu of %zu", n, REAL_SIZE);
        free(exact);
    }
}

Test(hdrs, nothing_is_no_header_and_not_cut, .timeout = 10)
{
    int cut = 1;

    cr_assert_eq(count(span_of(NULL, 0), &cut), 0);
    cr_assert(!cut);
    cr_assert_eq(count(span_of("\0\0", 2), &cut), 0);
    cr_assert(!cut);
    cr_assert_eq(count(span_of("", 0), &cut), 0);
    cr_assert(cut, "bytes were sent, and there are none");
}

/* 239 and 240 are either side of a length's second byte, 2287 and 2288 of its third. */
Test(hdrs, takes_long_values, .timeout = 10)
{
    static const struct {
        size_t n;
        const char *length;
    } cases[] = {
        {239, "\xef"},      {240, "\xf0\x00"},      {241, "\xf1\x00"},
        {2287, "\xff\x7f"}, {2288, "\xf0\x80\x00"}, {2289, "\xf1\x80\x00"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[4096] = {1, 'a'};
        const size_t length = cases[i].n < 240 ? 1 : cases[i].n < 2288 ? 2 : 3;
        struct spoe_span value;
        int cut = 1;

        memcpy(bytes + 2, cases[i].length, length);
        memset(bytes + 2 + length, 'v', cases[i].n); /* two NULs follow */
        cr_assert(spoe_hdrs_find(span_of(bytes, sizeof bytes), "a", &value));
        cr_assert_eq(value.n, cases[i].n);
        cr_assert_eq(count(span_of(bytes, 2 + length + cases[i].n + 2), &cut), 1);
        cr_assert(!cut);
    }
}

Test(hdrs, refuses_lengths_that_nothing_can_hold, .timeout = 10)
{
    static const struct {
        const char *p;
        size_t n;
    } cases[] = {
        {"\xff", 1},                                      /* an integer that is not whole */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10}, /* 2^64 and more */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1aa", 14},
        {"\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e", 10}, /* UINT64_MAX */
        {"\1a\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e", 12},
        {"\5host", 5},
        {"\0\1x\0\0", 5}, /* a value without a name */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int cut = 0;

        cr_assert_eq(count(span_of(cases[i].p, cases[i].n), &cut), 0, "case %zu", i);
        cr_assert(cut, "case %zu", i);
    }
}

Test(hdrs, finds_by_the_whole_name, .timeout = 10)
{
    struct spoe_span value;

    cr_assert(spoe_hdrs_find(span_of(real, REAL_SIZE), "x-a", &value));
    cr_assert(spoe_span_is(value, "b"));
    cr_assert(!spoe_hdrs_find(span_of(real, REAL_SIZE), "x", &value));
    cr_assert(!spoe_hdrs_find(span_of(real, REAL_SIZE), "x-ab", &value));
    cr_assert(!spoe_hdrs_find(span_of(NULL, 0), "x-a", &value));
}
