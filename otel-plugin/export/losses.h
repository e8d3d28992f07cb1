/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/losses.h - the text of the one line that says how many spans were lost, and
 * for which reasons.
 */
#ifndef OTEL_EXPORT_LOSSES_H
#define OTEL_EXPORT_LOSSES_H

#include <stdbool.h>
#include <stddef.h>

#include "export/exporter.h"

#define LOSSES_TEXT_MAX 512u

/**
 * Write what has grown, "512 not_retryable, 15 queue_full".
 * @return false: nothing has grown, ret is empty
 */
bool losses_format(const struct exporter_losses *before, const struct exporter_losses *now,
                   char ret[LOSSES_TEXT_MAX]);

#endif
