/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_log.c - the host's log, as it arrives on standard error.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <spoe/util.h>

#include "base/log.h"
#include "capture.h"

#define TIME_LEN (sizeof "2026-11-24T22:07:36.123Z" - 1)

static char got[65536];

/* Whether text is a time as the log writes it, within an hour of the clock. */
static bool is_now(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    time_t at;

    if (rest == NULL || rest != text + TIME_LEN - strlen(".123Z") || rest[0] != '.' ||
        strspn(rest + 1, "0123456789") != 3 || rest[4] != 'Z')
        return false;
    at = timegm(&tm);
    return at >= time(NULL) - 3600 && at <= time(NULL) + 3600;
}

/* The line after its time; aborts the test where the line does not begin as it should. */
static const char *after_time(const char *line, const char *before)
{
    size_t n = strlen(before);

    cr_assert(strncmp(line, before, n) == 0, "got %s", line);
    cr_assert(is_now(line + n), "got %s", line);
    return line + n + TIME_LEN;
}

static const char *log_one(enum log_format format, int level, const char *component,
                           struct spoe_span text)
{
    struct capture cap;

    log_init(SPOE_LOG_DEBUG, format);
    capture_begin(&cap);
    log_span(level, component, text);
    (void)capture_end(&cap, got, sizeof got);
    return after_time(got, format == LOG_JSON ? "{\"time\":\"" : "time=");
}

Test(log, logfmt_line, .timeout = 60)
{
    const char *rest = log_one(LOG_LOGFMT, SPOE_LOG_INFO, "host", spoe_str("listening on :12345"));

    cr_expect_str_eq(rest, " level=info component=host msg=\"listening on :12345\"\n");
}

Test(log, json_line, .timeout = 60)
{
    const char *rest = log_one(LOG_JSON, SPOE_LOG_WARNING, "otel", spoe_str("collector is down"));

    cr_expect_str_eq(rest, "\",\"level\":\"warning\",\"component\":\"otel\","
                           "\"msg\":\"collector is down\"}\n");
}

Test(log, formats_its_arguments, .timeout = 60)
{
    struct capture cap;

    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    log_line(SPOE_LOG_ERR, "host", "%s: %d of %zu", "x", -3, (size_t)7);
    (void)capture_end(&cap, got, sizeof got);
    cr_expect_str_eq(after_time(got, "time="), " level=error component=host msg=\"x: -3 of 7\"\n");
}

Test(log, each_level_has_its_name_and_is_filtered, .timeout = 120)
{
    static const struct {
        int level;
        const char *name;
    } levels[] = {{SPOE_LOG_ERR, "level=error"},
                  {SPOE_LOG_WARNING, "level=warning"},
                  {SPOE_LOG_NOTICE, "level=notice"},
                  {SPOE_LOG_INFO, "level=info"},
                  {SPOE_LOG_DEBUG, "level=debug"}};
    const size_t n_levels = sizeof levels / sizeof levels[0];

    for (size_t max = 0; max < n_levels; max++) {
        log_init(levels[max].level, LOG_LOGFMT);
        for (size_t i = 0; i < n_levels; i++) {
            struct log_limit limit = {0};
            struct capture cap;

            cr_expect_eq(log_enabled(levels[i].level), i <= max);
            capture_begin(&cap);
            log_line(levels[i].level, "host", "one");
            log_span(levels[i].level, "host", spoe_str("two"));
            log_limited(&limit, levels[i].level, "host", "three");
            (void)capture_end(&cap, got, sizeof got);
            if (i <= max)
                cr_expect(strstr(got, levels[i].name) != NULL && strstr(got, "\"one\"") != NULL &&
                              strstr(got, "\"two\"") != NULL && strstr(got, "\"three\"") != NULL,
                          "%s below %s: got %s", levels[i].name, levels[max].name, got);
            else
                cr_expect_str_eq(got, "", "%s above %s", levels[i].name, levels[max].name);
        }
    }
}

