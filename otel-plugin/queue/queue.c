/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/queue/queue.c - one list, one mutex, one condition.
 *
 * The list is marked in groups, so that a batch is taken in a few steps: walking its spans, which
 * have left the caches since, would hold up the producers. A group ends where a push ended.
 *
 * The consumer says how many spans it waits for (`wanted`), so that a producer signals only when
 * that many are there: with batches of 512 most pushes wake nobody.
 */
#include "queue/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

#define GROUP_MIN 64u /* spans; a push that finds as many begins a group */
#define GROUPS_FIRST 64u

struct group {
    struct span *last;
    size_t n;
};

struct span_queue {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t ready; /* CLOCK_MONOTONIC */
    struct span *head;
    struct span **tail; /* the link to hang the next span on */
    /* A ring of groups_size, a power of two; without memory for more the last one grows on. */
    struct group *groups;
    size_t groups_size, groups_first, groups_n;
    size_t waiting, in_flight, max;
    uint64_t pushed, dropped;
    size_t wanted; /* the consumer sleeps until so many wait; 0: it does not sleep */
    bool woken;    /* span_queue_wake() was called and not yet seen */
};

static void free_list(struct span *spans)
{
    while (spans != NULL) {
        struct span *next = spans->next;

        span_destroy(spans);
        spans = next;
    }
}

static void lock(struct span_queue *queue)
{
    int rc = pthread_mutex_lock(&queue->lock);

    assert(rc == 0);
    (void)rc;
}

static void unlock(struct span_queue *queue)
{
    int rc = pthread_mutex_unlock(&queue->lock);

    assert(rc == 0);
    (void)rc;
}

struct span_queue *span_queue_create(size_t max)
{
    struct span_queue *queue = calloc(1, sizeof *queue);
    pthread_condattr_t attr;

    assert(max > 0);
    if (queue == NULL)
        return NULL;
    queue->max = max;
    queue->tail = &queue->head;
    queue->groups_size = GROUPS_FIRST;
    queue->groups = malloc(queue->groups_size * sizeof *queue->groups);
    if (queue->groups == NULL || pthread_mutex_init(&queue->lock, NULL) != 0)
        goto free_queue;
    if (pthread_condattr_init(&attr) != 0)
        goto destroy_lock;
    if (pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&queue->ready, &attr) != 0)
        goto destroy_attr;
    (void)pthread_condattr_destroy(&attr); /* cannot fail after init */
    return queue;

destroy_attr:
    (void)pthread_condattr_destroy(&attr);
destroy_lock:
    (void)pthread_mutex_destroy(&queue->lock);
free_queue:
    free(queue->groups);
    free(queue);
    return NULL;
}

void span_queue_destroy(struct span_queue *queue)
{
    if (queue == NULL)
        return;
    free_list(queue->head);
    (void)pthread_cond_destroy(&queue->ready);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue->groups);
    free(queue);
}

static struct group *group_at(const struct span_queue *queue, size_t i)
{
    return &queue->groups[(queue->groups_first + i) & (queue->groups_size - 1)];
}

static bool grow_groups(struct span_queue *queue)
{
    const size_t size = queue->groups_size * 2;
    struct group *groups = malloc(size * sizeof *groups);

    if (groups == NULL)
        return false;
    for (size_t i = 0; i < queue->groups_n; i++)
        groups[i] = *group_at(queue, i);
    free(queue->groups);
    queue->groups = groups;
    queue->groups_size = size;
    queue->groups_first = 0;
    return true;
}

/* n spans more are in the list, up to `last`. */
static void mark(struct span_queue *queue, struct span *last, size_t n)
{
    struct group *group = queue->groups_n > 0 ? group_at(queue, queue->groups_n - 1) : NULL;

    if (group == NULL ||
        (group->n >= GROUP_MIN && (queue->groups_n < queue->groups_size || grow_groups(queue)))) {
        group = group_at(queue, queue->groups_n++);
        group->n = 0;
    }
    group->last = last;
    group->n += n;
}

