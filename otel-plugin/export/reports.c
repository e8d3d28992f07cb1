/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/export/reports.c - what the log says about the export. */
#include "export/reports.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "export/exporter_state.h"
#include "export/losses.h"

/* Count one for a line; true if it is time to write it, *ret_n is then how many were counted. */
static bool report_due(struct exporter *ex, struct report *report, uint64_t *ret_n)
{
    const int64_t at = exporter_now(ex);
    bool due;

    exporter_lock(ex);
    report->pending++;
    due = at >= report->next_ns;
    if (due) {
        report->next_ns = at + REPORT_EVERY_NS;
        *ret_n = report->pending;
        report->pending = 0;
    }
    exporter_unlock(ex);
    return due;
}

void reports_failure(struct exporter *ex, const char *text, int64_t wait_ns)
{
    struct span_queue_stats stats;
    char more[64] = "";
    uint64_t n;

    exporter_lock(ex);
    ex->failing = true;
    exporter_unlock(ex);
    if (!report_due(ex, &ex->failures, &n))
        return;
    span_queue_get_stats(ex->queue, &stats);
    if (n > 1)
        (void)snprintf(more, sizeof more, " (%" PRIu64 " failures since the last such line)", n);
    LOG(ex, SPOE_LOG_WARNING, "export to %s failed: %s; %zu spans wait, next try in %.1f s%s",
        ex->target, text, stats.waiting + stats.in_flight, (double)wait_ns / (double)NS_PER_S,
        more);
}

void reports_success(struct exporter *ex)
{
    bool news;

    exporter_lock(ex);
    news = ex->failing;
    ex->failing = false;
    exporter_unlock(ex);
    if (news)
        LOG(ex, SPOE_LOG_NOTICE, "export to %s works again", ex->target);
}

void reports_warning(struct exporter *ex, const char *text)
{
    uint64_t n;

    if (report_due(ex, &ex->warnings, &n))
        LOG(ex, SPOE_LOG_WARNING, "the collector took all spans but warns: %s", text);
}

/* The one line about losses: what was lost since the last one, at once or when its time has come.
 */
void reports_losses(struct exporter *ex, bool at_once)
{
    const int64_t at = exporter_now(ex);
    char text[LOSSES_TEXT_MAX], last[sizeof ex->losses_text];
    struct exporter_losses losses;
    bool due;

    exporter_get_losses(ex, &losses);
    exporter_lock(ex);
    due = (at_once || at >= ex->losses_next_ns) && losses_format(&ex->losses_told, &losses, text);
    if (due) {
        ex->losses_next_ns = at + REPORT_EVERY_NS;
        ex->losses_told = losses;
        memcpy(last, ex->losses_text, sizeof last);
        ex->losses_text[0] = '\0';
    }
    exporter_unlock(ex);
    if (due)
        LOG(ex, SPOE_LOG_WARNING, "spans lost: %s%s%s", text, last[0] != '\0' ? "; " : "", last);
}

/* Count spans as lost, and keep what the collector says about it for the line. */
void reports_lose(struct exporter *ex, uint64_t *counter, uint64_t n, const char *text)
{
    exporter_lock(ex);
    *counter += n;
    if (text[0] != '\0')
        (void)snprintf(ex->losses_text, sizeof ex->losses_text, "%s", text);
    exporter_unlock(ex);
    reports_losses(ex, false);
}