#define FFFD "\xef\xbf\xbd"
#define BYTES(s) s, sizeof(s) - 1

Test(log, escapes_what_would_break_a_line, .timeout = 120)
{
    static const struct {
        struct spoe_span text;
        const char *want;
    } rows[] = {
        {{BYTES("")}, ""},
        {{NULL, 0}, ""},
        {{BYTES("say \"hi\" \\o/")}, "say \\\"hi\\\" \\\\o/"},
        {{BYTES("a\nb\rc\td")}, "a\\nb\\rc\\td"},
        {{BYTES("\0\x01\x1b[31m\x1f\x7f")}, "\\u0000\\u0001\\u001b[31m\\u001f\\u007f"},
        {{BYTES("\xc2\x80\xc2\x9f\xc2\xa0")}, "\\u0080\\u009f\xc2\xa0"}, /* C1 controls */
        /* well-formed: the first and last of each length */
        {{BYTES("\xc3\xa9 \xdf\xbf")}, "\xc3\xa9 \xdf\xbf"},
        {{BYTES("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf")},
         "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"},
        {{BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")}, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        /* ill-formed: one replacement for each byte */
        {{BYTES("a\xff\x80z")}, "a" FFFD FFFD "z"},
        {{BYTES("\xc0\x80")}, FFFD FFFD},          /* overlong NUL */
        {{BYTES("\xe0\x9f\xbf")}, FFFD FFFD FFFD}, /* overlong */
        {{BYTES("\xed\xa0\x80")}, FFFD FFFD FFFD}, /* surrogate */
        {{BYTES("\xf0\x8f\xbf\xbf")}, FFFD FFFD FFFD FFFD},
        {{BYTES("\xf4\x90\x80\x80")}, FFFD FFFD FFFD FFFD},
        {{BYTES("\xf5\x80")}, FFFD FFFD},
        {{BYTES("\xc3")}, FFFD}, /* cut short at the end of the text */
        {{BYTES("\xe2\x82")}, FFFD FFFD},
        {{BYTES("\xf0\x9f\x98")}, FFFD FFFD FFFD},
        {{BYTES("\xc3\"")}, FFFD "\\\""}, /* a quote does not hide behind a first byte */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
            const char *rest =
                log_one((enum log_format)format, SPOE_LOG_INFO, "host", rows[i].text);
            char want[256];

            (void)snprintf(want, sizeof want,
                           format == LOG_JSON
                               ? "\",\"level\":\"info\",\"component\":\"host\",\"msg\":\"%s\"}\n"
                               : " level=info component=host msg=\"%s\"\n",
                           rows[i].want);
            cr_expect_str_eq(rest, want, "row %zu: got %s want %s", i, rest, want);
        }
    }
}

Test(log, quotes_a_component_that_is_no_word, .timeout = 60)
{
    cr_expect_str_eq(log_one(LOG_LOGFMT, SPOE_LOG_INFO, "a b=\"c\"", spoe_str("x")),
                     " level=info component=\"a b=\\\"c\\\"\" msg=\"x\"\n");
    cr_expect_str_eq(log_one(LOG_LOGFMT, SPOE_LOG_INFO, "", spoe_str("x")),
                     " level=info component=\"\" msg=\"x\"\n");
    cr_expect_str_eq(log_one(LOG_LOGFMT, SPOE_LOG_INFO, "otel-2", spoe_str("x")),
                     " level=info component=otel-2 msg=\"x\"\n");
}

/* However long the text is, and wherever in a character or an escape the cut falls. */
Test(log, cuts_at_the_longest_line, .timeout = 300)
{
    static const char *const pieces[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\"", "\x01", "\xff"};
    static char text[2 * LOG_LINE_MAX];

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        for (size_t shift = 0; shift < 6; shift++) {
            size_t n = shift, step = strlen(pieces[i]);
            const char *rest;

            memset(text, 'y', shift);
            for (; n + step <= sizeof text; n += step)
                memcpy(text + n, pieces[i], step);
            rest = log_one(LOG_JSON, SPOE_LOG_INFO, "host", (struct spoe_span){text, n});
            cr_expect_leq(strlen(got), (size_t)LOG_LINE_MAX);
            cr_expect_geq(strlen(got), (size_t)LOG_LINE_MAX - 6, "got %zu", strlen(got));
            cr_expect(strstr(rest, "...\"}\n") != NULL, "piece %zu shift %zu", i, shift);
            cr_expect_eq(strchr(got, '\n'), got + strlen(got) - 1, "one line");
        }
    }
}

