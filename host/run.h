/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/run.h - the host from its configuration to its end.
 *
 * Start: listen, plugins' start(), workers, accept.
 *
 * End, after the first signal, all of it within shutdown-timeout:
 *   quiesce   readiness and health checks fail, plugins open nothing new, and all else goes on
 *             until nothing is open in them or drain-time is over
 *   drain     stop accepting, let the workers finish what is in flight and tell HAProxy, close what
 *             is left; then the plugins' drain(), which no message follows
 *   stop      the workers, then the plugins' stop() and destroy()
 * The admin endpoint answers from before the plugins' start() until after their stop().
 */
#ifndef HOST_RUN_H
#define HOST_RUN_H

#include "conf/host_conf.h"
#include "control.h"
#include "core/plugin.h"
#include "core/route.h"
#include "reload.h"
#include "service.h"

/**
 * Run with configured plugins until a signal ends it; SIGHUP reads the configuration again. The
 * plugins are destroyed then, since the workers that they may post() to outlive them.
 * @param control  runs already
 * @param service  open; whoever has started us learns by it how it goes
 * @param reload   what SIGHUP needs
 * @return the exit status: 0 after an orderly end, 1 where the start failed (logged)
 */
int host_run(struct control *control, struct service *service, const struct reload *reload,
             const struct host_conf *conf, struct plugin_set *plugins, struct route_table *routes);

#endif
