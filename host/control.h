/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/control.h - signals, and the watch over the shutdown.
 *
 * One thread waits for signals; they are blocked everywhere else, in plugins' threads too. The
 * first SIGTERM, SIGINT or SIGHUP asks for an orderly end, the second leaves at once. SIGUSR1 logs
 * the totals. Once the end has begun the thread also sees to its deadline: whoever is late is
 * named and the process leaves.
 */
#ifndef HOST_CONTROL_H
#define HOST_CONTROL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct control {
    pthread_t thread;
    int stop_fd;                 /* readable once an end was asked for */
    _Atomic int64_t deadline_ns; /* of the shutdown; 0: it has not begun */
    _Atomic bool quit;
    _Atomic(const char *) now_in; /* the plugin that is being called during the shutdown */
    void (*on_totals)(void *arg); /* SIGUSR1; runs on the control thread */
    void *arg;
};

/** Block the signals in the calling thread and those that it starts; ignore SIGPIPE. */
void control_block_signals(void);
/** @return 0; -1 logged */
int control_start(struct control *control, void (*on_totals)(void *arg), void *arg);
/** The shutdown has begun; past the deadline the process leaves. */
void control_watch(struct control *control, int64_t deadline_mono_ns);
/** End the thread: nothing can be late any more. */
void control_stop(struct control *control);

#endif
