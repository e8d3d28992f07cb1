/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/metric_wire.h - the series of a meter as OTLP's bytes, into the queue of
 * metrics: a Metric for each instrument, with all its data points.
 *
 * Histograms have explicit bounds and exemplars, counters are monotonic sums. Cumulative points
 * begin with the meter. Delta points begin where those before ended, and what has not changed is
 * left out; what was handed over once is not in a later one, whatever became of it.
 */
#ifndef OTEL_OTLP_METRIC_WIRE_H
#define OTEL_OTLP_METRIC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meter/meter.h"
#include "otlp/queue.h"

struct metric_encoder; /* one thread at a time */

/**
 * @param meter        [borrow] outlives it
 * @param writer       [borrow] of the queue of metrics
 * @param element_max  bytes of the points of one Metric, about; the rest follows in another
 * @return [own] NULL: out of memory
 */
struct metric_encoder *metric_encoder_create(struct meter *meter, struct span_writer *writer,
                                             bool delta, size_t element_max);
void metric_encoder_destroy(struct metric_encoder *encoder); /* takes NULL */

/**
 * Hand over what the series are at a moment. What finds no room or memory is counted by the queue,
 * but for want of memory here, in which case the rest of an instrument is left out.
 * @return 0; -1: out of memory
 */
int metric_encoder_put(struct metric_encoder *encoder, int64_t now_unix_ns);

#endif
