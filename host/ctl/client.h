/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ctl/client.h - one HTTP/1.1 request to an admin endpoint, on a connection of its own, until
 * a time: the lookup of a name and the wait for room in a full backlog count. Blocks.
 */
#ifndef HOST_CTL_CLIENT_H
#define HOST_CTL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "base/error.h"

#define CLIENT_ANSWER_MAX ((size_t)16 * 1024 * 1024) /* bytes of an answer */

/* Where it is. path NULL: TCP. */
struct client {
    const char *path;
    const char *host, *port;
    const char *token; /* NULL: none is sent */
};

struct client_answer {
    int status;
    int64_t retry_after_s; /* Retry-After; -1: it says none */
    char *text;            /* [own: free()] the body, and a NUL */
    size_t n;
    char *bytes; /* [own: free()] what text is in */
};

/**
 * Ask.
 * @param body    JSON of a POST; NULL: it is a GET
 * @param end_ns  of CLOCK_MONOTONIC
 * @return 0, with any status; -1 with *reterr: it cannot be reached, or does not answer as it
 * should
 */
int client_ask(const struct client *client, const char *target, const char *body, int64_t end_ns,
               struct client_answer *ret, struct error *reterr);
void client_answer_fini(struct client_answer *answer);

/** The whole number that a text begins with, INT64_MAX at most; 0: with none. */
int64_t client_whole(struct spoe_span text);

#endif
