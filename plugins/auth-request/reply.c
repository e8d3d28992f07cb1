/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/reply.c - see reply.h. */
#include "auth-request/reply.h"

#include <spoe/util.h>

#define VARIABLE(name_, types_, help_)                                                             \
    &(const struct spoe_variable_decl)                                                             \
    {                                                                                              \
        .size = sizeof(struct spoe_variable_decl), .scope = SPOE_SCOPE_TXN, .types = (types_),     \
        .name = (name_), .help = (help_)                                                           \
    }
const struct spoe_variable_decl *const auth_variables[] = {
    VARIABLE("allowed", SPOE_ACCEPT_BOOL, "whether the request may go on"),
    VARIABLE("reason", SPOE_ACCEPT_STR, "why"),
    VARIABLE("status", SPOE_ACCEPT_INT, "the service's status"),
    VARIABLE("header_*", SPOE_ACCEPT_STR, "headers of its answer, see response-headers"),
    NULL,
};

bool reply_allows(const struct auth *auth, enum reason reason)
{
    if (reason == REASON_ALLOWED)
        return true;
    /* `fail` is for what is not the request's doing. */
    return reason != REASON_DENIED && reason != REASON_INVALID && auth->conf.fail_open;
}

static spoe_status set(const struct auth *auth, struct spoe_request *req, const char *name,
                       const struct spoe_value value)
{
    return auth->host->set_var(req, SPOE_SCOPE_TXN, spoe_str(name), &value);
}

static spoe_status set_verdict(const struct auth *auth, struct spoe_request *req,
                               enum reason reason)
{
    spoe_status status =
        set(auth, req, "allowed", spoe_value_bool(reply_allows(auth, reason) ? 1 : 0));

    if (status == SPOE_OK)
        status = set(auth, req, "reason", spoe_value_str(spoe_str(reason_texts[reason])));
    return status;
}

spoe_status reply_commit(const struct auth *auth, struct spoe_request *req)
{
    const spoe_status status = set_verdict(auth, req, REASON_DEADLINE);

    return status == SPOE_OK ? auth->host->request_commit(req) : status;
}

static spoe_status set_headers(const struct auth *auth, struct spoe_request *req,
                               const struct answer *answer)
{
    struct spoe_span value;
    uint8_t place;
    size_t at = 0;

    while (answer_next(answer, &at, &place, &value)) {
        const spoe_status status =
            set(auth, req, auth->conf.from_service.item[place].variable, spoe_value_str(value));

        if (status != SPOE_OK)
            return status;
    }
    return SPOE_OK;
}

spoe_status reply_set(const struct auth *auth, struct spoe_request *req, enum reason reason,
                      const struct answer *answer)
{
    const struct numbers *numbers = &auth->numbers;

    if (answer != NULL && answer->status != 0)
        (void)set(auth, req, "status", spoe_value_int(answer->status));
    /* Before the verdict, so that a yes never leaves without the headers that belong to it. */
    if (answer != NULL && reason <= REASON_DENIED && set_headers(auth, req, answer) != SPOE_OK)
        reason = REASON_BAD_ANSWER;
    number_count(numbers, numbers->answers[reason], 1);
    return set_verdict(auth, req, reason);
}
