/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror-copy [REQUESTS]: what plugins/mirror does with a request (12.4). On a worker: a place in
 * the queue, memory, the copy, the push; beside it malloc() and the copy alone. On the sender's
 * thread: the header lines. Nanoseconds, the best of several rounds.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mirror/headers.h"
#include "mirror/job.h"

#define ROUNDS 25u

static unsigned requests = 20000; /* of a round */
static char frame[16384];
static volatile char seen;

static int64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void hand_over(struct mirror_job_pool *pool, struct mirror_queue *queue, size_t n)
{
    struct mirror_job *job;

    if (mirror_queue_reserve(queue, mirror_job_size(n)) != MIRROR_QUEUE_OK ||
        (job = mirror_job_take(pool, n)) == NULL)
        abort();
    memcpy(job->bytes, frame, n);
    mirror_queue_push(queue, job);
    /* The sender's side of it. */
    job = mirror_queue_take(queue);
    seen = job->bytes[n - 1];
    mirror_queue_leave(queue);
    mirror_queue_release(queue, job->size);
    mirror_job_give_back(job);
}

static void copy_alone(size_t n)
{
    char *bytes = malloc(n);

    if (bytes == NULL)
        abort();
    memcpy(bytes, frame, n);
    seen = bytes[n - 1];
    free(bytes);
}

/* A browser's, in req.hdrs_bin. */
static struct spoe_span browser(char *buf)
{
    static const char *const pairs[] = {
        "host",       "shop.example", "user-agent",      NULL,       "accept", "text/html,*/*",
        "cookie",     NULL,           "accept-encoding", "gzip, br", "x-a",    "1",
        "connection", "keep-alive",   "referer",         NULL};
    char *p = buf;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const size_t n = pairs[i] != NULL ? strlen(pairs[i]) : 120;

        *p++ = (char)n;
        if (pairs[i] != NULL)
            memcpy(p, pairs[i], n);
        else
            memset(p, 'v', n);
        p += n;
    }
    *p++ = 0;
    *p++ = 0;
    return (struct spoe_span){buf, (size_t)(p - buf)};
}

static double best_hand_over(size_t n, int with_queue)
{
    struct mirror_job_pool pool = {0};
    struct mirror_queue queue = {.max_jobs = 1000, .max_bytes = 32u << 20};
    int64_t best = INT64_MAX;

    for (unsigned round = 0; round < ROUNDS; round++) {
        const int64_t start = now_ns();

        for (unsigned i = 0; i < requests; i++) {
            if (with_queue)
                hand_over(&pool, &queue, n);
            else
                copy_alone(n);
        }
        if (now_ns() - start < best)
            best = now_ns() - start;
    }
    mirror_job_pool_fini(&pool);
    return (double)best / requests;
}

static double best_headers(void)
{
    struct mirror_rules rules = {0};
    struct mirror_lines lines = {0};
    char buf[1024], wrong[100];
    const struct spoe_span headers = browser(buf);
    const struct spoe_span marker = {"X-Mirror: 1", 11};
    int64_t best = INT64_MAX;

    if (mirror_rules_set(&rules, marker, true, wrong, sizeof wrong) != 0)
        abort();
    for (unsigned round = 0; round < ROUNDS; round++) {
        const int64_t start = now_ns();

        for (unsigned i = 0; i < requests; i++)
            if (mirror_headers_write(&rules, headers, true, &lines) != MIRROR_HEADERS_OK)
                abort();
        if (now_ns() - start < best)
            best = now_ns() - start;
    }
    mirror_lines_fini(&lines);
    mirror_rules_fini(&rules);
    return (double)best / requests;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {1000, 12000};

    if (argc > 1)
        requests = (unsigned)strtoul(argv[1], NULL, 10);
    if (requests == 0)
        return 2;
    memset(frame, 'f', sizeof frame);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        printf("%zu bytes: to the sender and back %.0f ns, malloc and copy alone %.0f ns\n",
               sizes[i], best_hand_over(sizes[i], 1), best_hand_over(sizes[i], 0));
    printf("header lines of a browser's request: %.0f ns\n", best_headers());
    return 0;
}
