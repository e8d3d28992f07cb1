/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/messages.h - the three messages as they are declared to the host; the
 * numbers are the places in the declarations.
 */
#ifndef OTEL_INPUT_MESSAGES_H
#define OTEL_INPUT_MESSAGES_H

#include <spoe/plugin.h>

enum { MESSAGE_REQUEST, MESSAGE_BACKEND, MESSAGE_RESPONSE };

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

/* For the plugin's descriptor: [const], ends with NULL. */
extern const struct spoe_message_decl *const otel_messages[];

#endif
