/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/host_options.h - the table of the host's own options, section "host": what --help, the
 * documentation's tables, the man pages and the shell's completion are made of.
 */
#ifndef HOST_CONF_HOST_OPTIONS_H
#define HOST_CONF_HOST_OPTIONS_H

#include <spoe/plugin.h>

#define HOST_WORKERS_MAX 64u
#define HOST_LOG_LINE_MAX 65536u

/* The places of the options in host_options[]. */
enum host_option {
    OPT_LISTEN,
    OPT_SOCKET_GROUP,
    OPT_LOG_LISTEN,
    OPT_LOG_FROM,
    OPT_LOG_DELAY,
    OPT_LOG_LINE_MAX,
    OPT_LOG_RECEIVE_BUFFER,
    OPT_ADMIN,
    OPT_ADMIN_HOSTS,
    OPT_ADMIN_TOKEN_FILE,
    OPT_PLUGIN_DIR,
    OPT_PLUGINS,
    OPT_PLUGIN_TRUST,
    OPT_WORKERS,
    OPT_MAX_FRAME_SIZE,
    OPT_MAX_CONNECTIONS,
    OPT_PROCESSING_TIMEOUT,
    OPT_SLOW_HANDLE,
    OPT_MAX_PENDING,
    OPT_HELLO_TIMEOUT,
    OPT_IDLE_TIMEOUT,
    OPT_SHUTDOWN_TIMEOUT,
    OPT_DRAIN_TIME,
    OPT_PLUGIN_HEALTH,
    OPT_LOG_LEVEL,
    OPT_LOG_FORMAT,
    OPT_ENGINE,
    N_HOST_OPTIONS
};

/* [const] ends with NULL. */
extern const struct spoe_option *const host_options[N_HOST_OPTIONS + 1];

#endif
