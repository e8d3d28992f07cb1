/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/asks.h - one worker's requests: answered from what is kept, or waiting for
 * the answer to a question.
 *
 *   request --- is kept? -> answered
 *           --- is being asked? -> waits with the others
 *           --- is there room? -> a question of its own, which ends by the service's answer or by
 *                                 `timeout`, whichever comes first, and answers all that wait for
 * it
 *
 * A request that waits has committed the answer that holds while nothing is known; it leaves its
 * question when the host cancels it, and the question goes on, for what is kept of it.
 */
#ifndef AUTH_REQUEST_ASKS_H
#define AUTH_REQUEST_ASKS_H

#include <spoe/plugin.h>

#include "auth-request/auth.h"

struct asks;

/* @return [give] NULL: out of memory, or no place on the loop */
struct asks *asks_create(struct auth *auth, struct spoe_worker *worker);
/* Completes what still waits. */
void asks_destroy(struct asks *asks);

spoe_status asks_handle(struct asks *asks, struct spoe_request *req,
                        const struct spoe_message *msg);
void asks_cancel(struct asks *asks, struct spoe_request *req, int32_t why);

#endif
