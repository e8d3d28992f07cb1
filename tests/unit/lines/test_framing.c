/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/framing.c (1.3): lines out of bytes, however they are cut; lengths that lie. */
#include "lines/framing.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])
#define MAX 64u

/* What was found, as text: "L:abc|D:5|T|X|" */
struct log {
    char text[4096];
    size_t n;
    struct framing framing;
    char *held; /* exactly as long as what it holds, so that its end is guarded */
    size_t held_n;
    bool lost;
};

static void __attribute__((format(printf, 2, 3))) put(struct log *log, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    log->n += (size_t)vsnprintf(log->text + log->n, sizeof log->text - log->n, format, ap);
    va_end(ap);
    cr_assert_lt(log->n, sizeof log->text);
}

static void take(struct log *log, size_t used)
{
    char *rest;

    cr_assert_leq(used, log->held_n);
    /* As long as what is left, for AddressSanitizer. */
    rest = malloc(log->held_n - used + (log->held_n == used));
    cr_assert_not_null(rest);
    memcpy(rest, log->held + used, log->held_n - used);
    free(log->held);
    log->held_n -= used;
    log->held = rest;
}

static void feed(struct log *log, const char *p, size_t n)
{
    log->held = realloc(log->held, log->held_n + n);
    memcpy(log->held + log->held_n, p, n);
    log->held_n += n;
    while (log->held_n > 0 && !log->lost) {
        struct framing_result r;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the test frees it, in the end */
        enum framing_found found = framing_next(&log->framing, log->held, log->held_n, &r);

        if (found == FRAMING_LINE && r.len > 0)
            put(log, "L:%.*s|", (int)r.len, log->held + r.line);
        if (found == FRAMING_DROPPED)
            put(log, "D:%llu|", (unsigned long long)r.dropped);
        if (found == FRAMING_TOO_LONG)
            put(log, "T|");
        if (found == FRAMING_LOST) {
            put(log, "X|");
            log->lost = true;
            break;
        }
        take(log, r.used);
        if (found == FRAMING_MORE)
            break;
    }
}

static const char octets[] = "5 v=1 a"
                             "8 v=1 b=2\n"
                             "12 events dropped\0"
                             "16 5 events dropped"
                             "1 event dropped\n"
                             "3 x y";
static const char newlines[] = "v=1 a\n"
                               "\n"
                               "v=1 b=2\r\n"
                               "12 events dropped\0"
                               "5 events dropped\n"
                               "1 event dropped\0\n"
                               "7 events\n"
                               "x y\n";
static const struct {
    const char *bytes;
    size_t n;
    bool octets;
    const char *expected;
} cases[] = {
    {octets, sizeof octets - 1, true, "L:v=1 a|L:v=1 b=2|D:12|D:5|D:1|L:x y|"},
    {newlines, sizeof newlines - 1, false, "L:v=1 a|L:v=1 b=2|D:12|D:5|D:1|L:7 events|L:x y|"},
};

Test(framing, split_at_every_byte, .timeout = 60)
{
    for (size_t c = 0; c < N(cases); c++) {
        for (size_t cut = 0; cut <= cases[c].n; cut++) {
            struct log log = {.framing = {.octets = cases[c].octets, .max = MAX}};

            if (cut > 0)
                feed(&log, cases[c].bytes, cut);
            if (cut < cases[c].n)
                feed(&log, cases[c].bytes + cut, cases[c].n - cut);
            cr_assert_str_eq(log.text, cases[c].expected, "cut at %zu: %s", cut, log.text);
            free(log.held);
        }
    }
}

Test(framing, byte_by_byte, .timeout = 10)
{
    for (size_t c = 0; c < N(cases); c++) {
        struct log log = {.framing = {.octets = cases[c].octets, .max = MAX}};

        for (size_t i = 0; i < cases[c].n; i++)
            feed(&log, cases[c].bytes + i, 1);
        cr_assert_str_eq(log.text, cases[c].expected, "%s", log.text);
        free(log.held);
    }
}

/* Lengths that lie, or are none: the stream is lost, at once. 1.7 */
Test(framing, hostile_lengths, .timeout = 10)
{
    static const char *const lost[] = {"65 x",
                                       "0 x",
                                       "00005 v=1 a",
                                       "v=1 a\n",
                                       "-5 v=1 a",
                                       "5\tv=1 a",
                                       " 5 v=1 a",
                                       "4294967296 x",
                                       "18446744073709551621 v=1 a",
                                       "99999999999999999999999999999999999",
                                       "5x"};
    for (size_t i = 0; i < N(lost); i++) {
        struct log log = {.framing = {.octets = true, .max = MAX}};

        feed(&log, lost[i], strlen(lost[i]));
        cr_assert_str_eq(log.text, "X|", "%s: %s", lost[i], log.text);
        free(log.held);
    }
}

Test(framing, length_at_the_limit, .timeout = 10)
{
    struct log log = {.framing = {.octets = true, .max = MAX}};
    char line[MAX + 4];

    memset(line, 'x', sizeof line);
    memcpy(line, "64 ", 3);
    feed(&log, line, MAX + 3);
    cr_assert(strncmp(log.text, "L:xxx", 5) == 0 && log.n == MAX + 3);
    cr_assert_eq(log.held_n, 0);
    free(log.held);
}

/* A line that is too long costs itself; nothing of it is kept. */
Test(framing, too_long_a_line_is_passed_over, .timeout = 10)
{
    char bytes[3 * MAX + 16];
    const size_t n = (size_t)snprintf(bytes, sizeof bytes, "a\n%0*d\nb\n%0*d\nc\n", (int)MAX + 1, 0,
                                      (int)MAX, 0);

    for (size_t cut = 1; cut < n; cut++) {
        struct log log = {.framing = {.max = MAX}};

        feed(&log, bytes, cut);
        cr_assert_leq(log.held_n, MAX);
        feed(&log, bytes + cut, n - cut);
        cr_assert_eq(strncmp(log.text, "L:a|T|L:b|L:000", 15), 0, "cut at %zu: %s", cut, log.text);
        cr_assert_str_eq(log.text + log.n - 4, "L:c|");
        free(log.held);
    }
}

Test(framing, what_is_a_notice, .timeout = 10)
{
    uint64_t n = 0;

    cr_assert(framing_is_dropped("4294967295 events dropped", 25, &n));
    cr_assert_eq(n, UINT64_C(4294967295));
    cr_assert_not(framing_is_dropped("5 events dropped ", 17, &n));
    cr_assert_not(framing_is_dropped("events dropped", 14, &n));
    cr_assert_not(framing_is_dropped("5 events", 8, &n));
    cr_assert_not(framing_is_dropped("", 0, &n));
}
