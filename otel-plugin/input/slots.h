/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/slots.h - the declared arguments of the three messages as names, status and
 * attributes, by the stable HTTP semantic conventions
 * (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
 */
#ifndef OTEL_INPUT_SLOTS_H
#define OTEL_INPUT_SLOTS_H

#include "input/policy.h"
#include "signal/span.h"

/* What is known of a span beside its attributes: struct span's notes. */
#define NOTE_QUERY_KNOWN 1u  /* HAProxy told the query, or that there is none */
#define NOTE_CLIENT_TOLD 2u  /* client.address is another's word than src_port is (3.7) */
#define NOTE_HOST_PORT 4u    /* the Host named a port */
#define NOTE_ADDRESS_TOLD 8u /* HAProxy's configuration told CLIENT's server.address */

/** The span's name as long as no route is known: the method, or HTTP for an unknown one. */
struct spoe_span slots_name(const struct policy *policy, const struct spoe_value *method);

/* Fill a span from the slots of its message; of the response, both. */
/* @param name  slots_name() of the message */
void slots_set_request(const struct policy *policy, struct span *server, struct spoe_span name,
                       const struct spoe_value *slot);
void slots_set_backend(const struct policy *policy, struct span *client, struct spoe_span name,
                       const struct spoe_value *slot);
void slots_set_response(const struct policy *policy, struct span *server, struct span *client,
                        const struct spoe_value *slot);

/* Of a response that comes after its request was ended without one. */
void slots_set_late(const struct policy *policy, struct span *span, const struct spoe_value *slot);

/**
 * What CLIENT has of the request and not of its own messages: path and query, where the backend
 * message had no path, and the authority as server.address, unless it is to be the peer's. Due
 * after the response's arguments, or at the eviction.
 */
void slots_complete_client(const struct policy *policy, const struct span *server,
                           struct span *client);

/** Attributes of the user's own, which win over all others: due after the arguments. */
void slots_set_custom(struct span *server, const struct spoe_value *slot);

#endif
