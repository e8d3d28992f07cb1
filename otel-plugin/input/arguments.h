/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/arguments.h - what HAProxy's configuration sends beyond the declared
 * arguments: conventional attributes by OTEL_ARGUMENTS, captured headers, times, and anything else
 * under its own name with its own type.
 */
#ifndef OTEL_INPUT_ARGUMENTS_H
#define OTEL_INPUT_ARGUMENTS_H

#include "input/policy.h"
#include "signal/span.h"

/* A moment that is older than this is none, unless the policy says otherwise. */
#define ARGUMENTS_AGE_MAX_NS INT64_C(30000000000)

#define HEADER_OF_REQUEST "http.request.header."
#define HEADER_OF_RESPONSE "http.response.header."

/**
 * Fill the spans of a message from its further arguments, in their order; a later one wins. A
 * request or backend message has one span, which takes over a `start` that is sane: not later than
 * the message's receipt and not older than moment_age_max_ns. Due after the slots.
 * @param server, client  [borrow] either may be NULL
 * @return when the response message says that the request ended, under the same bounds; else 0
 */
int64_t arguments_set(const struct policy *policy, const struct spoe_message *msg,
                      struct span *server, struct span *client);

/**
 * url.full of CLIENT, if all of it is known: scheme, address, port, path, and the query or that
 * there is none. Due after the response's slots and arguments.
 */
void arguments_set_full_url(const struct policy *policy, struct span *client);

#endif
