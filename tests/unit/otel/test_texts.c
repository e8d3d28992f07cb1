/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_texts.c - which texts count as the same, and how many are remembered. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "send/log.h"

#define HOUR INT64_C(3600000000000)

TestSuite(texts, .timeout = 60);

struct couple {
    const char *one, *other;
    bool same;
};

static const struct couple couples[] = {
    {"", "", true},
    {"a", "", false},
    {"old agent", "old agent", true},
    {"old agent", "odd agent", false},
    {"12 spans are too old", "13 spans are too old", false}, /* by its first bytes */
    {"dropped 12 spans", "dropped 4711 spans", true},
    {"dropped 12 spans", "dropped 12 spams", false},
    {"HTTP 503: overloaded", "HTTP 503: overloaded", true},
    {"HTTP 503: overloaded", "HTTP 502: overloaded", false},
    {"UNAVAILABLE: ipv4:10.0.0.1:4317: refused", "UNAVAILABLE: ipv4:10.2.33.4:99: refused", true},
    {"UNAVAILABLE: refused", "UNAUTHENTICATED: refused", false},
    {"request 550e8400-e29b-41d4-a716-446655440000", "request 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
     true},
    {"Failed to connect to host port 4318 after 0 ms",
     "Failed to connect to host port 4318 after 21 ms", true},
};

Test(texts, numbers_make_no_difference)
{
    for (size_t i = 0; i < sizeof couples / sizeof couples[0]; i++) {
        struct texts texts = {._n = 0};

        cr_expect(texts_is_new(&texts, couples[i].one, 0, HOUR));
        cr_expect_eq(texts_is_new(&texts, couples[i].other, 1, HOUR), !couples[i].same,
                     "'%s' and '%s'", couples[i].one, couples[i].other);
    }
}

Test(texts, is_forgotten_when_it_was_not_seen_for_long)
{
    struct texts texts = {._n = 0};

    cr_expect(texts_is_new(&texts, "a", 0, HOUR));
    for (int64_t at = HOUR; at <= 10 * HOUR; at += HOUR)
        cr_expect_not(texts_is_new(&texts, "a", at, HOUR), "it is seen all the time");
    cr_expect(texts_is_new(&texts, "b", 11 * HOUR, HOUR));
    cr_expect(texts_is_new(&texts, "a", 11 * HOUR + 1, HOUR));
    cr_expect_not(texts_is_new(&texts, "b", 11 * HOUR + 2, HOUR));
}

Test(texts, a_few_are_remembered_and_no_more)
{
    struct texts texts = {._n = 0};
    size_t news = 0;

    for (char c = 'a'; c <= 'z'; c++) {
        const char text[] = {c, '\0'};

        news += texts_is_new(&texts, text, c, INT64_MAX);
    }
    cr_expect_eq(news, TEXTS_MAX, "a text that is always another is not always new: %zu", news);
    cr_expect_not(texts_is_new(&texts, "a", HOUR, INT64_MAX));
    cr_expect(texts_is_new(&texts, "z", 3 * HOUR, HOUR), "there is room again");
}
