/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/handler_log.h - what the log says of a plugin that fails on messages, is slow, or
 * breaks the contract: who, on which message, and what; at most a line a second for each message of
 * each plugin on a worker.
 */
#ifndef HOST_CORE_HANDLER_LOG_H
#define HOST_CORE_HANDLER_LOG_H

#include <stdint.h>

#include <spoe/plugin.h>

#include "core/request.h"

/** "SPOE_E_NOMEM". [const] */
const char *handler_status_text(spoe_status status);

/** A message failed. @param how  "handle() returned" or "completed with"; counted too. [worker] */
void handler_failed(struct request *request, const char *how, spoe_status status);
/** handle() took longer than slow-handle; counted too. [worker] */
void handler_was_slow(struct request *request, int64_t ns);
/** handle() completed a request and did not return SPOE_PENDING; counted too. [worker] */
void handler_contradicts(struct request *request, spoe_status status);
/** A request was completed that is not pending. @param plugin  NULL: no such request. [any] */
void handler_completed_twice(const struct spoe_instance *plugin);

#endif
