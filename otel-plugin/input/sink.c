/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/sink.c - spans into the queue. */
#include "input/sink.h"

void sink_push(struct sink *sink, struct span_writer *writer, const struct span *spans)
{
    size_t dropped;

    if (sink->discard) {
        for (const struct span *span = spans; span != NULL; span = span->next)
            count(&sink->counters->discarded, 1);
        return;
    }
    switch (span_queue_push(writer, spans, &dropped)) {
    case SPAN_QUEUE_OK:
        break;
    case SPAN_QUEUE_FULL:
        count(&sink->counters->dropped, dropped);
        break;
    case SPAN_QUEUE_NOMEM:
        count(&sink->counters->queue_no_memory, dropped);
        break;
    }
}
