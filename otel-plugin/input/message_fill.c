/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/message_fill.c - slots and names to fields. */
#include "input/message_fill.h"

#include "input/messages.h"
#include "record/http_parts.h"
#include "signal/fill.h"

/* The slots that are fields as they come. */
#define SLOT_READ(slot, id)
#define SLOT_BY_NAME(slot, id)
#define SLOT_FILL(slot, id) {slot, FIELD_##id},

#define X(how, id, ...) SLOT_##how(REQUEST_##id, id)
static const struct fill_slot request_fields[] = {OTEL_REQUEST_ARGUMENTS(X)};
#undef X
#define X(how, id, ...) SLOT_##how(BACKEND_##id, id)
static const struct fill_slot backend_fields[] = {OTEL_BACKEND_ARGUMENTS(X)};
#undef X
#define X(how, id, ...) SLOT_##how(RESPONSE_##id, id)
static const struct fill_slot response_fields[] = {OTEL_RESPONSE_ARGUMENTS(X)};
#undef X
#define X(how, id, ...) SLOT_##how(LOG_##id, id)
static const struct fill_slot log_fields[] = {OTEL_LOG_ARGUMENTS(X)};
#undef X

#define N(array) (sizeof(array) / sizeof(array)[0])
static const struct {
    const struct fill_slot *fields;
    size_t n;
    enum fill_phase phase;
} messages[] = {
    [MESSAGE_REQUEST] = {request_fields, N(request_fields), FILL_REQUEST},
    [MESSAGE_BACKEND] = {backend_fields, N(backend_fields), FILL_BACKEND},
    [MESSAGE_RESPONSE] = {response_fields, N(response_fields), FILL_RESPONSE},
    [MESSAGE_LOG] = {log_fields, N(log_fields), FILL_LINE},
};

void message_fill_slots(struct filling *filling, const struct spoe_message *msg)
{
    fill_fields(filling, messages[msg->index].fields, messages[msg->index].n, msg->slot);
    if (msg->index == MESSAGE_RESPONSE && http_is_text(&msg->slot[RESPONSE_CUSTOM]))
        filling->custom = msg->slot[RESPONSE_CUSTOM].u.s;
    else if (msg->index == MESSAGE_LOG && http_is_text(&msg->slot[LOG_CUSTOM]))
        filling->custom = msg->slot[LOG_CUSTOM].u.s;
}

int64_t message_fill(const struct policy *policy, const struct spoe_message *msg,
                     struct span *server, struct span *client)
{
    struct filling filling = {.conventions = &policy->conventions,
                              .phase = messages[msg->index].phase,
                              .server = server,
                              .client = client,
                              .received_unix_ns = msg->recv_unix_ns,
                              .age_max_ns = policy->moment_age_max_ns};

    message_fill_slots(&filling, msg);
    for (uint32_t i = 0; i < msg->n_args; i++)
        fill_named(&filling, msg->args[i].name, &msg->args[i].value);
    fill_end(&filling);
    return filling.end_unix_ns;
}

void message_fill_late(const struct policy *policy, const struct spoe_message *response,
                       struct span *span)
{
    struct filling filling = {.conventions = &policy->conventions,
                              .phase = FILL_RESPONSE,
                              .client = span,
                              .received_unix_ns = response->recv_unix_ns};

    message_fill_slots(&filling, response);
    fill_end(&filling);
}
