/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/race/race_queue.c - four producers, two of which share a writer, and one consumer on a
 * small queue: every span is either taken once, in its producer's order, or counted as dropped.
 * Meant for the TSan build.
 */
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "opentelemetry/proto/trace/v1/trace.pb-c.h"
#include "otlp/queue.h"

#define PRODUCERS 4u
#define SPANS 20000u /* of each producer */
#define QUEUE_MAX 256u
#define BATCH 64u

static struct span_queue *queue;
static struct span_writer *writers[PRODUCERS];
static _Atomic uint64_t dropped;
static _Atomic unsigned running = PRODUCERS;

static struct span *make(struct pool_cache *cache, uint64_t producer, uint64_t n)
{
    struct trace_context context = {.flags = 1};
    struct span *span;

    memcpy(context.trace_id, &producer, sizeof producer);
    memcpy(context.span_id, &n, sizeof n);
    span = span_create_from(cache, n % 2 == 0 ? SPAN_SERVER : SPAN_CLIENT, &context, NULL, false, 1,
                            "GET", 3);
    if (span != NULL)
        span_end(span, 2);
    return span;
}

static void *produce(void *arg)
{
    const uint64_t self = *(const uint64_t *)arg;
    struct pool_cache cache = {.kinds = {{NULL, 0}}};

    for (uint64_t n = 0; n < SPANS; n += 2) {
        struct span *first = make(&cache, self, n), *second = make(&cache, self, n + 1);
        size_t lost;

        if (first == NULL || second == NULL) {
            (void)fprintf(stderr, "out of memory\n");
            break;
        }
        first->next = second;
        (void)span_queue_room(queue);
        (void)span_queue_push(writers[self], first, &lost);
        atomic_fetch_add(&dropped, lost);
        span_recycle(&cache, first);
        span_recycle(&cache, second);
    }
    pool_cache_fini(&cache);
    atomic_fetch_sub(&running, 1);
    span_queue_wake(queue);
    return NULL;
}

/* Check one chunk. @return false: out of order */
static bool check_chunk(const struct span_chunk *chunk, uint64_t next[PRODUCERS])
{
    Opentelemetry__Proto__Trace__V1__ScopeSpans *message =
        opentelemetry__proto__trace__v1__scope_spans__unpack(NULL, chunk->len, chunk->bytes);
    bool ok = message != NULL && message->n_spans == chunk->n;

    for (size_t i = 0; ok && i < message->n_spans; i++) {
        uint64_t producer, number;

        memcpy(&producer, message->spans[i]->trace_id.data, sizeof producer);
        memcpy(&number, message->spans[i]->span_id.data, sizeof number);
        ok = producer < PRODUCERS && number >= next[producer];
        if (ok)
            next[producer] = number + 1;
    }
    if (message != NULL)
        opentelemetry__proto__trace__v1__scope_spans__free_unpacked(message, NULL);
    return ok;
}

static bool check(const struct span_chunk *chunks, uint64_t next[PRODUCERS], size_t n)
{
    bool ok = true;
    size_t seen = 0;

    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
        ok = check_chunk(chunk, next) && ok;
        seen += chunk->n;
    }
    return ok && seen == n;
}

int main(void)
{
    static const uint64_t ids[PRODUCERS] = {0, 1, 2, 3};
    uint64_t next[PRODUCERS] = {0}, taken = 0;
    pthread_t threads[PRODUCERS];
    struct span_queue_stats stats;
    bool ok = true;

    queue = span_queue_create(QUEUE_MAX, SPAN_QUEUE_BYTES_MAX, BATCH, 4000000);
    if (queue == NULL)
        return 1;
    for (size_t i = 0; i < PRODUCERS; i++) {
        writers[i] = i + 1 < PRODUCERS ? span_queue_writer(queue) : writers[i - 1];
        if (writers[i] == NULL)
            return 1;
    }
    for (size_t i = 0; i < PRODUCERS; i++)
        if (pthread_create(&threads[i], NULL, produce, (void *)(uintptr_t)&ids[i]) != 0)
            return 1;
    for (;;) {
        const bool last = atomic_load(&running) == 0;
        size_t n;
        struct span_chunk *chunks;

        if (!last)
            (void)span_queue_wait(queue, BATCH, INT64_MAX);
        chunks = span_queue_take(queue, BATCH, SIZE_MAX, &n);
        ok = check(chunks, next, n) && ok;
        span_queue_release(chunks);
        span_queue_settle(queue, n, 0);
        taken += n;
        if (last && n == 0)
            break;
    }
    for (size_t i = 0; i < PRODUCERS; i++)
        (void)pthread_join(threads[i], NULL);
    span_queue_get_stats(queue, &stats);
    ok = ok && taken + atomic_load(&dropped) == (uint64_t)PRODUCERS * SPANS;
    ok = ok && stats.pushed == taken && stats.dropped == atomic_load(&dropped);
    ok = ok && stats.waiting == 0 && stats.in_flight == 0;
    printf("%s: taken %" PRIu64 ", dropped %" PRIu64 "\n", ok ? "ok" : "WRONG", taken,
           (uint64_t)atomic_load(&dropped));
    span_queue_destroy(queue);
    return ok ? 0 : 1;
}
