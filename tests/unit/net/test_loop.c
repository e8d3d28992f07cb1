/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers and descriptors of plugins on a worker's loop (spoe.loop/1): when they are called, what
 * their functions may do, and what is refused. Issue 12, section 2.
 */
#include "rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/log.h"

#define LOOP_TEST(name) Test(loop, name, .timeout = 60)
#define MANY 500u

static const struct spoe_loop *loop = &loop_facet;
static struct spoe_worker *worker; /* as the plugin has it */

/* What the functions have seen, and are to do. */
static struct {
    unsigned n, order[MANY];
    struct spoe_timer *timer, *other;
    struct spoe_watch *watch;
    uint32_t ready;
    int64_t again_at;
    char where[128];
} seen;

static void start(void)
{
    const char *id;

    rig_start(10);
    rig.set.loop = &loop_facet;
    loop_enter(&rig.worker[0]);
    cr_assert_eq(worker_core_start(&rig.worker[0].core, &id), 0);
    worker = (struct spoe_worker *)(void *)&rig.worker[0].core.handle[0];
    memset(&seen, 0, sizeof seen);
}

static struct loop *state(void)
{
    return &rig.worker[0].loop;
}

static uint64_t misbehaviour(void)
{
    return rig.worker[0].core.counters.misbehaviour;
}

/* Turn the loop until `n` functions have been called. */
static void wait_for(unsigned n)
{
    while (seen.n < n)
        cr_assert_geq(event_base_loop(rig.worker[0].base, EVLOOP_ONCE), 0);
}

static void turn(void)
{
    cr_assert_geq(event_base_loop(rig.worker[0].base, EVLOOP_NONBLOCK), 0);
}

static void note(void *arg)
{
    cr_assert_lt(seen.n, MANY);
    seen.order[seen.n++] = (unsigned)(uintptr_t)arg;
    seen.where[thread_describe(thread_mine, seen.where, sizeof seen.where - 1)] = '\0';
}

static struct spoe_timer *timer_at(unsigned name, int64_t at_ns)
{
    struct spoe_timer *timer = NULL;

    cr_assert_eq(loop->timer_new(worker, note, (void *)(uintptr_t)name, &timer), SPOE_OK);
    cr_assert_eq(loop->timer_set(timer, at_ns), SPOE_OK);
    return timer;
}

LOOP_TEST(timers_come_in_the_order_of_their_times_and_once)
{
    struct spoe_timer *timers[MANY];
    const int64_t now = clock_mono_ns();

    start();
    for (unsigned i = 0; i < MANY; i++) { /* each time once: 7 and MANY have no common divisor */
        unsigned place = i * 7 % MANY;

        timers[i] = timer_at(place, now - (int64_t)(MANY - place));
    }
    wait_for(MANY);
    for (unsigned i = 0; i < MANY; i++)
        cr_assert_eq(seen.order[i], i);
    turn();
    cr_assert_eq(seen.n, MANY);
    for (unsigned i = 0; i < MANY; i++)
        loop->timer_free(timers[i]);
    cr_assert_eq(state()->n_armed, 0);
    rig_stop();
}

/* Whatever is set, moved and taken out, what is left is a heap. */
LOOP_TEST(timers_that_are_moved_and_freed_leave_the_others_in_order)
{
    struct spoe_timer *timers[MANY];
    const int64_t now = clock_mono_ns();
    unsigned n = 0;

    start();
    for (unsigned i = 0; i < MANY; i++)
        timers[i] = timer_at(i, now + 1000 * NS_PER_S + i * 13 % 101);
    for (unsigned i = 0; i < MANY; i++) {
        if (i % 3 == 0) {
            loop->timer_free(timers[i]);
            timers[i] = NULL;
        } else if (i % 3 == 1) {
            cr_assert_eq(loop->timer_set(timers[i], SPOE_TIMER_OFF), SPOE_OK);
        } else {
            cr_assert_eq(loop->timer_set(timers[i], now - (int64_t)(i * 31 % 1009)), SPOE_OK);
            n++;
        }
    }
    for (unsigned i = 1; i < MANY; i += 3) { /* and those that were off are on again */
        cr_assert_eq(loop->timer_set(timers[i], now - (int64_t)(i * 31 % 1009)), SPOE_OK);
        n++;
    }
    wait_for(n);
    for (unsigned i = 1; i < n; i++) /* later ones had the greater of i * 31 % 1009 */
        cr_assert_geq(seen.order[i - 1] * 31 % 1009, seen.order[i] * 31 % 1009);
    turn();
    cr_assert_eq(seen.n, n);
    for (unsigned i = 0; i < MANY; i++)
        loop->timer_free(timers[i]);
    rig_stop();
}

