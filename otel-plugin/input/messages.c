/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/messages.c - what HAProxy is to send. The names on the wire are those of
 * the classic three-message configuration; every expression is accepted by HAProxy 2.6 to 3.5 at
 * its event. No argument is required: a message without a unique-id is counted here, and all
 * others may be absent.
 */
#include "input/messages.h"

#define ARG(mask, text, expr, about)                                                               \
    &(const struct spoe_arg_decl)                                                                  \
    {                                                                                              \
        .size = sizeof(struct spoe_arg_decl), .types = (mask), .name = (text),                     \
        .expression = (expr), .help = (about)                                                      \
    }

#define UNIQUE_ID ARG(SPOE_ACCEPT_STR, "unique-id", "unique-id", "joins a request's messages")
#define METHOD ARG(SPOE_ACCEPT_STR, "method", "method", "request method")
#define PATH ARG(SPOE_ACCEPT_STR, "path", "path", "path without the query")

static const struct spoe_message_decl request = {
    .size = sizeof request,
    .name = "on-http-request",
    .event = "on-frontend-http-request",
    .help = "opens the SERVER span; answers txn.traceparent",
    .args =
        (const struct spoe_arg_decl *const[]){
            [REQUEST_UNIQUE_ID] = UNIQUE_ID,
            [REQUEST_SRC] =
                ARG(SPOE_ACCEPT_IP | SPOE_ACCEPT_STR, "src", "src", "address of the client"),
            [REQUEST_METHOD] = METHOD,
            [REQUEST_PATH] = PATH,
            [REQUEST_HOST] =
                ARG(SPOE_ACCEPT_STR, "host", "req.hdr(Host)", "host, perhaps with a port"),
            [REQUEST_FE_NAME] = ARG(SPOE_ACCEPT_STR, "fe_name", "fe_name", "name of the frontend"),
            [REQUEST_FE_PORT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "fe_port", "dst_port",
                                    "port that the client connected to"),
            /* not hdr, which splits at commas and shows the last of joined headers */
            [REQUEST_TRACEPARENT] = ARG(SPOE_ACCEPT_STR, "traceparent", "req.fhdr(traceparent)",
                                        "inbound W3C trace context"),
            [REQUEST_SSL_FC] =
                ARG(SPOE_ACCEPT_BOOL, "ssl_fc", "ssl_fc", "whether the client used TLS"),
            [REQUEST_TRACEPARENT2] = ARG(SPOE_ACCEPT_STR, "traceparent2", "req.fhdr(traceparent,2)",
                                         "a second line of it, which makes both invalid"),
            /* a list that may be spread over lines; HAProxy hands over one at a time */
            [REQUEST_TRACESTATE] = ARG(SPOE_ACCEPT_STR, "tracestate", "req.fhdr(tracestate,1)",
                                       "inbound W3C tracestate"),
            [REQUEST_TRACESTATE2] =
                ARG(SPOE_ACCEPT_STR, "tracestate2", "req.fhdr(tracestate,2)", "its second line"),
            [REQUEST_TRACESTATE3] =
                ARG(SPOE_ACCEPT_STR, "tracestate3", "req.fhdr(tracestate,3)", "its third line"),
            [REQUEST_B3] = ARG(SPOE_ACCEPT_STR, "b3", "req.fhdr(b3)", "inbound B3, single"),
            [REQUEST_B3_TRACE_ID] = ARG(SPOE_ACCEPT_STR, "x-b3-traceid", "req.fhdr(x-b3-traceid)",
                                        "inbound B3, multi: trace id"),
            [REQUEST_B3_SPAN_ID] = ARG(SPOE_ACCEPT_STR, "x-b3-spanid", "req.fhdr(x-b3-spanid)",
                                       "inbound B3, multi: the caller's span id"),
            [REQUEST_B3_SAMPLED] = ARG(SPOE_ACCEPT_STR, "x-b3-sampled", "req.fhdr(x-b3-sampled)",
                                       "inbound B3, multi: whether it is sampled"),
            [REQUEST_B3_FLAGS] = ARG(SPOE_ACCEPT_STR, "x-b3-flags", "req.fhdr(x-b3-flags)",
                                     "inbound B3, multi: 1 for debug"),
            [REQUEST_SAMPLE] =
                ARG(SPOE_ACCEPT_BOOL | SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "sample",
                    "var(txn.otel_sample)", "whether to sample; overrides the sampler"),
            [REQUEST_SLOTS] = NULL},
};

static const struct spoe_message_decl backend = {
    .size = sizeof backend,
    .name = "on-backend-http-request",
    .event = "on-backend-http-request",
    .help = "opens the CLIENT span; answers txn.traceparent",
    .args = (const struct spoe_arg_decl *const[]){[BACKEND_UNIQUE_ID] = UNIQUE_ID,
                                                  [BACKEND_METHOD] = METHOD,
                                                  [BACKEND_PATH] = PATH,
                                                  [BACKEND_SLOTS] = NULL},
};

static const struct spoe_message_decl response = {
    .size = sizeof response,
    .name = "on-http-response",
    .event = "on-http-response",
    .help = "ends both spans",
    .args =
        (const struct spoe_arg_decl *const[]){
            [RESPONSE_UNIQUE_ID] = UNIQUE_ID,
            [RESPONSE_STATUS] = ARG(SPOE_ACCEPT_INT, "status", "status", "status code"),
            [RESPONSE_BE_NAME] = ARG(SPOE_ACCEPT_STR, "be_name", "be_name", "name of the backend"),
            [RESPONSE_SRV_NAME] =
                ARG(SPOE_ACCEPT_STR, "srv_name", "srv_name", "name of the server"),
            [RESPONSE_CUSTOM_ATTRS] = ARG(SPOE_ACCEPT_STR, "custom_attrs", "var(txn.otel_attrs)",
                                          "attributes as key=value;key=value"),
            [RESPONSE_BC_DST] =
                ARG(SPOE_ACCEPT_IP | SPOE_ACCEPT_STR, "bc_dst", "bc_dst", "address of the server"),
            [RESPONSE_BC_DST_PORT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "bc_dst_port",
                                         "bc_dst_port", "port of the server"),
            [RESPONSE_SLOTS] = NULL},
};

const struct spoe_message_decl *const otel_messages[] = {
    [MESSAGE_REQUEST] = &request,
    [MESSAGE_BACKEND] = &backend,
    [MESSAGE_RESPONSE] = &response,
    NULL,
};
