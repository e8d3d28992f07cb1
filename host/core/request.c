/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/request.c - requests: the pool, the handles, and what plugins do to them. */
#include "core/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/exchange.h"
#include "core/handler_log.h"
#include "core/worker_core.h"
#include "spop/spop.h"

/*
 * A handle: generation in the high 28 bits, then plugin and worker in 6 each, and the place in the
 * pool in the low 24. The generation is never 0, so that no handle is NULL. The plugin is there for
 * the log alone: a stale handle still tells whose it was.
 */
#define INDEX_BITS 24u
#define WORKER_BITS 6u
#define PLUGIN_BITS 6u
#define GENERATION_MASK ((UINT32_C(1) << (64 - PLUGIN_BITS - WORKER_BITS - INDEX_BITS)) - 1)
#define STATE_BITS 2u
#define STATUS_SHIFT 32u
#define VARIABLE_NAME_MAX 64u

_Static_assert(sizeof(void *) == 8, "a handle needs 64 bits");
_Static_assert(GENERATION_MASK < UINT32_C(1) << (STATUS_SHIFT - STATE_BITS) &&
                   sizeof(spoe_status) == sizeof(uint32_t),
               "a word has room for generation, state and status");
_Static_assert(HOST_WORKERS_MAX <= (1u << WORKER_BITS), "a worker's index must fit");
_Static_assert(PLUGINS_MAX <= (1u << PLUGIN_BITS), "a plugin's index must fit");

/* Every worker, for finding a request by its handle; changes while no plugin runs. */
static struct spoe_worker *workers[HOST_WORKERS_MAX];

void request_register_worker(uint32_t index, struct spoe_worker *worker)
{
    workers[index] = worker;
}

static uint64_t word_of(uint32_t generation, enum request_state state)
{
    return (uint64_t)generation << STATE_BITS | (uint64_t)state;
}

static uint32_t generation_of(uint64_t word)
{
    return (uint32_t)(word >> STATE_BITS) & GENERATION_MASK;
}

/* DONE, and how: one word, so that of two completers the one that is taken says both. */
static uint64_t word_done(uint32_t generation, spoe_status status)
{
    return (uint64_t)(uint32_t)status << STATUS_SHIFT | word_of(generation, REQUEST_DONE);
}

enum request_state request_state(const struct request *request)
{
    return (enum request_state)(atomic_load_explicit(&request->word, memory_order_acquire) &
                                ((1u << STATE_BITS) - 1));
}

spoe_status request_status(const struct request *request)
{
    const uint64_t word = atomic_load_explicit(&request->word, memory_order_acquire);

    return (spoe_status)(uint32_t)(word >> STATUS_SHIFT);
}

int request_pool_init(struct request_pool *pool, size_t max, uint32_t max_slots)
{
    size_t size = sizeof(struct request) + max_slots * sizeof(struct spoe_value);

    *pool = (struct request_pool){.request_size = (size + 63u) & ~(size_t)63u};
    if (max > (1u << INDEX_BITS))
        max = 1u << INDEX_BITS;
    pool->max_chunks = (max + REQUEST_CHUNK - 1) / REQUEST_CHUNK;
    pool->chunks = calloc(pool->max_chunks, sizeof *pool->chunks);
    return pool->chunks != NULL ? 0 : -1;
}

static struct request *chunk_request(const struct request_pool *pool, uint8_t *chunk, size_t i)
{
    return (struct request *)(void *)(chunk + i * pool->request_size);
}

static void free_memory(struct request *request)
{
    free(request->actions);
    free(request->args);
    free(atomic_load_explicit(&request->committed, memory_order_relaxed));
    free(request->spare);
    free(request->answer);
}

void request_pool_fini(struct request_pool *pool)
{
    for (size_t c = 0; c < pool->n_chunks; c++) {
        uint8_t *chunk = atomic_load_explicit(&pool->chunks[c], memory_order_relaxed);

        for (size_t i = 0; i < REQUEST_CHUNK; i++) {
            free_memory(chunk_request(pool, chunk, i));
        }
        free(chunk);
    }
    free(pool->chunks);
    *pool = (struct request_pool){0};
}

