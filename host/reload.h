/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/reload.h - SIGHUP: the configuration is read again while the host runs.
 *
 * Command line, environment and file are resolved anew, for the host and for every plugin, and held
 * against what is in use. If anything is wrong, each error is logged and nothing changes. What has
 * changed and can change at run time (SPOE_OPTION_RELOADABLE) is applied: the host's own, and, by
 * reconfigure(), each plugin's, which takes all of its changes or none. The others are named.
 * Whatever comes of it, the sources of spoe/ext/reload.h are built anew.
 */
#ifndef HOST_RELOAD_H
#define HOST_RELOAD_H

#include "admin/view.h"
#include "conf/host_conf.h"
#include "core/plugin.h"

/* What a reload needs; all of it outlives the host's run. */
struct reload {
    int argc;
    char **argv;
    const char *plugin_dir; /* the installed one */
    struct host_conf *host_conf;
    struct plugin_set *plugins;
};

/**
 * Log the result in a line, and count it in view. [main] while the plugins are started
 * @param in_use  called when what was read is in use, before the line: who has read that finds all
 *                of it as it says
 */
void reload_run(const struct reload *reload, struct view *view, void (*in_use)(void *arg),
                void *arg);

/**
 * Put a section in use and free the one before, which the admin endpoint may be showing. [main]
 * @param section  NULL afterwards
 */
void reload_put_in_use(struct view *view, struct conf_section **in_use,
                       struct conf_section **section);

#endif
