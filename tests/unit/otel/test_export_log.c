/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_export_log.c - which lines are written, on a clock that is a number. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "send/log.h"
#include "fake_host.h"

#define S INT64_C(1000000000)
#define MINUTE (60 * S)

TestSuite(export_log, .timeout = 60);

static struct export_log export_log = {.host = &fake_table, .target = "collector:4317"};
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
    export_log.host = &host;
    export_log_init(&export_log);
}

static void tear_down(void)
{
    export_log_fini(&export_log);
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
    export_log_failure(&export_log, at, text, 1024, 5 * S);
}

/* ---- failures ----------------------------------------------------------------------------- */

Test(export_log, an_outage_is_told_when_it_begins_and_when_it_ends, .init = set_up,
     .fini = tear_down)
{
    export_log_success(&export_log, 0);
    expect_lines(0, NULL);
    fail(S, "UNAVAILABLE: refused");
    expect_lines(1, "export to collector:4317 failed: UNAVAILABLE: refused; 1024 spans wait, next "
                    "try in 5.0 s");
    for (int64_t at = 2 * S; at < 1000 * MINUTE; at += 30 * S)
        fail(at, "UNAVAILABLE: refused");
    expect_lines(0, NULL);
    export_log_success(&export_log, 1000 * MINUTE);
    expect_lines(1, "export to collector:4317 works again, after 59999.0 s; failed attempts: 2001");
    for (int64_t at = 1001 * MINUTE; at < 2000 * MINUTE; at += MINUTE)
        export_log_success(&export_log, at);
    expect_lines(0, NULL);
    fail(2000 * MINUTE, "UNAVAILABLE: refused");
    expect_lines(1, "export to collector:4317 failed: UNAVAILABLE: refused");
    export_log_success(&export_log, 2000 * MINUTE + 1500000000);
    expect_lines(1, "export to collector:4317 works again, after 1.5 s; failed attempts: 1");
}

Test(export_log, each_reason_of_an_outage_is_told_once, .init = set_up, .fini = tear_down)
{
    for (int64_t at = 0; at < 1000 * S; at += 10 * S) {
        fail(at, "UNAVAILABLE: refused");
        fail(at + S, "HTTP 503: try in 12 s");
        fail(at + 2 * S, "HTTP 503: try in 7 s");
    }
    expect_lines(2, "export to collector:4317 failed: HTTP 503: try in 12 s");
}

Test(export_log, reasons_without_end_make_few_lines, .init = set_up, .fini = tear_down)
{
    for (int i = 0; i < 1000; i++) {
        char text[2] = {(char)('a' + i % 26), '\0'};

        fail(i * S, text);
    }
    expect_lines(TEXTS_MAX, "export to collector:4317 failed: d;");
}

/* Works and fails in turn, for hours: as for one that is overloaded. */
Test(export_log, what_comes_and_goes_is_told_once, .init = set_up, .fini = tear_down)
{
    int64_t at = 0;

    fail(at, "HTTP 503");
    expect_lines(1, "export to collector:4317 failed: HTTP 503");
    export_log_success(&export_log, at += S);
    expect_lines(1, "export to collector:4317 works again");
    fail(at += S, "HTTP 503");
    expect_lines(1, "export to collector:4317 fails again: HTTP 503; 1024 spans wait; until it has "
                    "worked for 10 minutes only other reasons are told");
    for (int i = 0; i < 1000; i++) {
        export_log_success(&export_log, at += 9 * MINUTE);
        fail(at += S, "HTTP 503");
    }
    expect_lines(0, NULL);
    fail(at, "HTTP 504");
    expect_lines(1, "export to collector:4317 failed: HTTP 504");
    export_log_success(&export_log, at + 10 * MINUTE - 1);
    expect_lines(0, NULL);
    export_log_success(&export_log, at + 10 * MINUTE);
    expect_lines(1,
                 "export to collector:4317 works again, for 10 minutes without a failure; failed "
                 "attempts in the 541002.0 s before: 1003");
    fail(at + 11 * MINUTE, "HTTP 503");
    expect_lines(1, "export to collector:4317 failed: HTTP 503");
}

/* It worked, and then there was nothing to export: what fails hours later is another outage. */
Test(export_log, an_outage_after_a_quiet_time_is_told, .init = set_up, .fini = tear_down)
{
    int64_t at = 600 * MINUTE;

    fail(0, "HTTP 503");
    export_log_success(&export_log, S);
    fail(60 * S, "HTTP 503");
    lines = 0;
    export_log_success(&export_log, 65 * S);
    export_log_success(&export_log, 9 * MINUTE);
    fail(at, "HTTP 503");
    expect_lines(1, "export to collector:4317 failed: HTTP 503; 1024 spans wait");
    export_log_success(&export_log, at + S);
    expect_lines(1, "export to collector:4317 works again, after 1.0 s; failed attempts: 1");
    fail(at + 2 * S, "HTTP 503");
    expect_lines(1, "export to collector:4317 fails again");
    fail(at + 600 * MINUTE, "HTTP 503");
    expect_lines(0, NULL); /* it has not worked in between */
    export_log_success(&export_log, at + 601 * MINUTE);
    fail(at + 611 * MINUTE - 1, "HTTP 503");
    expect_lines(0, NULL);
    export_log_success(&export_log, at + 612 * MINUTE);
    fail(at + 622 * MINUTE, "HTTP 503");
    expect_lines(1, "export to collector:4317 failed: HTTP 503");
}

/* ---- the rest ----------------------------------------------------------------------------- */

