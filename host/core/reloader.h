/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/reloader.h - the sources of one plugin that are read again while it runs, and the
 * thread that builds them: what stands behind the facet "spoe.reload/1" (spoe/ext/reload.h).
 *
 * Readers load one pointer. The thread exchanges it, then sends each worker a mail: a worker that
 * runs its mail is in no callback of a plugin, so when all have run theirs nobody has the state
 * before any more. A mailbox that is closed takes none: then it waits for the end.
 */
#ifndef HOST_CORE_RELOADER_H
#define HOST_CORE_RELOADER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/ext/reload.h>

#include "base/error.h"

struct host_shared;
struct reloader;

/* What has become of a source's builds; [any] reads. */
struct reload_counts {
    _Atomic uint64_t built, failed;
    _Atomic int64_t built_unix_ns; /* the last that succeeded; 0: none yet */
    _Atomic int64_t build_ns;      /* how long it took */
};

/* Each takes a plugin without sources, whose reloader is NULL. */

/**
 * Start the thread, which builds every source once. [main] once the workers run
 * @param reloader  NULL: there is nothing to start
 * @return 0; -1 with *reterr
 */
int reloader_start(struct reloader *reloader, const struct host_shared *shared,
                   struct error *reterr);
/**
 * Wait for the first build of all that are SPOE_RELOAD_REQUIRED. [main]
 * @param stop_fd  where it becomes readable nobody waits any more
 * @return 0; -1 with *reterr: one has failed
 */
int reloader_wait(struct reloader *reloader, int stop_fd, struct error *reterr);
/** Have all sources built anew. [any] */
void reloader_trigger(struct reloader *reloader);
/** The end has begun: no build begins any more, the one under way is told. [any] */
void reloader_cancel(struct reloader *reloader);
/** Whether a build is under way after reloader_cancel(). [any] */
bool reloader_is_building(const struct reloader *reloader);
/**
 * End the thread, which may be in a build, and release all states. [main] no worker may run any
 * more
 */
void reloader_stop(struct reloader *reloader);
void reloader_destroy(struct reloader *reloader);

/** The i-th source. @return its name; NULL: there is none */
const char *reloader_source(const struct reloader *reloader, size_t i,
                            const struct reload_counts **ret_counts);

/* The facet. [const] */
extern const struct spoe_reload reload_facet;

#endif
