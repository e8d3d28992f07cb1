/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/messages.c - what HAProxy is to send. The names on the wire are those of
 * the classic three-message configuration; every expression is accepted by HAProxy 2.6 to 3.5 at
 * its event. No argument is required: a message without a unique-id is counted here, and all
 * others may be absent.
 *
 * What a client controls is cut, so that the request's and the backend's message fit into one
 * frame of HAProxy's together, whatever a client sends (6.2). The same expressions stand in
 * haproxy/spoe-otel.cfg; a test holds them equal.
 */
#include "input/messages.h"

/* A text stays one: HAProxy's bytes() does not change the type (2.6 to 3.4). */
#define CUT(sample, n) sample ",bytes(0," #n ")"

#define ARG_FLAGS(bits, mask, text, expr, about)                                                   \
    &(const struct spoe_arg_decl)                                                                  \
    {                                                                                              \
        .size = sizeof(struct spoe_arg_decl), .types = (mask), .flags = (bits), .name = (text),    \
        .expression = (expr), .help = (about)                                                      \
    }
#define ARG(mask, text, expr, about) ARG_FLAGS(0, mask, text, expr, about)
#define BY_NAME(mask, text, expr, about) ARG_FLAGS(SPOE_ARG_BY_NAME, mask, text, expr, about)

#define UNIQUE_ID ARG(SPOE_ACCEPT_STR, "unique-id", "unique-id", "joins a request's messages")
#define METHOD ARG(SPOE_ACCEPT_STR, "method", CUT("method", 64), "request method")

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
            [REQUEST_PATH] =
                ARG(SPOE_ACCEPT_STR, "path", CUT("path", 4096), "path without the query"),
            /* not hdr, which splits at commas and shows the last of joined headers */
            [REQUEST_HOST] = ARG(SPOE_ACCEPT_STR, "host", CUT("req.fhdr(host)", 512),
                                 "host, perhaps with a port"),
            [REQUEST_FE_NAME] = ARG(SPOE_ACCEPT_STR, "fe_name", "fe_name", "name of the frontend"),
            [REQUEST_FE_PORT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "fe_port", "dst_port",
                                    "port that the client connected to"),
            [REQUEST_TRACEPARENT] =
                ARG(SPOE_ACCEPT_STR, "traceparent", CUT("req.fhdr(traceparent)", 256),
                    "inbound W3C trace context"),
            [REQUEST_SSL_FC] =
                ARG(SPOE_ACCEPT_BOOL, "ssl_fc", "ssl_fc", "whether the client used TLS"),
            [REQUEST_TRACEPARENT2] =
                ARG(SPOE_ACCEPT_STR, "traceparent2", CUT("req.fhdr(traceparent,2)", 1),
                    "a second line of it, which makes both invalid"),
            /* a list that may be spread over lines; HAProxy hands over one at a time; one that is
             * longer than TRACESTATE_MAX is none, so one byte more is enough */
            [REQUEST_TRACESTATE] =
                ARG(SPOE_ACCEPT_STR, "tracestate", CUT("req.fhdr(tracestate,1)", 513),
                    "inbound W3C tracestate"),
            [REQUEST_TRACESTATE2] = ARG(SPOE_ACCEPT_STR, "tracestate2",
                                        CUT("req.fhdr(tracestate,2)", 513), "its second line"),
            [REQUEST_TRACESTATE3] = ARG(SPOE_ACCEPT_STR, "tracestate3",
                                        CUT("req.fhdr(tracestate,3)", 513), "its third line"),
            [REQUEST_B3] =
                ARG(SPOE_ACCEPT_STR, "b3", CUT("req.fhdr(b3)", 128), "inbound B3, single"),
            [REQUEST_B3_TRACE_ID] =
                ARG(SPOE_ACCEPT_STR, "x-b3-traceid", CUT("req.fhdr(x-b3-traceid)", 64),
                    "inbound B3, multi: trace id"),
            [REQUEST_B3_SPAN_ID] =
                ARG(SPOE_ACCEPT_STR, "x-b3-spanid", CUT("req.fhdr(x-b3-spanid)", 64),
                    "inbound B3, multi: the caller's span id"),
            [REQUEST_B3_SAMPLED] =
                ARG(SPOE_ACCEPT_STR, "x-b3-sampled", CUT("req.fhdr(x-b3-sampled)", 64),
                    "inbound B3, multi: whether it is sampled"),
            [REQUEST_B3_FLAGS] = ARG(SPOE_ACCEPT_STR, "x-b3-flags", CUT("req.fhdr(x-b3-flags)", 64),
                                     "inbound B3, multi: 1 for debug"),
            [REQUEST_SAMPLE] =
                ARG(SPOE_ACCEPT_BOOL | SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "sample",
                    "var(txn.otel_sample)", "whether to sample; overrides the sampler"),
            [REQUEST_HOLD] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "hold", "var(txn.otel_hold)",
                                 "seconds to wait for the response; overrides span-ttl"),
            [REQUEST_SRC_PORT] = ARG(SPOE_ACCEPT_ANY, "src_port", "src_port", "port of the client"),
            [REQUEST_VER] = ARG(SPOE_ACCEPT_ANY, "ver", "req.ver", "HTTP version"),
            [REQUEST_USER_AGENT] =
                ARG(SPOE_ACCEPT_ANY, "user_agent", CUT("req.fhdr(user-agent)", 1024), "user agent"),
            [REQUEST_QUERY] = BY_NAME(SPOE_ACCEPT_ANY, "query", CUT("query", 4096),
                                      "query; its values are redacted"),
            [REQUEST_SLOTS] = NULL},
};

