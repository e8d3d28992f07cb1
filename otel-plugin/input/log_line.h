/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/log_line.h - a line of HAProxy's log becomes a request's spans, whole: it is
 * written when the last byte is out. Nothing is kept of a request before its line.
 *
 * HAProxy's configuration makes the context (haproxy/otel-log.cfg); `tp` is the traceparent that
 * the server was sent, or would have been.
 */
#ifndef OTEL_INPUT_LOG_LINE_H
#define OTEL_INPUT_LOG_LINE_H

#include "input/handlers.h"

/**
 * SERVER, and CLIENT where a server was tried, into the queue; or nothing, and a counter says why.
 * @param msg  [borrow] MESSAGE_LOG
 */
void log_line_handle(struct handlers_worker *worker, const struct policy *policy,
                     const struct spoe_message *msg);

#endif
