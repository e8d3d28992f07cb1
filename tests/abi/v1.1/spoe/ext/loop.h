/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/loop.h - timers and file descriptors on a worker's event loop, for plugins whose answers
 * come later and that need no thread of their own for it.
 *
 * A facet of the host: spoe_host.get_extension(self, SPOE_LOOP_1). Hosts of 1.0 do not have it.
 *
 * A timer or watch belongs to one worker, and so does all that is done with it: every function here
 * is for that worker's thread, in worker_start(), handle(), cancel(), a function given to post(), a
 * callback of this facet, or worker_stop(). A call from any other thread is logged, counted, and
 * changes nothing. Callbacks are not nested: none comes while another, or handle(), is running.
 * They must not block, as handle() must not; they may call all that [any] and [worker] functions
 * are, complete() among them.
 *
 * From quiesce() and drain() on all goes on as before. At worker_stop() no callback comes any more;
 * what has not been freed when it returns is ended by the host, which logs how much it was. The
 * descriptors themselves are the plugin's, to be closed by it.
 *
 * Threads and lifetimes are those of spoe/plugin.h. Tables grow at their end only. Since 1.1.
 */
#ifndef SPOE_EXT_LOOP_H
#define SPOE_EXT_LOOP_H

#include <stdint.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPOE_LOOP_1 "spoe.loop/1"

/* Timers, and likewise watches, that a plugin may have on one worker at a time. */
#define SPOE_LOOP_MAX UINT32_C(65536)

#define SPOE_TIMER_OFF INT64_MAX /* timer_set(): not armed */

/* What a descriptor is watched for, and ready for. An error or a hang-up makes it ready for
 * whatever it is watched for. */
#define SPOE_LOOP_READ UINT32_C(1)
#define SPOE_LOOP_WRITE UINT32_C(2)

struct spoe_timer; /* handles, never dereferenced */
struct spoe_watch;

typedef void spoe_timer_fn(void *arg);
/** @param ready  SPOE_LOOP_READ, SPOE_LOOP_WRITE or both; no more than is watched for */
typedef void spoe_watch_fn(void *arg, int32_t fd, uint32_t ready);

struct spoe_loop {
    uint32_t size;     /* sizeof(struct spoe_loop) */
    uint32_t reserved; /* 0 */

    /**
     * Make a timer, which is not armed.
     *
     * @param worker  as worker_start() was given it
     * @param ret     set on success only; valid until timer_free(), or worker_stop() has returned
     * @return SPOE_OK; SPOE_E_INVAL for NULL, or another thread than the worker's; SPOE_E_NOMEM;
     *         SPOE_E_LIMIT at SPOE_LOOP_MAX, or where there is no descriptor for it
     * Threads: [worker]. Since: 1.1.
     */
    spoe_status (*timer_new)(struct spoe_worker *worker, spoe_timer_fn *fn, void *arg,
                             struct spoe_timer **ret);

    /**
     * Have fn(arg) called once, at the time or soon after it, but never before this returns; in
     * place of what was set before.
     *
     * @param at_mono_ns  as spoe_host.now_mono_ns() tells it; what is past means at once;
     *                    SPOE_TIMER_OFF: not at all
     * @return SPOE_OK; SPOE_E_INVAL for NULL, or another thread than the worker's. Cheap, and no
     *         reason for SPOE_E_NOMEM.
     * Threads: [worker]; in its own callback, too. Since: 1.1.
     */
    spoe_status (*timer_set)(struct spoe_timer *timer, int64_t at_mono_ns);

    /** Takes NULL. fn does not come any more. Threads: [worker]; in its own callback, too. */
    void (*timer_free)(struct spoe_timer *timer);

    /**
     * Make a watch over a descriptor, for nothing yet. The plugin keeps the descriptor, which ought
     * to be non-blocking and close-on-exec.
     *
     * @param fd   a socket, pipe, eventfd or the like; each with one watch at a time
     * @param ret  set on success only; valid until watch_free(), or worker_stop() has returned
     * @return as timer_new(); SPOE_E_INVAL also for an fd below 0
     * Threads: [worker]. Since: 1.1.
     */
    spoe_status (*watch_new)(struct spoe_worker *worker, int32_t fd, spoe_watch_fn *fn, void *arg,
                             struct spoe_watch **ret);

    /**
     * Say what to watch for, in place of what was said before. fn comes for as long as the
     * descriptor is ready (level-triggered).
     *
     * @param events  SPOE_LOOP_READ, SPOE_LOOP_WRITE, both, or 0 for nothing
     * @return SPOE_OK; SPOE_E_INVAL for NULL, other bits, another thread than the worker's, or a
     *         descriptor that is not open or cannot be watched, as files cannot; SPOE_E_LIMIT where
     *         the kernel takes no more. On error nothing is watched for.
     * Threads: [worker]; in its own callback, too. Since: 1.1.
     */
    spoe_status (*watch_set)(struct spoe_watch *watch, uint32_t events);

    /**
     * Takes NULL. fn does not come any more. To be called before the descriptor is closed.
     * Threads: [worker]; in its own callback, too. Since: 1.1.
     */
    void (*watch_free)(struct spoe_watch *watch);
};

#ifdef __cplusplus
}
#endif
#endif
