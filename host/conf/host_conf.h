/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/host_conf.h - the host's own options as a typed struct, made of the table in
 * host_options.h.
 */
#ifndef HOST_CONF_HOST_CONF_H
#define HOST_CONF_HOST_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "conf/host_options.h"
#include "conf/network.h"
#include "base/log.h"

/* One address to listen on. */
struct host_listen {
    char *text;        /* as it was given, for logs */
    char *host, *port; /* TCP; host NULL: all addresses. Resolved by net/, not here */
    char *path;        /* unix:/path; NULL for TCP, where port is never NULL */
    bool datagram;     /* UDP, or a unix socket of datagrams */
    char *fd_name;     /* fd:NAME, a socket that is inherited; all else is unknown then */
};

/* One address to take log lines on. */
struct host_log_listen {
    struct host_listen at;
    bool octets; /* of a stream: lines begin with their length */
};

/* Read where the command line names no file, if it is there. */
#define HOST_CONF_FILE "/etc/spoe-host/spoe-host.ini"

#define HOST_LISTEN_MAX 16u
#define HOST_LOG_FROM_MAX 64u

/* What of plugins counts for /readyz. */
enum host_health { HOST_HEALTH_IGNORED, HOST_HEALTH_DOWN, HOST_HEALTH_DEGRADED };

struct host_conf {
    struct host_listen listen[HOST_LISTEN_MAX];
    size_t n_listen;
    struct host_log_listen log_listen[HOST_LISTEN_MAX];
    size_t n_log_listen; /* 0: no log lines are taken */
    struct network log_from[HOST_LOG_FROM_MAX];
    size_t n_log_from;        /* 0: everybody's */
    struct host_listen admin; /* where the admin endpoint listens */
    bool has_admin;           /* false: "off" */
    char **admin_hosts;       /* names that it goes by, ends with NULL; NULL: none */
    char *admin_token;        /* a secret; NULL: none */
    char **plugin_dirs;       /* in order, ends with NULL */
    char **plugins;           /* ends with NULL; NULL: all in the directories */
    char *socket_group;       /* group of unix: sockets, as given; NULL: the process's own */
    gid_t socket_gid;         /* and its number */
    char *engine;             /* engine of --print-spoe-config; NULL: chosen from the plugins */
    uint32_t workers;
    uint32_t max_frame_size;
    uint32_t max_connections;
    uint32_t max_pending;
    bool plugin_trust_any;
    enum host_health plugin_health;
    int64_t slow_handle_ns; /* 0: handlers are not timed */
    int64_t processing_timeout_ns, hello_timeout_ns, shutdown_timeout_ns;
    int64_t idle_timeout_ns; /* 0: off */
    int64_t drain_time_ns;   /* 0: not at all */
    int64_t log_delay_ns;    /* 0: lines are read as they come */
    uint32_t log_line_max;
    uint32_t log_receive_buffer; /* of sockets of datagrams */
    int log_level;
    enum log_format log_format;
    struct conf_section *settings; /* as resolved, to be shown */
};

/**
 * Resolve section "host". Bad values are collected in conf; the struct is whole all the same.
 * @param default_plugin_dir  [borrow] the installed plugin directory
 * @param in_use              [borrow] of a host that runs; NULL: none does
 * @return 0; -1 out of memory. Either way host_conf_fini() is due.
 */
int host_conf_init(struct host_conf *hc, struct conf *conf, const char *default_plugin_dir,
                   const struct host_conf *in_use);
/** Level and format of the log, by the settings of a section "host". */
void host_conf_take_log(struct host_conf *hc, const struct conf_section *section);
void host_conf_fini(struct host_conf *hc);

#endif
