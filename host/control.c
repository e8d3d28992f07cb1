/* SPDX-License-Identifier: Apache-2.0 */
/* host/control.c - signals, and the watch over whatever may hang. */
#include "control.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#define WHERE_MAX 1024u

static void fill(sigset_t *set)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGCHLD};

    (void)sigemptyset(set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)sigaddset(set, signals[i]);
}

void control_block_signals(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    fill(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

/* Nobody is asked any more: say why, and who is in the way. */
static _Noreturn void leave(const char *why)
{
    char where[WHERE_MAX];
    size_t n = thread_describe_all(where, sizeof where);

    log_leave(SPOE_LOG_ERR, "host", "%s%s%.*s, leaving now", why, n != 0 ? ": " : "", (int)n,
              where);
    _exit(1);
}

static void on_totals(struct control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    if (control->on_totals != NULL)
        control->on_totals(control->arg);
    (void)pthread_mutex_unlock(&control->lock);
}

static void on_signal(struct control *control, int number)
{
    static const uint64_t one = 1;

    if (number == SIGUSR1)
        on_totals(control);
    if (number == SIGHUP)
        (void)!write(control->reload_fd, &one, sizeof one);
    if (number != SIGTERM && number != SIGINT)
        return; /* SIGUSR2 is our own: look at deadline and quit */
    if (!atomic_load(&control->orderly))
        leave("ended by a signal");
    if (control->asked != 0) {
        if (number != control->asked || clock_mono_ns() - control->asked_ns >= control->again_ns)
            leave("second signal");
        return;
    }
    control->asked = number;
    control->asked_ns = clock_mono_ns();
    (void)control_end(control);
    (void)!write(control->stop_fd, &one, sizeof one);
}

static void *control_main(void *arg)
{
    struct control *control = arg;
    sigset_t set;

    (void)pthread_setname_np(pthread_self(), "control");
    thread_begin("control");
    fill(&set);
    while (!atomic_load(&control->quit)) {
        int64_t deadline = atomic_load(&control->deadline_ns);
        int64_t left = deadline - clock_mono_ns();
        struct timespec wait;
        int number;

        if (deadline != 0 && left <= 0)
            leave("shutdown-timeout has passed");
        wait = (struct timespec){.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
        number = deadline == 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
        if (number > 0)
            on_signal(control, number);
    }
    thread_end();
    return NULL;
}

int control_start(struct control *control, int64_t timeout_ns)
{
    int error;

    *control = (struct control){.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                .reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                .timeout_ns = timeout_ns,
                                .again_ns = SIGNAL_AGAIN_NS};
    (void)pthread_mutex_init(&control->lock, NULL);
    error = control->stop_fd < 0 || control->reload_fd < 0
                ? errno
                : pthread_create(&control->thread, NULL, control_main, control);
    if (error != 0) {
        log_line(SPOE_LOG_ERR, "host", "control thread: %s", strerror(error));
        return -1;
    }
    return 0;
}

/* The thread looks again. */
static void wake(struct control *control)
{
    (void)pthread_kill(control->thread, SIGUSR2);
}

void control_serve(struct control *control, int64_t timeout_ns)
{
    atomic_store(&control->timeout_ns, timeout_ns);
    atomic_store(&control->orderly, true);
}

void control_on_totals(struct control *control, void (*on_totals_fn)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&control->lock);
    control->on_totals = on_totals_fn;
    control->arg = arg;
    (void)pthread_mutex_unlock(&control->lock);
}

int64_t control_end(struct control *control)
{
    int64_t none = 0, end = clock_mono_ns() + atomic_load(&control->timeout_ns);

    if (!atomic_compare_exchange_strong(&control->deadline_ns, &none, end))
        return none;
    wake(control);
    return end;
}

void control_stop(struct control *control)
{
    atomic_store(&control->quit, true);
    wake(control);
    (void)pthread_join(control->thread, NULL);
    (void)close(control->stop_fd);
    (void)close(control->reload_fd);
    (void)pthread_mutex_destroy(&control->lock);
}
