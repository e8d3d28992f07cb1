/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_deadline.c - lists of deadlines (9.1). */
#include <criterion/criterion.h>
#include <signal.h>

#include "base/deadline.h"

TestSuite(deadline, .timeout = 10);

Test(deadline, the_first_falls_due_first_and_not_before_its_time)
{
    struct deadline_list list = TAILQ_HEAD_INITIALIZER(list);
    struct deadline a = {.at_ns = 0}, b = {.at_ns = 0};

    cr_assert_null(deadline_pop(&list, INT64_MAX));
    deadline_add(&list, &a, 10);
    deadline_add(&list, &b, 10);
    cr_assert_null(deadline_pop(&list, 9));
    cr_assert_eq(deadline_pop(&list, 10), &a);
    cr_assert_eq(a.at_ns, 0, "it is in no list now");
    deadline_add(&list, &a, 11);
    cr_assert_eq(deadline_pop(&list, 10), &b);
    cr_assert_null(deadline_pop(&list, 10));
    cr_assert_eq(deadline_pop(&list, 12), &a);
    cr_assert(TAILQ_EMPTY(&list));
}

Test(deadline, what_is_removed_does_not_fall_due)
{
    struct deadline_list list = TAILQ_HEAD_INITIALIZER(list);
    struct deadline a = {.at_ns = 0}, b = {.at_ns = 0};

    deadline_remove(&list, &a); /* in no list: nothing happens */
    deadline_add(&list, &a, 1);
    deadline_add(&list, &b, 2);
    deadline_remove(&list, &a);
    cr_assert_eq(a.at_ns, 0);
    deadline_remove(&list, &a);
    cr_assert_eq(deadline_pop(&list, 5), &b);
    deadline_remove(&list, &b);
    cr_assert(TAILQ_EMPTY(&list));
}

Test(deadline, one_in_a_list_cannot_be_added, .signal = SIGABRT)
{
    struct deadline_list list = TAILQ_HEAD_INITIALIZER(list);
    struct deadline a = {.at_ns = 0};

    deadline_add(&list, &a, 1);
    deadline_add(&list, &a, 1);
}

Test(deadline, one_that_is_late_is_put_where_it_belongs)
{
    struct deadline_list list = TAILQ_HEAD_INITIALIZER(list);
    struct deadline d[5] = {{.at_ns = 0}};
    static const int64_t at[5] = {20, 40, 30, 10, 40};

    for (size_t i = 0; i < 5; i++)
        deadline_insert(&list, &d[i], at[i]);
    cr_assert_eq(deadline_pop(&list, 50), &d[3]);
    cr_assert_eq(deadline_pop(&list, 50), &d[0]);
    cr_assert_eq(deadline_pop(&list, 50), &d[2]);
    cr_assert_eq(deadline_pop(&list, 50), &d[1], "of equal ones the first");
    cr_assert_eq(deadline_pop(&list, 50), &d[4]);
    cr_assert(TAILQ_EMPTY(&list));
}
