/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/exporter_hooks.c - the real surroundings of the exporter. */
#include "send/exporter_hooks.h"

#include <sys/random.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

int64_t exporter_clock(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t real_now(void *arg)
{
    (void)arg;
    return exporter_clock();
}

static size_t real_wait(void *arg, struct span_queue *queue, size_t want, int64_t deadline_mono_ns)
{
    (void)arg;
    return span_queue_wait(queue, want, deadline_mono_ns);
}

static void real_pause(void *arg, pthread_cond_t *cond, pthread_mutex_t *mutex,
                       int64_t deadline_mono_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_mono_ns / NS_PER_S),
                                   .tv_nsec = (long)(deadline_mono_ns % NS_PER_S)};

    (void)arg;
    if (deadline_mono_ns > 0)
        (void)pthread_cond_timedwait(cond, mutex, &until); /* may wake for nothing */
}

static uint32_t real_random(void *arg)
{
    uint32_t n = UINT32_MAX / 2;

    (void)arg;
    (void)!getrandom(&n, sizeof n, GRND_NONBLOCK); /* without it: the middle */
    return n;
}

const struct exporter_hooks exporter_real_hooks = {
    .now_mono_ns = real_now, .wait = real_wait, .pause = real_pause, .random = real_random};
