/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/exchange.c - one NOTIFY on its way to its ACK. */
#include "core/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/thread.h"
#include "core/handler_log.h"
#include "core/request.h"
#include "core/worker_core.h"
#include "spop/spop.h"

#define EXCHANGE_BLOCK 64u

struct exchange *exchange_get(struct spoe_worker *worker)
{
    struct exchange_pool *pool = &worker->exchanges;
    struct exchange *exchange = pool->free;

    if (exchange == NULL) {
        struct exchange *block = calloc(EXCHANGE_BLOCK, sizeof *block);
        void **grown = realloc(pool->blocks, (pool->n_blocks + 1) * sizeof *grown);

        if (grown != NULL)
            pool->blocks = grown;
        if (block == NULL || grown == NULL) {
            free(block);
            return NULL;
        }
        pool->blocks[pool->n_blocks++] = block;
        for (size_t i = 0; i < EXCHANGE_BLOCK; i++) {
            block[i].next_free = pool->free;
            pool->free = &block[i];
        }
        exchange = pool->free;
    }
    pool->free = exchange->next_free;
    assert(exchange->magic == 0);
    exchange->magic = EXCHANGE_MAGIC;
    /* The rest is as exchange_put() has asserted, or as calloc() has left it. */
    exchange->owner = NULL;
    atomic_store_explicit(&exchange->action_bytes, 0, memory_order_relaxed);
    exchange->shared = exchange->silent = exchange->answered = false;
    return exchange;
}

void exchange_put(struct spoe_worker *worker, struct exchange *exchange)
{
    assert(IS(exchange, EXCHANGE_MAGIC) && exchange->deadline.at_ns == 0 && exchange->pin == NULL &&
           exchange->name == NULL && exchange->outstanding == 0 && exchange->n_waited == 0 &&
           exchange->first == NULL);
    exchange->magic = 0;
    exchange->next_free = worker->exchanges.free;
    worker->exchanges.free = exchange;
}

void exchange_each(struct exchange_pool *pool, void (*fn)(struct exchange *exchange, void *arg),
                   void *arg)
{
    for (size_t b = 0; b < pool->n_blocks; b++) {
        struct exchange *block = pool->blocks[b];

        for (size_t i = 0; i < EXCHANGE_BLOCK; i++)
            fn(&block[i], arg);
    }
}

void exchange_pool_fini(struct exchange_pool *pool)
{
    for (size_t i = 0; i < pool->n_blocks; i++)
        free(pool->blocks[i]);
    free(pool->blocks);
    *pool = (struct exchange_pool){0};
}

void exchange_drop_actions(struct request *request)
{
    assert(IS(request, REQUEST_MAGIC) && IS(request->exchange, EXCHANGE_MAGIC));
    (void)atomic_fetch_sub_explicit(&request->exchange->action_bytes, request->actions_len,
                                    memory_order_relaxed);
    request->actions_len = 0;
}

/* A message counts in n_pending no more. */
static void free_place(struct spoe_worker *worker, struct request *request)
{
    if (!request->has_place)
        return;
    request->has_place = false;
    worker->n_places--;
    worker->freed_places = true;
    (void)atomic_fetch_sub(&worker->shared->n_pending, 1);
}

/* The time of a message is over, and its plugin has not completed it. */
static void expire(struct spoe_worker *worker, struct request *request)
{
    if (request->overdue)
        return;
    request->overdue = true;
    worker->n_overdue[request->target->plugin->index]++;
    free_place(worker, request);
}

/* The ACK waits for it no longer. */
static void settle(struct request *request)
{
    if (!request->waited)
        return;
    request->waited = false;
    request->exchange->n_waited--;
}

/* What there is of it for the ACK. */
static void take_completion(struct request *request)
{
    const spoe_status status = request_status(request);
    const size_t before = request->actions_len;

    if (status != SPOE_OK)
        handler_failed(request, "completed with", status);
    if (request->answer != NULL) {
        request_keep_answer(request);
        (void)atomic_fetch_sub_explicit(&request->exchange->action_bytes,
                                        before - request->actions_len, memory_order_relaxed);
    } else if (status != SPOE_OK) {
        exchange_drop_actions(request);
    } else {
        request->in_ack = !request->expired;
    }
}

void exchange_on_complete(struct mail *mail)
{
    struct request *request = container_of(mail, struct request, mail);
    struct spoe_worker *worker = request->worker;
    struct exchange *exchange = request->exchange;

    assert(IS(request, REQUEST_MAGIC) && IS(exchange, EXCHANGE_MAGIC) &&
           IS(worker, WORKER_CORE_MAGIC));
    assert(request->pending && exchange->outstanding > 0);
    take_completion(request);
    request->pending = false;
    settle(request);
    worker->n_outstanding--;
    COUNT_ADD(worker, in_flight[request->target->plugin->index], -1);
    free_place(worker, request);
    if (request->overdue)
        worker->n_overdue[request->target->plugin->index]--;
    if (--exchange->outstanding == 0)
        worker->on_done(worker, exchange);
    else if (exchange->n_waited == 0 && !exchange->answered && worker->on_late != NULL)
        worker->on_late(worker, exchange);
    else if (exchange->n_kept > EXCHANGE_KEPT_MAX * exchange->outstanding)
        exchange_fold(worker, exchange);
}

static size_t actions_size(const struct exchange *exchange)
{
    size_t n = 0;

    for (const struct request *r = exchange->first; r != NULL; r = r->next)
        n += request_in_ack(r).n;
    return n;
}

