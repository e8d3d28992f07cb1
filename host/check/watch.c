/* SPDX-License-Identifier: Apache-2.0 */
/* host/check/watch.c - see watch.h. */
#include "check/watch.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "check/rules.h"

#define WHERE_MAX 512u
#define NEVER_NS (3600 * NS_PER_S)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static int64_t deadline_ns; /* 0: none */

static void leave(void)
{
    char where[WHERE_MAX];
    const size_t n = thread_describe_all(where, sizeof where);

    rule_broken(RULE_returns, "%.*s", n != 0 ? (int)n : 20,
                n != 0 ? where : "no answer, and no end");
    _exit(WATCH_STATUS);
}

static void *watch_main(void *arg)
{
    (void)arg;
    (void)pthread_setname_np(pthread_self(), "watch");
    (void)pthread_mutex_lock(&lock);
    for (;;) {
        const int64_t now_ns = clock_mono_ns(),
                      at_ns = deadline_ns != 0 ? deadline_ns : now_ns + NEVER_NS;
        const struct timespec at = {at_ns / NS_PER_S, at_ns % NS_PER_S};

        if (deadline_ns != 0 && now_ns >= deadline_ns)
            leave();
        (void)pthread_cond_timedwait(&changed, &lock, &at);
    }
    return NULL;
}

int watch_start(void)
{
    pthread_condattr_t attr;
    pthread_t thread;
    int error;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    error = pthread_create(&thread, NULL, watch_main, NULL);
    if (error == 0)
        error = pthread_detach(thread);
    errno = error;
    return error == 0 ? 0 : -1;
}

void watch_set(int64_t limit_ns)
{
    (void)pthread_mutex_lock(&lock);
    deadline_ns = limit_ns != 0 ? clock_mono_ns() + limit_ns : 0;
    (void)pthread_cond_signal(&changed);
    (void)pthread_mutex_unlock(&lock);
}