Test(log, longest_text_that_fits_is_whole, .timeout = 60)
{
    static char text[LOG_LINE_MAX];
    const size_t frame = strlen("time= level=info component=host msg=\"\"\n") + TIME_LEN;
    const size_t mark = 3; /* kept for "..." */
    const size_t fits = LOG_LINE_MAX - frame - mark;
    const char *rest;

    memset(text, 'x', sizeof text);
    rest = log_one(LOG_LOGFMT, SPOE_LOG_INFO, "host", (struct spoe_span){text, fits});
    cr_expect_null(strstr(rest, "..."));
    cr_expect_eq(strlen(got), LOG_LINE_MAX - mark);
    rest = log_one(LOG_LOGFMT, SPOE_LOG_INFO, "host", (struct spoe_span){text, fits + 1});
    cr_expect_not_null(strstr(rest, "x...\"\n"));
    cr_expect_eq(strlen(got), (size_t)LOG_LINE_MAX);
}

Test(log, formatted_text_is_cut_too, .timeout = 60)
{
    static char text[2 * LOG_LINE_MAX];
    struct capture cap;

    memset(text, 'x', sizeof text - 1);
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    log_line(SPOE_LOG_INFO, "host", "%s", text);
    cr_expect_eq(capture_end(&cap, got, sizeof got), (size_t)LOG_LINE_MAX);
    cr_expect_str_eq(got + LOG_LINE_MAX - 6, "x...\"\n");
}

Test(log, limited_holds_back_and_counts, .timeout = 60)
{
    struct log_limit limit = {0};
    struct capture cap;
    const char *rest;

    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    log_limited(&limit, SPOE_LOG_WARNING, "host", "line %d", 1);
    limit.next_ns = INT64_MAX; /* the second does not end while we look */
    for (int i = 2; i <= 6; i++)
        log_limited(&limit, SPOE_LOG_WARNING, "host", "line %d", i);
    limit.next_ns = 0; /* and now it has */
    log_limited(&limit, SPOE_LOG_WARNING, "host", "line %d", 7);
    limit.next_ns = 0;
    log_limited(&limit, SPOE_LOG_WARNING, "host", "line %d", 8);
    (void)capture_end(&cap, got, sizeof got);

    rest = after_time(got, "time=");
    cr_expect(spoe_span_is((struct spoe_span){rest, strcspn(rest, "\n")},
                           " level=warning component=host msg=\"line 1\""));
    rest = after_time(strchr(rest, '\n') + 1, "time=");
    cr_expect(spoe_span_is((struct spoe_span){rest, strcspn(rest, "\n")},
                           " level=warning component=host held=5 msg=\"line 7\""));
    rest = after_time(strchr(rest, '\n') + 1, "time=");
    cr_expect_str_eq(rest, " level=warning component=host msg=\"line 8\"\n");
}

Test(log, limited_opens_again_after_a_second, .timeout = 60)
{
    struct log_limit limit = {0};
    struct timespec before, after;
    int64_t wait_ns;

    log_init(SPOE_LOG_INFO, LOG_JSON);
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    log_limited(&limit, SPOE_LOG_INFO, "host", "one");
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    wait_ns = limit.next_ns - 1000000000;
    cr_expect_geq(wait_ns, before.tv_sec * INT64_C(1000000000) + before.tv_nsec);
    cr_expect_leq(wait_ns, after.tv_sec * INT64_C(1000000000) + after.tv_nsec);
}

