/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/sink.c - spans into the queue. */
#include "input/sink.h"

/* @return false: they can come again */
static bool hand_over(struct sink *sink, struct span_writer *writer, const struct span *spans,
                      bool can_wait)
{
    size_t dropped;

    if (sink->discard) {
        for (const struct span *span = spans; span != NULL; span = span->next)
            count(&sink->counters->discarded, 1);
        return true;
    }
    switch (can_wait ? span_queue_offer(writer, spans, &dropped)
                     : span_queue_push(writer, spans, &dropped)) {
    case SPAN_QUEUE_OK:
        break;
    case SPAN_QUEUE_FULL:
        count(&sink->counters->dropped, dropped);
        break;
    case SPAN_QUEUE_NOMEM:
        count(&sink->counters->queue_no_memory, dropped);
        break;
    case SPAN_QUEUE_WAIT:
        return false;
    }
    return true;
}

void sink_push(struct sink *sink, struct span_writer *writer, const struct span *spans)
{
    (void)hand_over(sink, writer, spans, false);
}

bool sink_offer(struct sink *sink, struct span_writer *writer, const struct span *spans)
{
    return hand_over(sink, writer, spans, true);
}
