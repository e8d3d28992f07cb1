/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/change.h - options that are changed by hand while the host runs: POST /control.
 *
 * What can change by a reload (SPOE_OPTION_RELOADABLE) can change so, but secrets and what names
 * files. The options of one change are of one section, host or a plugin, and all of them change or
 * none. Their origin is CHANGE_ORIGIN from then on. Nothing is written: a reload, or a restart,
 * goes by command line, environment and file again.
 */
#ifndef HOST_CHANGE_H
#define HOST_CHANGE_H

#include "admin/view.h"
#include "conf/host_conf.h"
#include "core/plugin.h"

#define CHANGE_ORIGIN "control"

/* What a change needs; all of it outlives the host's run. */
struct change_tools {
    struct host_conf *host_conf;
    struct plugin_set *plugins;
    struct view *view;
};

/** As changes_init()'s run(): log it with who asks, count it. [main] @param arg  change_tools */
void change_run(void *arg, struct change *change);

#endif
