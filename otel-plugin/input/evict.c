/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/evict.c - requests without a response. */
#include "input/evict.h"

#include <assert.h>
#include <time.h>

#include "input/ending.h"

#define NS_PER_S INT64_C(1000000000)
/* Requests that are due within this time are ended together. */
#define STEP_NS (NS_PER_S / 10)
/* A message that is kept is due within a second, and nobody wakes the thread for it. */
#define PAUSE_MAX_NS NS_PER_S

int64_t evictor_run(struct evictor *evictor, int64_t now_mono_ns)
{
    int64_t next;

    while (handlers_expire(evictor->worker, now_mono_ns))
        continue;
    next = store_next_expiry(evictor->worker->shared->store);
    if (next > now_mono_ns + PAUSE_MAX_NS)
        next = now_mono_ns + PAUSE_MAX_NS;
    return next < now_mono_ns + STEP_NS ? now_mono_ns + STEP_NS : next;
}

bool evictor_end_open(struct evictor *evictor)
{
    evictor->worker->waits = true;
    while (ending_held(evictor->worker))
        if (!handlers_expire(evictor->worker, INT64_MAX))
            return false;
    return true;
}

void evictor_give_up(struct evictor *evictor)
{
    ending_give_up(evictor->worker);
}

static void lock(struct evictor *evictor)
{
    const int err = pthread_mutex_lock(&evictor->_lock);

    assert(err == 0);
    (void)err;
}

static void unlock(struct evictor *evictor)
{
    const int err = pthread_mutex_unlock(&evictor->_lock);

    assert(err == 0);
    (void)err;
}

bool evictor_is_idle(struct evictor *evictor)
{
    bool idle;

    lock(evictor);
    idle = evictor->_idle;
    unlock(evictor);
    return idle;
}

static void *run(void *arg)
{
    struct evictor *evictor = arg;

    lock(evictor);
    while (!evictor->_stop) {
        struct timespec until;
        int64_t next;

        unlock(evictor);
        (void)atomic_fetch_add(&evictor->_turns, 1);
        next = evictor_run(evictor, evictor->now_mono_ns());
        until = (struct timespec){.tv_sec = (time_t)(next / NS_PER_S),
                                  .tv_nsec = (long)(next % NS_PER_S)};
        lock(evictor);
        evictor->_idle = true;
        if (!evictor->_stop)
            (void)pthread_cond_timedwait(&evictor->_wake, &evictor->_lock, &until);
        evictor->_idle = false;
    }
    unlock(evictor);
    return NULL;
}

int evictor_start(struct evictor *evictor)
{
    pthread_condattr_t attr;
    int err = -1;

    evictor->_stop = false;
    if (pthread_condattr_init(&attr) != 0)
        return -1;
    (void)pthread_mutex_init(&evictor->_lock, NULL); /* cannot fail without attributes */
    if (pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0)
        err = pthread_cond_init(&evictor->_wake, &attr);
    (void)pthread_condattr_destroy(&attr); /* cannot fail after init */
    if (err != 0)
        goto destroy_lock;
    err = pthread_create(&evictor->_thread, NULL, run, evictor);
    if (err != 0)
        goto destroy_wake;
    (void)pthread_setname_np(evictor->_thread, "otel-evict"); /* only for ps */
    evictor->_running = true;
    return 0;

destroy_wake:
    (void)pthread_cond_destroy(&evictor->_wake);
destroy_lock:
    (void)pthread_mutex_destroy(&evictor->_lock);
    return -1;
}

void evictor_stop(struct evictor *evictor)
{
    if (!evictor->_running)
        return;
    lock(evictor);
    evictor->_stop = true;
    unlock(evictor);
    (void)pthread_cond_signal(&evictor->_wake); /* cannot fail, as what follows */
    (void)pthread_join(evictor->_thread, NULL);
    (void)pthread_cond_destroy(&evictor->_wake);
    (void)pthread_mutex_destroy(&evictor->_lock);
    evictor->_running = false;
}
