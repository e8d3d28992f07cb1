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

#include "base/container_of.h"
#include "base/deadline.h"
#include "base/magic.h"
#include "core/dispatch.h"
#include "net/block.h"
#include "net/evict.h"
#include "net/loop.h"
#include "net/peers.h"

struct conn;
TAILQ_HEAD(conn_list, conn);

/* How far a worker is; it only moves forward. [any] reads */
enum worker_phase {
    WORKER_STARTING,
    WORKER_FAILED, /* a plugin's worker_start() failed; the thread has ended */
    WORKER_RUNNING,
    WORKER_QUIESCING, /* connections are served, health checks are told to go elsewhere */
    WORKER_DRAINING,  /* finishing what is in flight */
    WORKER_DRAINED,   /* no connection and no message left */
    WORKER_CLOSED,    /* no connection left, so that no message can be handed over */
    WORKER_STOPPED    /* the plugins' worker_stop() was called; the thread has ended */
};

/* What becomes of another connection for one that is adopted. */
enum worker_eviction {
    WORKER_EVICTS_NONE = 0,
    WORKER_EVICTS,        /* all places are taken */
    WORKER_EVICTS_CROWDED /* and there is a crowd of newcomers */
};

/* Whether a worker waits for room below max-pending. */
enum worker_room { ROOM_ENOUGH, ROOM_WANTED, ROOM_GIVEN };

#define WORKER_MAGIC MAGIC('W', 'O', 'R', 'K')

struct worker {
    struct spoe_worker core;
    uint32_t magic;
    pthread_t thread;
    bool has_thread;
    const struct thread_record *record; /* of the thread, from WORKER_RUNNING on; [any] reads */
    struct event_base *base;
    struct event mail_event, pending_event;
    struct event *close_timer, *due_timer, *room_timer;
    int pending_timer; /* timerfd: libevent's own timers are too coarse for processing-timeout */
    int64_t pending_at_ns; /* what it is set to; 0: it is not */
    int64_t close_at_ns;   /* when close_timer is due; 0: it is not set */
    struct loop loop;      /* the plugins' timers and descriptors */
    struct block_pool blocks;
    struct conn_list conns;
    struct conn_list due;        /* have something to do in this turn, or the next */
    const struct conn *resuming; /* the one of them whose turn it is; NULL: none */
    struct conn_list paused;     /* wait for room below max-pending */
    struct deadline_list hello;  /* connections without HELLO, hello-timeout */
    struct deadline_list unused; /* those with it but without a NOTIFY yet, idle-timeout */
    struct deadline_list idle;   /* those with one, by their last frame, idle-timeout */
    struct deadline_list linger; /* connections told to go, LINGER_NS */
    /* Exchanges that plugins have not answered, by the time-out of the next request. */
    struct deadline_list pending[ROUTE_TIMEOUTS_MAX];
    struct peers peers; /* of connections whose HELLO was accepted; [any] reads */
    _Atomic uint32_t
        n_evicting; /* of those on their way, the ones that another has to go for; [any] */
    _Atomic uint32_t n_conns;     /* also those on their way here; [any] */
    _Atomic uint32_t n_arriving;  /* on their way here; [any] */
    _Atomic uint32_t n_newcomers; /* in hello and unused; [any] reads */
    struct heartbeat taken;       /* whether it takes them; the listener's */
    _Atomic int64_t
        oldest_ns[N_EVICTABLE]; /* deadline of the first of each, 0: none; [any] reads */
    _Atomic int room;           /* enum worker_room; [any] */
    bool gave_room;             /* the last room that came free went to another worker */
    const char *failed_plugin;  /* WORKER_FAILED */
    bool stopping;
    pthread_mutex_t lock; /* phase */
    pthread_cond_t changed;
    enum worker_phase phase;
};

#define LINGER_NS INT64_C(1000000000)   /* for the peer to read our DISCONNECT and close */
#define WORKER_NEVER_NS (INT64_MAX / 4) /* a time-out that is switched off, from now */

/** Make all that it has, but for its thread. [main] @return 0; -1 with a reason logged */
int worker_init(struct worker *worker, struct host_shared *shared, uint32_t index);
/** Start the thread; `shared` is complete. [main] @return 0; -1 with a reason logged */
int worker_start(struct worker *worker);
/** Wait until the phase is at least `phase`. [main] @return false: the deadline came first */
bool worker_wait(struct worker *worker, enum worker_phase phase, int64_t deadline_mono_ns);
enum worker_phase worker_get_phase(struct worker *worker);

/**
 * Hand over an accepted socket. Never fails: what cannot be taken is closed.
 * @param evicts  whether another connection is to be closed for it; if none can be it is refused
 * Threads: [any].
 */
void worker_adopt(struct worker *worker, int fd, const char *peer, enum worker_eviction evicts);
/** Go on serving, but refuse health checks, so that HAProxy turns elsewhere. [any] */
void worker_quiesce(struct worker *worker);
/** Finish what is in flight, then tell every peer and close. [any] */
void worker_drain(struct worker *worker);
/** Answer what is in flight without the parts that are not there, and close every connection: it
 * hands over no message after it. [any] */
void worker_close(struct worker *worker);
/** Close what is left, call worker_stop() of the plugins, end the thread. [any] */
void worker_stop(struct worker *worker);
/** Join the thread and free everything. No plugin may run any more. [main] */
void worker_fini(struct worker *worker);

/* For the connections. */

/** Have conn_exchange_expired() called at its next deadline after now, if there is one. */
void worker_watch(struct worker *worker, struct exchange *exchange, int64_t now_ns);
/** Its deadlines do not matter any more. */
void worker_unwatch(struct worker *worker, struct exchange *exchange);
/** Arm the timer after something was added to a list. */
void worker_arm_close(struct worker *worker);
/** Have conn_run_due() called in the next turn of the event loop. */
void worker_arm_due(struct worker *worker);
/** Whether there is room below max-pending. Where not, the worker is woken when there is. */
bool worker_has_room(struct worker *worker);
/** There may be room: take it, or give it to another worker. */
void worker_share_room(struct worker *worker);
/** Of room_timer; arg is the worker. */
void worker_on_room_timer(evutil_socket_t fd, short what, void *arg);
/** A connection is gone: maybe the drain is over. */
void worker_check_drained(struct worker *worker);

/** The end has begun. */
static inline bool worker_is_leaving(const struct worker *worker)
{
    return worker->phase >= WORKER_QUIESCING; /* only this thread writes it */
}

static inline struct worker *worker_of(struct spoe_worker *core)
{
    return container_of(core, struct worker, core);
}

#endif
