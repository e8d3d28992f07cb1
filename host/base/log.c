/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/log.c - builds each line, on the stack of the thread that logs it. log_sink.c takes it
 * to standard error.
 */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_sink.h"
#include "base/text.h"

#define CUT_MARK "..."
#define COMPONENT_MAX 64u

/* Up to PIPE_BUF a write to a pipe is one piece, whole or not at all (POSIX write()). */
_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "lines of several threads do not mix");

/* A reload may change them while other threads log. */
static _Atomic int log_max_level = SPOE_LOG_INFO;
static _Atomic int log_as = LOG_LOGFMT; /* enum log_format */
static _Atomic bool log_priorities;     /* by log_detect_journal() */

/* The line as it grows; `limit` leaves room for what must still follow. */
struct line {
    char text[LOG_LINE_MAX];
    size_t n, limit;
    bool json;
};

void log_init(int level, enum log_format format)
{
    atomic_store_explicit(&log_max_level, level, memory_order_relaxed);
    atomic_store_explicit(&log_as, (int)format, memory_order_relaxed);
}

void log_detect_journal(void)
{
    const char *stream = secure_getenv("JOURNAL_STREAM");
    char own[64]; /* DEVICE:INODE; systemd.exec(5) */
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
        return;
    (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    atomic_store_explicit(&log_priorities, strcmp(stream, own) == 0, memory_order_relaxed);
}

bool log_enabled(int level)
{
    return level <= atomic_load_explicit(&log_max_level, memory_order_relaxed);
}

/* Append the whole piece or nothing. */
static bool add(struct line *line, const char *piece, size_t n)
{
    if (n > line->limit - line->n)
        return false;
    memcpy(line->text + line->n, piece, n);
    line->n += n;
    return true;
}

static void add_str(struct line *line, const char *s)
{
    (void)add(line, s, strlen(s)); /* what does not fit is cut */
}

/* Append text as it stands between quotes; false: it had to be cut. */
static bool add_escaped(struct line *line, struct spoe_span text)
{
    const unsigned char *s = (const unsigned char *)text.p;
    size_t left = text.n;

    while (left > 0) {
        size_t len = text_utf8_len(s, left), n;
        char esc[7];
        bool fits;

        if (len == 0) {
            fits = add(line, TEXT_REPLACEMENT, sizeof TEXT_REPLACEMENT - 1);
            len = 1;
        } else {
            n = text_json_escape(s, len, esc);
            fits = n != 0 ? add(line, esc, n) : add(line, (const char *)s, len);
        }
        if (!fits)
            return false;
        s += len;
        left -= len;
    }
    return true;
}

static void add_digits(struct line *line, unsigned value, unsigned width, const char *after)
{
    char text[10];

    for (unsigned i = width; i-- > 0; value /= 10)
        text[i] = (char)('0' + value % 10);
    (void)add(line, text, width);
    add_str(line, after);
}

/* RFC 3339 in UTC. By hand, since a crash logs as well, where the C library's functions may hold a
 * lock. The day is counted from 0000-03-01, so that a leap day is the last of its year. */
static void add_time(struct line *line)
{
    const int64_t now_ms = clock_unix_ns() / NS_PER_MS;
    const unsigned ms = (unsigned)(now_ms % 86400000),
                   days = (unsigned)(now_ms / 86400000) + 719468;
    const unsigned era = days / 146097, day_of_era = days % 146097;
    const unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned month = (5 * day_of_year + 2) / 153; /* 0 is March */

    add_digits(line, era * 400 + year_of_era + (month >= 10), 4, "-");
    add_digits(line, month < 10 ? month + 3 : month - 9, 2, "-");
    add_digits(line, day_of_year - (153 * month + 2) / 5 + 1, 2, "T");
    add_digits(line, ms / 3600000, 2, ":");
    add_digits(line, ms / 60000 % 60, 2, ":");
    add_digits(line, ms / 1000 % 60, 2, ".");
    add_digits(line, ms % 1000, 3, "Z");
}

static const char *level_name(int level)
{
    switch (level) {
    case SPOE_LOG_WARNING:
        return "warning";
    case SPOE_LOG_NOTICE:
        return "notice";
    case SPOE_LOG_INFO:
        return "info";
    default:
        return level > SPOE_LOG_INFO ? "debug" : "error";
    }
}

/* The component; logfmt wants quotes only around what is no plain word. */
static void add_component(struct line *line, const char *component)
{
    struct spoe_span name = {component, strnlen(component, COMPONENT_MAX)};
    bool quoted = line->json || name.n == 0;

    for (size_t i = 0; i < name.n; i++)
        quoted |= name.p[i] <= ' ' || name.p[i] > '~' || strchr("=\"\\", name.p[i]) != NULL;
    add_str(line, quoted ? "\"" : "");
    (void)add_escaped(line, name); /* COMPONENT_MAX fits, however it is escaped */
    add_str(line, quoted ? "\"" : "");
}

/* As syslog counts, and so do SPOE_LOG_*. What no priority fits is debug, as its name is. */
static void add_priority(struct line *line, int level)
{
    const int priority = level < SPOE_LOG_ERR     ? SPOE_LOG_ERR
                         : level > SPOE_LOG_DEBUG ? SPOE_LOG_DEBUG
                                                  : level;
    const char text[] = {'<', (char)('0' + priority), '>', '\0'};

    add_str(line, text);
}

static void build(struct line *line, int level, const char *component, uint64_t held,
                  struct spoe_span text)
{
    const bool json = atomic_load_explicit(&log_as, memory_order_relaxed) == LOG_JSON;
    const char *const tail = json ? "\"}\n" : "\"\n";
    char count[32];

    line->n = 0;
    line->json = json;
    line->limit = sizeof line->text - strlen(tail) - strlen(CUT_MARK);
    if (atomic_load_explicit(&log_priorities, memory_order_relaxed))
        add_priority(line, level);
    add_str(line, json ? "{\"time\":\"" : "time=");
    add_time(line);
    add_str(line, json ? "\",\"level\":\"" : " level=");
    add_str(line, level_name(level));
    add_str(line, json ? "\",\"component\":" : " component=");
    add_component(line, component);
    if (held > 0) {
        (void)snprintf(count, sizeof count, json ? ",\"held\":%ju" : " held=%ju", (uintmax_t)held);
        add_str(line, count);
    }
    add_str(line, json ? ",\"msg\":\"" : " msg=\"");
    if (!add_escaped(line, text)) {
        line->limit += strlen(CUT_MARK);
        add_str(line, CUT_MARK);
    }
    line->limit = sizeof line->text;
    add_str(line, tail);
}

static void emit(int level, const char *component, uint64_t held, struct spoe_span text)
{
    const int saved_errno = errno;
    struct line line;

    build(&line, level, component, held, text);
    log_sink_put(line.text, line.n, true);
    errno = saved_errno;
}

void log_crash(struct spoe_span text)
{
    struct line line;

    build(&line, SPOE_LOG_ERR, "host", 0, text);
    log_sink_crash(line.text, line.n);
}

void log_leave(int level, const char *component, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    struct line line;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n > 0) {
        build(&line, level, component, 0,
              (struct spoe_span){text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1});
        log_sink_put(line.text, line.n, false);
    }
    (void)log_sink_flush(clock_mono_ns() + LOG_LEAVE_NS);
}

