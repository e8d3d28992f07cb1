/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/queue.c - a list of chunks per writer; shared are a few counts and a condition.
 *
 * The consumer says how many spans it waits for (`wanted`), so that a producer signals only when
 * that many are there, or so few that fill the queue: with batches of 512 most pushes wake nobody.
 * Producer and consumer each write one of `waiting` and `wanted` and then read the other, in one
 * order for all threads, so that one of them sees that it is time. Queues with one consumer share
 * the place where it sleeps.
 */
#include "otlp/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "otlp/span_wire.h"

#define NS_PER_S INT64_C(1000000000)
#define CACHE_LINE 64u

#define IDLE_MAX 32u /* chunks that a writer keeps for later */
/* So small a part of the cap leaves room for what comes while a batch is sent. */
#define HEAVY_SHARE 4u

struct span_writer {
    _Alignas(CACHE_LINE) struct span_queue *queue;
    struct span_writer *next; /* of the queue's; set before it is there */
    pthread_mutex_t lock;     /* guards all below */
    struct span_chunk *head;
    struct span_chunk *tail; /* the last in the list, which is being filled; NULL: none is */
    struct span_chunk *idle;
    size_t n_idle;
    uint64_t pushed;
};

struct span_queue {
    size_t max, bytes_max, heavy_bytes, chunk_spans, chunk_bytes;
    _Atomic bool shut;
    _Atomic(struct span_writer *) writers; /* it only grows */
    struct span_writer *turn;              /* the consumer's: where it goes on */
    _Atomic uint64_t dropped, refused, no_memory;
    struct span_queue *bed;                   /* where the consumer sleeps: this one, or another */
    pthread_mutex_t lock;                     /* guards `woken` and the sleep; taken alone */
    pthread_cond_t ready;                     /* CLOCK_MONOTONIC */
    bool woken;                               /* span_queue_wake() was called and not yet seen */
    _Alignas(CACHE_LINE) _Atomic size_t used; /* places: waiting and in flight */
    _Atomic size_t used_bytes;                /* of the spans in them */
    _Atomic size_t waiting;
    _Atomic size_t wanted; /* the consumer sleeps until so many wait; 0: it does not sleep */
    _Atomic size_t in_flight, in_flight_bytes;
};

static void lock(pthread_mutex_t *mutex)
{
    int rc = pthread_mutex_lock(mutex);

    assert(rc == 0);
    (void)rc;
}

static void unlock(pthread_mutex_t *mutex)
{
    int rc = pthread_mutex_unlock(mutex);

    assert(rc == 0);
    (void)rc;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

struct span_queue *span_queue_create(size_t max, size_t bytes_max, size_t batch_max,
                                     size_t batch_bytes_max)
{
    struct span_queue *queue = aligned_alloc(CACHE_LINE, sizeof *queue);
    pthread_condattr_t attr;

    assert(max > 0 && batch_max > 0);
    if (queue == NULL)
        return NULL;
    *queue = (struct span_queue){
        .max = max,
        .bytes_max = bytes_max,
        .heavy_bytes = min_size(batch_bytes_max, bytes_max / HEAVY_SHARE),
        .chunk_spans = batch_max / ((batch_max + SPAN_CHUNK_SPANS - 1) / SPAN_CHUNK_SPANS),
        .chunk_bytes = min_size(SPAN_CHUNK_BYTES, batch_bytes_max / 4)};
    if (pthread_mutex_init(&queue->lock, NULL) != 0)
        goto free_queue;
    if (pthread_condattr_init(&attr) != 0)
        goto destroy_lock;
    if (pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&queue->ready, &attr) != 0)
        goto destroy_attr;
    (void)pthread_condattr_destroy(&attr); /* cannot fail after init */
    queue->bed = queue;
    return queue;

destroy_attr:
    (void)pthread_condattr_destroy(&attr);
destroy_lock:
    (void)pthread_mutex_destroy(&queue->lock);
free_queue:
    free(queue);
    return NULL;
}

void span_queue_join(struct span_queue *queue, struct span_queue *other)
{
    assert(other->bed == other);
    queue->bed = other;
}

