/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/http_request.h - the head of an HTTP request, read from bytes (RFC 9112). What could
 * be understood in two ways is refused. No I/O, no state; threads: [any].
 */
#ifndef HOST_ADMIN_HTTP_REQUEST_H
#define HOST_ADMIN_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#define HTTP_HEAD_MAX 8192u /* bytes of a request's head */
#define HTTP_BODY_MAX 4096u /* of a body; of other methods than POST it is passed over */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

struct http_request {
    enum http_method method;
    struct spoe_span path;   /* without the query; into the bytes */
    struct spoe_span host;   /* the target's authority, else Host; likewise; n 0: none */
    struct spoe_span accept; /* the first header field of that name; likewise; empty: none */
    /* The same of these; p NULL: none. Of two of a name, which say different things, it is 400. */
    struct spoe_span origin, fetch_site, authorization, content_type;
    bool forwarded; /* a proxy says that it passes it on for somebody */
    bool keep_alive;
    bool has_length;
    size_t body_len;
    /* Set by whoever has them (http_conn.c): */
    struct spoe_span body; /* of a POST */
    int64_t waited_ns;     /* since it was answered first; 0: it was not yet */
};

/**
 * Look for a whole head.
 * @return > 0: its bytes, with *ret set, a body follows; 0: more is needed; < 0: the negated status
 *         that answers it, and nothing after it can be understood
 */
int http_request_parse(const char *bytes, size_t n, struct http_request *ret);

#endif
