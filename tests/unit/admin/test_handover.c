/* SPDX-License-Identifier: Apache-2.0 */
/* issue 13, 3: what the admin thread has the main thread do: done, withdrawn, or left. */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "admin/handover.h"
#include "base/container_of.h"

struct desk {
    struct handover handover;
    struct mailbox box;
    _Atomic unsigned runs;
    _Atomic bool hold; /* run() waits until it is let go */
};

static void run(struct handover *handover)
{
    struct desk *desk = container_of(handover, struct desk, handover);

    atomic_fetch_add(&desk->runs, 1);
    while (atomic_load(&desk->hold))
        (void)poll(NULL, 0, 1);
}

static void begin(struct desk *desk)
{
    cr_assert_eq(mailbox_init(&desk->box), 0);
    handover_init(&desk->handover, run);
    atomic_store(&desk->runs, 0);
    atomic_store(&desk->hold, false);
}

static void end(struct desk *desk)
{
    handover_fini(&desk->handover);
    mailbox_fini(&desk->box);
}

/* Until nobody has to wait any more. */
static enum handover_result look(struct desk *desk)
{
    enum handover_result result;

    while ((result = handover_look(&desk->handover)) == HANDOVER_WAITING)
        (void)poll(NULL, 0, 1);
    return result;
}

/* The main thread: until it has done something. */
static void *turn(void *arg)
{
    struct desk *desk = arg;
    struct pollfd in = {.fd = desk->box.fd, .events = POLLIN};

    while (mailbox_run(&desk->box) == 0)
        (void)poll(&in, 1, -1);
    return NULL;
}

Test(handover, is_done_by_the_other_thread, .timeout = 30)
{
    static struct desk desk;
    pthread_t thread;

    begin(&desk);
    desk.handover.wait_ns = INT64_C(20000000000);
    for (unsigned i = 1; i <= 3; i++) {
        cr_assert(handover_is_idle(&desk.handover));
        cr_assert(handover_ask(&desk.handover, &desk.box));
        cr_assert_eq(handover_look(&desk.handover), HANDOVER_WAITING);
        cr_assert_not(handover_is_idle(&desk.handover));
        cr_assert_eq(pthread_create(&thread, NULL, turn, &desk), 0);
        cr_assert_eq(look(&desk), HANDOVER_OK);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_assert_eq(desk.runs, i);
    }
    end(&desk);
}

/* What nobody waits for any more is never done. */
Test(handover, is_withdrawn, .timeout = 30)
{
    static struct desk desk;

    begin(&desk);
    desk.handover.wait_ns = 1;
    cr_assert(handover_ask(&desk.handover, &desk.box));
    cr_assert_eq(look(&desk), HANDOVER_NOT_DONE);
    cr_assert_not(handover_is_idle(&desk.handover), "the mail is still there");
    cr_assert_not(handover_ask(&desk.handover, &desk.box));
    cr_assert_eq(mailbox_run(&desk.box), 1);
    cr_assert_eq(desk.runs, 0);
    cr_assert(handover_is_idle(&desk.handover));
    end(&desk);
}

/* Whoever asked has gone away: it is withdrawn, or what came of it is thrown away. */
Test(handover, is_not_waited_for, .timeout = 30)
{
    static struct desk desk;

    begin(&desk);
    cr_assert(handover_ask(&desk.handover, &desk.box));
    handover_leave(&desk.handover);
    cr_assert_not(handover_is_idle(&desk.handover));
    cr_assert_eq(mailbox_run(&desk.box), 1);
    cr_assert_eq(desk.runs, 0);
    cr_assert(handover_ask(&desk.handover, &desk.box));
    cr_assert_eq(mailbox_run(&desk.box), 1);
    cr_assert_eq(desk.runs, 1);
    cr_assert_not(handover_is_idle(&desk.handover), "somebody may look");
    handover_leave(&desk.handover);
    cr_assert(handover_is_idle(&desk.handover));
    end(&desk);
}

/* Whoever has waited for long until it begins waits for its end as well. */
Test(handover, has_as_long_again_once_it_is_begun, .timeout = 30)
{
    static struct desk desk;
    pthread_t thread;

    begin(&desk);
    desk.handover.wait_ns = INT64_C(20000000000);
    atomic_store(&desk.hold, true);
    cr_assert(handover_ask(&desk.handover, &desk.box));
    desk.handover.end_ns = 0; /* the wait for its begin is just over */
    cr_assert_eq(pthread_create(&thread, NULL, turn, &desk), 0);
    while (atomic_load(&desk.runs) == 0)
        (void)poll(NULL, 0, 1);
    cr_assert_eq(handover_look(&desk.handover), HANDOVER_WAITING);
    atomic_store(&desk.hold, false);
    cr_assert_eq(look(&desk), HANDOVER_OK);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    end(&desk);
}

/* What takes long goes on, and nothing else is begun. */
Test(handover, is_left, .timeout = 30)
{
    static struct desk desk;
    pthread_t thread;

    begin(&desk);
    desk.handover.wait_ns = INT64_C(20000000000);
    atomic_store(&desk.hold, true);
    cr_assert(handover_ask(&desk.handover, &desk.box));
    cr_assert_eq(pthread_create(&thread, NULL, turn, &desk), 0);
    while (atomic_load(&desk.runs) == 0)
        (void)poll(NULL, 0, 1);
    cr_assert_eq(handover_look(&desk.handover), HANDOVER_WAITING);
    handover_close(&desk.handover); /* the end does not wait for it */
    cr_assert_eq(handover_look(&desk.handover), HANDOVER_UNKNOWN);
    cr_assert_not(handover_is_idle(&desk.handover));
    atomic_store(&desk.hold, false);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(desk.handover.state, HANDOVER_IDLE);
    cr_assert_not(handover_ask(&desk.handover, &desk.box), "it is closed");
    end(&desk);
}
