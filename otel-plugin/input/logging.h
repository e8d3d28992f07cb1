/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/logging.h - a finished request makes a log record, sampled or not. What it says
 * of the request is what its spans say; docs/otel-export.md has the rest.
 */
#ifndef OTEL_INPUT_LOGGING_H
#define OTEL_INPUT_LOGGING_H

#include "input/handlers.h"
#include "input/recent.h"

/** Whether log records are wanted at all: it needs spans, also of what is not sampled. */
static inline bool logging_is_on(const struct handlers_worker *worker)
{
    return worker->logs != NULL;
}

/** Whether a request that is not sampled is of use to anybody: to a log record, or to who looks. */
static inline bool logging_or_recent(const struct handlers_worker *worker)
{
    return logging_is_on(worker) || recent_is_on(worker->shared);
}

/**
 * Into the queue of logs, which counts what it has no room for. Does nothing where it is off.
 * @param server, client    [borrow] complete and ended; client NULL: none
 * @param text              the user's own log line; NULL, or no text: there is none
 * @param observed_unix_ns  when it was told
 * Threads: the worker's
 */
void logging_request(struct handlers_worker *worker, const struct span *server,
                     const struct span *client, const struct spoe_value *text,
                     int64_t observed_unix_ns);

#endif
