/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/plugins/mirror/test_job.c - issue 12, 4: the queue's bounds, and memory that is used
 * again. */
#include <criterion/criterion.h>

#include "mirror/job.h"

TestSuite(mirror_job, .timeout = 60);

Test(mirror_job, sizes_are_those_that_are_held)
{
    cr_assert_eq(mirror_job_size(0), 2048);
    cr_assert_eq(mirror_job_size(2048 - sizeof(struct mirror_job)), 2048);
    cr_assert_eq(mirror_job_size(2049 - sizeof(struct mirror_job)), 8192);
    cr_assert_eq(mirror_job_size(32768 - sizeof(struct mirror_job)), 32768);
    cr_assert_eq(mirror_job_size(32769 - sizeof(struct mirror_job)), 32769);
    cr_assert_eq(mirror_job_size(1000000), 1000000 + sizeof(struct mirror_job));
}

Test(mirror_job, what_comes_back_is_used_again)
{
    struct mirror_job_pool pool = {0};
    struct mirror_job *first = mirror_job_take(&pool, 100), *second = mirror_job_take(&pool, 9000);

    cr_assert(first != NULL && second != NULL && first != second);
    cr_assert_eq(first->size, 2048);
    cr_assert_eq(second->size, 32768);
    mirror_job_give_back(first);
    mirror_job_give_back(second);
    cr_assert_eq(mirror_job_take(&pool, 1), first);
    cr_assert_eq(mirror_job_take(&pool, 20000), second);
    mirror_job_give_back(first);
    mirror_job_give_back(second);
    mirror_job_pool_fini(&pool);
}

Test(mirror_job, a_pool_keeps_so_many_and_no_large_ones)
{
    struct mirror_job *jobs[2 * MIRROR_JOB_KEPT];
    struct mirror_job_pool pool = {0};

    for (unsigned i = 0; i < 2 * MIRROR_JOB_KEPT; i++)
        jobs[i] = mirror_job_take(&pool, 100);
    for (unsigned i = 0; i < 2 * MIRROR_JOB_KEPT; i++)
        mirror_job_give_back(jobs[i]);
    jobs[0] = mirror_job_take(&pool, 100000); /* which looks at what came back */
    cr_assert_eq(pool.n_kept[0], MIRROR_JOB_KEPT);
    mirror_job_give_back(jobs[0]);
    jobs[0] = mirror_job_take(&pool, 100);
    cr_assert_eq(pool.n_kept[0], MIRROR_JOB_KEPT - 1);
    cr_assert_eq(pool.n_kept[1] + pool.n_kept[2], 0);
    mirror_job_give_back(jobs[0]);
    mirror_job_pool_fini(&pool);
}

Test(mirror_job, a_queue_is_bounded_in_number)
{
    struct mirror_queue queue = {.max_jobs = 2, .max_bytes = 1000000};

    cr_assert_eq(mirror_queue_reserve(&queue, 10), MIRROR_QUEUE_OK);
    cr_assert_eq(mirror_queue_reserve(&queue, 10), MIRROR_QUEUE_OK);
    cr_assert_eq(mirror_queue_reserve(&queue, 10), MIRROR_QUEUE_FULL);
    cr_assert_eq(atomic_load(&queue.jobs), 2);
    cr_assert_eq(atomic_load(&queue.bytes), 20); /* the refused one left nothing behind */
    mirror_queue_leave(&queue);                  /* it is under way */
    cr_assert_eq(mirror_queue_reserve(&queue, 10), MIRROR_QUEUE_OK);
    cr_assert_eq(mirror_queue_reserve(&queue, 10), MIRROR_QUEUE_FULL);
}

Test(mirror_job, a_queue_is_bounded_in_bytes_of_what_is_under_way_too)
{
    struct mirror_queue queue = {.max_jobs = 100, .max_bytes = 100};

    cr_assert_eq(mirror_queue_reserve(&queue, 60), MIRROR_QUEUE_OK);
    mirror_queue_leave(&queue);
    cr_assert_eq(mirror_queue_reserve(&queue, 41), MIRROR_QUEUE_FULL_BYTES);
    cr_assert_eq(atomic_load(&queue.jobs), 0);
    cr_assert_eq(atomic_load(&queue.bytes), 60);
    cr_assert_eq(mirror_queue_reserve(&queue, 40), MIRROR_QUEUE_OK);
    mirror_queue_release(&queue, 60);
    cr_assert_eq(mirror_queue_reserve(&queue, 60), MIRROR_QUEUE_OK);
}

Test(mirror_job, they_come_in_the_order_in_which_they_went)
{
    struct mirror_job_pool pool = {0};
    struct mirror_queue queue = {.max_jobs = 100, .max_bytes = 1000000};
    struct mirror_job *jobs[5], *got;

    cr_assert_null(mirror_queue_take(&queue));
    for (unsigned i = 0; i < 5; i++) {
        jobs[i] = mirror_job_take(&pool, 1);
        mirror_queue_push(&queue, jobs[i]);
    }
    got = mirror_queue_take(&queue);
    for (unsigned i = 0; i < 5; i++) {
        struct mirror_job *next = got->next;

        cr_assert_eq(got, jobs[i]);
        mirror_job_give_back(got);
        got = next;
    }
    cr_assert_null(got);
    cr_assert_null(mirror_queue_take(&queue));
    mirror_job_pool_fini(&pool);
}
