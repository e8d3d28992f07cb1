/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_schedule.c - which batch leaves next, waits, giving up: with a clock and
 * chance that are numbers.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "send/schedule.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
#define MIDDLE (UINT32_MAX / 2)

TestSuite(schedule, .timeout = 60);

#define BATCHES 12u

static struct schedule schedule;
static struct batch *batch[BATCHES];

static void set_up(void)
{
    schedule = (struct schedule){
        .conf = {.concurrency = 3, .initial_ns = 5 * S, .max_ns = 30 * S, .give_up_ns = 300 * S}};
    for (size_t i = 0; i < BATCHES; i++) {
        batch[i] = batch_create();
        cr_assert_not_null(batch[i]);
        batch[i]->n = i + 1;
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < BATCHES; i++)
        batch_destroy(batch[i]);
}

/* A new batch is sent and fails, both at this moment. @return its wait */
static int64_t begin_and_fail(struct batch *one, int64_t at)
{
    int64_t wait = -1;

    cr_assert(schedule_takes_new(&schedule, at));
    schedule_begin(&schedule, one, at);
    cr_assert_eq(schedule_failed(&schedule, one, at, 0, MIDDLE, &wait), SCHEDULE_PARKED);
    return wait;
}

static void begin_and_deliver(struct batch *one, int64_t at)
{
    cr_assert(schedule_takes_new(&schedule, at));
    schedule_begin(&schedule, one, at);
    schedule_answered(&schedule, at);
}

/* ---- waits --------------------------------------------------------------------------------- */

struct bounds {
    int64_t low_ms, high_ms; /* of the n-th wait */
};

/* 3.1: soon at first; then 5 s * 1.5^n and 1.5 times that, at most 30 s. */
static const struct bounds table[] = {{100, 1000},    {5000, 7500},   {7500, 11250}, {11250, 16875},
                                      {16875, 25313}, {20000, 30000}, {20000, 30000}};

static int64_t nth_wait(size_t n, uint32_t random)
{
    int64_t wait = 0;

    schedule_begin(&schedule, batch[0], 7 * S);
    for (size_t i = 0;; i++) {
        cr_assert_eq(schedule_failed(&schedule, batch[0], 7 * S, 0, random, &wait),
                     SCHEDULE_PARKED);
        if (i == n)
            break;
        batch[0]->due_ns = 0;
        cr_assert_eq(schedule_take(&schedule, 7 * S), batch[0]);
    }
    (void)schedule_drop(&schedule);
    return wait;
}

Test(schedule, waits_grow_within_their_bounds, .init = set_up, .fini = tear_down)
{
    for (size_t n = 0; n < sizeof table / sizeof table[0]; n++) {
        const int64_t low = nth_wait(n, 0), high = nth_wait(n, UINT32_MAX);
        const int64_t middle = nth_wait(n, MIDDLE);

        cr_expect_leq(llabs(low / MS - table[n].low_ms), 1, "wait %zu: %ld ms", n,
                      (long)(low / MS));
        cr_expect_leq(llabs(high / MS - table[n].high_ms), 1, "wait %zu: %ld ms", n,
                      (long)(high / MS));
        cr_expect(low < middle && middle < high, "chance moves wait %zu", n);
    }
}

Test(schedule, short_limits_bound_the_first_wait_too, .init = set_up, .fini = tear_down)
{
    schedule.conf.initial_ns = schedule.conf.max_ns = 7 * MS;
    for (size_t n = 0; n < 5; n++)
        cr_assert_leq(nth_wait(n, UINT32_MAX), 7 * MS);
    cr_assert_eq(nth_wait(0, 0), 7 * MS);
}

Test(schedule, gives_up_after_its_time, .init = set_up, .fini = tear_down)
{
    int64_t now = 1000 * S, wait = 0, tries = 0;
    enum schedule_end end = SCHEDULE_PARKED;

    schedule_begin(&schedule, batch[0], now);
    for (;;) {
        end = schedule_failed(&schedule, batch[0], now, 0, UINT32_MAX, &wait);
        if (end != SCHEDULE_PARKED)
            break;
        tries++;
        cr_assert_null(schedule_take(&schedule, now + wait - 1));
        now += wait;
        cr_assert_eq(schedule_take(&schedule, now), batch[0]);
    }
    cr_assert_eq(end, SCHEDULE_GAVE_UP);
    cr_assert_eq(now, 1300 * S, "the last attempt falls on the end, not on %ld s", (long)(now / S));
    cr_assert_eq(tries, 13, "%ld tries", (long)tries);
    cr_assert_eq(schedule.parked_batches, 0);
    cr_assert_eq(schedule.in_flight, 0);
}

Test(schedule, each_batch_has_its_own_time, .init = set_up, .fini = tear_down)
{
    int64_t wait;

    schedule_begin(&schedule, batch[0], 0);
    schedule_begin(&schedule, batch[1], 299 * S);
    cr_assert_eq(schedule_failed(&schedule, batch[0], 300 * S, 0, 0, &wait), SCHEDULE_GAVE_UP);
    cr_assert_eq(schedule_failed(&schedule, batch[1], 300 * S, 0, 0, &wait), SCHEDULE_PARKED);
}

