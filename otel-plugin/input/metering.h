/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/metering.h - a finished request is counted: its record becomes sets of
 * attributes for the meter, which holds what is of HAProxy's configuration or of a closed set and
 * nothing that a client can choose.
 *
 * It is called where a record is finished, once for each request and before anybody asks whether it
 * is sampled; requests of excluded paths never get there.
 */
#ifndef OTEL_INPUT_METERING_H
#define OTEL_INPUT_METERING_H

#include "input/handlers.h"
#include "record/record.h"

/** What a request's numbers need of its message. */
struct store_begun metering_begin(struct handlers_worker *worker, const struct policy *policy,
                                  const struct spoe_message *request);
/**
 * Count a request that messages told of. One without a response is not: nothing is known of its
 * end.
 * @param request  [borrow] with its spans, if it has some, which are complete
 */
void metering_response(struct handlers_worker *worker, const struct store_request *request,
                       const struct spoe_message *response, int64_t end_unix_ns);

/**
 * Count a request that is known whole. Does nothing where there is no meter.
 * @param told  [borrow] what messages told of it, for what its record does not know; NULL: none
 * came Threads: the worker's
 */
void metering_record(struct handlers_worker *worker, const struct policy *policy,
                     const struct record *record, const struct store_begun *told);

#endif
