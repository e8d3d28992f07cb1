/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/mirror/job.h - a request's copy on its way from a worker to the sender, the memory that
 * it is in, and the bounded queue between the two.
 *
 * A pool belongs to one worker: that takes jobs from it without a lock, the sender gives them back
 * by one exchange. The queue is one pointer that workers add to and the sender takes whole. Nobody
 * waits for anybody.
 */
#ifndef MIRROR_JOB_H
#define MIRROR_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#define MIRROR_JOB_CLASSES 3u /* sizes that are kept for the next one; what is larger is not */
#define MIRROR_JOB_KEPT 64u   /* of each size, by each pool */

struct mirror_job_pool;

struct mirror_job {
    struct mirror_job *next;
    struct mirror_job_pool *home;
    size_t size; /* of all of it, as it counts against the bound */
    int64_t queued_mono_ns;
    /* Lengths of what is in bytes[]: method NUL target NUL headers body. */
    size_t method_len, target_len, headers_len, body_len;
    bool binary; /* the headers are req.hdrs_bin */
    char bytes[];
};

struct mirror_job_pool {
    struct mirror_job *kept[MIRROR_JOB_CLASSES];
    unsigned n_kept[MIRROR_JOB_CLASSES];
    _Atomic(struct mirror_job *) returned;
};

/** What a job with that many bytes counts as. */
size_t mirror_job_size(size_t n_bytes);
/** Threads: the pool's worker. @return NULL: out of memory */
struct mirror_job *mirror_job_take(struct mirror_job_pool *pool, size_t n_bytes);
/** Threads: [any]. */
void mirror_job_give_back(struct mirror_job *job);
/** Free what is in the pool; everything has to be back. */
void mirror_job_pool_fini(struct mirror_job_pool *pool);

struct mirror_queue {
    uint64_t max_jobs, max_bytes;
    _Atomic uint64_t jobs;  /* that wait */
    _Atomic uint64_t bytes; /* of those and of what is under way */
    _Atomic(struct mirror_job *) incoming;
};

enum mirror_queue_result {
    MIRROR_QUEUE_OK = 0,
    MIRROR_QUEUE_FULL = -1, /* in number */
    MIRROR_QUEUE_FULL_BYTES = -2
};

/** Ask for a place; then push, or leave and release. Threads: [any]. */
enum mirror_queue_result mirror_queue_reserve(struct mirror_queue *queue, size_t bytes);
/** @param job [own] Threads: [any]. */
void mirror_queue_push(struct mirror_queue *queue, struct mirror_job *job);
/** All that was pushed, in its order. Threads: the sender's. @return [give] a list, or NULL */
struct mirror_job *mirror_queue_take(struct mirror_queue *queue);
/** It does not wait any more. Threads: [any]. */
void mirror_queue_leave(struct mirror_queue *queue);
/** Its bytes are free again. Threads: [any]. */
void mirror_queue_release(struct mirror_queue *queue, size_t bytes);

#endif