Test(export_log, a_warning_is_told_once, .init = set_up, .fini = tear_down)
{
    for (int64_t at = 0; at < 600 * MINUTE; at += MINUTE) {
        char text[64];

        export_log_warning(&export_log, at, "deprecated");
        (void)snprintf(text, sizeof text, "the tenant had %u spans", (unsigned)(at / S));
        export_log_warning(&export_log, at, text);
    }
    expect_lines(2, "the collector took all spans but warns: the tenant had 0 spans");
    export_log_warning(&export_log, 600 * MINUTE, "another");
    expect_lines(1, "the collector took all spans but warns: another");
    export_log_warning(&export_log, 661 * MINUTE, "deprecated");
    expect_lines(1, "the collector took all spans but warns: deprecated");
}

Test(export_log, the_first_span_with_too_many_attributes_is_told, .init = set_up, .fini = tear_down)
{
    export_log_attributes(&export_log, 3, 1);
    expect_lines(1, "a span was made without 3 attributes and 1 events");
    export_log_attributes(&export_log, 4, 0);
    expect_lines(0, NULL);
}

Test(export_log, losses_are_told_once_a_minute_while_they_grow, .init = set_up, .fini = tear_down)
{
    struct export_losses losses = {.queue_full = 0};
    struct export_ignored ignored = {.missing_id = 0};

    export_log_losses(&export_log, 0, &losses, &ignored, true);
    expect_lines(0, NULL);
    losses.rejected = 5;
    ignored.missing_id = 3;
    export_log_quote(&export_log, "too old");
    export_log_quote(&export_log, "");
    export_log_losses(&export_log, S, &losses, &ignored, false);
    expect_lines(1, "spans lost: 5 rejected; messages ignored: 3 missing_id; too old");
    ignored.missing_id = 10;
    ignored.duplicate_id = 1;
    export_log_losses(&export_log, MINUTE, &losses, &ignored, false);
    expect_lines(0, NULL);
    export_log_losses(&export_log, MINUTE + S, &losses, &ignored, false);
    expect_lines(1, "messages ignored: 7 missing_id, 1 duplicate_id");
    cr_expect_null(strstr(fake.line, "too old"), "it belongs to another line");
    export_log_losses(&export_log, 60 * MINUTE, &losses, &ignored, false);
    expect_lines(0, NULL);
    losses.shutdown = 4;
    losses.still_open = 2;
    export_log_losses(&export_log, 60 * MINUTE, &losses, &ignored, true);
    expect_lines(1, "spans lost: 4 shutdown, 2 still_open");
}

Test(export_log, all_reasons_fit_into_a_line, .init = set_up, .fini = tear_down)
{
    struct export_losses losses;
    struct export_ignored ignored;

    memset(&losses, 0xff, sizeof losses);
    memset(&ignored, 0xff, sizeof ignored);
    export_log_losses(&export_log, 0, &losses, &ignored, false);
    expect_lines(1, "spans lost: 18446744073709551615 queue_full, ");
    cr_expect_not_null(strstr(fake.line, ", 18446744073709551615 store_full"), "%s", fake.line);
}

/* ---- health ------------------------------------------------------------------------------- */

static int32_t told_state;
static char told_reason[SPOE_HEALTH_TEXT_MAX];
static unsigned n_told;

static void told(struct spoe_instance *self, int32_t state, struct spoe_span reason)
{
    (void)self;
    n_told++;
    told_state = state;
    (void)snprintf(told_reason, sizeof told_reason, "%.*s", (int)reason.n, reason.p);
}

/* 12: an outage of a minute is shown, of any signal, until an export of it works. */
Test(export_log, an_outage_that_lasts_is_shown, .init = set_up, .fini = tear_down)
{
    static const struct spoe_health facet = {.size = sizeof facet, .set = told};
    static struct export_health health;
    struct export_log logs = {.host = &host, .target = "other:4317", .signal = SIGNAL_LOGS};

    export_health_init(&health);
    export_log_init(&logs);
    export_log.health = logs.health = &health;
    fail(0, "refused");
    fail(2 * MINUTE, "refused"); /* nobody is to be told yet */
    export_log_success(&export_log, 2 * MINUTE);
    export_health_show(&health, &facet, NULL);
    fail(3 * MINUTE, "refused");
    fail(4 * MINUTE - 1, "refused");
    cr_expect_eq(n_told, 0);
    fail(4 * MINUTE, "reset");
    cr_expect_eq(told_state, SPOE_HEALTH_DEGRADED);
    cr_expect_str_eq(told_reason,
                     "export to collector:4317 has failed for more than a minute: reset");
    export_log_failure(&logs, 4 * MINUTE, "refused", 1, S);
    export_log_failure(&logs, 5 * MINUTE, "refused", 1, S);
    export_log_success(&export_log, 5 * MINUTE);
    cr_expect_eq(told_state, SPOE_HEALTH_DEGRADED);
    cr_expect_str_eq(told_reason,
                     "export of logs to other:4317 has failed for more than a minute: refused");
    export_log_success(&logs, 5 * MINUTE);
    cr_expect_eq(told_state, SPOE_HEALTH_READY);
    cr_expect_str_eq(told_reason, "");
    n_told = 0;
    export_log_success(&logs, 6 * MINUTE);
    export_log_success(&export_log, 6 * MINUTE);
    cr_expect_eq(n_told, 0, "there is nothing new");
    export_log.health = NULL;
    export_log_fini(&logs);
    export_health_fini(&health);
}
