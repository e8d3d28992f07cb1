/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/slots.h - the declared arguments of the three messages as names, status and
 * attributes, by the stable HTTP semantic conventions
 * (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
 */
#ifndef OTEL_INPUT_SLOTS_H
#define OTEL_INPUT_SLOTS_H

#include "input/handlers.h"

/** The span's name as long as no route is known: the method, or HTTP for an unknown one. */
struct spoe_span slots_name(const struct handlers *h, const struct spoe_value *method);

/* Fill a span from the slots of its message; of the response, both. */
/* @param name  slots_name() of the message */
void slots_set_request(const struct handlers *h, struct span *server, struct spoe_span name,
                       const struct spoe_value *slot);
void slots_set_backend(const struct handlers *h, struct span *client, struct spoe_span name,
                       const struct spoe_value *slot);
void slots_set_response(const struct handlers *h, struct span *server, struct span *client,
                        const struct spoe_value *slot);

/** Attributes of the user's own, which win over all others: due after the arguments. */
void slots_set_custom(struct span *server, const struct spoe_value *slot);

#endif
