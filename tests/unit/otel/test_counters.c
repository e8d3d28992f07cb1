/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_counters.c - a counter is the sum of everybody's set and the workers'. */
#include <criterion/criterion.h>

#include "base/counters.h"

Test(counters, sum_over_all_sets, .timeout = 10)
{
    struct counters all = {.requests = 0};
    struct counters *first = counters_add(&all), *second = counters_add(&all);

    cr_assert(first != NULL && second != NULL);
    cr_expect_eq((uintptr_t)first % 64, 0, "a worker's cache lines are its own");
    cr_expect_eq((uintptr_t)second % 64, 0);
    count(&all.requests, 1);
    count_own(&first->requests, 10);
    count_own(&second->requests, 100);
    count_own(&second->requests, 100);
    count_own(&second->ended, 7);
    cr_expect_eq(COUNTED(&all, requests), 211);
    cr_expect_eq(COUNTED(&all, ended), 7);
    cr_expect_eq(COUNTED(&all, dropped), 0);
    counters_fini(&all);
    cr_expect_eq(COUNTED(&all, requests), 1);
}
