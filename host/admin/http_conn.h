/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/http_conn.h - one connection to the admin endpoint: a request, its answer, the next.
 *
 *   READING --a whole head--> WRITING --all written--> READING
 *     an answer that another thread makes: READING --> WAITING --it is there--> WRITING
 *     a request that cannot be answered yet: READING --> PUT_OFF --ADMIN_LOOK_MS--> READING
 *     a request that cannot be understood, or "Connection: close": WRITING --> ENDING
 *     end of stream, reset, ADMIN_TIMEOUT_S without news: --> freed
 *
 * Nothing is read while an answer is being written. A POST is answered once its body is there. A
 * connection holds HTTP_HEAD_MAX and HTTP_BODY_MAX bytes of input
 * and one page, and nothing once it has ended. ENDING has shut our side down and reads to the end,
 * so that a reset does not overtake the answer. Threads: the admin thread's.
 */
#ifndef HOST_ADMIN_HTTP_CONN_H
#define HOST_ADMIN_HTTP_CONN_H

#include <sys/queue.h>

#include <event2/event.h>

#include "admin/access.h"
#include "admin/http_request.h"

#define ADMIN_CONNS_MAX 16u /* beyond them the one without news for longest is closed */
#define ADMIN_TIMEOUT_S 60  /* of a connection on which nothing happens */
#define ADMIN_LOOK_MS 5     /* between two looks for an answer, or tries of a request */
#define ADMIN_LINGER_S 1    /* for the peer to close, in ENDING, whatever it sends */

/* Who is at the other end of a connection. */
struct http_peer {
    enum access_from from;
    char name[128]; /* for logs: an address, or "uid 1000, pid 12" */
};

struct http_conn;
TAILQ_HEAD(http_conn_list, http_conn);

/* An answer. */
struct http_answer {
    const void *later; /* NULL: it is there. Else nothing else counts yet: what later() is given */
    bool again; /* nothing else counts: the same request is asked again, once more or often */
    int status;
    const char *content_type; /* [const] */
    const char *headers;      /* [const] further lines of the head, with their ends; NULL: none */
    char *text;               /* [own] NULL: none */
    size_t n;
};

/** Answer a request. */
typedef void http_answer_fn(void *arg, const struct http_peer *peer,
                            const struct http_request *request, struct http_answer *ret);

/**
 * What came of an answer that was put off.
 * @param ret  NULL: nobody waits for it any more, and this is not called again
 */
typedef void http_later_fn(void *arg, const void *later, struct http_answer *ret);

/* The connections, by their last news. */
struct http_conns {
    struct event_base *base;
    struct http_conn_list list;
    size_t n;
    http_answer_fn *answer;
    http_later_fn *later; /* NULL: no answer is put off */
    void *arg;            /* theirs */
};

/** Take an accepted, non-blocking socket; closes it on failure. */
void http_conn_create(struct http_conns *conns, int fd);
/** Close and free all. */
void http_conns_close(struct http_conns *conns);

#endif
