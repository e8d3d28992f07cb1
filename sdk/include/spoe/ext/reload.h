/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/reload.h - a plugin's data that is read from files, or anywhere else, while it is in
 * use.
 *
 *     const struct spoe_reload *r = host->get_extension(self, SPOE_RELOAD_1);
 *
 * A source is declared in configure(): the files that it is made of, and a function that builds a
 * state of them. The host watches the files, has the state built on a thread of its own, [build],
 * puts it in the place of the one before, and has that one released when no worker can see it any
 * more. handle() asks for the state and waits for nothing.
 *
 *   watched    by their folders, where the kernel tells (inotify), and by a look every few seconds;
 *              so a file that another is renamed over is seen, and a symbolic link that is turned,
 *              as Kubernetes does with a ConfigMap. A build begins once the files have been the
 *              same for a quarter of a second
 *   built      also once after start(), at SIGHUP, by trigger(), and every so often where that is
 *              declared. Sources of one plugin are built one after the other
 *   failed     the state before stays in use, the failure is counted, and the build is tried again
 *              once a minute; the build function says in the log what is wrong
 *   at most    two states of a source stand at a time: no build begins while a state waits for its
 *              release
 *
 * Threads: [build] the thread of this plugin's sources. It begins once start() and every
 * worker_start() have returned, and has ended when stop() is called. Others, and lifetimes, are
 * those of spoe/plugin.h. The table grows at its end only. Since 1.1.
 */
#ifndef SPOE_EXT_RELOAD_H
#define SPOE_EXT_RELOAD_H

#include <stdint.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPOE_RELOAD_1 "spoe.reload/1"

/* spoe_reload_decl.flags */
/* The host's start waits for the first build, and fails if that does. Otherwise there is no state
 * until a build succeeds. */
#define SPOE_RELOAD_REQUIRED UINT32_C(1)

#define SPOE_RELOAD_SOURCES_MAX 16u /* of a plugin */
#define SPOE_RELOAD_PATHS_MAX 1024u /* of a source */

struct spoe_reload_source; /* a handle, never dereferenced; valid until destroy() is called */

/* One source. Since 1.1. */
struct spoe_reload_decl {
    uint32_t size;
    uint32_t flags;           /* SPOE_RELOAD_* */
    const char *name;         /* [borrow] [a-z0-9-], 1 to 32 bytes: in the log and in metrics */
    const char *const *paths; /* [borrow] ends with NULL; NULL: no files */
    int64_t poll_ns;          /* how often files are looked at in any case; 0: 5 s */
    int64_t every_ns;         /* how long after a build the next one comes in any case; 0: never */

    /**
     * Build a state of what is there now. It may block, but a long one should ask cancelled() now
     * and then: the host's end waits for it, until the host's deadline.
     *
     * @param arg        the declaration's
     * @param source     for cancelled(); NULL where the plugin calls the function itself
     * @param ret_state  NULL before; still NULL with SPOE_OK: nothing is new, the state stays
     * @return SPOE_OK; any negative: it failed, and why has been logged
     * Threads: [build].
     */
    spoe_status (*build)(void *arg, struct spoe_reload_source *source, void **ret_state);

    /** No worker sees this state any more. Threads: [build], or [main] before stop(). */
    void (*release)(void *arg, void *state);

    void *arg;
};

/* The facet's functions; one table, [const]. */
struct spoe_reload {
    uint32_t size;
    uint32_t reserved; /* 0 */

    /**
     * Declare a source.
     *
     * @param decl        [borrow]
     * @param ret_source  set on success only
     * @return SPOE_OK; SPOE_E_INVAL; SPOE_E_UNSUPPORTED: not in configure(); SPOE_E_LIMIT;
     *         SPOE_E_NOMEM
     * Threads: [main], during configure(). Since: 1.1.
     */
    spoe_status (*declare)(struct spoe_instance *self, const struct spoe_reload_decl *decl,
                           struct spoe_reload_source **ret_source);

    /**
     * The state in use. Two calls in one callback may give two different ones.
     *
     * @return [borrow] NULL: there is none yet. Valid until the callback in which it was asked for
     *         returns: handle(), cancel(), a function of post() or of spoe/ext/loop.h,
     *         worker_stop(). What a request that is SPOE_PENDING needs of it is copied.
     * Threads: [worker]. Cost: one load, no lock. Since: 1.1.
     */
    const void *(*get)(const struct spoe_reload_source *source);

    /** Have it built anew, soon; once if called often. Threads: [any]. Since: 1.1. */
    void (*trigger)(struct spoe_reload_source *source);

    /**
     * Whether the host is about to stop, so that a build had better return, with SPOE_E_STOPPING.
     * @param source  NULL: 0
     * Threads: [any]. Since: 1.1.
     */
    int32_t (*cancelled)(const struct spoe_reload_source *source);
};

#ifdef __cplusplus
}
#endif
#endif
