/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/request.h - one message being handled by one plugin.
 *
 * A plugin holds a request by a handle, not by a pointer: generation, worker and place. Requests
 * live in a pool that never gives memory back, so that a completion that comes late, or twice, is
 * recognised by its generation and can do no harm.
 *
 *   FREE --dispatch--> ACTIVE --handle() done--> FREE
 *                      ACTIVE --complete() [any]--> DONE --mail to the worker--> FREE
 *                      ACTIVE --processing-timeout--> EXPIRED --complete()--> DONE --mail--> FREE
 *
 * While a request is ACTIVE or EXPIRED and its handler has returned PENDING, its action buffer is
 * the plugin's; the worker does not look at it before DONE. The rest is the worker's, `in_ack`
 * among it: what goes into an ACK is decided on one thread. What a plugin commits meanwhile is a
 * copy, which belongs to whoever takes it out of `committed`.
 */
#ifndef HOST_CORE_REQUEST_H
#define HOST_CORE_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "base/magic.h"
#include "core/mailbox.h"
#include "core/route.h"

struct spoe_worker; /* core/worker_core.h */
struct exchange;    /* core/exchange.h */

enum request_state { REQUEST_FREE = 0, REQUEST_ACTIVE = 1, REQUEST_EXPIRED = 2, REQUEST_DONE = 3 };

#define REQUEST_MAGIC MAGIC('R', 'E', 'Q', 'U') /* of every place in a pool, for ever */
#define REQUEST_ACTIONS_KEEP 4096u /* bytes of action buffer that a free request may keep */

/* Actions as they were when a plugin committed them. */
struct committed {
    size_t len, size;
    uint8_t actions[];
};

struct request {
    struct mail mail; /* the completion on its way to the worker */
    /* Where it is DONE the status of complete() in the high half; below it generation << 2 |
     * enum request_state. A request is reused under the next generation. */
    _Atomic uint64_t word;
    struct spoe_worker *worker;
    uint32_t magic; /* REQUEST_MAGIC */
    uint32_t index; /* in the pool */
    struct exchange *exchange;
    struct request *next; /* in the exchange, or in the free list */
    const struct route_target *target;
    bool pending;     /* handle() returned PENDING */
    bool waited;      /* the ACK waits for it: it is pending and in time */
    bool overdue;     /* still pending when its time was over */
    bool has_place;   /* counts in host_shared.n_pending */
    bool cancelled;   /* cancel() was called */
    bool expired;     /* the ACK has left without it */
    bool in_ack;      /* succeeded in time: its actions go into the ACK */
    uint8_t *actions; /* encoded; grown on demand, kept for the next use */
    size_t actions_len, actions_size;
    _Atomic(struct committed *) committed; /* by the plugin; taken for the ACK by the worker */
    struct committed *spare;  /* for the next commit; the plugin's, as the action buffer is */
    struct committed *answer; /* in the ACK for want of a completion; NULL: nothing */
    _Atomic(void *) data;     /* the plugin's own */
    struct spoe_arg *args;    /* undeclared arguments; likewise */
    size_t args_size;
    uint64_t came;  /* a bit per slot that has a value */
    uint64_t dirty; /* and per slot that may hold one of an earlier message */
    struct spoe_message message;
    struct spoe_value slot[]; /* as many as the widest message of any plugin has */
};

#define REQUEST_CHUNK 64u

struct request_pool {
    _Atomic(uint8_t *) *chunks; /* REQUEST_CHUNK requests each; only ever added */
    size_t n_chunks, max_chunks;
    size_t request_size;
    struct request *free;
};

/** @param max requests; @param max_slots of any message. @return 0; -1 out of memory */
int request_pool_init(struct request_pool *pool, size_t max, uint32_t max_slots);
/** Make a worker's requests findable by their handles, or, with NULL, not. [main] */
void request_register_worker(uint32_t index, struct spoe_worker *worker);
/** No thread may use a handle any more. */
void request_pool_fini(struct request_pool *pool);

/** Take an ACTIVE request without actions. @return NULL: no memory, or the pool's limit */
struct request *request_get(struct spoe_worker *worker, struct exchange *exchange);
/** Free a request that is ACTIVE and not pending, or DONE and received. */
void request_put(struct spoe_worker *worker, struct request *request);

/** ACTIVE to EXPIRED. @return false: it was completed just before, its actions count */
bool request_expire(struct request *request);
enum request_state request_state(const struct request *request);
/** What complete() was called with. The request is DONE. */
spoe_status request_status(const struct request *request);
/** ACTIVE to "will not be completed by anyone". @return false: complete() came first */
bool request_finish(struct request *request);

/** The ACK leaves without the completion: what was committed stands for it. @return whether it was
 */
bool request_answer_committed(struct request *request);

/** It was completed when the ACK had to do without: its answer stays, as if it had set no more. */
void request_keep_answer(struct request *request);

/** What the request has in the ACK. */
static inline struct spoe_span request_in_ack(const struct request *request)
{
    if (request->in_ack)
        return (struct spoe_span){(const char *)request->actions, request->actions_len};
    if (request->answer != NULL)
        return (struct spoe_span){(const char *)request->answer->actions, request->answer->len};
    return (struct spoe_span){NULL, 0};
}

/** Put the actions of another after those of this one; neither is pending. @return false: no memory
 */
bool request_append_actions(struct request *request, const struct request *from);

struct spoe_request *request_handle(const struct request *request);

/* What the calling thread's plugin is being handed, so that its handle need not be looked up. */
struct request_in_hand {
    struct spoe_request *handle; /* NULL: nothing */
    struct request *request;
};
extern _Thread_local struct request_in_hand request_in_hand;

/* What struct spoe_host offers on requests; see there. */
spoe_status request_set_var(struct spoe_request *handle, uint32_t scope, struct spoe_span name,
                            const struct spoe_value *value);
spoe_status request_unset_var(struct spoe_request *handle, uint32_t scope, struct spoe_span name);
void request_complete(struct spoe_request *handle, spoe_status status);
spoe_status request_commit(struct spoe_request *handle);
spoe_status request_set_data(struct spoe_request *handle, void *data);
void *request_get_data(struct spoe_request *handle);
/** The exchange's ids for a log line. @return false: the handle is stale */
bool request_ids(struct spoe_request *handle, uint64_t *ret_stream, uint64_t *ret_frame);

#endif
