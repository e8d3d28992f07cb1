/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/describe.h - what plugins declare, as text: for people, and for HAProxy.
 */
#ifndef HOST_CORE_DESCRIBE_H
#define HOST_CORE_DESCRIBE_H

#include <stdio.h>

#include "conf/host_conf.h"
#include "core/plugin.h"

/** `--plugin-info`: id, version, ABI, messages with arguments, options. */
void describe_plugin(FILE *out, const struct spoe_instance *plugin);

/**
 * `--print-spoe-config`: the SPOE section for the loaded plugins, one engine with every message
 * once. Its time-outs follow the host's processing-timeout.
 */
void describe_spoe_config(FILE *out, const struct plugin_set *set, const struct host_conf *conf);

#endif
