/* SPDX-License-Identifier: Apache-2.0 */
/* The mailbox: order, wake-up, and the exact end; and the deadline list, by an injected clock. */
#include <criterion/criterion.h>
#include <poll.h>

#include "base/deadline.h"
#include "core/mailbox.h"

static char order[16];
static unsigned n_run;

struct letter {
    struct mail mail;
    char name;
};

static void run(struct mail *mail)
{
    order[n_run++] = ((struct letter *)(void *)mail)->name;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

Test(mailbox, runs_in_order_of_arrival_and_wakes_once, .timeout = 30)
{
    struct letter letters[3] = {{{NULL, run}, 'a'}, {{NULL, run}, 'b'}, {{NULL, run}, 'c'}};
    struct mailbox box;

    cr_assert_eq(mailbox_init(&box), 0);
    cr_assert_not(is_readable(box.fd));
    for (unsigned i = 0; i < 3; i++)
        cr_assert(mailbox_put(&box, &letters[i].mail));
    cr_assert(is_readable(box.fd));
    cr_assert_eq(mailbox_run(&box), 3);
    cr_assert_str_eq(order, "abc");
    cr_assert_not(is_readable(box.fd));
    cr_assert_eq(mailbox_run(&box), 0);
    mailbox_fini(&box);
}

Test(mailbox, closed_it_runs_what_it_had_and_refuses_the_rest, .timeout = 30)
{
    struct letter a = {{NULL, run}, 'a'}, b = {{NULL, run}, 'b'};
    struct mailbox box;

    cr_assert_eq(mailbox_init(&box), 0);
    cr_assert(mailbox_put(&box, &a.mail));
    mailbox_close(&box);
    cr_assert_str_eq(order, "a");
    cr_assert_not(mailbox_put(&box, &b.mail));
    cr_assert_eq(mailbox_run(&box), 0);
    mailbox_close(&box);
    cr_assert_eq(n_run, 1);
    mailbox_fini(&box);
}

Test(deadline, falls_due_in_order_and_not_before, .timeout = 30)
{
    struct deadline_list list = TAILQ_HEAD_INITIALIZER(list);
    struct deadline a = {.at_ns = 0}, b = {.at_ns = 0}, c = {.at_ns = 0};

    deadline_add(&list, &a, 100);
    deadline_add(&list, &b, 100);
    deadline_add(&list, &c, 250);
    cr_assert_null(deadline_pop(&list, 99));
    deadline_remove(&list, &b);
    deadline_remove(&list, &b); /* in no list: nothing happens */
    cr_assert_eq(deadline_pop(&list, 100), &a);
    cr_assert_eq(a.at_ns, 0);
    cr_assert_null(deadline_pop(&list, 249));
    cr_assert_eq(deadline_pop(&list, 1000), &c);
    cr_assert_null(deadline_pop(&list, INT64_MAX));
}
