/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/control.h - signals, and the watch over whatever may hang.
 *
 * One thread waits for signals; they are blocked everywhere else, in plugins' threads too. It runs
 * from the beginning of main() until after the plugins' destroy(), so that neither a plugin nor a
 * file nor a full pipe can keep the process:
 *
 *   a command (-t, --plugin-info, ...),
 *   the reading of the configuration     the first SIGTERM or SIGINT leaves at once
 *   a start, the service, the end        the first one asks for an orderly end, by shutdown-timeout
 *                                        from then; a second one leaves at once. The same signal
 *                                        within SIGNAL_AGAIN_NS is no second one: who stops a
 *                                        process and its group sends it two
 *
 * Past the deadline whoever is late is named and the process leaves with status 1. A start that has
 * failed has the same time to come to its end. SIGHUP asks the service
 * for its configuration to be read again, SIGUSR1 logs the totals.
 */
#ifndef HOST_CONTROL_H
#define HOST_CONTROL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SIGNAL_AGAIN_NS INT64_C(500000000)

struct control {
    pthread_t thread;
    int stop_fd;                 /* readable once an end was asked for */
    int reload_fd;               /* readable once SIGHUP came */
    _Atomic int64_t timeout_ns;  /* shutdown-timeout */
    _Atomic int64_t deadline_ns; /* when the process has to be gone; 0: nothing has to end */
    _Atomic bool orderly;        /* what the first signal asks for; false: leave at once */
    int asked;                   /* the signal that has asked for an end; 0: none */
    int64_t asked_ns;            /* when */
    int64_t again_ns;            /* SIGNAL_AGAIN_NS, but in tests */
    _Atomic bool quit;
    pthread_mutex_t lock;         /* of the two below */
    void (*on_totals)(void *arg); /* SIGUSR1; runs on the control thread. NULL: nothing to tell */
    void *arg;
};

/** Block the signals in the calling thread and those that it starts; ignore SIGPIPE. */
void control_block_signals(void);
/** Start the thread. [main] @param timeout_ns  of an end, for now @return 0; -1 logged */
int control_start(struct control *control, int64_t timeout_ns);
/** From now on an end is orderly, and takes so long at most. [main] */
void control_serve(struct control *control, int64_t timeout_ns);
/** What SIGUSR1 does; with NULL, nothing: the last one has returned. [main] */
void control_on_totals(struct control *control, void (*on_totals)(void *arg), void *arg);
/** The end has begun, if it had not. [any] @return its deadline, monotonic */
int64_t control_end(struct control *control);
/** End the thread: nothing can be late any more. [main] */
void control_stop(struct control *control);

#endif