/* Add a chunk of free requests. */
static int grow(struct spoe_worker *worker)
{
    struct request_pool *pool = &worker->pool;
    uint8_t *chunk;

    if (pool->n_chunks == pool->max_chunks)
        return -1;
    chunk = aligned_alloc(64, REQUEST_CHUNK * pool->request_size);
    if (chunk == NULL)
        return -1;
    memset(chunk, 0, REQUEST_CHUNK * pool->request_size);
    for (size_t i = REQUEST_CHUNK; i-- > 0;) {
        struct request *request = chunk_request(pool, chunk, i);

        request->magic = REQUEST_MAGIC;
        request->worker = worker;
        request->index = (uint32_t)(pool->n_chunks * REQUEST_CHUNK + i);
        request->message.size = sizeof request->message;
        request->message.slot = request->slot;
        atomic_init(&request->word, word_of(1, REQUEST_FREE));
        request->next = pool->free;
        pool->free = request;
    }
    atomic_store_explicit(&pool->chunks[pool->n_chunks], chunk, memory_order_release);
    pool->n_chunks++;
    return 0;
}

struct request *request_get(struct spoe_worker *worker, struct exchange *exchange)
{
    struct request *request;
    uint64_t word;

    assert(IS(worker, WORKER_CORE_MAGIC) && IS(exchange, EXCHANGE_MAGIC));
    if (worker->pool.free == NULL && grow(worker) != 0)
        return NULL;
    request = worker->pool.free;
    worker->pool.free = request->next;
    assert(IS(request, REQUEST_MAGIC) && request_state(request) == REQUEST_FREE);
    request->next = NULL;
    request->exchange = exchange;
    request->has_place = request->overdue = request->waited = false;
    request->pending = request->cancelled = request->expired = request->in_ack = false;
    request->actions_len = 0;
    atomic_store_explicit(&request->data, NULL, memory_order_relaxed);
    word = atomic_load_explicit(&request->word, memory_order_relaxed);
    atomic_store_explicit(&request->word, word_of(generation_of(word), REQUEST_ACTIVE),
                          memory_order_release);
    return request;
}

/* What was committed is of no use any more; one is kept for the next time. */
static void drop_committed(struct request *request)
{
    struct committed *all[] = {request->spare, request->answer,
                               atomic_load_explicit(&request->committed, memory_order_relaxed)};

    request->spare = request->answer = NULL;
    atomic_store_explicit(&request->committed, NULL, memory_order_relaxed);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] != NULL && request->spare == NULL && all[i]->size <= REQUEST_ACTIONS_KEEP)
            request->spare = all[i];
        else
            free(all[i]);
    }
}

void request_put(struct spoe_worker *worker, struct request *request)
{
    uint32_t generation;

    assert(IS(request, REQUEST_MAGIC) && request->worker == worker);
    generation = (generation_of(atomic_load_explicit(&request->word, memory_order_relaxed)) + 1) &
                 GENERATION_MASK;
    if (generation == 0)
        generation = 1;
    atomic_store_explicit(&request->word, word_of(generation, REQUEST_FREE), memory_order_release);
    if (request->actions_size > REQUEST_ACTIONS_KEEP) {
        free(request->actions);
        request->actions = NULL;
        request->actions_size = 0;
    }
    if (request->spare != NULL || request->answer != NULL ||
        atomic_load_explicit(&request->committed, memory_order_relaxed) != NULL)
        drop_committed(request);
    request->exchange = NULL;
    request->next = worker->pool.free;
    worker->pool.free = request;
}

static bool change_state(struct request *request, enum request_state from, enum request_state to)
{
    uint64_t word, expected;

    assert(IS(request, REQUEST_MAGIC));
    word = atomic_load_explicit(&request->word, memory_order_relaxed);
    expected = word_of(generation_of(word), from);
    return atomic_compare_exchange_strong_explicit(&request->word, &expected,
                                                   word_of(generation_of(word), to),
                                                   memory_order_acq_rel, memory_order_acquire);
}

bool request_expire(struct request *request)
{
    return change_state(request, REQUEST_ACTIVE, REQUEST_EXPIRED);
}

bool request_finish(struct request *request)
{
    return change_state(request, REQUEST_ACTIVE, REQUEST_FREE);
}