size_t span_queue_push(struct span_queue *queue, struct span *spans)
{
    struct span *rest = spans, *last = NULL, *second_last = NULL;
    struct span **before = NULL;
    size_t taken = 0, left = 0, room;

    lock(queue);
    assert(queue->waiting + queue->in_flight <= queue->max);
    room = queue->max - queue->waiting - queue->in_flight;
    for (*queue->tail = spans; taken < room && rest != NULL; taken++) {
        before = queue->tail;
        second_last = last;
        last = rest;
        queue->tail = &last->next;
        rest = last->next;
    }
    if (taken > 0 && rest != NULL && span_is_child(last, rest)) {
        queue->tail = before; /* a request's two spans are lost together */
        rest = last;
        taken--;
        last = second_last;
    }
    *queue->tail = NULL;
    if (taken > 0)
        mark(queue, last, taken);
    for (const struct span *span = rest; span != NULL; span = span->next)
        left++;
    queue->waiting += taken;
    queue->pushed += taken;
    queue->dropped += left;
    if (queue->wanted != 0 && queue->waiting >= queue->wanted)
        (void)pthread_cond_signal(&queue->ready); /* cannot fail */
    unlock(queue);
    free_list(rest);
    return left;
}

size_t span_queue_room(struct span_queue *queue)
{
    size_t room;

    lock(queue);
    room = queue->max - queue->waiting - queue->in_flight;
    unlock(queue);
    return room;
}

struct span *span_queue_take(struct span_queue *queue, size_t max, size_t *ret_n)
{
    struct span *first, *last = NULL;
    size_t n = 0;

    lock(queue);
    first = queue->head;
    while (queue->groups_n > 0 && group_at(queue, 0)->n <= max - n) {
        last = group_at(queue, 0)->last;
        n += group_at(queue, 0)->n;
        queue->groups_first = (queue->groups_first + 1) & (queue->groups_size - 1);
        queue->groups_n--;
    }
    if (queue->groups_n > 0 && n < max) {
        struct span *from = last != NULL ? last->next : first;
        size_t more = max - n;
        struct span *cut = from, *before = last;

        for (size_t i = 1; i < more; i++) {
            before = cut;
            cut = cut->next;
        }
        if (n + more > 1 && span_is_child(cut, cut->next)) {
            cut = before; /* a request's two spans leave together */
            more--;
        }
        group_at(queue, 0)->n -= more;
        last = cut;
        n += more;
    }
    if (n > 0) {
        assert(last != NULL);
        queue->head = last->next;
        last->next = NULL;
        if (queue->head == NULL)
            queue->tail = &queue->head;
        queue->waiting -= n;
        queue->in_flight += n;
    }
    unlock(queue);
    *ret_n = n;
    return n > 0 ? first : NULL;
}

void span_queue_settle(struct span_queue *queue, size_t n)
{
    lock(queue);
    assert(n <= queue->in_flight);
    queue->in_flight -= n;
    unlock(queue);
}

size_t span_queue_wait(struct span_queue *queue, size_t want, int64_t deadline_mono_ns)
{
    struct timespec until = {0};
    size_t waiting;
    int rc = 0;

    if (deadline_mono_ns > 0) {
        until.tv_sec = (time_t)(deadline_mono_ns / NS_PER_S);
        until.tv_nsec = (long)(deadline_mono_ns % NS_PER_S);
    }
    lock(queue);
    queue->wanted = want > 0 ? want : 1;
    while (queue->waiting < want && !queue->woken && rc == 0)
        rc = deadline_mono_ns == INT64_MAX
                 ? pthread_cond_wait(&queue->ready, &queue->lock)
                 : pthread_cond_timedwait(&queue->ready, &queue->lock, &until);
    queue->wanted = 0;
    queue->woken = false;
    waiting = queue->waiting;
    unlock(queue);
    return waiting;
}

void span_queue_wake(struct span_queue *queue)
{
    lock(queue);
    queue->woken = true;
    (void)pthread_cond_signal(&queue->ready); /* cannot fail */
    unlock(queue);
}

void span_queue_get_stats(struct span_queue *queue, struct span_queue_stats *ret)
{
    lock(queue);
    *ret = (struct span_queue_stats){.waiting = queue->waiting,
                                     .in_flight = queue->in_flight,
                                     .max = queue->max,
                                     .pushed = queue->pushed,
                                     .dropped = queue->dropped};
    unlock(queue);
}
