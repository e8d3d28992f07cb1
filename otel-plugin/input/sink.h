/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/sink.h - where ended spans go: into the queue, with what does not fit
 * counted. The export thread, which sees all drops, writes the warning.
 */
#ifndef OTEL_INPUT_SINK_H
#define OTEL_INPUT_SINK_H

#include <stdbool.h>

#include "base/counters.h"
#include "otlp/queue.h"

struct sink {
    struct span_queue *queue;
    struct counters *counters;
    bool discard; /* nobody exports them */
};

/**
 * A request's ended spans.
 * @param writer  the calling thread's
 * @param spans   [borrow] linked by `next`, at least one
 * Threads: [any]
 */
void sink_push(struct sink *sink, struct span_writer *writer, const struct span *spans);
/** The same for whoever can wait. @return false: the queue has no room now, but it will */
bool sink_offer(struct sink *sink, struct span_writer *writer, const struct span *spans);

#endif
