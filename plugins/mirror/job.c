/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/mirror/job.c - see job.h. */
#include "mirror/job.h"

#include <assert.h>
#include <stdlib.h>

/* Requests without a body, with a small one, and HAProxy's usual buffer. */
static const size_t class_size[MIRROR_JOB_CLASSES] = {2048, 8192, 32768};

static unsigned class_of(size_t size)
{
    unsigned class = 0;

    while (class < MIRROR_JOB_CLASSES && size > class_size[class])
        class ++;
    return class;
}

size_t mirror_job_size(size_t n_bytes)
{
    const size_t size = sizeof(struct mirror_job) + n_bytes;
    const unsigned class = class_of(size);

    return class < MIRROR_JOB_CLASSES ? class_size[class] : size;
}

static void keep_or_free(struct mirror_job_pool *pool, struct mirror_job *job)
{
    const unsigned class = class_of(job->size);

    if (class == MIRROR_JOB_CLASSES || pool->n_kept[class] == MIRROR_JOB_KEPT) {
        free(job);
        return;
    }
    job->next = pool->kept[class];
    pool->kept[class] = job;
    pool->n_kept[class]++;
}

static void collect(struct mirror_job_pool *pool)
{
    struct mirror_job *job = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);

    while (job != NULL) {
        struct mirror_job *next = job->next;

        keep_or_free(pool, job);
        job = next;
    }
}

struct mirror_job *mirror_job_take(struct mirror_job_pool *pool, size_t n_bytes)
{
    const size_t size = mirror_job_size(n_bytes);
    const unsigned class = class_of(size);
    struct mirror_job *job = NULL;

    collect(pool);
    if (class < MIRROR_JOB_CLASSES && pool->kept[class] != NULL) {
        job = pool->kept[class];
        pool->kept[class] = job->next;
        pool->n_kept[class]--;
    } else {
        job = malloc(size);
        if (job == NULL)
            return NULL;
    }
    *job = (struct mirror_job){.home = pool, .size = size};
    return job;
}

void mirror_job_give_back(struct mirror_job *job)
{
    struct mirror_job_pool *pool = job->home;
    struct mirror_job *head = atomic_load_explicit(&pool->returned, memory_order_relaxed);

    do {
        job->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&pool->returned, &head, job,
                                                    memory_order_release, memory_order_relaxed));
}

void mirror_job_pool_fini(struct mirror_job_pool *pool)
{
    collect(pool);
    for (unsigned class = 0; class < MIRROR_JOB_CLASSES; class ++) {
        while (pool->kept[class] != NULL) {
            struct mirror_job *job = pool->kept[class];

            pool->kept[class] = job->next;
            free(job);
        }
        pool->n_kept[class] = 0;
    }
}

/* ---- the queue ----------------------------------------------------------------------------- */

enum mirror_queue_result mirror_queue_reserve(struct mirror_queue *queue, size_t bytes)
{
    if (atomic_fetch_add_explicit(&queue->jobs, 1, memory_order_relaxed) >= queue->max_jobs) {
        mirror_queue_leave(queue);
        return MIRROR_QUEUE_FULL;
    }
    if (atomic_fetch_add_explicit(&queue->bytes, bytes, memory_order_relaxed) + bytes >
        queue->max_bytes) {
        mirror_queue_release(queue, bytes);
        mirror_queue_leave(queue);
        return MIRROR_QUEUE_FULL_BYTES;
    }
    return MIRROR_QUEUE_OK;
}

void mirror_queue_push(struct mirror_queue *queue, struct mirror_job *job)
{
    struct mirror_job *head = atomic_load_explicit(&queue->incoming, memory_order_relaxed);

    do {
        job->next = head;
    } while (!atomic_compare_exchange_weak(&queue->incoming, &head, job));
}

struct mirror_job *mirror_queue_take(struct mirror_queue *queue)
{
    struct mirror_job *job = atomic_exchange(&queue->incoming, NULL), *list = NULL;

    while (job != NULL) { /* the newest is first */
        struct mirror_job *next = job->next;

        job->next = list;
        list = job;
        job = next;
    }
    return list;
}

void mirror_queue_leave(struct mirror_queue *queue)
{
    const uint64_t was = atomic_fetch_sub_explicit(&queue->jobs, 1, memory_order_relaxed);

    assert(was > 0);
}

void mirror_queue_release(struct mirror_queue *queue, size_t bytes)
{
    const uint64_t was = atomic_fetch_sub_explicit(&queue->bytes, bytes, memory_order_relaxed);

    assert(was >= bytes);
}