struct spoe_request *request_handle(const struct request *request)
{
    uint64_t word, handle;

    assert(IS(request, REQUEST_MAGIC));
    word = atomic_load_explicit(&request->word, memory_order_relaxed);
    handle = (uint64_t)generation_of(word) << (INDEX_BITS + WORKER_BITS + PLUGIN_BITS) |
             (uint64_t)request->target->plugin->index << (INDEX_BITS + WORKER_BITS) |
             (uint64_t)request->worker->index << INDEX_BITS | request->index;

    return (struct spoe_request *)(uintptr_t)handle; /* NOLINT(performance-no-int-to-ptr) */
}

_Thread_local struct request_in_hand request_in_hand;

/* Find the request of a handle. @return NULL: no such place. The generation is not compared. */
static struct request *find(struct spoe_request *handle, uint32_t *ret_generation)
{
    uint64_t bits = (uint64_t)(uintptr_t)handle;
    uint32_t worker = (uint32_t)(bits >> INDEX_BITS) & ((1u << WORKER_BITS) - 1);
    uint32_t index = (uint32_t)bits & ((1u << INDEX_BITS) - 1);
    struct request_pool *pool;
    uint8_t *chunk;

    *ret_generation = (uint32_t)(bits >> (INDEX_BITS + WORKER_BITS + PLUGIN_BITS));
    if (handle != NULL && handle == request_in_hand.handle)
        return request_in_hand.request;
    if (worker >= HOST_WORKERS_MAX || workers[worker] == NULL)
        return NULL;
    pool = &workers[worker]->pool;
    if (index / REQUEST_CHUNK >= pool->max_chunks)
        return NULL;
    chunk = atomic_load_explicit(&pool->chunks[index / REQUEST_CHUNK], memory_order_acquire);
    if (chunk == NULL)
        return NULL;
    return chunk_request(pool, chunk, index % REQUEST_CHUNK);
}

/* HAProxy src/vars.c, vars_check_arg() */
#define UP_TO(first, last) [first... last] = true
static const bool in_variable_name[256] = {UP_TO('a', 'z'), UP_TO('A', 'Z'),
                                           UP_TO('0', '9'), ['_'] = true, ['.'] = true};
#undef UP_TO

/* Four at once. */
static inline bool are_of_name(const char *p)
{
    return (in_variable_name[(uint8_t)p[0]] & in_variable_name[(uint8_t)p[1]] &
            in_variable_name[(uint8_t)p[2]] & in_variable_name[(uint8_t)p[3]]) != 0;
}

static bool is_variable_name(struct spoe_span name)
{
    size_t i = 0;

    if (name.n == 0 || name.n > VARIABLE_NAME_MAX || name.p == NULL)
        return false;
    if (name.n >= 4) {
        for (; name.n - i >= 4; i += 4)
            if (!are_of_name(name.p + i))
                return false;
        return are_of_name(name.p + name.n - 4); /* some of them again */
    }
    for (; i < name.n; i++)
        if (!in_variable_name[(uint8_t)name.p[i]])
            return false;
    return true;
}

/* What HAProxy itself sets. Plugins of 1.0 did not know. */
static bool is_reserved(const struct request *request, struct spoe_span name)
{
    const size_t n = sizeof SPOE_VARIABLE_RESERVED - 1;

    return name.n >= n && memcmp(name.p, SPOE_VARIABLE_RESERVED, n) == 0 &&
           request->target->plugin->desc->abi_minor > 0;
}

/* Make room for n more bytes of actions. */
static bool reserve(struct request *request, size_t n)
{
    size_t size = request->actions_size != 0 ? request->actions_size : 256;
    uint8_t *grown;

    if (request->actions_size - request->actions_len >= n)
        return true;
    while (size - request->actions_len < n)
        size *= 2;
    grown = realloc(request->actions, size);
    if (grown == NULL)
        return false;
    request->actions = grown;
    request->actions_size = size;
    return true;
}

bool request_append_actions(struct request *request, const struct request *from)
{
    assert(IS(request, REQUEST_MAGIC) && IS(from, REQUEST_MAGIC));
    if (!reserve(request, from->actions_len))
        return false;
    memcpy(request->actions + request->actions_len, from->actions, from->actions_len);
    request->actions_len += from->actions_len;
    return true;
}

