/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/view.h - what the admin endpoint sees of a running host: its pages, and the host's own
 * metrics. Everything is read without a lock while the workers go on, but for the settings, which a
 * reload replaces.
 */
#ifndef HOST_ADMIN_VIEW_H
#define HOST_ADMIN_VIEW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "core/dispatch.h"
#include "core/metrics.h"
#include "core/plugin.h"
#include "core/recent.h"
#include "admin/change_page.h"
#include "admin/http.h"
#include "lines/lines.h"
#include "net/listener.h"

/* While STARTING the workers are not looked at. */
enum host_state { HOST_STARTING, HOST_READY, HOST_DRAINING };

struct host_metrics;

/* Set before the admin endpoint starts, but for what is atomic; outlives it. */
struct view {
    const struct host_conf *conf;
    const struct plugin_set *plugins;
    const struct route_table *routes;
    const struct host_shared *shared;
    const struct listeners *listeners;
    const struct lines *lines; /* NULL: no log lines are taken */
    struct metrics *metrics;
    struct recent *recent;
    struct host_metrics *host_metrics;
    int64_t start_unix_ns, start_mono_ns;
    _Atomic int state;          /* enum host_state; [any] reads */
    struct mailbox mailbox;     /* of the main loop, which accepts and reloads */
    struct heartbeat heartbeat; /* its; the admin thread's */
    pthread_mutex_t
        settings_lock;      /* held while settings of host or plugins are shown or replaced */
    struct changes changes; /* of settings, by the admin endpoint */
    _Atomic uint64_t reloads, failed_reloads, control_changes, failed_control_changes;
    _Atomic int64_t reload_unix_ns; /* when the configuration was last read without error */
};

/** What is no plain value, but for the changes, which whoever does them begins with changes_init().
 * [main] @return 0; -1 with errno; view_fini() is due in both cases */
int view_init(struct view *view);
/** The admin endpoint has stopped. [main] */
void view_fini(struct view *view);

/* For admin_start(), whose arg is a struct view. [const] */
extern const struct admin_page view_pages[];

/**
 * Declare the host's families and have them collected; the routes' handlers are timed from then
 * on. [main & not started]
 * @return 0; -1 logged
 */
int host_metrics_start(struct view *view, struct route_table *routes);
/** No worker may run any more. */
void host_metrics_stop(struct view *view, struct route_table *routes);

/**
 * Workers that do not turn any more. On the admin thread; no worker is looked at while STARTING.
 * @param ret_first  the index of one of them, set where there is one; may be NULL
 */
uint32_t view_stalled(const struct view *view, uint32_t *ret_first);
/** The same of the main loop, while it is READY. */
bool view_main_stalled(struct view *view);

/** The families process_..., as metrics_guest.write. @param arg  the view */
void process_metrics_write(const void *arg, enum metrics_format format, FILE *out);

#endif
