/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/reply.h - the variables that a request is answered with. */
#ifndef AUTH_REQUEST_REPLY_H
#define AUTH_REQUEST_REPLY_H

#include <spoe/plugin.h>

#include "auth-request/answer.h"
#include "auth-request/auth.h"
#include "auth-request/reasons.h"

extern const struct spoe_variable_decl *const auth_variables[];

/* Whether a request goes on by this, given `fail`. */
bool reply_allows(const struct auth *auth, enum reason reason);

/* The answer that holds if none comes, which is committed: as DEADLINE. @return of the host */
spoe_status reply_commit(const struct auth *auth, struct spoe_request *req);

/**
 * Set the variables of an answer, and count it.
 * @param answer  NULL: there is none, the reason is all. One whose headers do not fit into the ACK
 *                is a BAD_ANSWER
 * @return SPOE_OK; else what is to be returned or completed with: HAProxy gets nothing
 */
spoe_status reply_set(const struct auth *auth, struct spoe_request *req, enum reason reason,
                      const struct answer *answer);

#endif