/* Take n bytes of what the ACK may hold. */
static bool take_budget(struct exchange *exchange, size_t n)
{
    size_t taken;

    if (!exchange->shared) { /* one request, whose user is one at a time */
        taken = atomic_load_explicit(&exchange->action_bytes, memory_order_relaxed) + n;
        if (taken > exchange->budget)
            return false;
        atomic_store_explicit(&exchange->action_bytes, taken, memory_order_relaxed);
        return true;
    }
    /* Several plugins may add to one ACK at the same time. */
    taken = atomic_fetch_add_explicit(&exchange->action_bytes, n, memory_order_relaxed) + n;
    if (taken > exchange->budget) {
        (void)atomic_fetch_sub_explicit(&exchange->action_bytes, n, memory_order_relaxed);
        return false;
    }
    return true;
}

/* Add one action; value is NULL for unset-var. */
static spoe_status add_action(struct request *request, uint32_t scope, struct spoe_span name,
                              const struct spoe_value *value)
{
    struct exchange *exchange = request->exchange;
    size_t max = 3 + SPOP_VARINT_MAX + name.n + 1 + 16, n;
    uint8_t *p;

    if (value != NULL && (value->type == SPOE_T_STR || value->type == SPOE_T_BIN)) {
        if (value->u.s.n > exchange->budget)
            return SPOE_E_TOOBIG;
        if (value->u.s.p == NULL && value->u.s.n != 0)
            return SPOE_E_INVAL;
        max += SPOP_VARINT_MAX + value->u.s.n;
    }
    if (!reserve(request, max))
        return SPOE_E_NOMEM;
    p = request->actions + request->actions_len;
    n = value != NULL ? spop_put_set_var(p, max, scope, name, value)
                      : spop_put_unset_var(p, max, scope, name);
    if (n == 0)
        return SPOE_E_INVAL;
    if (!take_budget(exchange, n))
        return SPOE_E_TOOBIG;
    request->actions_len += n;
    return SPOE_OK;
}

static spoe_status change_var(struct spoe_request *handle, uint32_t scope, struct spoe_span name,
                              const struct spoe_value *value)
{
    uint32_t generation;
    struct request *request = find(handle, &generation);
    spoe_status status;

    if (request == NULL)
        return SPOE_E_STALE;
    if (atomic_load_explicit(&request->word, memory_order_acquire) !=
        word_of(generation, REQUEST_ACTIVE))
        status = SPOE_E_STALE;
    else if (request->exchange->silent)
        status = SPOE_E_UNSUPPORTED;
    else if (scope > SPOE_SCOPE_RES || !is_variable_name(name) || is_reserved(request, name) ||
             (value != NULL && value->type > SPOE_T_BIN))
        status = SPOE_E_INVAL;
    else
        status = add_action(request, scope, name, value);
    if (status != SPOE_OK)
        COUNT_SHARED(&request->worker->counters, refused_actions);
    if (status == SPOE_E_TOOBIG)
        COUNT_SHARED(&request->worker->counters, truncated_actions);
    return status;
}

spoe_status request_set_var(struct spoe_request *handle, uint32_t scope, struct spoe_span name,
                            const struct spoe_value *value)
{
    if (value == NULL)
        return SPOE_E_INVAL;
    return change_var(handle, scope, name, value);
}

spoe_status request_unset_var(struct spoe_request *handle, uint32_t scope, struct spoe_span name)
{
    return change_var(handle, scope, name, NULL);
}

/* A request that a handle is of, if it can still set anything. @return NULL: it cannot */
static struct request *find_active(struct spoe_request *handle)
{
    uint32_t generation;
    struct request *request = find(handle, &generation);

    if (request == NULL || atomic_load_explicit(&request->word, memory_order_acquire) !=
                               word_of(generation, REQUEST_ACTIVE))
        return NULL;
    return request;
}

