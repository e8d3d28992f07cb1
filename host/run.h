/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/run.h - the host from its configuration to its end.
 *
 * Start: listen, plugins' start(), workers, accept. End, after the first signal: stop accepting,
 * let the workers finish what is in flight and tell HAProxy, drain the plugins, stop the workers,
 * stop and destroy the plugins; all of it within shutdown-timeout. The admin endpoint answers from
 * before the plugins' start() until after their stop().
 */
#ifndef HOST_RUN_H
#define HOST_RUN_H

#include "conf/host_conf.h"
#include "control.h"
#include "core/plugin.h"
#include "core/route.h"
#include "reload.h"

/**
 * Run with configured plugins until a signal ends it; SIGHUP reads the configuration again. The
 * plugins are destroyed then, since the workers that they may post() to outlive them.
 * @param control  runs already
 * @param reload   what SIGHUP needs
 * @return the exit status: 0 after an orderly end, 1 where the start failed (logged)
 */
int host_run(struct control *control, const struct reload *reload, const struct host_conf *conf,
             struct plugin_set *plugins, struct route_table *routes);

#endif
