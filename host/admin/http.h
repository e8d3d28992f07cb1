/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/http.h - the admin endpoint: a few pages over HTTP.
 *
 * It has a thread and an event loop of its own, so that it answers while the host starts and
 * drains, and no worker ever waits for it. GET and HEAD change nothing; what a POST does is the
 * page's. Who may have which page: access.h. At most ADMIN_CONNS_MAX connections (http_conn.h).
 */
#ifndef HOST_ADMIN_HTTP_H
#define HOST_ADMIN_HTTP_H

#include <stddef.h>
#include <stdio.h>

#include "admin/access.h"
#include "conf/host_conf.h"

/**
 * Write a page. On the admin thread.
 * @param arg  admin_start()'s
 * @return the HTTP status
 */
typedef int admin_page_fn(void *arg, FILE *out);

/* A POST to a page. */
struct admin_post {
    struct spoe_span body; /* [borrow] at most HTTP_BODY_MAX bytes, said to be JSON */
    const char *who;       /* [borrow] for logs: an address, or "uid 1000, pid 12" */
    int64_t waited_ns;     /* since the page was ADMIN_AGAIN first; 0: it was not yet */
};

/* In place of a status: */
#define ADMIN_LATER 0 /* it is not there yet */
#define ADMIN_AGAIN 1 /* nothing was begun: the same is asked again, ADMIN_LOOK_MS later */
#define ADMIN_BUSY 2  /* 503, and Retry-After: nothing was done, and whoever asks may ask again */

/**
 * Do it, and write what came of it; of a status from 400 on that is a text. As admin_page_fn, but
 * that it may be ADMIN_LATER, where another thread does it: the page's later() has the answer; or
 * ADMIN_AGAIN, until the page has waited for long enough.
 */
typedef int admin_post_fn(void *arg, const struct admin_post *post, FILE *out);
/** Whether it is there, or ADMIN_LATER; asked each ADMIN_LOOK_MS.
 * @param out  NULL: nobody waits for it any more */
typedef int admin_later_fn(void *arg, FILE *out);

/* A path may stand twice or more, with other types: whoever asks chooses, by Accept. A POST goes to
 * the first that takes one. */
struct admin_page {
    const char *path;
    const char *content_type;
    admin_page_fn *write;
    const char *media_type;        /* to choose by; NULL: there is no choice */
    enum access_class access;      /* who may GET it */
    admin_post_fn *post;           /* NULL: there is no POST */
    admin_later_fn *later;         /* NULL: a POST is answered at once */
    enum access_class post_access; /* who may POST */
    const char *headers;           /* [const] further lines of the head, with their ends, or NULL */
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
/**
 * The token that is asked for from now on; NULL: there is none. [main]
 * @param token  [borrow]
 * @return 0; -1 out of memory: it is the one before
 */
int admin_set_token(struct admin *admin, const char *token);
/** End the thread, close everything. Takes NULL. [main] */
void admin_stop(struct admin *admin);

#endif
