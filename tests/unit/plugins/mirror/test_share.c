/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/plugins/mirror/test_share.c - issue 12, 4: a share in percent. */
#include <criterion/criterion.h>

#include <spoe/util.h>

#include "mirror/conf.h"

TestSuite(mirror_share, .timeout = 60);

Test(mirror_share, is_a_percentage)
{
    static const struct {
        const char *text;
        uint32_t want;
    } good[] = {{"0", 0},       {"100", 1000000}, {"100%", 1000000},  {"1", 10000},
                {"0.5", 5000},  {"0.0001", 1},    {"12.345", 123450}, {"99.9999", 999999},
                {"0.00001", 0}, {"007", 70000},   {"5.", 50000},      {"100.0", 1000000}};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint32_t share = 7;

        cr_assert_eq(mirror_share_parse(spoe_str(good[i].text), &share), 0, "%s", good[i].text);
        cr_assert_eq(share, good[i].want, "%s: %u", good[i].text, share);
    }
}

Test(mirror_share, anything_else_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {"",
                                      "%",
                                      "-1",
                                      "101",
                                      "100.1",
                                      "1e2",
                                      "1,5",
                                      "5 %",
                                      ".5",
                                      "nan",
                                      "18446744073709551617",
                                      "1%%",
                                      "+1",
                                      "0x1",
                                      "1.2.3"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t share = 7;

        cr_assert_neq(mirror_share_parse(spoe_str(bad[i]), &share), 0, "%s", bad[i]);
        cr_assert_eq(share, 7);
    }
}

/* The same numbers each time: of a million requests each share takes so many, and all that a
 * smaller one takes. (12.4) */
Test(mirror_share, takes_its_part_of_the_requests)
{
    static const uint32_t shares[] = {1, 5000, 10000, 250000, 500000, 900000, 999999};
    enum { N_REQUESTS = 1000000 };

    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        uint64_t random = 1, smaller = 1;
        uint32_t n = 0;

        for (int r = 0; r < N_REQUESTS; r++) {
            const bool taken = mirror_share_takes(shares[i], &random);

            n += taken ? 1 : 0;
            if (i > 0 && mirror_share_takes(shares[i - 1], &smaller))
                cr_assert(taken, "request %d: a smaller share has it", r);
        }
        cr_assert(n + 2000 > shares[i] && n < shares[i] + 2000, "%u of %u", n, shares[i]);
    }
}

Test(mirror_share, none_and_all_are_exact_and_draw_nothing)
{
    uint64_t random = 1;

    for (int r = 0; r < 1000; r++) {
        cr_assert_not(mirror_share_takes(0, &random));
        cr_assert(mirror_share_takes(MIRROR_SHARE_ALL, &random));
    }
    cr_assert_eq(random, 1);
}