static void emit_format(int level, const char *component, uint64_t held, const char *format,
                        va_list ap) __attribute__((format(printf, 4, 0)));
static void emit_format(int level, const char *component, uint64_t held, const char *format,
                        va_list ap)
{
    char text[LOG_LINE_MAX]; /* what does not fit here does not fit in the line either */
    int n = vsnprintf(text, sizeof text, format, ap);

    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof text)
        n = (int)sizeof text - 1;
    emit(level, component, held, (struct spoe_span){text, (size_t)n});
}

void log_line(int level, const char *component, const char *format, ...)
{
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, format);
    emit_format(level, component, 0, format, ap);
    va_end(ap);
}

void log_span(int level, const char *component, struct spoe_span text)
{
    if (log_enabled(level))
        emit(level, component, 0, text);
}

void log_limited(struct log_limit *limit, int level, const char *component, const char *format, ...)
{
    int64_t now, next;
    va_list ap;

    if (!log_enabled(level))
        return;
    now = clock_mono_ns();
    next = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);
    /* Whoever moves the time on writes; a thread that loses that race is within the second. */
    if (now < next || !atomic_compare_exchange_strong(&limit->next_ns, &next, now + NS_PER_S)) {
        atomic_fetch_add_explicit(&limit->held, 1, memory_order_relaxed);
        return;
    }
    va_start(ap, format);
    emit_format(level, component, atomic_exchange(&limit->held, 0), format, ap);
    va_end(ap);
}
