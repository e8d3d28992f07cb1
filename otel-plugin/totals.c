/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/totals.c - see totals.h. */
#include "totals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <spoe/util.h>

#include "otlp/signals.h"

void totals_log(const struct totals *to, struct counters *counters,
                const struct exporter_stats *stats)
{
    char text[2048] = "totals:"; /* longer than spoe_logf() writes */
    size_t n = strlen(text);
    const struct {
        const char *name;
        uint64_t value;
    } totals[] = {
#define X(name) {#name, COUNTED(counters, name)},
        OTEL_COUNTERS(X)
#undef X
            {"exported", stats->exported},
        {"rejected", stats->rejected},
        {"given_up", stats->given_up},
        {"not_retryable", stats->not_retryable},
        {"too_large", stats->too_large},
        {"no_memory_at_export", stats->no_memory},
        {"lost_at_stop", stats->shutdown},
        {"batches", stats->batches},
        {"retries", stats->retries},
        {"exports", stats->exports},
        {"warnings", stats->warnings},
        {"attributes_dropped", stats->attributes_dropped},
        {"events_dropped", stats->events_dropped},
    };

    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        const int more =
            snprintf(text + n, sizeof text - n, " %s=%" PRIu64, totals[i].name, totals[i].value);

        if (more < 0 || (size_t)more >= sizeof text - n)
            break;
        n += (size_t)more;
    }
    if (to->host->log_enabled(to->self, SPOE_LOG_INFO))
        to->host->log(to->self, NULL, SPOE_LOG_INFO, (struct spoe_span){text, n});
}

void totals_log_signal(const struct totals *to, enum otlp_signal signal,
                       const struct exporter_stats *stats, struct span_queue *from)
{
    struct span_queue_stats queue;

    if (from == NULL)
        return;
    span_queue_get_stats(from, &queue);
    spoe_logf(
        to->host, to->self, SPOE_LOG_INFO,
        "totals of %s: made=%" PRIu64 " exported=%" PRIu64 " rejected=%" PRIu64 " given_up=%" PRIu64
        " not_retryable=%" PRIu64 " unsupported=%" PRIu64 " too_large=%" PRIu64
        " no_memory=%" PRIu64 " lost_at_stop=%" PRIu64 " dropped=%" PRIu64 " batches=%" PRIu64
        " retries=%" PRIu64,
        signal_names(signal)->name, queue.pushed + queue.dropped + queue.refused + queue.no_memory,
        stats->exported, stats->rejected, stats->given_up, stats->not_retryable,
        stats->unsupported + queue.refused, stats->too_large, stats->no_memory + queue.no_memory,
        stats->shutdown, queue.dropped, stats->batches, stats->retries);
}
