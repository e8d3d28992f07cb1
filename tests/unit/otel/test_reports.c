/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_reports.c - which lines are written, on a clock that is a number. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "send/reports.h"
#include "fake_host.h"

#define S INT64_C(1000000000)
#define MINUTE (60 * S)

TestSuite(reports, .timeout = 60);

static struct reports reports = {.host = &fake_table, .target = "collector:4317"};
static unsigned lines;

static void log_notices_too(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                            struct spoe_span text)
{
    lines++;
    fake_log(self, req, level, text);
}

static struct spoe_host host;

static void set_up(void)
{
    host = fake_table;
    host.log = log_notices_too;
    reports.host = &host;
    reports_init(&reports);
}

static void tear_down(void)
{
    reports_fini(&reports);
}

/* So many lines were written since the last time; the last of them begins so. */
static void expect_lines(unsigned n, const char *start)
{
    cr_expect_eq(lines, n, "got %u lines, wanted %u; the last: %s", lines, n, fake.line);
    if (n > 0)
        cr_expect(strncmp(fake.line, start, strlen(start)) == 0, "got: %s", fake.line);
    lines = 0;
}

static void fail(int64_t at, const char *text)
{
    reports_failure(&reports, at, text, 1024, 5 * S);
}

/* ---- failures ----------------------------------------------------------------------------- */

Test(reports, an_outage_is_told_when_it_begins_and_when_it_ends, .init = set_up, .fini = tear_down)
{
    reports_success(&reports, 0);
    expect_lines(0, NULL);
    fail(S, "UNAVAILABLE: refused");
    expect_lines(1, "export to collector:4317 failed: UNAVAILABLE: refused; 1024 spans wait, next "
                    "try in 5.0 s");
    for (int64_t at = 2 * S; at < 1000 * MINUTE; at += 30 * S)
        fail(at, "UNAVAILABLE: refused");
    expect_lines(0, NULL);
    reports_success(&reports, 1000 * MINUTE);
    expect_lines(1, "export to collector:4317 works again, after 59999.0 s; failed attempts: 2001");
    for (int64_t at = 1001 * MINUTE; at < 2000 * MINUTE; at += MINUTE)
        reports_success(&reports, at);
    expect_lines(0, NULL);
    fail(2000 * MINUTE, "UNAVAILABLE: refused");
    expect_lines(1, "export to collector:4317 failed: UNAVAILABLE: refused");
    reports_success(&reports, 2000 * MINUTE + 1500000000);
    expect_lines(1, "export to collector:4317 works again, after 1.5 s; failed attempts: 1");
}

Test(reports, each_reason_of_an_outage_is_told_once, .init = set_up, .fini = tear_down)
{
    for (int64_t at = 0; at < 1000 * S; at += 10 * S) {
        fail(at, "UNAVAILABLE: refused");
        fail(at + S, "HTTP 503: try in 12 s");
        fail(at + 2 * S, "HTTP 503: try in 7 s");
    }
    expect_lines(2, "export to collector:4317 failed: HTTP 503: try in 12 s");
}

Test(reports, reasons_without_end_make_few_lines, .init = set_up, .fini = tear_down)
{
    for (int i = 0; i < 1000; i++) {
        char text[2] = {(char)('a' + i % 26), '\0'};

        fail(i * S, text);
    }
    expect_lines(TEXTS_MAX, "export to collector:4317 failed: d;");
}

/* Works and fails in turn, for hours: as for one that is overloaded. */
Test(reports, what_comes_and_goes_is_told_once, .init = set_up, .fini = tear_down)
{
    int64_t at = 0;

    fail(at, "HTTP 503");
    expect_lines(1, "export to collector:4317 failed: HTTP 503");
    reports_success(&reports, at += S);
    expect_lines(1, "export to collector:4317 works again");
    fail(at += S, "HTTP 503");
    expect_lines(1, "export to collector:4317 fails again: HTTP 503; 1024 spans wait; until it has "
                    "worked for 10 minutes only other reasons are told");
    for (int i = 0; i < 1000; i++) {
        reports_success(&reports, at += 9 * MINUTE);
        fail(at += S, "HTTP 503");
    }
    expect_lines(0, NULL);
    fail(at, "HTTP 504");
    expect_lines(1, "export to collector:4317 failed: HTTP 504");
    reports_success(&reports, at + 10 * MINUTE - 1);
    expect_lines(0, NULL);
    reports_success(&reports, at + 10 * MINUTE);
    expect_lines(1,
                 "export to collector:4317 works again, for 10 minutes without a failure; failed "
                 "attempts in the 541002.0 s before: 1003");
    fail(at + 11 * MINUTE, "HTTP 503");
    expect_lines(1, "export to collector:4317 failed: HTTP 503");
}

/* ---- the rest ----------------------------------------------------------------------------- */

Test(reports, a_warning_is_told_once, .init = set_up, .fini = tear_down)
{
    for (int64_t at = 0; at < 600 * MINUTE; at += MINUTE) {
        char text[64];

        reports_warning(&reports, at, "deprecated");
        (void)snprintf(text, sizeof text, "the tenant had %u spans", (unsigned)(at / S));
        reports_warning(&reports, at, text);
    }
    expect_lines(2, "the collector took all spans but warns: the tenant had 0 spans");
    reports_warning(&reports, 600 * MINUTE, "another");
    expect_lines(1, "the collector took all spans but warns: another");
    reports_warning(&reports, 661 * MINUTE, "deprecated");
    expect_lines(1, "the collector took all spans but warns: deprecated");
}

Test(reports, the_first_span_with_too_many_attributes_is_told, .init = set_up, .fini = tear_down)
{
    reports_attributes(&reports, 3, 1);
    expect_lines(1, "a span was made without 3 attributes and 1 events");
    reports_attributes(&reports, 4, 0);
    expect_lines(0, NULL);
}

Test(reports, losses_are_told_once_a_minute_while_they_grow, .init = set_up, .fini = tear_down)
{
    struct losses losses = {.spans = {.queue_full = 0}};

    reports_losses(&reports, 0, &losses, true);
    expect_lines(0, NULL);
    losses.spans.rejected = 5;
    losses.ignored.missing_id = 3;
    reports_said(&reports, "too old");
    reports_said(&reports, "");
    reports_losses(&reports, S, &losses, false);
    expect_lines(1, "spans lost: 5 rejected; messages ignored: 3 missing_id; too old");
    losses.ignored.missing_id = 10;
    losses.ignored.duplicate_id = 1;
    reports_losses(&reports, MINUTE, &losses, false);
    expect_lines(0, NULL);
    reports_losses(&reports, MINUTE + S, &losses, false);
    expect_lines(1, "messages ignored: 7 missing_id, 1 duplicate_id");
    cr_expect_null(strstr(fake.line, "too old"), "it belongs to another line");
    reports_losses(&reports, 60 * MINUTE, &losses, false);
    expect_lines(0, NULL);
    losses.spans.shutdown = 4;
    losses.spans.still_open = 2;
    reports_losses(&reports, 60 * MINUTE, &losses, true);
    expect_lines(1, "spans lost: 4 shutdown, 2 still_open");
}

Test(reports, all_reasons_fit_into_a_line, .init = set_up, .fini = tear_down)
{
    struct losses losses;

    memset(&losses, 0xff, sizeof losses);
    reports_losses(&reports, 0, &losses, false);
    expect_lines(1, "spans lost: 18446744073709551615 queue_full, ");
    cr_expect_not_null(strstr(fake.line, ", 18446744073709551615 duplicate_id"), "%s", fake.line);
}
