/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/exchange.h - one NOTIFY and its ACK: the requests of its messages, and what they may
 * put into the answer. Or one log line, which has no answer. Threads: the worker's.
 */
#ifndef HOST_CORE_EXCHANGE_H
#define HOST_CORE_EXCHANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/magic.h"
#include "core/mailbox.h"

struct spoe_worker; /* core/worker_core.h */
struct request;     /* core/request.h */

#define EXCHANGE_MAGIC MAGIC('E', 'X', 'C', 'H')

/* Requests kept for each that is pending, at which what is finished is folded again: more than the
 * two, and the one, that folding may leave, so that a completion costs the same however many there
 * are. */
#define EXCHANGE_KEPT_MAX 4u

/* One NOTIFY on its way to its ACK, or one log line. */
struct exchange {
    uint32_t magic;             /* EXCHANGE_MAGIC, 0 while it is free */
    struct deadline deadline;   /* in the worker's list while a plugin has not answered */
    TAILQ_ENTRY(exchange) link; /* of its connection */
    struct exchange *next_free;
    void *owner; /* the connection; NULL once it is gone or the ACK has left */
    void *pin;   /* the buffer that the spans point into; NULL if none is held */
    void *name;  /* the engine's name, which a message points to as well; NULL if none is held */
    uint64_t stream_id, frame_id;
    size_t budget;                /* most bytes of actions in the ACK */
    _Atomic size_t action_bytes;  /* taken of it */
    bool shared;                  /* has, or will have, more than one request */
    bool silent;                  /* of a log line: there is no ACK, now or later */
    bool answered;                /* the ACK has left, or never will */
    uint32_t outstanding;         /* requests not completed */
    uint32_t n_waited;            /* of them, those that the ACK waits for */
    uint32_t deadlines;           /* the worker's list that `deadline` is in */
    uint32_t n_kept;              /* requests at the last exchange_fold() */
    struct request *first, *last; /* in the order of messages, then plugins */
};
TAILQ_HEAD(exchange_list, exchange);

struct exchange_pool {
    struct exchange *free;
    void **blocks; /* for the end */
    size_t n_blocks;
};

void exchange_pool_fini(struct exchange_pool *pool);

/** @return NULL: no memory */
struct exchange *exchange_get(struct spoe_worker *worker);
/** Free an exchange; its requests must be free. The pin must have been dropped. */
void exchange_put(struct spoe_worker *worker, struct exchange *exchange);

/** Call fn for every exchange there is, also those that are free. */
void exchange_each(struct exchange_pool *pool, void (*fn)(struct exchange *exchange, void *arg),
                   void *arg);

/** The plugin failed on this message: its actions are dropped, others may have their room. */
void exchange_drop_actions(struct request *request);

/** complete() of a request has arrived: what its mail runs. */
void exchange_on_complete(struct mail *mail);

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
 * @param why  SPOE_CANCEL_*; with SPOE_CANCEL_DEADLINE later completions are void, and places free
 */
void exchange_cancel(struct spoe_worker *worker, struct exchange *exchange, int32_t why);

/**
 * Cancel what is pending and due, as exchange_cancel() with SPOE_CANCEL_DEADLINE. The ACK is due
 * where n_waited is 0 then.
 */
void exchange_expire(struct spoe_worker *worker, struct exchange *exchange, int64_t now_ns);

/** The pending request whose deadline is the next after now. @return NULL: there is none */
const struct request *exchange_next(const struct exchange *exchange, int64_t now_ns);

/**
 * Keep no request that nobody needs: what is finished goes, its actions to the finished one before
 * it. So there are no more than two for each that is pending, and one. Called where some are.
 */
void exchange_fold(struct spoe_worker *worker, struct exchange *exchange);

/** The ACK has left, or never will: only what is pending is kept. */
void exchange_answered(struct spoe_worker *worker, struct exchange *exchange);

/** Those of its requests that are due no longer count in n_pending, completed or not. */
void exchange_free_places(struct spoe_worker *worker, struct exchange *exchange, int64_t now_ns);

/** Free the requests of an exchange that has none outstanding, and the exchange. */
void exchange_release(struct spoe_worker *worker, struct exchange *exchange);

#endif
