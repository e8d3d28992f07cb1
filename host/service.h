/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/service.h - the host as a service: what its manager is told (base/notify.h). READY=1 once it
 * takes connections and lines, RELOADING=1 around SIGHUP, STOPPING=1 with the time that the end may
 * take, STATUS= a line for a person, and WATCHDOG=1 as long as the main loop and every worker turn.
 *
 * Without a manager (NOTIFY_SOCKET) nothing of it happens. Nothing waits for one: what a full
 * socket did not take is said again. Threads: [main].
 */
#ifndef HOST_SERVICE_H
#define HOST_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/view.h"
#include "base/notify.h"
#include "core/heartbeat.h"

struct event;
struct event_base;

struct service {
    struct notify notify;
    struct view *view; /* of a host that runs; NULL: none does yet */
    struct event *timer;
    int64_t tick_ns;
    bool is_ready;      /* READY=1 is what it has to know */
    bool knows;         /* and does */
    bool is_late;       /* a worker does not turn */
    bool reload_failed; /* the last one */
    uint64_t failed_reloads;
    char status[NOTIFY_BYTES_MAX]; /* as it was told last */
    struct heartbeat beats[HOST_WORKERS_MAX];
};

/** See who asks, and say that the host starts. Warns where the environment is not right. */
void service_open(struct service *service);
/** After the last word; the workers are gone. */
void service_close(struct service *service);
/** The start has come to its end too early, and why. */
void service_failed(struct service *service, const char *why);

/**
 * The host takes connections: say so, and from now on, in this loop, how it is.
 * @return 0; -1 out of memory
 */
int service_start(struct service *service, struct event_base *base, struct view *view);
/** Around the reading of the configuration while it runs. */
void service_reloading(struct service *service);
void service_reloaded(struct service *service);
/** The end begins, and takes so long at most. */
void service_stopping(struct service *service, int64_t within_ns);
/** The loop is about to be freed. */
void service_stop(struct service *service);

#endif
