/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/messages.h - the messages as they are declared to the host; the
 * numbers are the places in the declarations.
 */
#ifndef OTEL_INPUT_MESSAGES_H
#define OTEL_INPUT_MESSAGES_H

#include <spoe/plugin.h>

enum { MESSAGE_REQUEST, MESSAGE_BACKEND, MESSAGE_RESPONSE, MESSAGE_LOG };

enum {
    REQUEST_UNIQUE_ID,
    REQUEST_SRC,
    REQUEST_METHOD,
    REQUEST_PATH,
    REQUEST_HOST,
    REQUEST_FE_NAME,
    REQUEST_FE_PORT,
    REQUEST_TRACEPARENT,
    REQUEST_SSL_FC,
    REQUEST_TRACEPARENT2,
    REQUEST_TRACESTATE,
    REQUEST_TRACESTATE2,
    REQUEST_TRACESTATE3,
    REQUEST_B3,
    REQUEST_B3_TRACE_ID,
    REQUEST_B3_SPAN_ID,
    REQUEST_B3_SAMPLED,
    REQUEST_B3_FLAGS,
    REQUEST_SAMPLE,
    REQUEST_HOLD,
    REQUEST_SRC_PORT,
    REQUEST_VER,
    REQUEST_USER_AGENT,
    REQUEST_QUERY, /* by name: that it came without a value tells that there is none */
    REQUEST_SLOTS
};

enum { BACKEND_UNIQUE_ID, BACKEND_METHOD, BACKEND_SLOTS };

enum {
    RESPONSE_UNIQUE_ID,
    RESPONSE_STATUS,
    RESPONSE_BE_NAME,
    RESPONSE_SRV_NAME,
    RESPONSE_CUSTOM_ATTRS,
    RESPONSE_BC_DST,
    RESPONSE_BC_DST_PORT,
    RESPONSE_SSL_BC,
    RESPONSE_RES_VER,
    RESPONSE_SLOTS
};

/* A line of HAProxy's log. */
enum {
    LOG_TRACEPARENT,
    LOG_SERVER_ID,
    LOG_CLIENT_ID,
    LOG_INBOUND,
    LOG_TRACESTATE,
    LOG_REQUEST_AT,
    LOG_BACKEND_AT,
    LOG_RESPONSE_AT,
    LOG_END_AT,
    LOG_HEADERS,
    LOG_ACTIVE,
    LOG_HANDSHAKE,
    LOG_QUEUE,
    LOG_CONNECT,
    LOG_RESPONSE,
    LOG_STATUS,
    LOG_STATE,
    LOG_RETRIES,
    LOG_METHOD,
    LOG_VERSION,
    LOG_TLS_VERSION,
    LOG_CLIENT_ADDRESS,
    LOG_CLIENT_PORT,
    LOG_FRONTEND_ADDRESS,
    LOG_FRONTEND_PORT,
    LOG_SERVER_ADDRESS,
    LOG_SERVER_PORT,
    LOG_FRONTEND,
    LOG_BACKEND,
    LOG_SERVER_NAME,
    LOG_HOST,
    LOG_USER_AGENT,
    LOG_TARGET,
    LOG_CUSTOM,
    LOG_SLOTS
};

/* For the plugin's descriptor: [const], ends with NULL. */
extern const struct spoe_message_decl *const otel_messages[];

#endif
