/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/gaps.c (1.6): which numbers are missing, whatever the order. */
#include "lines/gaps.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static uint64_t see(struct gaps *gaps, uint64_t key, uint64_t from, uint64_t to)
{
    uint64_t missing = 0;

    for (uint64_t i = from; i < to; i++)
        missing += gaps_see(gaps, key, 0, i);
    return missing;
}

Test(gaps, none, .timeout = 10)
{
    struct gaps gaps = {0};

    cr_assert_eq(see(&gaps, 1, 0, 1000), 0);
    cr_assert_eq(see(&gaps, 2, 5000, 6000), 0, "another one begins where it likes");
}

Test(gaps, counted_once_the_window_has_passed, .timeout = 10)
{
    struct gaps gaps = {0};

    cr_assert_eq(see(&gaps, 1, 0, 100), 0);
    cr_assert_eq(see(&gaps, 1, 107, 107 + GAPS_WINDOW - 7), 0, "7 may still come");
    cr_assert_eq(see(&gaps, 1, 107 + GAPS_WINDOW - 7, 107 + GAPS_WINDOW), 7);
    cr_assert_eq(see(&gaps, 1, 107 + GAPS_WINDOW, 1000), 0);
}

Test(gaps, many_at_once, .timeout = 10)
{
    struct gaps gaps = {0};

    cr_assert_eq(see(&gaps, 1, 0, 100), 0);
    cr_assert_eq(see(&gaps, 1, 1100, 1300), 1000);
}

Test(gaps, overtaken_is_not_missing, .timeout = 10)
{
    struct gaps gaps = {0};
    uint64_t missing = see(&gaps, 1, 0, 10);

    for (uint64_t i = 10; i < 1000; i += 2) { /* pairs the other way round */
        missing += gaps_see(&gaps, 1, 0, i + 1);
        missing += gaps_see(&gaps, 1, 0, i);
        missing += gaps_see(&gaps, 1, 0, i); /* and one twice */
    }
    cr_assert_eq(missing, 0);
}

Test(gaps, numbers_begin_anew, .timeout = 10)
{
    struct gaps gaps = {0};

    cr_assert_eq(see(&gaps, 1, 100000, 101000), 0);
    cr_assert_eq(see(&gaps, 1, 0, 500), 0);
    cr_assert_eq(gaps_see(&gaps, 1, 0, UINT64_MAX - 1), 0);
    cr_assert_eq(see(&gaps, 1, 3, 500), 0);
}

Test(gaps, sources_are_bounded, .timeout = 10)
{
    struct gaps gaps = {0};

    for (uint64_t key = 1; key <= 10 * GAPS_SOURCES_MAX; key++) {
        cr_assert_eq(gaps_see(&gaps, key, 0, 0), 0);
        cr_assert_eq(gaps_see(&gaps, 1, 0, key), 0, "the one that is used stays");
    }
    cr_assert_eq(see(&gaps, 1, 10 * GAPS_SOURCES_MAX + 10, 10 * GAPS_SOURCES_MAX + 200), 9);
}

Test(gaps, keys, .timeout = 10)
{
    const struct spoe_span a = {"a", 1}, bc = {"bc", 2}, ab = {"ab", 2}, c = {"c", 1};

    cr_assert_neq(gaps_key(0, a, bc), gaps_key(0, ab, c));
    cr_assert_neq(gaps_key(0, a, bc), gaps_key(1, a, bc));
    cr_assert_eq(gaps_key(7, a, bc), gaps_key(7, a, bc));
}

/* It was counted as missing; those after it are none. */
Test(gaps, too_late_a_line_is_no_beginning, .timeout = 10)
{
    struct gaps gaps = {0};

    cr_assert_eq(see(&gaps, 1, 0, 100), 0);
    cr_assert_eq(see(&gaps, 1, 101, 301), 1);
    cr_assert_eq(gaps_see(&gaps, 1, 0, 100), 0);
    cr_assert_eq(see(&gaps, 1, 301, 600), 0);
}

/* Two threads read the number before either counts it up: it is written twice, the next one never.
 */
