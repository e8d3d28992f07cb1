/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/export/reports.h - what the log says about the export. */
#ifndef OTEL_EXPORT_REPORTS_H
#define OTEL_EXPORT_REPORTS_H

#include <stdbool.h>
#include <stdint.h>

struct exporter;

/** An attempt failed that is to be repeated. */
void reports_failure(struct exporter *exporter, const char *text, int64_t wait_ns);
void reports_success(struct exporter *exporter);

/** The collector took all, but says something. */
void reports_warning(struct exporter *exporter, const char *text);

/** The one line about losses: what was lost since the last one, at once or when its time has come.
 */
void reports_losses(struct exporter *exporter, bool at_once);

/** Count spans as lost, and keep what the collector says about it for the line. */
void reports_lose(struct exporter *exporter, uint64_t *counter, uint64_t n, const char *text);

#endif