/* Path and query are known from the request: here they would need twice the room in the frame. */
static const struct spoe_message_decl backend = {
    .size = sizeof backend,
    .name = "on-backend-http-request",
    .event = "on-backend-http-request",
    .help = "opens the CLIENT span; answers txn.traceparent",
    .args =
        (const struct spoe_arg_decl *const[]){
            [BACKEND_UNIQUE_ID] = UNIQUE_ID, [BACKEND_METHOD] = METHOD, [BACKEND_SLOTS] = NULL},
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
            [RESPONSE_CUSTOM_ATTRS] =
                ARG(SPOE_ACCEPT_STR, "custom_attrs", CUT("var(txn.otel_attrs)", 8192),
                    "attributes as key=value;key=value"),
            [RESPONSE_BC_DST] =
                ARG(SPOE_ACCEPT_IP | SPOE_ACCEPT_STR, "bc_dst", "bc_dst", "address of the server"),
            [RESPONSE_BC_DST_PORT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "bc_dst_port",
                                         "bc_dst_port", "port of the server"),
            [RESPONSE_SSL_BC] =
                ARG(SPOE_ACCEPT_ANY, "ssl_bc", "ssl_bc", "whether the server is reached by TLS"),
            [RESPONSE_RES_VER] =
                ARG(SPOE_ACCEPT_ANY, "res_ver", "res.ver", "HTTP version of the server"),
            [RESPONSE_SLOTS] = NULL},
};

