/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/loop.h - timers and descriptors of plugins on a worker's event loop: the facet
 * spoe.loop/1.
 *
 * Timers are a heap over one timerfd, since libevent's own are some milliseconds coarse. Those that
 * are due leave it together and are then called one after the other, so that one which arms itself
 * for the past has its turn in the next round, and the others theirs.
 *
 * Threads: the worker's, unless said.
 */
#ifndef HOST_NET_LOOP_H
#define HOST_NET_LOOP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <spoe/ext/loop.h>

#include "core/plugin.h"

struct worker; /* net/worker.h */

TAILQ_HEAD(timer_list, spoe_timer);
LIST_HEAD(all_timers, spoe_timer);
LIST_HEAD(all_watches, spoe_watch);

struct loop {
    struct all_timers timers;
    struct all_watches watches;
    struct spoe_timer **heap; /* those that are armed, the next one first; room for all */
    size_t n_armed, heap_size;
    size_t n_all;          /* timers */
    struct timer_list due; /* out of the heap, on their way to be called */
    int timer_fd;          /* -1: nobody has had a timer yet */
    struct event timer_event;
    int64_t wakes_at_ns; /* what timer_fd is set to; SPOE_TIMER_OFF: it is not */
    uint32_t n_timers[PLUGINS_MAX], n_watches[PLUGINS_MAX];
};

/** [main] */
void loop_init(struct loop *loop);
/** The calling thread is this worker's from here on. */
void loop_enter(struct worker *worker);
/** worker_stop() of all plugins has returned: end what they left, and say so. */
void loop_end(struct worker *worker);
/** Free it all. No plugin may run any more. [main] */
void loop_fini(struct worker *worker);

/* The facet, as every plugin sees it. [const] */
extern const struct spoe_loop loop_facet;

#endif
