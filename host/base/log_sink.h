/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/log_sink.h - takes the log's lines to standard error. Used by log.c only.
 *
 * Standard error may be a pipe that nobody reads, and must then hold up nobody. O_NONBLOCK would be
 * the parent's as well, which shares the description; poll() and then write() may still block where
 * another process writes in between. So a thread of its own writes, and only it is ever held up:
 * lines wait in a buffer of LOG_BUFFER_BYTES, and what does not fit is dropped and counted.
 *
 * Without that thread (before log_start(), in tests) a line is written at once, by who logs it.
 */
#ifndef HOST_BASE_LOG_SINK_H
#define HOST_BASE_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_BUFFER_BYTES ((size_t)256 * 1024)

/** Take a whole line with its end. @param may_wait  false: never, whatever log_start() said. [any]
 */
void log_sink_put(const char *line, size_t n, bool may_wait);
/** Wait until all that was put is written. [any] @return false: the deadline came first */
bool log_sink_flush(int64_t deadline_mono_ns);
/** Write what waits, then this, as far as it is taken at once. Async-signal-safe. */
void log_sink_crash(const char *line, size_t n);

#endif
