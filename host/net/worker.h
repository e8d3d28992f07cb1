/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/worker.h - one thread with its event loop and its connections.
 *
 * Threads: the worker's own, unless said.
 */
#ifndef HOST_NET_WORKER_H
#define HOST_NET_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/deadline.h"
#include "core/dispatch.h"
#include "net/block.h"
#include "net/peers.h"

struct conn;
TAILQ_HEAD(conn_list, conn);

/* How far a worker is; it only moves forward. [any] reads */
enum worker_phase {
    WORKER_STARTING,
    WORKER_FAILED, /* a plugin's worker_start() failed; the thread has ended */
    WORKER_RUNNING,
    WORKER_DRAINING, /* finishing what is in flight */
    WORKER_DRAINED,  /* no connection and no message left */
    WORKER_STOPPED   /* the plugins' worker_stop() was called; the thread has ended */
};

struct worker {
    struct spoe_worker core; /* first */
    pthread_t thread;
    bool has_thread;
    struct event_base *base;
    struct event mail_event, pending_event;
    struct event *close_timer;
    int pending_timer; /* timerfd: libevent's own timers are too coarse for processing-timeout */
    bool pending_timer_set, close_timer_set;
    struct block_pool blocks;
    struct conn_list conns;
    struct conn_list dirty;       /* to be flushed at the end of this turn */
    struct conn_list paused;      /* wait for room below max-pending */
    struct deadline_list hello;   /* connections without HELLO, hello-timeout */
    struct deadline_list linger;  /* connections told to go, LINGER_NS */
    struct deadline_list pending; /* exchanges that plugins have not answered */
    struct peers peers;           /* of connections whose HELLO was accepted; [any] reads */
    _Atomic uint32_t n_conns;     /* also those on their way here; [any] */
    _Atomic bool wants_room;      /* paused is not empty; [any] */
    const char *failed_plugin;    /* WORKER_FAILED */
    bool stopping;
    pthread_mutex_t lock; /* phase */
    pthread_cond_t changed;
    enum worker_phase phase;
};

#define LINGER_NS NS_PER_S /* for the peer to read our DISCONNECT and close */

/** Make all that it has, but for its thread. [main] @return 0; -1 with a reason logged */
int worker_init(struct worker *worker, struct host_shared *shared, uint32_t index);
/** Start the thread; `shared` is complete. [main] @return 0; -1 with a reason logged */
int worker_start(struct worker *worker);
/** Wait until the phase is at least `phase`. [main] @return false: the deadline came first */
bool worker_wait(struct worker *worker, enum worker_phase phase, int64_t deadline_mono_ns);
enum worker_phase worker_get_phase(struct worker *worker);

/** Hand over an accepted socket. Never fails: what cannot be taken is closed. [any] */
void worker_adopt(struct worker *worker, int fd, const char *peer);
/** Finish what is in flight, then tell every peer and close. [any] */
void worker_drain(struct worker *worker);
/** Close what is left, call worker_stop() of the plugins, end the thread. [any] */
void worker_stop(struct worker *worker);
/** Join the thread and free everything. No plugin may run any more. [main] */
void worker_fini(struct worker *worker);

/* For conn.c. */
/** Arm the timers after something was added to a list. */
void worker_arm_pending(struct worker *worker);
void worker_arm_close(struct worker *worker);
/** A connection is gone: maybe the drain is over. */
void worker_check_drained(struct worker *worker);

static inline struct worker *worker_of(struct spoe_worker *core)
{
    return (struct worker *)(void *)core;
}

#endif
