/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/log.h - the host's log: one line per event on standard error, as logfmt or JSON, each
 * with time (UTC, RFC 3339, ms), level and component. A line is one write(2), so that threads do
 * not mix. Control characters and quotes in values are escaped, invalid UTF-8 is replaced.
 */
#ifndef HOST_BASE_LOG_H
#define HOST_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <spoe/plugin.h>

enum log_format { LOG_LOGFMT = 0, LOG_JSON = 1 };

#define LOG_LINE_MAX 4096u /* a longer line is cut */

/** Set level (SPOE_LOG_*) and format. Threads: before any other thread runs. */
void log_init(int level, enum log_format format);

/** Whether a line of this level is written. [any] */
bool log_enabled(int level);

/** Write `msg` for a component ("host", or a plugin's id). [any] */
void log_line(int level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_span(int level, const char *component, struct spoe_span text);

/*
 * A line that may repeat: at most one per second and place; the next one that is written says how
 * many were held back, under the key `held`. Zero-initialised. [any]
 */
struct log_limit {
    _Atomic int64_t next_ns;
    _Atomic uint64_t held;
};
void log_limited(struct log_limit *limit, int level, const char *component, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
