/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/mark.h - what a request message tells the request's line of the log, by way of
 * HAProxy's variable `mark`: which process of the agent opened the request, and what of its SERVER
 * span no other variable keeps until then.
 *
 *   PROCESS-SERVER-DUE[-PARENT]      16 digits each, DUE 8
 *
 * PROCESS is random, and zero where no process keeps spans for the line (argument `log_line`,
 * "any"). DUE is when that process ends the request without its line, in seconds since 1970. A
 * request that opened nothing has no mark.
 */
#ifndef OTEL_INPUT_MARK_H
#define OTEL_INPUT_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "base/hex.h"

#define MARK_PROCESS 8u /* bytes */
#define MARK_LEN_MAX 59u

struct mark {
    uint8_t process[MARK_PROCESS], server_id[8], parent_id[8];
    uint32_t due_s;
    bool has_parent;
};

/** @return its length */
size_t mark_write(const struct mark *mark, char ret[MARK_LEN_MAX]);
/** @return false: it is none */
bool mark_read(const struct spoe_value *value, struct mark *ret);

/** Whether a process keeps spans for the line. */
static inline bool mark_has_process(const struct mark *mark)
{
    return !hex_is_zero(mark->process, sizeof mark->process);
}

#endif
