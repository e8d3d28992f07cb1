/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_retry.c - backoff, jitter and giving up, with a clock of our own. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "send/retry.h"

#define S INT64_C(1000000000)

TestSuite(retry, .timeout = 60);

static const struct retry_conf conf = {
    .initial_ns = 5 * S, .max_ns = 30 * S, .give_up_ns = 300 * S};

struct bounds {
    int64_t low_ms, high_ms; /* of the n-th wait */
};

/* 5 s * 1.5^n and 1.5 times that, at most 30 s. */
static const struct bounds table[] = {{5000, 7500},   {7500, 11250},  {11250, 16875},
                                      {16875, 25313}, {20000, 30000}, {20000, 30000}};

static int64_t nth_wait(size_t n, uint32_t random)
{
    struct retry retry;
    int64_t wait = 0;

    retry_begin(&retry, &conf, 7 * S);
    for (size_t i = 0; i <= n; i++)
        cr_assert(retry_next(&retry, &conf, 7 * S, 0, random, &wait));
    return wait;
}

Test(retry, waits_grow_within_their_bounds)
{
    for (size_t n = 0; n < sizeof table / sizeof table[0]; n++) {
        const int64_t low = nth_wait(n, 0), high = nth_wait(n, UINT32_MAX);
        const int64_t middle = nth_wait(n, UINT32_MAX / 2);

        cr_expect_leq(llabs(low / 1000000 - table[n].low_ms), 1, "wait %zu: %ld ms", n,
                      (long)(low / 1000000));
        cr_expect_leq(llabs(high / 1000000 - table[n].high_ms), 1, "wait %zu: %ld ms", n,
                      (long)(high / 1000000));
        cr_expect(low < middle && middle < high, "chance moves wait %zu", n);
        cr_expect_geq(low, 5 * S);
        cr_expect_leq(high, 30 * S);
    }
}

Test(retry, the_collector_may_ask_for_a_longer_wait)
{
    struct retry retry;
    int64_t wait;

    retry_begin(&retry, &conf, 0);
    cr_assert(retry_next(&retry, &conf, 0, 60 * S, 0, &wait));
    cr_assert_eq(wait, 60 * S);
    cr_assert(retry_next(&retry, &conf, 60 * S, 1, 0, &wait));
    cr_assert_geq(wait, 7 * S, "a shorter one does not shorten ours");
}

Test(retry, gives_up_after_its_time)
{
    struct retry retry;
    int64_t now = 1000 * S, wait = 0, tries = 0;

    retry_begin(&retry, &conf, now);
    while (retry_next(&retry, &conf, now, 0, UINT32_MAX, &wait)) {
        now += wait;
        tries++;
    }
    cr_assert_eq(now, 1300 * S, "the last attempt falls on the end, not on %ld s", (long)(now / S));
    cr_assert_eq(tries, 12, "%ld tries", (long)tries);
}

Test(retry, gives_up_at_once_where_the_collector_asks_for_more_than_is_left)
{
    struct retry retry;
    int64_t wait = -1;

    retry_begin(&retry, &conf, 0);
    cr_assert_not(retry_next(&retry, &conf, 0, 301 * S, 0, &wait));
    cr_assert_eq(wait, -1, "untouched");
    cr_assert(retry_next(&retry, &conf, 290 * S, 10 * S, 0, &wait));
    cr_assert_eq(wait, 10 * S);
    cr_assert_not(retry_next(&retry, &conf, 300 * S, 0, 0, &wait));
}

Test(retry, each_batch_has_its_own_time)
{
    struct retry retry;
    int64_t wait;

    retry_begin(&retry, &conf, 0);
    cr_assert_not(retry_next(&retry, &conf, 300 * S, 0, 0, &wait));
    retry_begin(&retry, &conf, 300 * S);
    cr_assert(retry_next(&retry, &conf, 300 * S, 0, 0, &wait));
    cr_assert_eq(wait, 5 * S);
}

Test(retry, one_bound_for_both_is_a_fixed_limit)
{
    const struct retry_conf fixed = {.initial_ns = S, .max_ns = S, .give_up_ns = 10 * S};
    struct retry retry;
    int64_t wait;

    retry_begin(&retry, &fixed, 0);
    for (int i = 0; i < 5; i++) {
        cr_assert(retry_next(&retry, &fixed, 0, 0, UINT32_MAX, &wait));
        cr_assert_eq(wait, S);
    }
}
