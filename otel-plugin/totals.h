/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/totals.h - what the log says at the end: one line of name=value for each signal. */
#ifndef OTEL_TOTALS_H
#define OTEL_TOTALS_H

#include <spoe/plugin.h>

#include "base/counters.h"
#include "otlp/queue.h"
#include "send/exporter.h"

/* Where the lines go. */
struct totals {
    const struct spoe_host *host;
    struct spoe_instance *self;
};

/** Every counter of messages and spans that there is. */
void totals_log(const struct totals *to, struct counters *counters,
                const struct exporter_stats *stats);
/** Of another signal than traces. @param from  NULL: it is not exported, and nothing is said */
void totals_log_signal(const struct totals *to, enum otlp_signal signal,
                       const struct exporter_stats *stats, struct span_queue *from);

#endif