/* ---- what leaves --------------------------------------------------------------------------- */

/* 3.1 */
Test(schedule, the_next_ones_leave_while_one_waits, .init = set_up, .fini = tear_down)
{
    const int64_t wait = begin_and_fail(batch[0], 0);

    cr_assert_null(schedule_take(&schedule, 0));
    begin_and_deliver(batch[1], 0);
    begin_and_deliver(batch[2], 0);
    cr_assert_null(schedule_take(&schedule, wait - 1), "not before its time");
    cr_assert_eq(schedule_take(&schedule, wait), batch[0]);
    cr_assert_eq(schedule.parked_spans, 0);
}

Test(schedule, as_many_at_once_as_is_said_and_one_after_a_failure, .init = set_up,
     .fini = tear_down)
{
    int64_t wait;

    for (size_t i = 0; i < 3; i++) {
        cr_assert(schedule_takes_new(&schedule, 0));
        schedule_begin(&schedule, batch[i], 0);
    }
    cr_assert_not(schedule_takes_new(&schedule, 0));
    cr_assert_eq(schedule_next_ns(&schedule, 0, 0), INT64_MAX, "a request's end comes first");
    (void)schedule_failed(&schedule, batch[0], 0, 0, 0, &wait);
    cr_assert_not(schedule_takes_new(&schedule, 0), "two are under way");
    schedule_answered(&schedule, 0);
    cr_assert(schedule_takes_new(&schedule, 0), "it works");
    (void)schedule_failed(&schedule, batch[2], 0, 0, 0, &wait);
    cr_assert(schedule_takes_new(&schedule, 0), "one to see");
    schedule_begin(&schedule, batch[3], 0);
    cr_assert_not(schedule_takes_new(&schedule, 0), "one at a time");
    cr_assert_null(schedule_take(&schedule, 100 * S), "of those that are parked, too");
}

/* 3.1: one probe at a time; some in turn, lest one that cannot be taken stands for all. */
Test(schedule, while_it_is_down_a_few_are_tried_in_turn, .init = set_up, .fini = tear_down)
{
    int64_t at = 0;

    for (size_t i = 0; i < SCHEDULE_DOWN_MAX; i++)
        (void)begin_and_fail(batch[i], 0);
    cr_assert_not(schedule_takes_new(&schedule, 0), "the rest stays in the queue");
    cr_assert_eq(schedule.parked_batches, SCHEDULE_DOWN_MAX);
    cr_assert_eq(schedule.parked_spans, 1 + 2 + 3 + 4);
    for (size_t n = 0; n < 8; n++) {
        struct batch *one;
        int64_t wait;

        at = schedule_next_ns(&schedule, at, 0);
        one = schedule_take(&schedule, at);
        cr_assert_eq(one, batch[n % SCHEDULE_DOWN_MAX], "each in its turn");
        cr_assert_null(schedule_take(&schedule, at), "one at a time");
        cr_assert_not(schedule_takes_new(&schedule, at));
        (void)schedule_failed(&schedule, one, at, 0, MIDDLE, &wait);
    }
}

Test(schedule, a_new_one_is_tried_where_another_is_given_up, .init = set_up, .fini = tear_down)
{
    int64_t wait;

    for (size_t i = 0; i < SCHEDULE_DOWN_MAX; i++)
        (void)begin_and_fail(batch[i], 0);
    cr_assert_eq(schedule_take(&schedule, 301 * S), batch[0]);
    cr_assert_eq(schedule_failed(&schedule, batch[0], 301 * S, 0, 0, &wait), SCHEDULE_GAVE_UP);
    cr_assert(schedule_takes_new(&schedule, 301 * S));
}

/* 3.1: oldest first, with the normal concurrency. */
Test(schedule, when_it_is_back_what_is_parked_leaves_oldest_first, .init = set_up,
     .fini = tear_down)
{
    struct batch *one;
    int64_t wait;

    for (size_t i = 0; i < SCHEDULE_DOWN_MAX; i++)
        (void)begin_and_fail(batch[i], (int64_t)i);
    for (size_t i = 0; i < SCHEDULE_DOWN_MAX; i++) {
        one = schedule_take(&schedule, 2 * S);
        (void)schedule_failed(&schedule, one, 2 * S, 0, UINT32_MAX - (uint32_t)i * 1000000, &wait);
    }
    cr_assert_null(schedule_take(&schedule, 3 * S));
    one = schedule_take(&schedule, 10 * S);
    cr_assert_not_null(one);
    schedule_answered(&schedule, 3 * S);
    for (size_t i = 0; i < SCHEDULE_DOWN_MAX; i++) {
        if (batch[i] == one)
            continue;
        cr_assert_eq(schedule_take(&schedule, 3 * S), batch[i], "now, the oldest first");
    }
    cr_assert_eq(schedule.in_flight, 3);
}

