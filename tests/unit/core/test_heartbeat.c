/* SPDX-License-Identifier: Apache-2.0 */
/* The heartbeat: a worker that answers is alive, one that does not is not, by an injected clock. */
#include <criterion/criterion.h>

#include "core/heartbeat.h"

#define FIRST_NS INT64_C(1000000000)

static struct mailbox box;
static struct heartbeat heartbeat;

static void setup(void)
{
    cr_assert_eq(mailbox_init(&box), 0);
}

static void teardown(void)
{
    mailbox_fini(&box);
}

TestSuite(heartbeat, .init = setup, .fini = teardown, .timeout = 30);

/* 9.2 */
Test(heartbeat, a_worker_that_does_not_turn_is_told_at_the_limit)
{
    cr_assert(heartbeat_check(&heartbeat, &box, FIRST_NS));
    cr_assert(heartbeat_check(&heartbeat, &box, FIRST_NS));
    cr_assert(heartbeat_check(&heartbeat, &box, FIRST_NS + HEARTBEAT_LIMIT_NS - 1));
    cr_assert_not(heartbeat_check(&heartbeat, &box, FIRST_NS + HEARTBEAT_LIMIT_NS));
    cr_assert_not(heartbeat_check(&heartbeat, &box, FIRST_NS + 9 * HEARTBEAT_LIMIT_NS));
    cr_assert_eq(mailbox_run(&box), 1, "it was asked once, however often somebody looked");
}

/* 9.2: what counts is since when it has not answered, not since when it is looked at. */
Test(heartbeat, an_answer_begins_anew)
{
    int64_t now_ns = FIRST_NS;

    for (unsigned i = 0; i < 3; i++, now_ns += 10 * HEARTBEAT_LIMIT_NS) {
        cr_assert(heartbeat_check(&heartbeat, &box, now_ns), "round %u", i);
        cr_assert_eq(mailbox_run(&box), 1);
        cr_assert(heartbeat_check(&heartbeat, &box, now_ns + 1));
        cr_assert_not(heartbeat_check(&heartbeat, &box, now_ns + 1 + HEARTBEAT_LIMIT_NS));
        cr_assert_eq(mailbox_run(&box), 1, "late is better than never");
    }
}

/* 9.2: a worker that has stopped is not one that hangs. */
Test(heartbeat, a_worker_that_is_stopping_is_not_asked)
{
    mailbox_close(&box);
    cr_assert(heartbeat_check(&heartbeat, &box, FIRST_NS));
    cr_assert(heartbeat_check(&heartbeat, &box, FIRST_NS + 10 * HEARTBEAT_LIMIT_NS));
}
