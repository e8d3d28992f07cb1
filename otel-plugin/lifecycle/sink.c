/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/lifecycle/sink.c - spans into the queue. */
#include "lifecycle/sink.h"

void sink_push(struct sink *sink, struct span *spans)
{
    size_t dropped;

    if (spans == NULL)
        return;
    if (sink->discard) {
        while (spans != NULL) {
            struct span *next = spans->next;

            span_destroy(spans);
            spans = next;
        }
        return;
    }
    dropped = span_queue_push(sink->queue, spans);
    if (dropped > 0)
        count(&sink->counters->dropped, dropped);
}
