/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/record/record.h - what is known of a request that has ended, whichever way HAProxy
 * told it. Spans, metrics and log records are made of it.
 *
 * Texts point into what it was made of (a message, a span), and are empty where nothing is known.
 */
#ifndef OTEL_RECORD_RECORD_H
#define OTEL_RECORD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "record/termination.h"

struct record {
    /* Names of HAProxy's configuration. Those of servers that are none, <NOSRV>, are left out. */
    struct spoe_span frontend, backend, server;
    /* The server's address: IPv4, IPv6 or text; NULL: not known. */
    struct spoe_value server_address;
    int64_t server_port; /* 0: not known */

    /* As the client sent it: not from a closed set. */
    struct spoe_span method, path;
    struct spoe_span scheme, route;
    struct spoe_span version; /* "1.1", "2" */

    int64_t status;        /* that the client was sent; 0: none, or not known */
    int64_t server_status; /* that the server has sent; 0 as well where HAProxy made another */
    struct termination termination;
    bool by_client;              /* it left: nobody's error */
    const char *error;           /* error.type that no status code tells, or NULL [const] */
    const char *server_error;    /* the same for the server's part */
    bool tried;                  /* a server was asked: there is a CLIENT span */
    int64_t retries;             /* 0: none, or not known */
    bool redispatched;           /* the last of them went to another server */
    int64_t bytes_in, bytes_out; /* with headers; -1: not known */

    /* ns since 1970. The client's part is inside of the whole. */
    int64_t start_unix_ns, client_start_unix_ns, end_unix_ns;

    /* The context: of SERVER, and the span id of CLIENT. */
    uint8_t trace_id[16], server_id[8], client_id[8];
    bool sampled; /* by the flag: a span that is kept for another reason is not */
};

/** Whether the server's answer, or the want of one, is an error of the whole: a 5xx and no client
 * that left. */
static inline bool record_is_error(const struct record *record)
{
    return record->status >= 500 && record->status <= 599 && !record->by_client;
}

static inline int64_t record_duration_ns(const struct record *record)
{
    return record->end_unix_ns - record->start_unix_ns;
}

#define RECORD_ERROR_MAX 4 /* bytes of a status code's text */

/**
 * error.type of the whole, or of the server's part; empty: none.
 * @param buf  RECORD_ERROR_MAX bytes, for a status code
 */
struct spoe_span record_error_type(const struct record *record, char *buf);
struct spoe_span record_server_error_type(const struct record *record, char *buf);

#endif