spoe_status request_commit(struct spoe_request *handle)
{
    struct request *request = find_active(handle);
    struct committed *copy;

    if (request == NULL)
        return SPOE_E_STALE;
    if (request->exchange->silent)
        return SPOE_E_UNSUPPORTED;
    copy = request->spare;
    if (copy == NULL || copy->size < request->actions_len) {
        const size_t size = request->actions_size > 256 ? request->actions_size : 256;

        copy = malloc(sizeof *copy + size);
        if (copy == NULL)
            return SPOE_E_NOMEM;
        copy->size = size;
        free(request->spare);
        request->spare = NULL;
    }
    copy->len = request->actions_len;
    if (copy->len != 0)
        memcpy(copy->actions, request->actions, copy->len);
    /* What it takes out has not been taken for an ACK, and never will be. */
    request->spare = atomic_exchange_explicit(&request->committed, copy, memory_order_acq_rel);
    return SPOE_OK;
}

bool request_answer_committed(struct request *request)
{
    assert(IS(request, REQUEST_MAGIC) && request->answer == NULL);
    if (atomic_load_explicit(&request->committed, memory_order_relaxed) == NULL)
        return false;
    request->answer = atomic_exchange_explicit(&request->committed, NULL, memory_order_acq_rel);
    return true;
}

void request_keep_answer(struct request *request)
{
    const struct committed *answer = request->answer;

    assert(IS(request, REQUEST_MAGIC) && answer != NULL && answer->len <= request->actions_len);
    if (answer->len != 0)
        memcpy(request->actions, answer->actions, answer->len);
    request->actions_len = answer->len;
    request->in_ack = true;
}

/* A request that a handle is of, until it is completed. @return NULL: it is */
static struct request *find_open(struct spoe_request *handle)
{
    uint32_t generation;
    struct request *request = find(handle, &generation);
    uint64_t word;

    if (request == NULL)
        return NULL;
    word = atomic_load_explicit(&request->word, memory_order_acquire);
    return word == word_of(generation, REQUEST_ACTIVE) ||
                   word == word_of(generation, REQUEST_EXPIRED)
               ? request
               : NULL;
}

spoe_status request_set_data(struct spoe_request *handle, void *data)
{
    struct request *request = find_open(handle);

    if (request == NULL)
        return SPOE_E_STALE;
    atomic_store_explicit(&request->data, data, memory_order_release);
    return SPOE_OK;
}

void *request_get_data(struct spoe_request *handle)
{
    struct request *request = find_open(handle);

    return request != NULL ? atomic_load_explicit(&request->data, memory_order_acquire) : NULL;
}

/* Whose handle it is, as far as it can be one. */
static const struct spoe_instance *owner_of(struct spoe_request *handle,
                                            const struct request *request)
{
    const uint64_t bits = (uint64_t)(uintptr_t)handle;
    const size_t i = bits >> (INDEX_BITS + WORKER_BITS) & ((1u << PLUGIN_BITS) - 1);
    const struct plugin_set *set = request != NULL ? request->worker->shared->plugins : NULL;

    return set != NULL && i < set->n ? set->plugin[i] : NULL;
}

void request_complete(struct spoe_request *handle, spoe_status status)
{
    uint32_t generation;
    struct request *request = find(handle, &generation);
    uint64_t word;

    if (request == NULL)
        goto misbehaviour;
    word = atomic_load_explicit(&request->word, memory_order_acquire);
    do {
        enum request_state state = (enum request_state)(word & ((1u << STATE_BITS) - 1));

        if (generation_of(word) != generation ||
            (state != REQUEST_ACTIVE && state != REQUEST_EXPIRED))
            goto misbehaviour;
    } while (!atomic_compare_exchange_weak_explicit(&request->word, &word,
                                                    word_done(generation, status),
                                                    memory_order_acq_rel, memory_order_acquire));
    /* A closed mailbox means that the worker has stopped: the pool is freed as a whole. */
    (void)mailbox_put(&request->worker->mailbox, &request->mail);
    return;
misbehaviour:
    if (request != NULL)
        COUNT_SHARED(&request->worker->counters, misbehaviour);
    handler_completed_twice(owner_of(handle, request));
}

bool request_ids(struct spoe_request *handle, uint64_t *ret_stream, uint64_t *ret_frame)
{
    struct request *request = find_active(handle);

    if (request == NULL)
        return false;
    *ret_stream = request->message.stream_id;
    *ret_frame = request->message.frame_id;
    return true;
}