/* A line of HAProxy's log, whole when it comes; no answer. log_line.c reads it. */
static const struct spoe_message_decl log_line = {
    .size = sizeof log_line,
    .flags = SPOE_MESSAGE_FROM_LOG,
    .name = "on-http-log",
    .event = "on-http-response",
    .help = "makes both spans, from a line of the log",
    .args =
        (const struct spoe_arg_decl *const[]){
            [LOG_TRACEPARENT] =
                ARG(SPOE_ACCEPT_STR, "tp", "%[var(txn.tp)]", "traceparent of the request"),
            [LOG_SERVER_ID] = ARG(SPOE_ACCEPT_STR, "sid", "%[var(txn.sid)]", "span id of SERVER"),
            [LOG_CLIENT_ID] = ARG(SPOE_ACCEPT_STR, "cid", "%[var(txn.cid)]", "span id of CLIENT"),
            [LOG_INBOUND] =
                ARG(SPOE_ACCEPT_STR, "in", "%{+Q,+E}[var(txn.in)]", "traceparent of the caller"),
            [LOG_TRACESTATE] = ARG(SPOE_ACCEPT_STR, "tracestate", "%{+Q,+E}[var(txn.tracestate)]",
                                   "tracestate of the caller"),
            [LOG_REQUEST_AT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "t0", "%[var(txn.t0)]",
                                   "when the headers were there, in us since 1970"),
            [LOG_BACKEND_AT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "t1", "%[var(txn.t1)]",
                                   "when a server was asked for"),
            [LOG_RESPONSE_AT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "t2", "%[var(txn.t2)]",
                                    "when the headers of the response were there"),
            [LOG_END_AT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "te", "%[date(0,us)]",
                               "when the last byte was out"),
            [LOG_HEADERS] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "tR", "%TR",
                                "ms from the first byte to the end of the headers"),
            [LOG_ACTIVE] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "ta", "%Ta",
                               "ms from the first byte to the last"),
            [LOG_HANDSHAKE] =
                ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "th", "%Th", "ms for the handshakes"),
            [LOG_QUEUE] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "tw", "%Tw", "ms in queues"),
            [LOG_CONNECT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "tc", "%Tc", "ms to connect"),
            [LOG_RESPONSE] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "tr", "%Tr",
                                 "ms until the headers of the response"),
            [LOG_STATUS] =
                ARG(SPOE_ACCEPT_INT, "st", "%ST", "status code that the client was sent"),
            [LOG_STATE] = ARG(SPOE_ACCEPT_STR, "ts", "%tsc", "termination state"),
            [LOG_RETRIES] =
                ARG(SPOE_ACCEPT_STR, "rc", "%rc", "retries; + before them: redispatched"),
            [LOG_METHOD] = ARG(SPOE_ACCEPT_STR, "m", "%HM", "method"),
            [LOG_VERSION] = ARG(SPOE_ACCEPT_STR, "hv", "%HV", "HTTP version"),
            [LOG_TLS_VERSION] =
                ARG(SPOE_ACCEPT_STR, "tls", "%sslv", "version of TLS, if the client used it"),
            [LOG_CLIENT_ADDRESS] =
                ARG(SPOE_ACCEPT_IP | SPOE_ACCEPT_STR, "ci", "%ci", "address of the client"),
            [LOG_CLIENT_PORT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "cp", "%cp", "its port"),
            [LOG_FRONTEND_ADDRESS] = ARG(SPOE_ACCEPT_IP | SPOE_ACCEPT_STR, "fi", "%fi",
                                         "address that the client connected to"),
            [LOG_FRONTEND_PORT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "fp", "%fp", "its port"),
            [LOG_SERVER_ADDRESS] =
                ARG(SPOE_ACCEPT_IP | SPOE_ACCEPT_STR, "si", "%si", "address of the server"),
            [LOG_SERVER_PORT] = ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "sp", "%sp", "its port"),
            [LOG_FRONTEND] = ARG(SPOE_ACCEPT_STR, "fe", "%f", "name of the frontend"),
            [LOG_BACKEND] = ARG(SPOE_ACCEPT_STR, "be", "%b", "name of the backend"),
            [LOG_SERVER_NAME] = ARG(SPOE_ACCEPT_STR, "srv", "%s", "name of the server"),
            [LOG_HOST] =
                ARG(SPOE_ACCEPT_STR, "h", "%{+Q,+E}[var(txn.host)]", "host, perhaps with a port"),
            [LOG_USER_AGENT] = ARG(SPOE_ACCEPT_STR, "ua", "%{+Q,+E}[var(txn.ua)]", "user agent"),
            [LOG_TARGET] = ARG(SPOE_ACCEPT_STR, "u", "%{+Q}HU", "path and query"),
            [LOG_CUSTOM] = ARG(SPOE_ACCEPT_STR, "a", "%{+Q,+E}[var(txn.otel_attrs)]",
                               "attributes as key=value;key=value"),
            [LOG_SLOTS] = NULL},
};

const struct spoe_message_decl *const otel_messages[] = {
    [MESSAGE_REQUEST] = &request,
    [MESSAGE_BACKEND] = &backend,
    [MESSAGE_RESPONSE] = &response,
    [MESSAGE_LOG] = &log_line,
    NULL,
};
