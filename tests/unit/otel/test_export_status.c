/* SPDX-License-Identifier: Apache-2.0 */
/* How the export is, as the plugin's line of status (issue 13, 3: state and last error). */
#include <criterion/criterion.h>
#include <string.h>

#include "send/status.h"

static char said[4096];
static unsigned times;

static void take(struct spoe_instance *self, struct spoe_span text)
{
    (void)self;
    cr_assert_lt(text.n, sizeof said);
    memcpy(said, text.p, text.n);
    said[text.n] = '\0';
    times++;
}

static const struct spoe_health health = {.size = sizeof health, .status = take};

static const void *get_extension(struct spoe_instance *self, const char *id)
{
    (void)self;
    return strcmp(id, SPOE_HEALTH_1) == 0 ? &health : NULL;
}

static const struct spoe_host host = {.size = sizeof host, .get_extension = get_extension};

#define AT INT64_C(1700000000) /* 22:13:20 UTC */

Test(export_status, says_how_it_is, .timeout = 10)
{
    struct export_status status;

    export_status_init(&status, &host, NULL);
    export_status_add(&status, SIGNAL_TRACES, "a:4317");
    cr_expect_str_eq(said, "traces to a:4317: nothing sent yet");
    export_status_set(&status, SIGNAL_TRACES, EXPORT_WORKS, NULL, AT);
    cr_expect_str_eq(said, "traces to a:4317: works");
    times = 0;
    export_status_set(&status, SIGNAL_TRACES, EXPORT_WORKS, NULL, AT);
    cr_expect_eq(times, 0, "each batch would say so");
    export_status_add(&status, SIGNAL_LOGS, "b/v1/logs");
    export_status_set(&status, SIGNAL_TRACES, EXPORT_RETRIES, "HTTP 503", AT);
    cr_expect_str_eq(said, "traces to a:4317: fails, is tried again; last error 22:13:20 UTC: HTTP "
                           "503. logs to b/v1/logs: nothing sent yet");
    export_status_set(&status, SIGNAL_LOGS, EXPORT_REFUSED, "HTTP 404", AT + 1);
    export_status_set(&status, SIGNAL_TRACES, EXPORT_WORKS, NULL, AT + 2);
    cr_expect_str_eq(said, "traces to a:4317: works; last error 22:13:20 UTC: HTTP 503. logs to "
                           "b/v1/logs: refused; last error 22:13:21 UTC: HTTP 404");
}

Test(export_status, cuts_what_is_long, .timeout = 10)
{
    static char text[1000];
    struct export_status status;

    memset(text, 'x', sizeof text - 1);
    export_status_init(&status, &host, NULL);
    for (int i = 0; i < N_SIGNALS; i++) {
        export_status_add(&status, (enum otlp_signal)i, text);
        export_status_set(&status, (enum otlp_signal)i, EXPORT_RETRIES, text, AT);
    }
    cr_expect_lt(strlen(said), sizeof said - 1);
}

Test(export_status, where_nobody_wants_to_know, .timeout = 10)
{
    const struct spoe_host old = {.size = offsetof(struct spoe_host, get_extension)};
    struct export_status status;

    export_status_init(&status, NULL, NULL);
    export_status_add(&status, SIGNAL_TRACES, "a");
    export_status_init(&status, &old, NULL);
    export_status_set(&status, SIGNAL_TRACES, EXPORT_WORKS, NULL, AT);
    cr_expect_eq(times, 0);
}