Test(log, limited_writes_the_count_in_json, .timeout = 60)
{
    struct log_limit limit = {.held = 12};
    struct capture cap;

    log_init(SPOE_LOG_INFO, LOG_JSON);
    capture_begin(&cap);
    log_limited(&limit, SPOE_LOG_INFO, "host", "x");
    (void)capture_end(&cap, got, sizeof got);
    cr_expect_str_eq(after_time(got, "{\"time\":\""),
                     "\",\"level\":\"info\",\"component\":\"host\",\"held\":12,\"msg\":\"x\"}\n");
}

#define THREADS 4
#define LINES 25 /* of 512 bytes and more each: all of them fit in the pipe */

static void *log_many(void *arg)
{
    const char *letter = arg;
    char text[512];

    memset(text, *letter, sizeof text);
    for (int i = 0; i < LINES; i++)
        log_span(SPOE_LOG_INFO, "host", (struct spoe_span){text, sizeof text});
    return NULL;
}

Test(log, lines_of_threads_do_not_mix, .timeout = 120)
{
    static char letters[] = "abcd";
    pthread_t threads[THREADS];
    struct capture cap;
    const char *line;
    int lines = 0;

    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, log_many, &letters[i]), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    (void)capture_end(&cap, got, sizeof got);

    for (line = got; *line != '\0'; line += strcspn(line, "\n") + 1, lines++) {
        const char *text = strstr(line, "msg=\"") + 5;

        cr_assert(is_now(line + strlen("time=")));
        cr_expect_eq(strspn(text, (char[]){*text, '\0'}), 512u);
        cr_expect_eq(text[512], '"');
    }
    cr_expect_eq(lines, THREADS * LINES);
}

Test(log, leaves_errno_and_survives_a_closed_stream, .timeout = 60)
{
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

    cr_assert_geq(saved, 0);
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    (void)close(STDERR_FILENO);
    errno = ENOSPC;
    log_line(SPOE_LOG_INFO, "host", "nobody reads this: %s", strerror(errno));
    cr_expect_eq(errno, ENOSPC);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
}

/* 5.3: under systemd each line has its priority, as sd-daemon(3) has it. */
Test(log, has_priorities_where_the_journal_reads, .timeout = 60)
{
    static const struct {
        int level;
        const char *begin;
    } cases[] = {{SPOE_LOG_ERR, "<3>time="},
                 {SPOE_LOG_WARNING, "<4>time="},
                 {SPOE_LOG_NOTICE, "<5>time="},
                 {SPOE_LOG_INFO, "<6>time="},
                 {SPOE_LOG_DEBUG, "<7>time="},
                 {0, "<3>time="},
                 {99, "<7>time="}};
    struct capture cap;
    struct stat st;
    char stream[64];

    log_init(99, LOG_LOGFMT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        capture_begin(&cap);
        cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
        (void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev,
                       (uintmax_t)st.st_ino);
        cr_assert_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
        log_detect_journal();
        log_span(cases[i].level, "host", spoe_str("x"));
        (void)capture_end(&cap, got, sizeof got);
        (void)after_time(got, cases[i].begin);
    }
}

Test(log, has_none_where_it_does_not, .timeout = 60)
{
    static const char *const streams[] = {"", "1:1", "nonsense"};
    struct capture cap;
    struct stat st;
    char stream[64];

    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    for (size_t i = 0; i <= sizeof streams / sizeof streams[0]; i++) {
        capture_begin(&cap);
        cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
        (void)snprintf(stream, sizeof stream, "%ju:%ju0", (uintmax_t)st.st_dev,
                       (uintmax_t)st.st_ino);
        cr_assert_eq(setenv("JOURNAL_STREAM", i == 3 ? stream : streams[i], 1), 0);
        log_detect_journal();
        log_span(SPOE_LOG_INFO, "host", spoe_str("x"));
        (void)capture_end(&cap, got, sizeof got);
        (void)after_time(got, "time=");
    }
}