static void free_chunks(struct span_chunk *chunk)
{
    while (chunk != NULL) {
        struct span_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
}

void span_queue_destroy(struct span_queue *queue)
{
    struct span_writer *writer, *next;

    if (queue == NULL)
        return;
    for (writer = atomic_load(&queue->writers); writer != NULL; writer = next) {
        next = writer->next;
        free_chunks(writer->head);
        free_chunks(writer->idle);
        (void)pthread_mutex_destroy(&writer->lock);
        free(writer);
    }
    (void)pthread_cond_destroy(&queue->ready);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
}

struct span_writer *span_queue_writer(struct span_queue *queue)
{
    struct span_writer *writer = aligned_alloc(CACHE_LINE, sizeof *writer);

    if (writer == NULL)
        return NULL;
    *writer = (struct span_writer){.queue = queue};
    if (pthread_mutex_init(&writer->lock, NULL) != 0) {
        free(writer);
        return NULL;
    }
    writer->next = atomic_load(&queue->writers);
    while (!atomic_compare_exchange_weak(&queue->writers, &writer->next, writer))
        continue;
    return writer;
}

/* ---- producer ---------------------------------------------------------------------------- */

/* An empty chunk at the end of the writer's list. @param bytes  at least so many */
static struct span_chunk *add_chunk(struct span_writer *writer, size_t bytes)
{
    struct span_chunk *chunk = writer->idle;
    size_t size = writer->queue->chunk_bytes;

    if (bytes > size) {
        size = bytes;
        chunk = NULL;
    }
    if (chunk != NULL) {
        writer->idle = chunk->next;
        writer->n_idle--;
    } else {
        chunk = malloc(sizeof *chunk + size);
        if (chunk == NULL)
            return NULL;
    }
    *chunk = (struct span_chunk){._writer = writer, ._size = (uint32_t)size};
    if (writer->tail != NULL)
        writer->tail->next = chunk;
    else
        writer->head = chunk;
    writer->tail = chunk;
    return chunk;
}

/* The chunk for n spans of so many bytes. @return NULL: out of memory */
static struct span_chunk *chunk_for(struct span_writer *writer, size_t n, size_t bytes)
{
    const struct span_queue *queue = writer->queue;
    struct span_chunk *chunk = writer->tail;

    if (chunk != NULL && chunk->n + n <= queue->chunk_spans &&
        chunk->len + bytes <= queue->chunk_bytes)
        return chunk;
    return add_chunk(writer, bytes);
}

static void put_span(struct span_chunk *chunk, const struct span *span)
{
    chunk->len += (uint32_t)span_wire_put(span, chunk->bytes + chunk->len);
    chunk->n++;
    if (span->dropped_attributes > 0 || span->dropped_events > 0) {
        if (chunk->attributes_dropped == 0 && chunk->events_dropped == 0) {
            chunk->first_attributes_dropped = span->dropped_attributes;
            chunk->first_events_dropped = span->dropped_events;
        }
        chunk->attributes_dropped += span->dropped_attributes;
        chunk->events_dropped += span->dropped_events;
    }
}

/*
 * Write n spans of so many bytes while there is memory. @return the number written; *ret_left: the
 * bytes of the others
 */
static size_t write_spans(struct span_writer *writer, const struct span *spans, size_t n,
                          size_t bytes, size_t *ret_left)
{
    const struct span_queue *queue = writer->queue;
    const bool together = n <= queue->chunk_spans && bytes <= queue->chunk_bytes;
    struct span_chunk *chunk = together ? chunk_for(writer, n, bytes) : NULL;
    size_t written = 0;

    *ret_left = 0;
    for (; spans != NULL; spans = spans->next) {
        if (!together)
            chunk = chunk_for(writer, 1, span_wire_size(spans));
        if (chunk == NULL)
            break;
        put_span(chunk, spans);
        written++;
    }
    for (; spans != NULL; spans = spans->next)
        *ret_left += span_wire_size(spans);
    return written;
}

bool span_queue_is_heavy(struct span_queue *queue)
{
    const size_t in_flight = atomic_load_explicit(&queue->in_flight_bytes, memory_order_relaxed);
    const size_t used = atomic_load_explicit(&queue->used_bytes, memory_order_relaxed);
    const size_t waiting = atomic_load_explicit(&queue->waiting, memory_order_relaxed);

    if (waiting > 1 && waiting + 1 >= queue->max)
        return true;
    return waiting > 0 && used > in_flight && used - in_flight >= queue->heavy_bytes;
}

/* Whether the consumer, which waits for `want` spans, is to go on. */
static bool is_enough(struct span_queue *queue, size_t waiting, size_t want)
{
    return waiting >= want || (want != SIZE_MAX && span_queue_is_heavy(queue));
}

/* The consumer may sleep until now. It holds the lock from `wanted` until it sleeps. */
static void signal_consumer(struct span_queue *queue)
{
    if (atomic_exchange(&queue->wanted, 0) == 0)
        return; /* another producer was faster */
    lock(&queue->bed->lock);
    unlock(&queue->bed->lock);
    (void)pthread_cond_signal(
        &queue->bed->ready); /* cannot fail; not in the lock, which it takes */
}

static void give_back(struct span_queue *queue, size_t n, size_t bytes)
{
    if (n > 0)
        (void)atomic_fetch_sub_explicit(&queue->used, n, memory_order_relaxed);
    if (bytes > 0)
        (void)atomic_fetch_sub_explicit(&queue->used_bytes, bytes, memory_order_relaxed);
}

/* Places for n spans of so many bytes, or none at all. */
static bool reserve(struct span_queue *queue, size_t n, size_t bytes)
{
    if (atomic_fetch_add_explicit(&queue->used, n, memory_order_relaxed) + n > queue->max) {
        give_back(queue, n, 0);
        return false;
    }
    if (atomic_fetch_add_explicit(&queue->used_bytes, bytes, memory_order_relaxed) + bytes >
        queue->bytes_max) {
        give_back(queue, n, bytes);
        return false;
    }
    return true;
}

/* Those that have no place. */
static enum span_queue_result turn_away(struct span_queue *queue, size_t n)
{
    const bool shut = span_queue_is_shut(queue);

    (void)atomic_fetch_add_explicit(shut ? &queue->refused : &queue->dropped, n,
                                    memory_order_relaxed);
    return SPAN_QUEUE_FULL;
}

/* Those that are there now: the consumer may wait for them. */
static void tell_consumer(struct span_queue *queue, size_t waiting)
{
    const size_t wanted = atomic_load(&queue->wanted);

    if (wanted != 0 && is_enough(queue, waiting, wanted))
        signal_consumer(queue);
}

static enum span_queue_result push(struct span_writer *writer, const struct span *spans,
                                   bool can_wait, size_t *ret_n)
{
    struct span_queue *queue = writer->queue;
    size_t n = 0, bytes = 0, left, written, waiting;

    for (const struct span *span = spans; span != NULL; span = span->next) {
        bytes += span_wire_size(span);
        n++;
    }
    assert(n > 0);
    *ret_n = n;
    if (!reserve(queue, n, bytes)) {
        if (can_wait && n <= queue->max && bytes <= queue->bytes_max)
            return SPAN_QUEUE_WAIT;
        return turn_away(queue, n);
    }

    lock(&writer->lock);
    written = write_spans(writer, spans, n, bytes, &left);
    writer->pushed += written;
    waiting = atomic_fetch_add(&queue->waiting, written) + written; /* before they can be taken */
    unlock(&writer->lock);

    *ret_n = n - written;
    give_back(queue, n - written, left);
    tell_consumer(queue, waiting);
    return written == n ? SPAN_QUEUE_OK : SPAN_QUEUE_NOMEM;
}

enum span_queue_result span_queue_push(struct span_writer *writer, const struct span *spans,
                                       size_t *ret_n)
{
    return push(writer, spans, false, ret_n);
}

enum span_queue_result span_queue_offer(struct span_writer *writer, const struct span *spans,
                                        size_t *ret_n)
{
    return push(writer, spans, true, ret_n);
}

enum span_queue_result span_queue_put(struct span_writer *writer, size_t n, size_t bound,
                                      span_queue_put_fn *put, const void *arg)
{
    struct span_queue *queue = writer->queue;
    struct span_chunk *chunk;
    size_t len = 0, waiting;

    assert(n > 0);
    if (span_queue_is_shut(queue) || !reserve(queue, n, bound))
        return turn_away(queue, n);
    lock(&writer->lock);
    chunk = chunk_for(writer, n, bound);
    if (chunk != NULL) {
        len = put(arg, chunk->bytes + chunk->len);
        assert(len <= bound);
        chunk->len += (uint32_t)len;
        chunk->n += (uint32_t)n;
        writer->pushed += n;
    }
    waiting = atomic_fetch_add(&queue->waiting, chunk != NULL ? n : 0) + n;
    unlock(&writer->lock);
    if (chunk == NULL) {
        give_back(queue, n, bound);
        (void)atomic_fetch_add_explicit(&queue->no_memory, n, memory_order_relaxed);
        return SPAN_QUEUE_NOMEM;
    }
    give_back(queue, 0, bound - len);
    tell_consumer(queue, waiting);
    return SPAN_QUEUE_OK;
}

void span_queue_shut(struct span_queue *queue, bool shut)
{
    atomic_store_explicit(&queue->shut, shut, memory_order_relaxed);
}

bool span_queue_is_shut(const struct span_queue *queue)
{
    return atomic_load_explicit(&queue->shut, memory_order_relaxed);
}

size_t span_queue_room(struct span_queue *queue)
{
    const size_t used = atomic_load_explicit(&queue->used, memory_order_relaxed);

    return used < queue->max ? queue->max - used : 0; /* a push in vain counts for a moment */
}

/* ---- consumer ---------------------------------------------------------------------------- */

/* A batch as it is gathered. */
struct taking {
    struct span_chunk *first, **link;
    size_t n, bytes, max, bytes_max;
};

static bool fits(const struct taking *taking, const struct span_chunk *chunk)
{
    return taking->n == 0 ||
           (chunk->n <= taking->max - taking->n && taking->bytes <= taking->bytes_max &&
            chunk->len <= taking->bytes_max - taking->bytes);
}

static void take_from(struct span_writer *writer, struct taking *taking)
{
    size_t n = 0, bytes = 0;

    lock(&writer->lock);
    while (writer->head != NULL && taking->n < taking->max && fits(taking, writer->head)) {
        struct span_chunk *chunk = writer->head;

        writer->head = chunk->next;
        if (writer->head == NULL)
            writer->tail = NULL;
        chunk->next = NULL;
        *taking->link = chunk;
        taking->link = &chunk->next;
        taking->n += chunk->n;
        taking->bytes += chunk->len;
        n += chunk->n;
        bytes += chunk->len;
    }
    if (n > 0) {
        (void)atomic_fetch_add_explicit(&writer->queue->in_flight_bytes, bytes,
                                        memory_order_relaxed);
        (void)atomic_fetch_add_explicit(&writer->queue->in_flight, n, memory_order_relaxed);
        (void)atomic_fetch_sub(&writer->queue->waiting, n);
    }
    unlock(&writer->lock);
}

struct span_chunk *span_queue_take(struct span_queue *queue, size_t max, size_t bytes_max,
                                   size_t *ret_n)
{
    struct taking taking = {.max = max, .bytes_max = bytes_max};
    struct span_writer *const all = atomic_load(&queue->writers);
    struct span_writer *const start = queue->turn != NULL ? queue->turn : all;
    struct span_writer *writer = start;

    taking.link = &taking.first;
    *ret_n = 0;
    if (all == NULL)
        return NULL;
    do {
        take_from(writer, &taking);
        writer = writer->next != NULL ? writer->next : all;
    } while (writer != start && taking.n < max);
    queue->turn = start->next; /* each writer is the first in its turn */
    *ret_n = taking.n;
    return taking.first;
}

void span_queue_release(struct span_chunk *chunks)
{
    while (chunks != NULL) {
        struct span_chunk *chunk = chunks;
        struct span_writer *writer = chunk->_writer;

        chunks = chunk->next;
        lock(&writer->lock);
        if (writer->n_idle < IDLE_MAX && chunk->_size == writer->queue->chunk_bytes) {
            chunk->next = writer->idle;
            writer->idle = chunk;
            writer->n_idle++;
            chunk = NULL;
        }
        unlock(&writer->lock);
        free(chunk);
    }
}

void span_queue_settle(struct span_queue *queue, size_t n, size_t bytes)
{
    const size_t before = atomic_fetch_sub_explicit(&queue->in_flight, n, memory_order_relaxed);

    assert(n <= before);
    (void)before;
    (void)atomic_fetch_sub_explicit(&queue->in_flight_bytes, bytes, memory_order_relaxed);
    give_back(queue, n, bytes);
}

/* Say what is waited for. @return whether there is enough already */
static bool want_all(const struct span_queue_want *wants, size_t n)
{
    bool enough = false;

    for (size_t i = 0; i < n; i++) {
        struct span_queue *queue = wants[i].queue;

        atomic_store(&queue->wanted, wants[i].n > 0 ? wants[i].n : 1);
        enough |= is_enough(queue, atomic_load(&queue->waiting), wants[i].n);
    }
    return enough;
}

/* Whether somebody found enough in one of them since. */
static bool was_signalled(const struct span_queue_want *wants, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (atomic_load(&wants[i].queue->wanted) == 0)
            return true;
    return false;
}

void span_queue_wait_any(const struct span_queue_want *wants, size_t n, int64_t deadline_mono_ns)
{
    struct span_queue *bed = wants[0].queue->bed;
    /* One below 0 has passed, too: pthread_cond_timedwait() refuses it. */
    const struct timespec until = {.tv_sec = (time_t)(deadline_mono_ns / NS_PER_S),
                                   .tv_nsec = (long)(deadline_mono_ns % NS_PER_S)};
    int rc = 0;

    lock(&bed->lock);
    if (!want_all(wants, n))
        while (!was_signalled(wants, n) && !bed->woken && rc == 0)
            rc = deadline_mono_ns == INT64_MAX
                     ? pthread_cond_wait(&bed->ready, &bed->lock)
                     : pthread_cond_timedwait(&bed->ready, &bed->lock, &until);
    for (size_t i = 0; i < n; i++)
        atomic_store(&wants[i].queue->wanted, 0);
    bed->woken = false;
    unlock(&bed->lock);
}

bool span_queue_want_less(struct span_queue *queue, size_t want)
{
    size_t wanted = atomic_load(&queue->wanted);

    while (wanted > want && !atomic_compare_exchange_weak(&queue->wanted, &wanted, want))
        continue;
    if (wanted > want && is_enough(queue, atomic_load(&queue->waiting), want))
        signal_consumer(queue);
    return wanted != 0;
}

size_t span_queue_wait(struct span_queue *queue, size_t want, int64_t deadline_mono_ns)
{
    span_queue_wait_any(&(struct span_queue_want){queue, want}, 1, deadline_mono_ns);
    return span_queue_waiting(queue);
}

size_t span_queue_waiting(struct span_queue *queue)
{
    return atomic_load(&queue->waiting);
}

void span_queue_wake(struct span_queue *queue)
{
    struct span_queue *bed = queue->bed;

    lock(&bed->lock);
    bed->woken = true;
    unlock(&bed->lock);
    /* After that, or the one who wakes would have to wait again, for the lock. */
    (void)pthread_cond_signal(&bed->ready); /* cannot fail */
}

void span_queue_get_stats(struct span_queue *queue, struct span_queue_stats *ret)
{
    *ret = (struct span_queue_stats){
        .waiting = atomic_load(&queue->waiting),
        .in_flight = atomic_load_explicit(&queue->in_flight, memory_order_relaxed),
        .max = queue->max,
        .bytes = atomic_load_explicit(&queue->used_bytes, memory_order_relaxed),
        .bytes_max = queue->bytes_max,
        .dropped = atomic_load_explicit(&queue->dropped, memory_order_relaxed),
        .refused = atomic_load_explicit(&queue->refused, memory_order_relaxed),
        .no_memory = atomic_load_explicit(&queue->no_memory, memory_order_relaxed)};
    for (struct span_writer *writer = atomic_load(&queue->writers); writer != NULL;
         writer = writer->next) {
        lock(&writer->lock);
        ret->pushed += writer->pushed;
        unlock(&writer->lock);
    }
}