LOOP_TEST(a_timer_does_not_come_before_its_time)
{
    const int64_t at = clock_mono_ns() + 20 * 1000 * 1000;
    struct spoe_timer *timer;

    start();
    timer = timer_at(1, at);
    turn();
    wait_for(1);
    cr_assert_geq(clock_mono_ns(), at);
    cr_assert_str_eq(seen.where, "? is in a timer's function of plugin ?");
    cr_assert_eq(loop->timer_set(timer, INT64_MIN), SPOE_OK, "what is past means at once");
    wait_for(2);
    loop->timer_free(timer);
    rig_stop();
}

static void again(void *arg)
{
    note(arg);
    cr_assert_eq(loop->timer_set(seen.timer, 0), SPOE_OK);
}

/* One that is always due does not keep the others, or the connections, waiting. */
LOOP_TEST(a_timer_that_arms_itself_for_the_past_comes_in_the_next_round)
{
    struct spoe_timer *other;

    start();
    cr_assert_eq(loop->timer_new(worker, again, (void *)1, &seen.timer), SPOE_OK);
    cr_assert_eq(loop->timer_set(seen.timer, 0), SPOE_OK);
    other = timer_at(2, 5);
    wait_for(2);
    cr_assert_eq(seen.order[0], 1);
    cr_assert_eq(seen.order[1], 2);
    wait_for(3);
    cr_assert_eq(seen.order[2], 1);
    loop->timer_free(seen.timer);
    loop->timer_free(other);
    rig_stop();
}

static void free_both(void *arg)
{
    note(arg);
    loop->timer_free(seen.timer);
    loop->timer_free(seen.other);
}

LOOP_TEST(a_timers_function_frees_its_own_and_one_that_is_due_as_well)
{
    start();
    cr_assert_eq(loop->timer_new(worker, free_both, NULL, &seen.timer), SPOE_OK);
    cr_assert_eq(loop->timer_set(seen.timer, 1), SPOE_OK);
    seen.other = timer_at(2, 2);
    wait_for(1);
    turn();
    cr_assert_eq(seen.n, 1);
    cr_assert_eq(state()->n_timers[0], 0);
    cr_assert_eq(state()->n_armed, 0);
    rig_stop();
}

/* ---- descriptors ---- */

static void note_ready(void *arg, int32_t fd, uint32_t ready)
{
    note(arg);
    (void)fd;
    seen.ready = ready;
}

