/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/http.h - the admin endpoint: a few read-only pages over HTTP.
 *
 * It has a thread and an event loop of its own, so that it answers while the host starts and
 * drains, and no worker ever waits for it. GET and HEAD only. At most ADMIN_CONNS_MAX connections
 * (http_conn.h).
 */
#ifndef HOST_ADMIN_HTTP_H
#define HOST_ADMIN_HTTP_H

#include <stddef.h>
#include <stdio.h>

#include "conf/host_conf.h"

/**
 * Write a page. On the admin thread.
 * @param arg  admin_start()'s
 * @return the HTTP status
 */
typedef int admin_page_fn(void *arg, FILE *out);

/* A path may stand twice or more, with other types: whoever asks chooses, by Accept. */
struct admin_page {
    const char *path;
    const char *content_type;
    admin_page_fn *write;
    const char *media_type; /* to choose by; NULL: there is no choice */
};

struct admin;

/**
 * Listen where conf->admin says and start the thread. [main]
 * @param pages  [const] ends with a path of NULL
 * @param ret    NULL where conf says "off"
 * @return 0; -1 with the reason logged
 */
int admin_start(const struct host_conf *conf, const struct admin_page *pages, void *arg,
                struct admin **ret);
/** End the thread, close everything. Takes NULL. [main] */
void admin_stop(struct admin *admin);

#endif
