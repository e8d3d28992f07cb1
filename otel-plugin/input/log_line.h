/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/log_line.h - a line of HAProxy's log becomes a request's spans, whole: it is
 * written when the last byte is out. Nothing is kept of a request before its line.
 *
 * HAProxy's configuration makes the context (haproxy/otel-log.cfg); `tp` is the traceparent that
 * the server was sent, or would have been.
 *
 * Beside SPOE (haproxy/otel-both.cfg) the context is the agent's, and the line has the request's
 * `uid` and `mark`: it ends the spans that are open, or makes them like one that comes alone.
 */
#ifndef OTEL_INPUT_LOG_LINE_H
#define OTEL_INPUT_LOG_LINE_H

#include "input/handlers.h"
#include "input/log_read.h"

/**
 * SERVER, and CLIENT where a server was tried, into the queue; or nothing, and a counter says why.
 * @param line  log_read()'s
 */
void log_line_handle(struct handlers_worker *worker, const struct policy *policy,
                     struct log_line *line);

/**
 * End an open request, whose spans become as long as HAProxy says. Where it has none, since nobody
 * keeps any for the line or since it is not sampled, they are made of the line, if it is to have
 * some.
 * @param request  taken out of the store; its spans are freed
 */
void log_line_end(struct handlers_worker *worker, const struct policy *policy,
                  struct log_line *line, struct store_request *request);

/** Fill a span with what a line tells that came too late for its request's. */
void log_line_fill_late(const struct policy *policy, const struct spoe_message *msg,
                        struct span *span);

#endif
