/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/try/rig.h - the host without its sockets: configured plugins are started, as many workers
 * turn as the configuration says, and both are taken down again as the host does it. Who talks to
 * the workers is at the other end of a pair of sockets in this process (peer.h).
 */
#ifndef HOST_TRY_RIG_H
#define HOST_TRY_RIG_H

#include "base/error.h"
#include "conf/host_conf.h"
#include "core/plugin.h"
#include "core/route.h"
#include "net/worker.h"

struct rig {
    struct host_shared shared;
    struct plugin_set *plugins;
    struct worker *workers; /* as many as are in shared */
};

/**
 * start() of the plugins, then the workers with worker_start(), then what plugins have read.
 * @param conf, plugins, routes  [borrow] until rig_stop()
 * @return 0; -1 with *reterr; rig_stop() is due in both cases
 */
int rig_start(struct rig *rig, const struct host_conf *conf, struct plugin_set *plugins,
              const struct route_table *routes, struct error *reterr);

/** quiesce() of the plugins. Let the workers finish what is in flight, close what is left, then the
 * plugins' drain(): none of them gets a message after it. @param deadline_ns  of each of the two
 * halves */
void rig_drain(struct rig *rig, int64_t workers_deadline_ns, int64_t plugins_deadline_ns);
/** worker_stop(), then stop() of the plugins. */
void rig_stop(struct rig *rig, int64_t deadline_ns);
/** destroy() of the plugins; then the workers are freed. */
void rig_destroy(struct rig *rig);

#endif
