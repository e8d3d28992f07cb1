/* SPDX-License-Identifier: Apache-2.0 */
/* host/control.c - signals, and the watch over the shutdown. */
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

#define TICK_NS INT64_C(50000000) /* how often the shutdown's deadline is looked at */

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

/* The deadline of the shutdown has passed. */
static void leave_late(struct control *control)
{
    const char *id = atomic_load(&control->now_in);

    log_line(SPOE_LOG_ERR, "host", "shutdown-timeout has passed%s%s, leaving now",
             id != NULL ? " in plugin " : "", id != NULL ? id : "");
    _exit(1);
}

/* @param asked  whether an end has been asked for already. @return whether it has been now */
static bool on_signal(struct control *control, int number, bool asked)
{
    static const uint64_t one = 1;

    if (number == SIGUSR1)
        control->on_totals(control->arg);
    if (number != SIGTERM && number != SIGINT && number != SIGHUP)
        return asked; /* SIGUSR2 is our own: look at deadline and quit */
    if (asked) {
        log_line(SPOE_LOG_WARNING, "host", "second signal, leaving at once");
        _exit(1);
    }
    (void)!write(control->stop_fd, &one, sizeof one);
    return true;
}

static void *control_main(void *arg)
{
    struct control *control = arg;
    const struct timespec tick = {0, TICK_NS};
    bool asked = false;
    sigset_t set;

    (void)pthread_setname_np(pthread_self(), "control");
    fill(&set);
    while (!atomic_load(&control->quit)) {
        int64_t deadline = atomic_load(&control->deadline_ns);
        int number = deadline == 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &tick);

        if (number > 0)
            asked = on_signal(control, number, asked);
        if (deadline != 0 && clock_mono_ns() > deadline)
            leave_late(control);
    }
    return NULL;
}

int control_start(struct control *control, void (*on_totals)(void *arg), void *arg)
{
    int error;

    control->on_totals = on_totals;
    control->arg = arg;
    control->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = control->stop_fd < 0 ? errno
                                 : pthread_create(&control->thread, NULL, control_main, control);
    if (error != 0) {
        log_line(SPOE_LOG_ERR, "host", "control thread: %s", strerror(error));
        return -1;
    }
    return 0;
}

void control_watch(struct control *control, int64_t deadline_mono_ns)
{
    atomic_store(&control->deadline_ns, deadline_mono_ns);
    (void)pthread_kill(control->thread, SIGUSR2);
}

void control_stop(struct control *control)
{
    atomic_store(&control->quit, true);
    (void)pthread_kill(control->thread, SIGUSR2);
    (void)pthread_join(control->thread, NULL);
    (void)close(control->stop_fd);
}
