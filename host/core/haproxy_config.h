/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/haproxy_config.h - HAProxy's side, written from what plugins declare.
 *
 * The messages and their arguments are in the descriptors; rules and conditions are the plugins' to
 * tell (spoe/ext/haproxy.h). The host adds what is true for all of them: sections, time-outs, its
 * own addresses.
 */
#ifndef HOST_CORE_HAPROXY_CONFIG_H
#define HOST_CORE_HAPROXY_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "conf/host_conf.h"
#include "core/plugin.h"

/* The oldest HAProxy there is a configuration for, and the first with log-profile. */
#define HAPROXY_2_6 UINT32_C(0x0206)
#define HAPROXY_3_1 UINT32_C(0x0301)

/**
 * `--print-spoe-config`: the SPOE file alone, a section for each plugin with all that it declares.
 * Its time-outs follow the host's processing-timeout.
 */
void haproxy_config_spoe(FILE *out, const struct plugin_set *set, const struct host_conf *conf);

/**
 * `--print-haproxy-config`: all of it. What belongs into the SPOE file begins with the first line
 * "[ENGINE]", to the end.
 * @param ways     SPOE_HAPROXY_BY_*
 * @param version  the least HAProxy that has to take it, 0x0206 for 2.6
 * @return 0; -1: no plugin takes messages that way, or this version cannot have them all
 */
int haproxy_config_whole(FILE *out, const struct plugin_set *set, const struct host_conf *conf,
                         uint32_t ways, uint32_t version, struct error *reterr);

#endif
