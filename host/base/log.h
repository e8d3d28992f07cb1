/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/log.h - the host's log: one line per event on standard error, as logfmt or JSON, each
 * with time (UTC, RFC 3339, ms), level and component. A line is one write(2), so that threads do
 * not mix. Control characters and quotes in values are escaped, invalid UTF-8 is replaced.
 *
 * A line is dropped and counted rather than waited for, once log_start() has said so (log_sink.h).
 */
#ifndef HOST_BASE_LOG_H
#define HOST_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <spoe/plugin.h>

enum log_format { LOG_LOGFMT = 0, LOG_JSON = 1 };

#define LOG_LINE_MAX 4096u /* a longer line is cut */

/** Set level (SPOE_LOG_*) and format, from the next line on. [any] */
void log_init(int level, enum log_format format);

/**
 * Begin each line with its priority, "<4>" for a warning, if standard error goes to systemd's
 * journal, which takes it off again (sd-daemon(3)): if $JOURNAL_STREAM names that very file. [main]
 */
void log_detect_journal(void);

/**
 * Start the thread that writes. [main]
 * @param wait  whoever logs waits until the line is written, as commands do; false: nobody waits
 * @return 0, or an errno
 */
int log_start(bool wait);
/** Change that. [main] */
void log_waits(bool wait);
/** End the thread, once all is written or the deadline has come. Later lines are written at once.
 */
void log_stop(int64_t deadline_mono_ns);
/** Lines that could not be written, so far. [any] */
uint64_t log_dropped(void);

#define LOG_LEAVE_NS INT64_C(200000000)
/** A last line before _exit(): whatever standard error is, it takes LOG_LEAVE_NS at most. [any] */
void log_leave(int level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** The line of a crash handler, at once; async-signal-safe. */
void log_crash(struct spoe_span text);

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
