/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/access.h - who may have which page of the admin endpoint. Pure; threads: [any].
 *
 *   page       what it holds                      who may have it
 *   OPEN       metrics, whether the host is well  everybody, by any Host
 *   HOST       counters and options               everybody, by a Host that is expected
 *   REQUESTS   what requests hold: URLs,          over a unix socket, from loopback, or with the
 *              addresses                          token; once there is a token, over TCP with it
 *   CHANGE     a change of what the host does     only over a unix socket, or with the token
 *
 * A browser can be made to ask by any page that it shows. What such a request may not reach is
 * therefore asked of its Host (a name that leads here by the attacker's DNS is none that is
 * expected: `localhost`, an address, `admin-hosts`), of its Origin and Sec-Fetch-Site, and, of a
 * POST, of its media type, which no form can send.
 */
#ifndef HOST_ADMIN_ACCESS_H
#define HOST_ADMIN_ACCESS_H

#include <stdbool.h>

#include "admin/http_request.h"

enum access_class { ACCESS_OPEN = 0, ACCESS_HOST, ACCESS_REQUESTS, ACCESS_CHANGE };

/* Where a connection comes from. LOOPBACK: both of its ends are loopback addresses. */
enum access_from { ACCESS_FROM_ELSEWHERE = 0, ACCESS_FROM_LOOPBACK, ACCESS_FROM_UNIX };

/* As configured. */
struct access_rules {
    struct spoe_span token;   /* n 0: there is none */
    const char *const *hosts; /* names, ends with NULL; NULL: none */
};

/* A page, and what of it there is. */
struct access_page {
    bool can_get, can_post;
    enum access_class get, post;
};

struct access_answer {
    int status;          /* 200: it may have it */
    const char *text;    /* [const] why not, a line without its end; NULL: 200 */
    const char *headers; /* [const] lines with their ends, NULL: none */
};

/**
 * Decide about a request. Methods come first (405), then Host (421), then Origin and Sec-Fetch-Site
 * (403), the token (401, 403), the media type (415).
 * @param from     what the connection says; a request that a proxy says to have passed on
 *                 (Forwarded, X-Forwarded-*, Via) is not from loopback
 */
struct access_answer access_decide(const struct access_rules *rules, enum access_from from,
                                   const struct http_request *request,
                                   const struct access_page *page);

/** Whether an authority, HOST or HOST:PORT, is one that is expected. */
bool access_host_is_expected(const struct access_rules *rules, struct spoe_span authority);

#endif
