/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/messages.c - what HAProxy is to send, by the table in record/fields.h. The
 * names on the wire are those of the classic three-message configuration; every expression is
 * accepted by HAProxy 2.6 to 3.5 at its event. No argument is required: a message without a
 * unique-id is counted here, and all others may be absent. The same expressions stand in
 * haproxy/spoe-otel.cfg; a test holds them equal.
 */
#include "input/messages.h"

/* What the table calls types: which values are accepted. */
#define TYPES_TEXT SPOE_ACCEPT_STR
#define TYPES_INT SPOE_ACCEPT_INT
#define TYPES_BOOL SPOE_ACCEPT_BOOL
#define TYPES_NUMBER (SPOE_ACCEPT_INT | SPOE_ACCEPT_STR) /* or its digits */
#define TYPES_ADDRESS (SPOE_ACCEPT_IP | SPOE_ACCEPT_STR)
#define TYPES_DECISION (SPOE_ACCEPT_BOOL | SPOE_ACCEPT_INT | SPOE_ACCEPT_STR)
#define TYPES_ANY SPOE_ACCEPT_ANY

#define FLAGS_READ 0
#define FLAGS_FILL 0
#define FLAGS_BY_NAME SPOE_ARG_BY_NAME

#define X(how, id, accepted, text, expr, about)                                                    \
    &(const struct spoe_arg_decl){.size = sizeof(struct spoe_arg_decl),                            \
                                  .types = TYPES_##accepted,                                       \
                                  .flags = FLAGS_##how,                                            \
                                  .name = (text),                                                  \
                                  .expression = (expr),                                            \
                                  .help = (about)},

static const struct spoe_message_decl request = {
    .size = sizeof request,
    .name = "on-http-request",
    .event = "on-frontend-http-request",
    .help = "opens the SERVER span; answers txn.traceparent",
    .args = (const struct spoe_arg_decl *const[]){OTEL_REQUEST_ARGUMENTS(X) NULL},
};

/* Path and query are known from the request: here they would need twice the room in the frame. */
static const struct spoe_message_decl backend = {
    .size = sizeof backend,
    .name = "on-backend-http-request",
    .event = "on-backend-http-request",
    .help = "opens the CLIENT span; answers txn.traceparent",
    .args = (const struct spoe_arg_decl *const[]){OTEL_BACKEND_ARGUMENTS(X) NULL},
};

static const struct spoe_message_decl response = {
    .size = sizeof response,
    .name = "on-http-response",
    .event = "on-http-response",
    .help = "ends both spans",
    .args = (const struct spoe_arg_decl *const[]){OTEL_RESPONSE_ARGUMENTS(X) NULL},
};

/* A line of HAProxy's log, whole when it comes; no answer. log_line.c reads it. */
static const struct spoe_message_decl log_line = {
    .size = sizeof log_line,
    .flags = SPOE_MESSAGE_FROM_LOG,
    .name = "on-http-log",
    .event = "on-http-response",
    .help = "makes both spans, from a line of the log",
    .args = (const struct spoe_arg_decl *const[]){OTEL_LOG_ARGUMENTS(X) NULL},
};
#undef X

const struct spoe_message_decl *const otel_messages[] = {
    [MESSAGE_REQUEST] = &request,
    [MESSAGE_BACKEND] = &backend,
    [MESSAGE_RESPONSE] = &response,
    [MESSAGE_LOG] = &log_line,
    NULL,
};
