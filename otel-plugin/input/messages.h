/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/messages.h - the messages as they are declared to the host; the numbers are
 * the places in the declarations. Both are made of the table in record/fields.h.
 */
#ifndef OTEL_INPUT_MESSAGES_H
#define OTEL_INPUT_MESSAGES_H

#include <spoe/plugin.h>

#include "record/fields.h"

enum { MESSAGE_REQUEST, MESSAGE_BACKEND, MESSAGE_RESPONSE, MESSAGE_LOG };

/* REQUEST_UNIQUE_ID and so on, each message's from 0; last REQUEST_SLOTS, how many there are. */
enum {
#define X(how, id, ...) REQUEST_##id,
    OTEL_REQUEST_ARGUMENTS(X)
#undef X
        REQUEST_SLOTS
};

enum {
#define X(how, id, ...) BACKEND_##id,
    OTEL_BACKEND_ARGUMENTS(X)
#undef X
        BACKEND_SLOTS
};

enum {
#define X(how, id, ...) RESPONSE_##id,
    OTEL_RESPONSE_ARGUMENTS(X)
#undef X
        RESPONSE_SLOTS
};

/* A line of HAProxy's log. */
enum {
#define X(how, id, ...) LOG_##id,
    OTEL_LOG_ARGUMENTS(X)
#undef X
        LOG_SLOTS
};

/* For the plugin's descriptor: [const], ends with NULL. */
extern const struct spoe_message_decl *const otel_messages[];

#endif