static void pair(int ends[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

LOOP_TEST(a_watch_comes_for_as_long_as_its_descriptor_is_ready)
{
    struct spoe_watch *watch = NULL;
    char byte;
    int ends[2];

    start();
    pair(ends);
    cr_assert_eq(loop->watch_new(worker, ends[0], note_ready, NULL, &watch), SPOE_OK);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    turn();
    cr_assert_eq(seen.n, 0, "nothing is watched for yet");
    cr_assert_eq(loop->watch_set(watch, SPOE_LOOP_READ), SPOE_OK);
    wait_for(2); /* nobody has read it */
    cr_assert_eq(seen.ready, SPOE_LOOP_READ);
    cr_assert_str_eq(seen.where, "? is in a watch's function of plugin ?");
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    turn();
    cr_assert_eq(seen.n, 2);
    cr_assert_eq(loop->watch_set(watch, SPOE_LOOP_WRITE), SPOE_OK);
    wait_for(3);
    cr_assert_eq(seen.ready, SPOE_LOOP_WRITE);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(loop->watch_set(watch, SPOE_LOOP_READ | SPOE_LOOP_WRITE), SPOE_OK);
    wait_for(4);
    cr_assert_eq(seen.ready, SPOE_LOOP_READ | SPOE_LOOP_WRITE);
    cr_assert_eq(loop->watch_set(watch, 0), SPOE_OK);
    turn();
    cr_assert_eq(seen.n, 4);
    loop->watch_free(watch);
    cr_assert_eq(state()->n_watches[0], 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    rig_stop();
}

LOOP_TEST(a_hang_up_is_what_is_watched_for)
{
    struct spoe_watch *watch = NULL;
    int ends[2];

    start();
    pair(ends);
    cr_assert_eq(loop->watch_new(worker, ends[0], note_ready, NULL, &watch), SPOE_OK);
    cr_assert_eq(loop->watch_set(watch, SPOE_LOOP_READ), SPOE_OK);
    (void)close(ends[1]);
    wait_for(1);
    cr_assert_eq(seen.ready, SPOE_LOOP_READ);
    cr_assert_eq(loop->watch_set(watch, SPOE_LOOP_WRITE), SPOE_OK);
    wait_for(2);
    cr_assert_eq(seen.ready, SPOE_LOOP_WRITE);
    loop->watch_free(watch);
    (void)close(ends[0]);
    rig_stop();
}

static void free_watch(void *arg, int32_t fd, uint32_t ready)
{
    note_ready(arg, fd, ready);
    loop->watch_free(seen.watch);
    (void)close(fd);
}

LOOP_TEST(a_watchs_function_frees_it_and_closes_the_descriptor)
{
    int ends[2];

    start();
    pair(ends);
    cr_assert_eq(loop->watch_new(worker, ends[0], free_watch, NULL, &seen.watch), SPOE_OK);
    cr_assert_eq(loop->watch_set(seen.watch, SPOE_LOOP_WRITE), SPOE_OK);
    wait_for(1);
    turn();
    cr_assert_eq(seen.n, 1);
    cr_assert_eq(state()->n_watches[0], 0);
    (void)close(ends[1]);
    rig_stop();
}

LOOP_TEST(what_cannot_be_watched_is_refused_and_can_be_freed)
{
    struct spoe_watch *watch = NULL;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), closed = eventfd(0, EFD_CLOEXEC);

    start();
    cr_assert_eq(loop->watch_new(worker, file, note_ready, NULL, &watch), SPOE_OK);
    cr_assert_eq(loop->watch_set(watch, 4), SPOE_E_INVAL);
    cr_assert_eq(loop->watch_set(watch, SPOE_LOOP_READ), SPOE_E_INVAL);
    cr_assert_eq(loop->watch_set(watch, 0), SPOE_OK);
    loop->watch_free(watch);
    (void)close(file);
    cr_assert_eq(loop->watch_new(worker, closed, note_ready, NULL, &watch), SPOE_OK);
    (void)close(closed);
    cr_assert_eq(loop->watch_set(watch, SPOE_LOOP_READ), SPOE_E_INVAL);
    loop->watch_free(watch);
    rig_stop();
}

LOOP_TEST(nonsense_is_refused)
{
    struct spoe_timer *timer = NULL;
    struct spoe_watch *watch = NULL;

    start();
    cr_assert_eq(loop->timer_new(worker, NULL, NULL, &timer), SPOE_E_INVAL);
    cr_assert_eq(loop->timer_new(worker, note, NULL, NULL), SPOE_E_INVAL);
    cr_assert_eq(loop->timer_new(NULL, note, NULL, &timer), SPOE_E_INVAL);
    cr_assert_eq(loop->watch_new(worker, -1, note_ready, NULL, &watch), SPOE_E_INVAL);
    cr_assert_eq(loop->watch_new(worker, 0, NULL, NULL, &watch), SPOE_E_INVAL);
    cr_assert_eq(loop->watch_new(NULL, 0, note_ready, NULL, &watch), SPOE_E_INVAL);
    cr_assert_eq(loop->timer_set(NULL, 1), SPOE_E_INVAL);
    cr_assert_eq(loop->watch_set(NULL, 1), SPOE_E_INVAL);
    loop->timer_free(NULL);
    loop->watch_free(NULL);
    cr_assert_eq(misbehaviour(), 0);
    rig_stop();
}

/* ---- bounds, threads, the end ---- */

LOOP_TEST(there_are_so_many_for_each_plugin_and_no_more)
{
    static struct spoe_timer *timers[SPOE_LOOP_MAX];
    static struct spoe_watch *watches[SPOE_LOOP_MAX];
    struct spoe_timer *timer = NULL;
    struct spoe_watch *watch = NULL;

    start();
    for (uint32_t i = 0; i < SPOE_LOOP_MAX; i++) {
        cr_assert_eq(loop->timer_new(worker, note, NULL, &timers[i]), SPOE_OK);
        cr_assert_eq(loop->watch_new(worker, 0, note_ready, NULL, &watches[i]), SPOE_OK);
    }
    cr_assert_eq(loop->timer_new(worker, note, NULL, &timer), SPOE_E_LIMIT);
    cr_assert_eq(loop->watch_new(worker, 0, note_ready, NULL, &watch), SPOE_E_LIMIT);
    loop->timer_free(timers[0]);
    loop->watch_free(watches[0]);
    cr_assert_eq(loop->timer_new(worker, note, NULL, &timers[0]), SPOE_OK);
    cr_assert_eq(loop->watch_new(worker, 0, note_ready, NULL, &watches[0]), SPOE_OK);
    for (uint32_t i = 0; i < SPOE_LOOP_MAX; i++) {
        loop->timer_free(timers[i]);
        loop->watch_free(watches[i]);
    }
    rig_stop();
}

static void *use(void *arg)
{
    struct spoe_timer *timer = NULL;
    struct spoe_watch *watch = NULL;
    spoe_status *status = arg;

    status[0] = loop->timer_new(worker, note, NULL, &timer);
    status[1] = loop->watch_new(worker, 0, note_ready, NULL, &watch);
    status[2] = loop->timer_set(seen.timer, 1);
    status[3] = loop->watch_set(seen.watch, SPOE_LOOP_READ);
    loop->timer_free(seen.timer);
    loop->watch_free(seen.watch);
    return NULL;
}

LOOP_TEST(another_thread_than_the_workers_changes_nothing)
{
    spoe_status status[4] = {0};
    pthread_t thread;
    int ends[2];

    start();
    pair(ends);
    seen.timer = timer_at(1, clock_mono_ns() + 1000 * NS_PER_S);
    cr_assert_eq(loop->watch_new(worker, ends[0], note_ready, NULL, &seen.watch), SPOE_OK);
    cr_assert_eq(pthread_create(&thread, NULL, use, status), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(status[i], SPOE_E_INVAL);
    cr_assert_eq(misbehaviour(), 6);
    /* Nor does another worker's. */
    loop_enter(&rig.worker[1]);
    (void)use(status);
    cr_assert_eq(misbehaviour(), 12);
    loop_enter(&rig.worker[0]);
    cr_assert_eq(state()->n_timers[0], 1);
    cr_assert_eq(state()->n_watches[0], 1);
    cr_assert_eq(state()->n_armed, 1);
    loop->timer_free(seen.timer);
    loop->watch_free(seen.watch);
    (void)close(ends[0]);
    (void)close(ends[1]);
    rig_stop();
}

LOOP_TEST(what_is_left_at_the_end_is_ended_and_named)
{
    spoe_status status[4] = {0};
    char line[256] = "";
    int ends[2], log[2];

    cr_assert_eq(pipe(log), 0);
    start();
    pair(ends);
    seen.timer = timer_at(1, 1);
    cr_assert_eq(loop->watch_new(worker, ends[0], note_ready, NULL, &seen.watch), SPOE_OK);
    cr_assert_eq(loop->watch_set(seen.watch, SPOE_LOOP_WRITE), SPOE_OK);
    (void)fflush(stderr);
    cr_assert_eq(dup2(log[1], STDERR_FILENO), STDERR_FILENO);
    worker_core_stop(&rig.worker[0].core);
    loop_end(&rig.worker[0]);
    cr_assert_gt(read(log[0], line, sizeof line - 1), 0);
    cr_assert_not_null(
        strstr(line, "plugin rig left 1 timers and 1 watches to worker 0 at its end"), "%s", line);
    turn();
    cr_assert_eq(seen.n, 0);
    (void)use(status); /* as a thread of the plugin's may that was not told */
    cr_assert_eq(status[2], SPOE_E_INVAL);
    cr_assert_eq(misbehaviour(), 6);
    (void)close(ends[0]);
    (void)close(ends[1]);
    rig_stop();
}
