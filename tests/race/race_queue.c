/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/race/race_queue.c - four producers and one consumer on a small queue: every span is either
 * taken once, in its producer's order, or counted as dropped. Meant for the TSan build.
 */
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "queue/queue.h"

#define PRODUCERS 4u
#define SPANS 20000u /* of each producer */
#define QUEUE_MAX 256u
#define BATCH 64u

static struct span_queue *queue;
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
    struct pool_cache cache = {.blocks = {NULL}};

    for (uint64_t n = 0; n < SPANS; n += 2) {
        struct span *first = make(&cache, self, n), *second = make(&cache, self, n + 1);

        if (first == NULL || second == NULL) {
            (void)fprintf(stderr, "out of memory\n");
            break;
        }
        first->next = second;
        (void)span_queue_room(queue);
        atomic_fetch_add(&dropped, span_queue_push(queue, first));
    }
    pool_cache_fini(&cache);
    atomic_fetch_sub(&running, 1);
    span_queue_wake(queue);
    return NULL;
}

/* Check a batch and give its blocks back. @return false: out of order */
static bool check(struct span *spans, uint64_t next[PRODUCERS], size_t n)
{
    bool ok = true;
    size_t seen = 0;

    for (const struct span *span = spans; span != NULL; span = span->next) {
        uint64_t producer, number;

        memcpy(&producer, span->context.trace_id, sizeof producer);
        memcpy(&number, span->context.span_id, sizeof number);
        ok = ok && producer < PRODUCERS && number >= next[producer];
        if (ok)
            next[producer] = number + 1;
        seen++;
    }
    (void)span_recycle(spans, seen);
    return ok && seen == n;
}

int main(void)
{
    static const uint64_t ids[PRODUCERS] = {0, 1, 2, 3};
    uint64_t next[PRODUCERS] = {0}, taken = 0;
    pthread_t threads[PRODUCERS];
    struct span_queue_stats stats;
    bool ok = true;

    queue = span_queue_create(QUEUE_MAX);
    if (queue == NULL)
        return 1;
    for (size_t i = 0; i < PRODUCERS; i++)
        if (pthread_create(&threads[i], NULL, produce, (void *)(uintptr_t)&ids[i]) != 0)
            return 1;
    for (;;) {
        const bool last = atomic_load(&running) == 0;
        size_t n;
        struct span *spans;

        if (!last)
            (void)span_queue_wait(queue, BATCH, INT64_MAX);
        spans = span_queue_take(queue, BATCH, &n);
        ok = check(spans, next, n) && ok;
        span_queue_settle(queue, n);
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
    pool_clear();
    return ok ? 0 : 1;
}