Test(gaps, a_number_written_twice_stands_for_the_next, .timeout = 10)
{
    static const uint64_t numbers[][6] = {
        {5, 5, 7, 8, 9, 10}, {5, 5, 6, 8, 9, 10}, {5, 6, 5, 8, 9, 10}, {5, 5, 5, 8, 9, 10}};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct gaps gaps = {0};
        uint64_t missing = see(&gaps, 1, 0, 5);

        for (size_t j = 0; j < 6; j++)
            missing += gaps_see(&gaps, 1, 0, numbers[i][j]);
        cr_expect_eq(missing + see(&gaps, 1, 11, 400), 0, "case %zu", i);
        cr_expect_eq(see(&gaps, 1, 401, 800), 1, "case %zu: a number that is really missing", i);
    }
}

Test(gaps, a_line_too_many_is_forgotten, .timeout = 10)
{
    struct gaps gaps = {0};

    cr_assert_eq(see(&gaps, 1, 0, 100), 0);
    cr_assert_eq(gaps_see(&gaps, 1, 0, 99), 0);
    cr_assert_eq(see(&gaps, 1, 100, 100 + GAPS_CREDIT_NUMBERS), 0);
    cr_assert_eq(see(&gaps, 1, 101 + GAPS_CREDIT_NUMBERS, 1000), 1);
    for (unsigned i = 0; i < 1000; i++)
        cr_assert_eq(gaps_see(&gaps, 1, 0, 999), 0);
    cr_assert_eq(see(&gaps, 1, 1100, 1300), 100 - GAPS_CREDIT_MAX);
}

/* A connection goes on where the one before it has ended, whichever reader has it. */
Test(gaps, from_one_connection_to_the_next, .timeout = 10)
{
    struct gaps_past past;
    struct gaps a = {.past = &past}, b = {.past = &past};
    uint64_t missing = 0;

    gaps_past_init(&past);
    for (uint64_t i = 0; i < 100; i++)
        missing += gaps_see(&a, 1, 7, i);
    gaps_leave(&a, 7);
    for (uint64_t i = 103; i < 300; i++) /* three went with the connection */
        missing += gaps_see(&b, 1, 8, i);
    cr_assert_eq(missing, 3);
    gaps_leave(&b, 8);
    for (uint64_t i = 300; i < 400; i++) /* what b has seen is not missing here */
        missing += gaps_see(&a, 1, 9, i);
    cr_assert_eq(missing, 3);
    for (uint64_t i = 1000; i < 1100; i++) /* another one, while that is open */
        missing += gaps_see(&b, 1, 10, i);
    cr_assert_eq(missing, 3);
    gaps_leave(&a, 9);
    gaps_leave(&b, 10);
    for (uint64_t key = 1; key < 10 * GAPS_SOURCES_MAX; key++) { /* bounded */
        cr_assert_eq(gaps_see(&a, key + 1, 11, 0), 0);
        gaps_leave(&a, 11);
    }
    gaps_past_fini(&past);
}

static uint64_t missing_of(const struct gaps *gaps, const char *name)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < gaps->n_frontends; i++) {
        if (gaps->frontend[i].len == strlen(name) &&
            memcmp(gaps->frontend[i].name, name, strlen(name)) == 0)
            sum += gaps->frontend[i].missing;
    }
    return sum;
}

static void count(struct gaps *gaps, const char *name, uint64_t n)
{
    gaps_count(gaps, (struct spoe_span){name, strlen(name)}, n);
}

Test(gaps, frontends_are_bounded, .timeout = 10)
{
    struct gaps gaps = {0};
    char name[GAPS_FRONTEND_BYTES_MAX + 2] = "";

    count(&gaps, "web", 2);
    count(&gaps, "", 1);
    count(&gaps, "a\nb", 1);
    count(&gaps, "web", 3);
    cr_assert_eq(missing_of(&gaps, "web"), 5);
    cr_assert_eq(missing_of(&gaps, "other"), 2);
    memset(name, 'n', sizeof name - 1);
    count(&gaps, name, 1);
    cr_assert_eq(missing_of(&gaps, "other"), 3);
    name[GAPS_FRONTEND_BYTES_MAX] = '\0';
    count(&gaps, name, 1);
    cr_assert_eq(missing_of(&gaps, name), 1);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "f%u", i);
        count(&gaps, name, 1);
    }
    cr_assert_eq(gaps.n_frontends, GAPS_FRONTENDS_MAX);
    cr_assert_eq(missing_of(&gaps, "f0"), 1);
    cr_assert_eq(missing_of(&gaps, "f999"), 0);
    cr_assert_eq(missing_of(&gaps, "other"), 3 + 1000 - (GAPS_FRONTENDS_MAX - 4));
}
