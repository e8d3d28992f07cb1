/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/message_fill.c - slots and names to fields. */
#include "input/message_fill.h"

#include "input/messages.h"
#include "record/http_parts.h"
#include "signal/fill.h"

static const struct fill_slot request_fields[] = {
    {REQUEST_METHOD, FIELD_METHOD},
    {REQUEST_PATH, FIELD_PATH},
    {REQUEST_HOST, FIELD_HOST},
    {REQUEST_SSL_FC, FIELD_TLS},
    {REQUEST_SRC, FIELD_SOURCE},
    {REQUEST_FE_NAME, FIELD_FRONTEND_NAME},
    {REQUEST_FE_PORT, FIELD_FRONTEND_PORT},
    {REQUEST_SRC_PORT, FIELD_SOURCE_PORT},
    {REQUEST_VER, FIELD_VERSION},
    {REQUEST_USER_AGENT, FIELD_USER_AGENT},
};
static const struct fill_slot backend_fields[] = {
    {BACKEND_METHOD, FIELD_METHOD},
};
static const struct fill_slot response_fields[] = {
    {RESPONSE_STATUS, FIELD_STATUS},
    {RESPONSE_BE_NAME, FIELD_BACKEND_NAME},
    {RESPONSE_SRV_NAME, FIELD_SERVER_NAME},
    {RESPONSE_BC_DST, FIELD_ORIGIN},
    {RESPONSE_BC_DST_PORT, FIELD_ORIGIN_PORT},
    {RESPONSE_SSL_BC, FIELD_BACKEND_TLS},
    {RESPONSE_RES_VER, FIELD_RESPONSE_VERSION},
};

#define N(array) (sizeof(array) / sizeof(array)[0])
static const struct {
    const struct fill_slot *fields;
    size_t n;
    enum fill_phase phase;
} messages[] = {
    [MESSAGE_REQUEST] = {request_fields, N(request_fields), FILL_REQUEST},
    [MESSAGE_BACKEND] = {backend_fields, N(backend_fields), FILL_BACKEND},
    [MESSAGE_RESPONSE] = {response_fields, N(response_fields), FILL_RESPONSE},
};

static void fill_slots(struct filling *filling, const struct spoe_message *msg)
{
    fill_fields(filling, messages[msg->index].fields, messages[msg->index].n, msg->slot);
    if (msg->index == MESSAGE_RESPONSE && http_is_text(&msg->slot[RESPONSE_CUSTOM_ATTRS]))
        filling->custom = msg->slot[RESPONSE_CUSTOM_ATTRS].u.s;
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

    fill_slots(&filling, msg);
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

    fill_slots(&filling, response);
    fill_end(&filling);
}
