/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/evict.h - ends the requests that never got their response, because their time
 * is over or because the plugin stops.
 *
 * While the plugin runs a thread of its own does that, by its own clock: it never waits for the
 * export. Spans for which the queue has no room are dropped and counted. At the shutdown whoever
 * drains ends what is open, no more at once than the queue has room for, so that a full store goes
 * through a small queue without a loss.
 */
#ifndef OTEL_INPUT_EVICT_H
#define OTEL_INPUT_EVICT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "input/handlers.h"

struct evictor {
    struct handlers_worker *worker; /* its own */
    int64_t (*now_mono_ns)(void);   /* the host's, CLOCK_MONOTONIC */
    pthread_t _thread;
    pthread_mutex_t _lock; /* guards _stop and _idle */
    pthread_cond_t _wake;
    bool _running, _stop;
    bool _idle; /* it waits, and holds nothing; guarded, too */
    _Atomic uint64_t _turns;
};

/**
 * How often its thread has come to a point where it holds nothing of what it read before: whoever
 * sees a greater number than before knows that it has done so in between. Threads: [any]
 */
static inline uint64_t evictor_turns(const struct evictor *evictor)
{
    return atomic_load(&evictor->_turns);
}

/**
 * Whether its thread is at such a point: what it reads from now on was there before this call.
 * Threads: [any], between evictor_start() and evictor_stop()
 */
bool evictor_is_idle(struct evictor *evictor);

/**
 * End what is due by now.
 * @return when to call again at the latest
 */
int64_t evictor_run(struct evictor *evictor, int64_t now_mono_ns);

/** Start the thread. @return 0; -1: it could not start */
int evictor_start(struct evictor *evictor);
/** Stop and join it. Takes one that does not run. */
void evictor_stop(struct evictor *evictor);

/**
 * End open requests, whatever their age, while the queue has room for their spans.
 * @return whether some are left
 * Threads: one, once the evictor's own has stopped
 */
bool evictor_end_open(struct evictor *evictor);
/** There is no more time for that: what it still holds is lost, as the rest. Threads: as above */
void evictor_give_up(struct evictor *evictor);

#endif
