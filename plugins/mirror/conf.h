/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/mirror/conf.h - the plugin's options, and what they become. */
#ifndef MIRROR_CONF_H
#define MIRROR_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "mirror/headers.h"

#define MIRROR_SHARE_ALL 1000000u /* a share is counted in millionths */
#define MIRROR_CONCURRENCY_MAX 1024u

enum mirror_http { MIRROR_HTTP_AUTO, MIRROR_HTTP_1, MIRROR_HTTP_2 };

struct mirror_conf {
    char *base;   /* scheme://host:port */
    char *prefix; /* of every path: "", or "/x" */
    char *ca, *cert, *key, *interface;
    bool verify, send_cut;
    uint32_t share;
    enum mirror_http http;
    struct mirror_rules rules;
    uint64_t queue, memory, response_max;
    unsigned concurrency;
    int64_t queue_time_ns, timeout_ns, connect_timeout_ns;
    uint16_t local_port, local_port_range;
};

extern const struct spoe_option *const mirror_options[];

/** Read the options; what is wrong is reported. @return SPOE_OK, SPOE_E_CONFIG or SPOE_E_NOMEM */
spoe_status mirror_conf_read(struct mirror_conf *conf, const struct spoe_host *host,
                             struct spoe_config *cfg);
/** Those that can change while the host runs. */
spoe_status mirror_conf_read_again(const struct spoe_host *host, struct spoe_config *cfg,
                                   uint32_t *ret_share, bool *ret_send_cut);
void mirror_conf_fini(struct mirror_conf *conf);

/** Percent, "0.5" or "0.5%", in millionths. @return 0, or -1 where it is none from 0 to 100 */
int mirror_share_parse(struct spoe_span text, uint32_t *ret);
/** Whether the next request is one of the share. @param random  of the caller's thread, never 0 */
bool mirror_share_takes(uint32_t share, uint64_t *random);

#endif
