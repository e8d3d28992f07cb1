/* SPDX-License-Identifier: Apache-2.0 */
/* POST /control: which state has it wait, which one it refuses, and what whoever asks can do then.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/view.h"

static struct view view;
static char *text;
static unsigned n_runs;

static void run(void *arg, struct change *change)
{
    (void)arg;
    change->status = 200;
    change->text = strdup("changed\n");
    change->n = strlen(change->text);
    n_runs++;
}

static void setup(void)
{
    cr_assert_eq(view_init(&view), 0);
    changes_init(&view.changes, run, NULL);
    atomic_store(&view.state, HOST_READY);
}

static void teardown(void)
{
    free(text);
    changes_fini(&view.changes);
    view_fini(&view);
}

TestSuite(change_page, .init = setup, .fini = teardown, .timeout = 30);

static int ended(FILE *out, int status)
{
    cr_assert_eq(fclose(out), 0);
    return status;
}

static FILE *begun(void)
{
    static size_t n;

    free(text);
    text = NULL;
    return open_memstream(&text, &n);
}

static int post(int64_t waited_ns)
{
    const struct admin_post post = {
        .body = {"{\"a.b\": \"c\"}", 12}, .who = "a test", .waited_ns = waited_ns};
    FILE *out = begun();

    return ended(out, page_control_post(&view, &post, out));
}

static int later(void)
{
    FILE *out = begun();

    return ended(out, page_control_later(&view, out));
}

Test(change_page, is_done_by_the_main_thread)
{
    cr_assert_eq(post(0), ADMIN_LATER);
    cr_assert_eq(later(), ADMIN_LATER);
    cr_assert_eq(mailbox_run(&view.mailbox), 1);
    cr_assert_eq(later(), 200);
    cr_assert_str_eq(text, "changed\n");
    cr_assert_eq(n_runs, 1);
}

/* Of several the next one waits for its turn; it was refused at once before. */
Test(change_page, waits_for_another_change)
{
    cr_assert_eq(post(0), ADMIN_LATER);
    cr_assert_eq(post(0), ADMIN_AGAIN);
    cr_assert_eq(post(CHANGE_TURN_NS - 1), ADMIN_AGAIN);
    cr_assert_eq(mailbox_run(&view.mailbox), 1);
    cr_assert_eq(post(1), ADMIN_AGAIN, "nobody has seen yet what came of the first");
    cr_assert_eq(post(CHANGE_TURN_NS), ADMIN_BUSY);
    cr_assert_str_eq(text, "another change is under way: nothing has changed, ask again\n");
    cr_assert_eq(later(), 200);
    cr_assert_eq(post(1), ADMIN_LATER);
    cr_assert_eq(mailbox_run(&view.mailbox), 1);
    cr_assert_eq(n_runs, 2);
}

Test(change_page, waits_for_the_start)
{
    atomic_store(&view.state, HOST_STARTING);
    cr_assert_eq(post(0), ADMIN_AGAIN);
    cr_assert_eq(post(CHANGE_TURN_NS), ADMIN_BUSY);
    cr_assert_str_eq(text, "the host starts: nothing has changed, ask again\n");
    atomic_store(&view.state, HOST_READY);
    cr_assert_eq(post(1), ADMIN_LATER);
}

Test(change_page, a_main_thread_that_does_not_come_is_said)
{
    view.changes.handover.wait_ns = 0;
    cr_assert_eq(post(0), ADMIN_LATER);
    cr_assert_eq(later(), ADMIN_BUSY);
    cr_assert_str_eq(text, "the main thread is busy: nothing has changed, ask again\n");
    cr_assert_eq(post(0), ADMIN_AGAIN, "until it has come by");
    cr_assert_eq(mailbox_run(&view.mailbox), 1);
    cr_assert_eq(n_runs, 0);
    cr_assert_eq(post(1), ADMIN_LATER);
}

/* Nobody is told to ask again. */
Test(change_page, the_end_is_not_waited_for)
{
    cr_assert_eq(post(0), ADMIN_LATER);
    atomic_store(&view.state, HOST_DRAINING);
    cr_assert_eq(post(0), 503);
    cr_assert_str_eq(text, "the host ends: nothing has changed\n");
    handover_close(&view.changes.handover);
    cr_assert_eq(later(), 503);
    cr_assert_str_eq(text, "the host ends: nothing has changed\n");
}
