/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/host/test_control.c - signals, and the watch over whatever may hang. (2.1, 9.3) */
#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "control.h"

static struct control control;

static void begin(void)
{
    control_block_signals();
    thread_begin("main");
    log_init(SPOE_LOG_ERR, LOG_LOGFMT);
    cr_assert_eq(control_start(&control, 15 * NS_PER_S), 0);
}

TestSuite(control, .timeout = 60, .init = begin);

static void send_signal(int number)
{
    cr_assert_eq(kill(getpid(), number), 0);
}

/* Waits for the event, as long as it takes. */
static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    cr_assert_eq(poll(&p, 1, -1), 1);
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/* A test that should have left the process by now. */
static _Noreturn void wait_for_the_end(void)
{
    for (;;)
        (void)pause();
}

Test(control, the_first_signal_asks_for_an_end)
{
    int64_t before = clock_mono_ns(), end;

    control_serve(&control, 3600 * NS_PER_S);
    cr_assert_not(is_readable(control.stop_fd));
    send_signal(SIGTERM);
    wait_readable(control.stop_fd);
    end = control_end(&control);
    cr_assert_geq(end, before + 3600 * NS_PER_S);
    cr_assert_leq(end, clock_mono_ns() + 3600 * NS_PER_S);
    cr_assert_not(is_readable(control.reload_fd));
    control_stop(&control);
}

Test(control, an_end_that_has_begun_keeps_its_deadline)
{
    int64_t end;

    control_serve(&control, 1800 * NS_PER_S);
    end = control_end(&control);
    control_serve(&control, 10 * NS_PER_S);
    cr_assert_eq(control_end(&control), end);
    send_signal(SIGINT);
    wait_readable(control.stop_fd);
    cr_assert_eq(control_end(&control), end);
    control_stop(&control);
}

Test(control, the_second_signal_leaves_at_once, .exit_code = 1)
{
    control_serve(&control, 3600 * NS_PER_S);
    send_signal(SIGTERM);
    wait_readable(control.stop_fd);
    send_signal(SIGINT);
    wait_for_the_end();
}

/* Until the control thread has taken what was sent. */
static void wait_taken(int number)
{
    sigset_t set;

    do {
        (void)poll(NULL, 0, 1);
        cr_assert_eq(sigpending(&set), 0);
    } while (sigismember(&set, number) == 1);
}

/* `timeout` sends it to the process and to its group. */
Test(control, the_same_signal_at_once_is_no_second_one)
{
    control.again_ns = 3600 * NS_PER_S;
    control_serve(&control, 3600 * NS_PER_S);
    for (int i = 0; i < 3; i++) {
        send_signal(SIGTERM);
        wait_taken(SIGTERM);
    }
    wait_readable(control.stop_fd);
    send_signal(SIGHUP);
    wait_readable(control.reload_fd); /* so what was taken before has done its work */
    control_stop(&control);
}

Test(control, the_same_signal_later_is_a_second_one, .exit_code = 1)
{
    control.again_ns = 0;
    control_serve(&control, 3600 * NS_PER_S);
    send_signal(SIGTERM);
    wait_readable(control.stop_fd);
    send_signal(SIGTERM);
    wait_for_the_end();
}

Test(control, the_first_one_leaves_where_nothing_is_served, .exit_code = 1)
{
    send_signal(SIGTERM);
    wait_for_the_end();
}

Test(control, past_the_deadline_it_leaves, .exit_code = 1)
{
    control_serve(&control, 50 * NS_PER_MS);
    (void)control_end(&control);
    wait_for_the_end();
}

Test(control, past_the_deadline_it_leaves_after_a_signal_too, .exit_code = 1)
{
    control_serve(&control, 50 * NS_PER_MS);
    send_signal(SIGTERM);
    wait_for_the_end();
}

/* SIGUSR2 wakes it: neither ends anything, nor do those that only have to be blocked. */
Test(control, other_signals_end_nothing)
{
    static const int numbers[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGCHLD};

    control_serve(&control, NS_PER_S);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        send_signal(numbers[i]);
    wait_readable(control.reload_fd); /* SIGHUP has come, and with it those that were before it */
    cr_assert_not(is_readable(control.stop_fd));
    cr_assert_eq(atomic_load(&control.deadline_ns), 0);
    control_stop(&control);
}

static sem_t told;

static void on_totals(void *arg)
{
    cr_assert_eq(arg, &told);
    (void)sem_post(&told);
}

Test(control, totals_while_there_is_something_to_tell)
{
    cr_assert_eq(sem_init(&told, 0, 0), 0);
    control_serve(&control, NS_PER_S);
    send_signal(SIGUSR1); /* nothing to tell yet */
    send_signal(SIGHUP);
    wait_readable(control.reload_fd);
    control_on_totals(&control, on_totals, &told);
    send_signal(SIGUSR1);
    cr_assert_eq(sem_wait(&told), 0);
    control_on_totals(&control, NULL, NULL);
    send_signal(SIGUSR1);
    send_signal(SIGTERM);
    wait_readable(control.stop_fd);
    cr_assert_neq(sem_trywait(&told), 0);
    control_stop(&control);
}

static void on_totals_alone(void *arg)
{
    cr_expect_eq(pthread_mutex_trylock(&control.lock), EBUSY);
    on_totals(arg);
}

/* 9.2: what is told of is not taken away meanwhile: who wants to waits for the lock. */
Test(control, totals_are_told_under_the_lock)
{
    cr_assert_eq(sem_init(&told, 0, 0), 0);
    control_on_totals(&control, on_totals_alone, &told);
    for (unsigned i = 0; i < 3; i++) { /* and it is let go each time */
        send_signal(SIGUSR1);
        cr_assert_eq(sem_wait(&told), 0);
        control_on_totals(&control, on_totals_alone, &told);
    }
    control_stop(&control);
}
