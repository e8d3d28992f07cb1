/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/lifecycle/sink.c - spans into the queue. */
#include "lifecycle/sink.h"

#include <inttypes.h>

#include <spoe/util.h>

void sink_push(struct sink *sink, struct span *spans)
{
    uint64_t lost;
    size_t dropped;

    if (spans == NULL)
        return;
    dropped = span_queue_push(sink->queue, spans);
    if (dropped == 0)
        return;
    count(&sink->counters->dropped, dropped);
    if (warn_limit_pass(&sink->_warn, sink->host->now_mono_ns(), dropped, &lost))
        spoe_logf(sink->host, sink->self, SPOE_LOG_WARNING,
                  "%" PRIu64
                  " spans dropped: span-queue-max is reached, the collector does not keep "
                  "up or is away",
                  lost);
}
