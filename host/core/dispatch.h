/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/dispatch.h - frame -> message -> plugin -> actions, for one worker; no I/O.
 *
 * Owns what a worker has of the core: its mailbox, its requests, the plugins' worker contexts,
 * the remembered order of arguments, its counters. Threads: the worker's, unless said.
 */
#ifndef HOST_CORE_DISPATCH_H
#define HOST_CORE_DISPATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "conf/host_conf.h"
#include "core/counters.h"
#include "core/mailbox.h"
#include "core/request.h"
#include "core/route.h"
#include "spop/spop.h"

/* What all workers share; constant once they run, but for n_pending. */
struct host_shared {
    const struct host_conf *conf;
    const struct plugin_set *plugins;
    const struct route_table *routes;
    _Atomic size_t n_pending; /* messages in flight in plugins, over all workers */
    struct spoe_worker *workers[HOST_WORKERS_MAX];
    uint32_t n_workers;
};

/* Of each message of a plugin, one in so many is timed: a clock costs more than some handlers. */
#define HANDLER_SAMPLE 16u

struct layout; /* the order in which HAProxy sends one message's arguments */

typedef void exchange_done_fn(struct spoe_worker *worker, struct exchange *exchange);

struct spoe_worker {
    uint32_t index;
    struct host_shared *shared;
    struct mailbox mailbox;
    struct counters counters;
    struct target_counters *targets; /* by route_target.index */
    struct request_pool pool;
    struct layout *layouts; /* one per route */
    void *wctx[PLUGINS_MAX];
    size_t n_outstanding; /* messages that plugins have not completed */
    uint32_t n_started;   /* plugins whose worker_start() succeeded */
    /* Called when the last pending message of an exchange has been completed. */
    exchange_done_fn *on_done;
};

int worker_core_init(struct spoe_worker *worker, struct host_shared *shared, uint32_t index,
                     exchange_done_fn *on_done);
void worker_core_fini(struct spoe_worker *worker);

/** worker_start() of every plugin. @return 0; -1 with the plugin's id in *reterr_id */
int worker_core_start(struct spoe_worker *worker, const char **reterr_id);
/** Refuse further mail, then worker_stop() of every plugin. */
void worker_core_stop(struct spoe_worker *worker);

/* What is known of a frame beside its bytes. */
struct dispatch_input {
    struct spoe_span engine_id;
    int64_t unix_ns, mono_ns; /* when it was read */
    int64_t deadline_ns;      /* until when an answer counts, monotonic */
};

/**
 * Hand every message of a NOTIFY to the plugins that take it.
 *
 * @param exchange  stream_id, frame_id and budget are set; on return it lists the requests
 * @return >= 0: the messages that are pending, 0: exchange_encode() may follow at once;
 *         -SPOP_ERR_*: the payload is malformed or memory is short. What was handed over before
 *         the bad place stays in the exchange, maybe pending: exchange_abandon() is due.
 */
int dispatch_notify(struct spoe_worker *worker, const struct spop_frame *frame,
                    struct exchange *exchange, const struct dispatch_input *input);

/** Bytes that exchange_encode() needs at most. */
size_t exchange_encoded_max(const struct exchange *exchange);
/**
 * Write the ACK: the actions of all requests that have succeeded so far, in order.
 * @return bytes written
 */
size_t exchange_encode(struct spoe_worker *worker, struct exchange *exchange, uint8_t *p,
                       size_t size);

/**
 * Nobody waits for this exchange any more: cancel what is pending.
 * @param why  SPOE_CANCEL_*; with SPOE_CANCEL_DEADLINE later completions are void
 */
void exchange_cancel(struct spoe_worker *worker, struct exchange *exchange, int32_t why);

/** Free the requests of an exchange that has none outstanding, and the exchange. */
void exchange_release(struct spoe_worker *worker, struct exchange *exchange);

#endif
