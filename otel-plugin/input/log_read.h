/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/log_read.h - the keys of a line of HAProxy's log as a record (record/record.h),
 * and what spans need beside it.
 *
 * Source of what the timers mean: HAProxy's configuration manual, 8.4.
 */
#ifndef OTEL_INPUT_LOG_READ_H
#define OTEL_INPUT_LOG_READ_H

#include <stdbool.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "context/ids.h"
#include "context/trace_context.h"
#include "record/record.h"

struct log_line {
    const struct spoe_message *msg; /* [borrow] */
    struct record record;
    struct spoe_value path, query; /* type NULL: none */
    bool timed;                    /* it tells when the request began and ended */

    /* log_read_context()'s */
    struct trace_context server, client;
    uint8_t parent_id[8];
    bool has_parent;
};

/** All of the record but the context. @param msg  [borrow] MESSAGE_LOG */
void log_read(const struct spoe_message *msg, struct log_line *ret);

/**
 * The context, which is HAProxy's: `tp`, `sid`, `cid` and `in`; or, beside SPOE, the agent's: `tp`
 * and `mark`. An id that is not told is new.
 * @return false: there is none
 */
bool log_read_context(struct log_line *line, struct id_source *ids);
/** The context of a request that is known; CLIENT's id is new. @param server  SERVER's */
void log_take_context(struct log_line *line, const struct trace_context *server,
                      struct id_source *ids);

/** Whether the line tells of a request, and not of what was none (400, 408): it has a method. */
bool log_is_request(const struct log_line *line);

#endif
