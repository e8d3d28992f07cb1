/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/stream.h - one request to CrowdSec's local API, by libcurl, for as long as
 * it takes: on the thread that builds. Nothing is followed, and what comes is bounded in bytes and
 * time.
 */
#ifndef IP_REPUTATION_STREAM_H
#define IP_REPUTATION_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lists.h"

#define STREAM_BYTES_MAX (512u << 20) /* some 2.5 million decisions */

struct stream {
    char *url; /* [own] of the API, without /v1/...; NULL: there is none */
    char *key; /* [own] never logged */
    char *ca;  /* [own] PEM file; NULL: the system's */
    int64_t timeout_ns;
};

struct body {
    char *bytes;
    size_t n, room;
};

/**
 * GET /v1/decisions/stream.
 * @param all        all decisions, not only what has changed since the last request
 * @param cancelled  asked while it waits; may be NULL
 * @param ret        [give] body_fini() is due in both cases
 * @return 0; -1 with a reason in ret_why
 */
int stream_get(const struct stream *stream, bool all, int (*cancelled)(void *arg), void *arg,
               struct body *ret, char ret_why[WHY_MAX]);
void body_fini(struct body *body);
void stream_fini(struct stream *stream);

#endif
