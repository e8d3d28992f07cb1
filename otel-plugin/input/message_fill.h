/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/message_fill.h - what a message tells, field by field: its declared arguments
 * by their places, all others by their names. What becomes of them is signal/fill.h's.
 */
#ifndef OTEL_INPUT_MESSAGE_FILL_H
#define OTEL_INPUT_MESSAGE_FILL_H

#include <spoe/plugin.h>

#include "input/policy.h"
#include "signal/fill.h"

/**
 * Fill the spans of a message.
 * @param server, client  [borrow] of a request message the first, of a backend message the second,
 *                        of a response message both, of which CLIENT may be NULL
 * @return when HAProxy says that the request ended; 0: it does not
 */
int64_t message_fill(const struct policy *policy, const struct spoe_message *msg,
                     struct span *server, struct span *client);

/** The declared arguments of a message alone. */
void message_fill_slots(struct filling *filling, const struct spoe_message *msg);

/** Fill a span with the declared arguments of a response that came too late for its request's. */
void message_fill_late(const struct policy *policy, const struct spoe_message *response,
                       struct span *span);

#endif