size_t exchange_encoded_max(const struct exchange *exchange)
{
    assert(IS(exchange, EXCHANGE_MAGIC));
    /* What all requests have set, whether it will be in the ACK or not. */
    return SPOP_ACK_HEAD_MAX + SPOP_FILLER_MAX +
           atomic_load_explicit(&exchange->action_bytes, memory_order_relaxed);
}

size_t exchange_encode(struct spoe_worker *worker, struct exchange *exchange, uint8_t *p,
                       size_t size)
{
    size_t n_actions, n, used;

    assert(IS(exchange, EXCHANGE_MAGIC));
    n_actions = actions_size(exchange);
    n = n_actions != 0 ? n_actions : SPOP_FILLER_MAX;
    used = spop_put_ack_head(p, size, exchange->stream_id, exchange->frame_id, n);
    assert(used != 0 && size - used >= n);
    COUNT(&worker->counters, acks);
    if (n_actions == 0)
        return used + spop_put_filler(p + used, size - used);
    for (const struct request *r = exchange->first; r != NULL; r = r->next) {
        const struct spoe_span actions = request_in_ack(r);

        if (actions.n == 0)
            continue;
        memcpy(p + used, actions.p, actions.n);
        used += actions.n;
    }
    return used;
}

/* Nobody waits any more for one that is pending. */
static void cancel(struct spoe_worker *worker, struct request *r, int32_t why)
{
    const struct spoe_plugin *desc = r->target->plugin->desc;

    if (why == SPOE_CANCEL_DEADLINE)
        settle(r);
    if (why == SPOE_CANCEL_DEADLINE ? !request_expire(r) : request_state(r) == REQUEST_DONE) {
        /* Completed just now: its mail has yet to be read. */
        r->in_ack = !r->expired && request_status(r) == SPOE_OK;
        return;
    }
    if (why == SPOE_CANCEL_DEADLINE) {
        r->expired = true;
        expire(worker, r);
        COUNT(&worker->counters, timeouts);
        COUNT(request_counters(r), timeouts);
    }
    if (r->exchange->owner != NULL && r->answer == NULL && request_answer_committed(r))
        COUNT(&worker->counters, committed);
    if (!r->cancelled && SPOE_HAS(desc, cancel)) {
        r->cancelled = true;
        thread_enter(&r->target->plugin->callee, "cancel()");
        desc->cancel(worker->wctx[r->target->plugin->index], request_handle(r), why);
        thread_leave();
    }
}

void exchange_cancel(struct spoe_worker *worker, struct exchange *exchange, int32_t why)
{
    assert(IS(exchange, EXCHANGE_MAGIC));
    for (struct request *r = exchange->first; r != NULL; r = r->next) {
        if (r->pending)
            cancel(worker, r, why);
    }
}

void exchange_expire(struct spoe_worker *worker, struct exchange *exchange, int64_t now_ns)
{
    assert(IS(exchange, EXCHANGE_MAGIC));
    for (struct request *r = exchange->first; r != NULL; r = r->next) {
        if (r->pending && r->waited && r->message.deadline_mono_ns <= now_ns)
            cancel(worker, r, SPOE_CANCEL_DEADLINE);
    }
}

const struct request *exchange_next(const struct exchange *exchange, int64_t now_ns)
{
    const struct request *next = NULL;

    for (const struct request *r = exchange->first; r != NULL; r = r->next) {
        if (r->pending && !r->overdue && r->message.deadline_mono_ns > now_ns &&
            (next == NULL || r->message.deadline_mono_ns < next->message.deadline_mono_ns))
            next = r;
    }
    return next;
}

/* Whether its actions have yet to go into the ACK. */
static bool is_needed(const struct exchange *exchange, const struct request *request)
{
    return !exchange->answered && request->in_ack && request->actions_len != 0;
}

void exchange_fold(struct spoe_worker *worker, struct exchange *exchange)
{
    struct request **at = &exchange->first, *kept = NULL;

    assert(IS(exchange, EXCHANGE_MAGIC) && exchange->outstanding > 0);
    exchange->n_kept = 0;
    while (*at != NULL) {
        struct request *request = *at;

        if (request->pending ||
            (is_needed(exchange, request) &&
             (kept == NULL || kept->pending || !request_append_actions(kept, request)))) {
            kept = request;
            at = &request->next;
            exchange->n_kept++;
        } else {
            *at = request->next;
            request_put(worker, request);
        }
    }
    exchange->last = kept;
}

void exchange_answered(struct spoe_worker *worker, struct exchange *exchange)
{
    exchange->answered = true;
    if (exchange->outstanding > 0)
        exchange_fold(worker, exchange);
}

void exchange_free_places(struct spoe_worker *worker, struct exchange *exchange, int64_t now_ns)
{
    assert(IS(exchange, EXCHANGE_MAGIC));
    for (struct request *r = exchange->first; r != NULL; r = r->next) {
        if (r->pending && r->message.deadline_mono_ns <= now_ns)
            expire(worker, r);
    }
}

/* Of every exchange: request_put() is part of it, though it is called elsewhere too. */
__attribute__((flatten)) void exchange_release(struct spoe_worker *worker,
                                               struct exchange *exchange)
{
    struct request *request;

    assert(IS(exchange, EXCHANGE_MAGIC) && exchange->outstanding == 0);
    request = exchange->first;
    while (request != NULL) {
        struct request *next = request->next;

        request_put(worker, request);
        request = next;
    }
    exchange->first = exchange->last = NULL;
    exchange_put(worker, exchange);
}
