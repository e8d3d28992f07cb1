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

/**
 * Count a request. Does nothing where there is no meter.
 * @param told_end  its termination state is known
 * Threads: the worker's
 */
void metering_record(struct handlers_worker *worker, const struct policy *policy,
                     const struct record *record, bool told_end);

#endif
