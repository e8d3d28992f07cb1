/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/core/test_health.c - what a plugin says of itself (12.2). */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "capture.h"
#include "core/plugin.h"

static const struct spoe_plugin desc = {.id = "ill"};
static struct spoe_instance plugin = {.desc = &desc};
static char got[65536];

static void setup(void)
{
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    health_init(&plugin.health);
}

static void teardown(void)
{
    health_fini(&plugin.health);
}

TestSuite(health, .init = setup, .fini = teardown, .timeout = 60);

static struct spoe_span span(const char *s)
{
    return (struct spoe_span){s, strlen(s)};
}

static void is(const struct health_line *line, uint32_t number, const char *text)
{
    struct health_text read;

    health_read(line, &read);
    cr_assert_eq(read.number, number);
    cr_assert_eq(read.n, strlen(text), "%.*s", (int)read.n, read.text);
    cr_assert_arr_eq(read.text, text, read.n);
}

static const struct spoe_health *facet(void)
{
    return host_table.get_extension(&plugin, SPOE_HEALTH_1);
}

Test(health, whoever_says_nothing_is_ready)
{
    is(&plugin.health.state, SPOE_HEALTH_READY, "");
    is(&plugin.health.status, 0, "");
    cr_assert_eq(health_state(&plugin.health), SPOE_HEALTH_READY);
    cr_assert_eq(plugin.health.unix_ns, 0);
    cr_assert_not_null(facet());
    cr_assert_eq(facet()->size, sizeof(struct spoe_health));
}

Test(health, what_was_said_last_stands)
{
    facet()->set(&plugin, SPOE_HEALTH_DEGRADED, span("old data"));
    facet()->status(&plugin, span("3 files"));
    is(&plugin.health.state, SPOE_HEALTH_DEGRADED, "old data");
    is(&plugin.health.status, 0, "3 files");
    cr_assert_neq(plugin.health.unix_ns, 0);
    facet()->set(&plugin, SPOE_HEALTH_DOWN, span("no data"));
    is(&plugin.health.state, SPOE_HEALTH_DOWN, "no data");
    is(&plugin.health.status, 0, "3 files");
    facet()->set(&plugin, SPOE_HEALTH_READY, (struct spoe_span){NULL, 0});
    facet()->status(&plugin, (struct spoe_span){NULL, 0});
    is(&plugin.health.state, SPOE_HEALTH_READY, "");
    is(&plugin.health.status, 0, "");
}

Test(health, a_change_of_state_is_logged_and_dated_a_new_reason_is_neither)
{
    struct capture cap;

    capture_begin(&cap);
    facet()->set(&plugin, SPOE_HEALTH_DOWN, span("no data"));
    plugin.health.unix_ns = 1;
    facet()->set(&plugin, SPOE_HEALTH_DOWN, span("still no data"));
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_not_null(strstr(got, " level=error component=ill msg=\"health: down: no data\"\n"),
                       "%s", got);
    cr_assert_null(strstr(got, "still"), "%s", got);
    cr_assert_eq(plugin.health.unix_ns, 1);
    is(&plugin.health.state, SPOE_HEALTH_DOWN, "still no data");
    capture_begin(&cap);
    facet()->set(&plugin, SPOE_HEALTH_DEGRADED, span("a part"));
    facet()->set(&plugin, SPOE_HEALTH_READY, span(""));
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_not_null(strstr(got, " level=warning component=ill msg=\"health: degraded: a part\""),
                       "%s", got);
    cr_assert_not_null(strstr(got, " level=notice component=ill msg=\"health: ready\"\n"), "%s",
                       got);
    cr_assert_gt(plugin.health.unix_ns, 1);
}

Test(health, a_state_that_there_is_not_is_ignored)
{
    struct capture cap;

    facet()->set(&plugin, SPOE_HEALTH_DEGRADED, span("a"));
    capture_begin(&cap);
    facet()->set(&plugin, 3, span("b"));
    facet()->set(&plugin, -1, span("c"));
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_not_null(strstr(got, "there is no state 3"), "%s", got);
    cr_assert_not_null(strstr(got, "there is no state -1"), "%s", got);
    is(&plugin.health.state, SPOE_HEALTH_DEGRADED, "a");
}

/* At 256 bytes, and not within a character. */
Test(health, a_long_text_is_cut_between_characters)
{
    char text[300], wanted[300] = {0};

    memset(text, 'x', sizeof text);
    memset(wanted, 'x', SPOE_HEALTH_TEXT_MAX);
    facet()->status(&plugin, (struct spoe_span){text, SPOE_HEALTH_TEXT_MAX});
    is(&plugin.health.status, 0, wanted);
    facet()->status(&plugin, (struct spoe_span){text, sizeof text});
    is(&plugin.health.status, 0, wanted);
    memcpy(text + SPOE_HEALTH_TEXT_MAX - 1, "\xc3\xa4", 2);
    wanted[SPOE_HEALTH_TEXT_MAX - 1] = '\0';
    facet()->status(&plugin, (struct spoe_span){text, sizeof text});
    is(&plugin.health.status, 0, wanted);
    memset(text, 0x80, sizeof text); /* no character anywhere */
    memset(wanted, 0x80, SPOE_HEALTH_TEXT_MAX);
    facet()->status(&plugin, (struct spoe_span){text, sizeof text});
    is(&plugin.health.status, 0, wanted);
}

/* ---- many threads ---- */

#define ROUNDS 20000

static void *say(void *arg)
{
    const char *text = arg;

    for (int i = 0; i < ROUNDS; i++)
        health_set(&plugin.health, (uint32_t)(text[0] - 'a'), span(text));
    return NULL;
}

/* Number and text of one line belong together whenever they are read. */
Test(health, no_line_is_half_of_one_and_half_of_another)
{
    static char texts[HEALTH_STATES][201];
    pthread_t threads[HEALTH_STATES];

    for (int i = 0; i < (int)HEALTH_STATES; i++) {
        memset(texts[i], 'a' + i, 100 + 50 * (size_t)i);
        cr_assert_eq(pthread_create(&threads[i], NULL, say, texts[i]), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        struct health_text read;

        health_read(&plugin.health.state, &read);
        if (read.n == 0)
            continue; /* nobody was yet */
        cr_assert_eq(read.n, strlen(texts[read.number]));
        cr_assert_arr_eq(read.text, texts[read.number], read.n);
    }
    for (int i = 0; i < (int)HEALTH_STATES; i++)
        (void)pthread_join(threads[i], NULL);
}
