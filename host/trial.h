/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/trial.h - `--try` and `--try-file`: messages are handed to the plugins in this process, and
 * what HAProxy would see of the answers is written to standard output.
 */
#ifndef HOST_TRIAL_H
#define HOST_TRIAL_H

#include "cli.h"
#include "conf/host_conf.h"
#include "control.h"
#include "core/plugin.h"
#include "core/route.h"

/**
 * Start the plugins, with one worker, try what the command line says and take all down again.
 * [main]
 * @return the exit status: 0: every message was answered, or at least taken, without an error
 */
int trial_run(struct control *control, const struct cli *cli, const struct host_conf *conf,
              struct plugin_set *plugins, const struct route_table *routes);

#endif