/* One that the collector cannot take does not come anew with each that it takes. */
Test(schedule, a_batch_is_due_early_once, .init = set_up, .fini = tear_down)
{
    int64_t wait;

    for (size_t round = 0; round < 2; round++) {
        if (round == 0) {
            (void)begin_and_fail(batch[0], 0);
            (void)begin_and_fail(batch[1], 0);
        } else {
            for (size_t i = 0; i < 2; i++) {
                cr_assert_eq(schedule_take(&schedule, 0), batch[i]);
                (void)schedule_failed(&schedule, batch[i], 0, 0, 0, &wait);
            }
        }
        begin_and_deliver(batch[2], 0);
    }
    cr_assert_null(schedule_take(&schedule, 5 * S - 1));
    cr_assert_not_null(schedule_take(&schedule, 5 * S));
}

/* ---- pauses that the collector asks for ---------------------------------------------------- */

/* 3.1: always kept, for the whole collector. */
Test(schedule, nothing_leaves_before_the_pause_is_over, .init = set_up, .fini = tear_down)
{
    int64_t wait;

    schedule_begin(&schedule, batch[0], 0);
    schedule_begin(&schedule, batch[1], 0);
    cr_assert_eq(schedule_failed(&schedule, batch[0], S, 60 * S, 0, &wait), SCHEDULE_PARKED);
    cr_assert_eq(wait, 60 * S);
    cr_assert_eq(schedule_failed(&schedule, batch[1], 2 * S, S, 0, &wait), SCHEDULE_PARKED);
    cr_assert_eq(wait, 59 * S, "a shorter one does not shorten it");
    schedule_hurry(&schedule, 3 * S);
    cr_assert_null(schedule_take(&schedule, 61 * S - 1), "not in a hurry either");
    cr_assert_not(schedule_takes_new(&schedule, 61 * S - 1));
    cr_assert_eq(schedule_next_ns(&schedule, 3 * S, 4 * S), 61 * S);
    cr_assert_eq(schedule_take(&schedule, 61 * S), batch[0]);
}

Test(schedule, gives_up_at_once_where_the_pause_is_longer_than_its_time, .init = set_up,
     .fini = tear_down)
{
    int64_t wait = -1;

    schedule_begin(&schedule, batch[0], 0);
    cr_assert_eq(schedule_failed(&schedule, batch[0], 0, 301 * S, 0, &wait), SCHEDULE_GAVE_UP);
    cr_assert_eq(wait, -1, "untouched");
    cr_assert_not(schedule_takes_new(&schedule, 300 * S), "the pause is kept");
    cr_assert(schedule_takes_new(&schedule, 301 * S));
    schedule_begin(&schedule, batch[1], 301 * S);
    cr_assert_eq(schedule_failed(&schedule, batch[1], 591 * S, 10 * S, 0, &wait), SCHEDULE_PARKED);
    cr_assert_eq(wait, 10 * S);
}

/* ---- when to look again -------------------------------------------------------------------- */

Test(schedule, says_when_to_look_again, .init = set_up, .fini = tear_down)
{
    int64_t wait;

    cr_assert_eq(schedule_next_ns(&schedule, 0, INT64_MAX), INT64_MAX);
    cr_assert_eq(schedule_next_ns(&schedule, 0, 7), 7);
    wait = begin_and_fail(batch[0], 0);
    cr_assert_eq(schedule_next_ns(&schedule, 0, INT64_MAX), wait);
    cr_assert_eq(schedule_next_ns(&schedule, 0, 7), 7);
    for (size_t i = 1; i < SCHEDULE_DOWN_MAX; i++)
        (void)begin_and_fail(batch[i], (int64_t)i);
    cr_assert_eq(schedule_next_ns(&schedule, 0, 7), wait, "no new one now");
}

/* ---- the end ------------------------------------------------------------------------------- */

Test(schedule, a_hurry_makes_all_due_and_waits_short, .init = set_up, .fini = tear_down)
{
    int64_t wait;

    for (size_t i = 0; i < SCHEDULE_DOWN_MAX; i++)
        (void)begin_and_fail(batch[i], 0);
    schedule_hurry(&schedule, 1);
    cr_assert_eq(schedule_take(&schedule, 1), batch[0]);
    (void)schedule_failed(&schedule, batch[0], 1, 0, UINT32_MAX, &wait);
    cr_assert(wait >= 100 * MS && wait <= S, "%ld ms", (long)(wait / MS));
    cr_assert_eq(schedule_take(&schedule, 1), batch[1]);
    (void)schedule_failed(&schedule, batch[1], 1, 0, UINT32_MAX, &wait);
    cr_assert_leq(wait, S, "%ld ms", (long)(wait / MS));
}

Test(schedule, what_is_parked_is_handed_back_at_the_end, .init = set_up, .fini = tear_down)
{
    size_t n = 0;

    for (size_t i = 0; i < 3; i++)
        (void)begin_and_fail(batch[i], 0);
    for (struct batch *one = schedule_drop(&schedule); one != NULL; one = one->next)
        cr_assert_eq(one, batch[n++]);
    cr_assert_eq(n, 3);
    cr_assert_eq(schedule.parked_batches + schedule.parked_spans, 0);
    cr_assert_null(schedule_take(&schedule, 1000 * S));
}
