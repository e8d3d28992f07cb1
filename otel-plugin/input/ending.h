/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/ending.h - how a request ends: by its response, by its line of the log
 * (log_line.h), without either, or by one that comes after that. Each hands the spans over; none is
 * handed over twice.
 */
#ifndef OTEL_INPUT_ENDING_H
#define OTEL_INPUT_ENDING_H

#include "input/handlers.h"

/* What marks the spans of a request without a response. */
#define EVENT_NO_RESPONSE "haproxy.no_response"
#define ATTR_INCOMPLETE "haproxy.incomplete"
/* The span of a response that comes after its request was ended without one. */
#define LATE_RESPONSE "late response"

/* @param request  taken out of the store; its spans are freed in each */
void ending_by_response(struct handlers_worker *worker, const struct spoe_message *response,
                        struct store_request *request);
/* @param at_stop  by the shutdown and not by its TTL */
void ending_without_response(struct handlers_worker *worker, struct store_request *request,
                             bool at_stop);

/**
 * Of a worker that waits: hand over what it holds.
 * @return false: there is no room yet, and nothing may be ended
 */
bool ending_held(struct handlers_worker *worker);
/** It does not wait any more: what it holds is lost, and counts as still_open. */
void ending_give_up(struct handlers_worker *worker);

/* Why a request that the sampler passed over is exported after all. */
enum kept_for { KEPT_FOR_NOTHING, KEPT_FOR_ERROR, KEPT_FOR_TIME };

/** Whether any can be. */
bool ending_may_keep(const struct policy *policy);
/** Whether one is. */
enum kept_for ending_kept_for(const struct policy *policy, bool is_error, int64_t duration_ns);
/** Its spans say so, and it is counted. @param client  NULL: there is none */
void ending_mark_kept(struct handlers *h, enum kept_for why, struct span *server,
                      struct span *client);

/* An INTERNAL span, child of SERVER, from the eviction to the response, or to the line. */
void ending_late(struct handlers_worker *worker, const struct spoe_message *msg,
                 struct store_request *request);

/* ---- for log_line.c ---- */

static inline bool ending_is_sampled(const struct store_request *request)
{
    return request->server != NULL && context_is_sampled(&request->server->context);
}
/** A request's ended spans into the queue. @param spans  [borrow] linked, CLIENT first */
void ending_hand_over(struct handlers_worker *worker, struct store_request *request,
                      struct span *spans);
/** Free what is left of a request: what was not handed over is no span. */
void ending_free(struct handlers_worker *worker, struct store_request *request);
/** Count spans of a request that was passed over, made to be kept, and not kept. */
void ending_count_unsampled(struct handlers *h, const struct store_request *request);

#endif
