/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/losses.h - the text of the one line that says what was lost, how often and for
 * which reasons.
 */
#ifndef OTEL_SEND_LOSSES_H
#define OTEL_SEND_LOSSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "send/exporter.h"

#define LOSSES_TEXT_MAX 768u

/* X(name): counters.h has them; messages whose request is not traced, as it cannot be told which.
 */
#define LOSSES_IGNORED(X)                                                                          \
    X(missing_id)                                                                                  \
    X(long_id)                                                                                     \
    X(duplicate_id)

struct losses {
    struct exporter_losses spans;
    struct {
#define X(name) uint64_t name;
        LOSSES_IGNORED(X)
#undef X
    } ignored;
};

/**
 * Write what has grown: "spans lost: 15 queue_full, 512 not_retryable; messages ignored: 3
 * missing_id", or one half of it.
 * @return false: nothing has grown, ret is empty
 */
bool losses_format(const struct losses *before, const struct losses *now,
                   char ret[LOSSES_TEXT_MAX]);

#endif
