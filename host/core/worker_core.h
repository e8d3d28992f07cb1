/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/worker_core.h - what a worker has of the core: its mailbox, its requests and exchanges,
 * the plugins' worker contexts, the remembered order of arguments, its counters; and what all
 * workers share. Threads: the worker's, unless said.
 */
#ifndef HOST_CORE_WORKER_CORE_H
#define HOST_CORE_WORKER_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "base/magic.h"
#include "conf/host_conf.h"
#include "core/counters.h"
#include "core/exchange.h"
#include "core/heartbeat.h"
#include "core/mailbox.h"
#include "core/plugin.h"
#include "core/request.h"
#include "core/route.h"

/* What all workers share; constant once they run, but for the atomics. */
struct host_shared {
    const struct host_conf *conf;
    const struct plugin_set *plugins;
    const struct route_table *routes;
    /* Messages in flight in plugins, over all workers; without those whose time is over. */
    _Atomic size_t n_pending;
    _Atomic bool closed;        /* no message is handed over any more */
    _Atomic uint64_t n_refused; /* connections closed at once, for want of a place */
    struct spoe_worker *workers[HOST_WORKERS_MAX];
    _Atomic uint32_t n_workers; /* of them, those that are there */
};

/* Messages that a plugin may hold beyond their time, on each worker; then it gets no more. */
#define OVERDUE_MAX 1024u

#define WORKER_CORE_MAGIC MAGIC('W', 'K', 'C', 'O')

#define WORKER_HANDLE_MAGIC MAGIC('W', 'K', 'H', 'A')

struct layout;     /* core/arguments.h */
struct text_order; /* core/texts.h */

/* A worker as one plugin knows it, which the plugin takes for a struct spoe_worker: so that a
 * function that it post()s, from any thread, is known for its own. */
struct worker_handle {
    uint32_t magic; /* WORKER_HANDLE_MAGIC */
    struct spoe_worker *worker;
    const struct spoe_instance *plugin;
};

typedef void exchange_done_fn(struct spoe_worker *worker, struct exchange *exchange);

struct spoe_worker {
    uint32_t magic; /* WORKER_CORE_MAGIC */
    uint32_t index;
    struct host_shared *shared;
    struct mailbox mailbox;
    struct heartbeat heartbeat; /* the admin thread's */
    struct counters counters;
    struct target_counters *targets; /* by route_target.index */
    struct request_pool pool;
    struct exchange_pool exchanges;
    struct layout *layouts;    /* one per route */
    struct text_order *orders; /* likewise, for messages of the log; NULL: there is none */
    void *wctx[PLUGINS_MAX];
    struct worker_handle handle[PLUGINS_MAX];
    size_t n_outstanding;                    /* messages that plugins have not completed */
    _Atomic uint64_t in_flight[PLUGINS_MAX]; /* the same by plugin; [any] reads */
    int64_t clock_ns;                        /* the last that is known of the monotonic clock */
    int64_t tick_ns;                         /* of the coarse clock */
    uint32_t n_untimed;                      /* handlers since clock_ns */
    uint32_t n_overdue[PLUGINS_MAX];         /* of in_flight, those whose time is over */
    size_t n_places;                         /* of host_shared.n_pending, this worker's */
    bool freed_places;        /* set when one of them came free; the layer above clears it */
    uint32_t n_started;       /* plugins whose worker_start() succeeded */
    spoe_status start_status; /* of the one whose did not */
    /* Called when the last pending message of an exchange has been completed. */
    exchange_done_fn *on_done;
    /* Called when those that are still pending have all been too late, and the ACK has yet to
     * leave. NULL: nobody asks. */
    exchange_done_fn *on_late;
};

/** @return 0; -1 with errno; nothing is left then */
int worker_core_init(struct spoe_worker *worker, struct host_shared *shared, uint32_t index,
                     exchange_done_fn *on_done);
void worker_core_fini(struct spoe_worker *worker);

/** worker_start() of every plugin. @return 0; -1 with the plugin's id in *reterr_id */
int worker_core_start(struct spoe_worker *worker, const char **reterr_id);
/** Refuse further mail, then worker_stop() of every plugin. */
void worker_core_stop(struct spoe_worker *worker);

static inline struct target_counters *request_counters(const struct request *request)
{
    return &request->worker->targets[request->target->index];
}

#endif
