/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_host_api.c - what a plugin may call, beside its requests: the log and its
 * limit, its settings, and functions posted to a worker (9.2).
 */
#include "dispatch_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "capture.h"
#include "core/plugin.h"

#define API_TEST(name) Test(host_api, name, .timeout = 60)

static const struct spoe_host *const host = &host_table;
static char got[65536];

static struct spoe_span span(const char *s)
{
    return (struct spoe_span){s, strlen(s)};
}

static unsigned count(const char *text)
{
    unsigned n = 0;

    for (const char *p = got; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

/* ---- the log ---- */

API_TEST(a_line_has_the_plugins_id_and_its_level)
{
    struct capture cap;

    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    host->log(&plugin_a, NULL, SPOE_LOG_NOTICE, span("it is so"));
    host->log(&plugin_a, NULL, SPOE_LOG_DEBUG, span("not of interest"));
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_not_null(strstr(got, " level=notice component=a msg=\"it is so\"\n"), "%s", got);
    cr_assert_eq(count("\n"), 1, "%s", got);
    cr_assert_eq(host->log_enabled(&plugin_a, SPOE_LOG_INFO), 1);
    cr_assert_eq(host->log_enabled(&plugin_a, SPOE_LOG_DEBUG), 0);
    cr_assert_eq(atomic_load(&plugin_a.log_held), 0, "what nobody wants to see is not held back");
}

/* A request that is in the plugin's hands is named, one that is not any more is not. */
API_TEST(a_line_names_the_request_while_there_is_one)
{
    struct payload p = {.n = 0};
    struct capture cap;
    int result;

    start(false);
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    capture_begin(&cap);
    host->log(&plugin_a, a.request, SPOE_LOG_INFO, span("in time"));
    request_complete(a.request, SPOE_OK);
    host->log(&plugin_a, a.request, SPOE_LOG_INFO, span("late"));
    (void)capture_end(&cap, got, sizeof got);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_not_null(strstr(got, "msg=\"in time (stream 7 frame 3)\""), "%s", got);
    cr_assert_not_null(strstr(got, "msg=\"late\""), "%s", got);
    exchange_release(&worker, x);
    finish();
}

/* Both forms of a line are cut at the same place. */
API_TEST(a_text_is_cut_at_2048_bytes)
{
    static char text[2050];
    struct payload p = {.n = 0};
    int result;

    start(false);
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    memset(text, 'x', sizeof text);
    for (size_t n = 2047; n <= 2049; n++) {
        for (int with = 0; with < 2; with++) {
            struct capture cap;
            const char *begin;

            capture_begin(&cap);
            host->log(&plugin_a, with ? a.request : NULL, SPOE_LOG_INFO,
                      (struct spoe_span){text, n});
            (void)capture_end(&cap, got, sizeof got);
            begin = strstr(got, "msg=\"");
            cr_assert_not_null(begin);
            cr_assert_eq(strspn(begin + 5, "x"), n < 2048 ? n : 2048);
        }
    }
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* Log so many lines within one second of the clock. */
static void log_in_one_second(struct spoe_instance *plugin, unsigned n)
{
    int64_t second;

    do { /* a second that ends while we log is no second to look at */
        struct capture cap;

        atomic_store(&plugin->log_held, 0);
        second = clock_mono_ns() / NS_PER_S;
        atomic_store(&plugin->log_window, 0);
        capture_begin(&cap);
        for (unsigned i = 0; i < n; i++)
            host->log(plugin, NULL, SPOE_LOG_INFO, span("a line"));
        (void)capture_end(&cap, got, sizeof got);
    } while (clock_mono_ns() / NS_PER_S != second);
}

API_TEST(there_are_100_lines_a_second_and_the_rest_is_counted)
{
    struct capture cap;

    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    log_in_one_second(&plugin_a, PLUGIN_LOG_PER_SECOND);
    cr_assert_eq(count("a line"), PLUGIN_LOG_PER_SECOND);
    cr_assert_eq(atomic_load(&plugin_a.log_held), 0);
    log_in_one_second(&plugin_a, PLUGIN_LOG_PER_SECOND + 7);
    cr_assert_eq(count("a line"), PLUGIN_LOG_PER_SECOND);
    cr_assert_eq(atomic_load(&plugin_a.log_held), 7);
    cr_assert_eq(count("held back"), 0);
    /* Another plugin's are its own. */
    capture_begin(&cap);
    host->log(&plugin_b, NULL, SPOE_LOG_INFO, span("mine"));
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_eq(count("\n"), 1, "%s", got);
    /* The next second begins by telling. */
    atomic_store(&plugin_a.log_window, (uint64_t)1 << 32 | PLUGIN_LOG_PER_SECOND);
    capture_begin(&cap);
    host->log(&plugin_a, NULL, SPOE_LOG_INFO, span("the next"));
    host->log(&plugin_a, NULL, SPOE_LOG_INFO, span("the next"));
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_not_null(
        strstr(got, " level=warning component=a msg=\"7 log lines were held back\"\n"), "%s", got);
    cr_assert_eq(count("held back"), 1);
    cr_assert_eq(count("the next"), 2);
}

/* One line that was held back is told as well. */
API_TEST(a_single_line_that_was_held_back_is_told)
{
    struct capture cap;

    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    atomic_store(&plugin_a.log_held, 1);
    capture_begin(&cap);
    host->log(&plugin_a, NULL, SPOE_LOG_INFO, span("the next"));
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_eq(count("1 log lines were held back"), 1, "%s", got);
}

/* ---- settings ---- */

static const struct spoe_option first = {.size = sizeof first,
                                         .type = SPOE_OPT_STRING,
                                         .key = "first",
                                         .default_text = "one",
                                         .help = "h"};
static const struct spoe_option second = {.size = sizeof second,
                                          .type = SPOE_OPT_STRING,
                                          .key = "second",
                                          .default_text = "two",
                                          .help = "h"};
static const struct spoe_option *const options[] = {&first, &second, NULL};

API_TEST(settings_are_those_that_were_declared)
{
    struct conf *resolved = conf_create();
    struct spoe_config cfg = {.conf = resolved, .plugin = &plugin_a, .n_options = 2};

    cr_assert_not_null(resolved);
    cfg.section = conf_resolve(resolved, "a", options);
    cr_assert_not_null(cfg.section);
    cr_assert_eq(host->config_get(&cfg, 0)->raw.n, 3);
    cr_assert_eq(memcmp(host->config_get(&cfg, 1)->raw.p, "two", 3), 0);
    cr_assert_null(host->config_get(&cfg, 2));
    cr_assert_null(host->config_get(&cfg, SIZE_MAX));
    host->config_effective(&cfg, 2, span("nothing of that number"));
    cr_assert_eq(conf_error_count(resolved), 0);

    /* An error of an option names it, one of none the plugin. */
    host->config_error(&cfg, 1, span("does not please"));
    cr_assert_eq(cfg.errors, 1);
    host->config_error(&cfg, 2, span("nothing pleases"));
    cr_assert_eq(cfg.errors, 2);
    cr_assert_eq(conf_error_count(resolved), 2);
    conf_section_destroy(cfg.section);
    conf_destroy(resolved);
}

/* ---- post() ---- */

static unsigned n_ran;
static const void *ran_with;
static char where[128];

static void posted(void *arg)
{
    size_t n = thread_describe(thread_mine, where, sizeof where - 1);

    where[n] = '\0';
    ran_with = arg;
    n_ran++;
}

/* What a plugin got in worker_start(), and so hands over. */
static struct spoe_worker *handle_of(size_t plugin)
{
    return (struct spoe_worker *)(void *)&worker.handle[plugin];
}

static void start_worker(void)
{
    const char *failed = NULL;

    plugin_a.callee = (struct callee){"a", NULL};
    plugin_b.callee = (struct callee){"b", NULL};
    start(true);
    cr_assert_eq(worker_core_start(&worker, &failed), 0);
}

static void *post_on_thread(void *arg)
{
    *(spoe_status *)arg = host->post(handle_of(1), posted, &worker);
    return NULL;
}

API_TEST(a_posted_function_runs_on_the_worker_once)
{
    spoe_status status = SPOE_E_INTERNAL;
    pthread_t thread;

    start_worker();
    thread_begin("worker-0");
    cr_assert_eq(host->post(NULL, posted, NULL), SPOE_E_INVAL);
    cr_assert_eq(host->post(handle_of(0), NULL, NULL), SPOE_E_INVAL);
    cr_assert_eq(mailbox_run(&worker.mailbox), 0);
    cr_assert_eq(pthread_create(&thread, NULL, post_on_thread, &status), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(status, SPOE_OK);
    cr_assert_eq(n_ran, 0, "not before the worker turns");
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    cr_assert_eq(n_ran, 1);
    cr_assert_eq(ran_with, &worker);
    cr_assert_str_eq(where, "worker-0 is in a posted function of plugin b");
    cr_assert_eq(thread_describe(thread_mine, where, sizeof where), 0, "it has left it");
    cr_assert_eq(mailbox_run(&worker.mailbox), 0);
    thread_end();
    finish();
}

API_TEST(nothing_can_be_posted_to_a_worker_that_has_stopped)
{
    start_worker();
    cr_assert_eq(host->post(handle_of(0), posted, NULL), SPOE_OK);
    worker_core_stop(&worker);
    cr_assert_eq(n_ran, 1, "what was taken has run");
    cr_assert_eq(host->post(handle_of(0), posted, NULL), SPOE_E_STOPPING);
    cr_assert_eq(n_ran, 1);
    worker_core_fini(&worker);
    route_table_free(&routes);
}

/* ---- facets ---- */

API_TEST(metrics_are_there_where_the_host_has_them)
{
    struct metrics *metrics = metrics_create();

    cr_assert_null(host->get_extension(&plugin_a, SPOE_METRICS_1), "this host has none");
    cr_assert_null(host->get_extension(&plugin_a, SPOE_METRICS_2), "nor the second");
    plugin_a.metrics = metrics;
    cr_assert_eq(host->get_extension(&plugin_a, SPOE_METRICS_1), &metrics_facet);
    cr_assert_eq(host->get_extension(&plugin_a, SPOE_METRICS_2), &metrics_facet);
    cr_assert_null(host->get_extension(&plugin_a, "spoe.metrics/3"));
    cr_assert_null(host->get_extension(&plugin_a, NULL));
    plugin_a.metrics = NULL;
    metrics_destroy(metrics);
}
