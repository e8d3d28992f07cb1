/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_metrics_two.c - what spoe.metrics/2 adds to the registry, and OpenMetrics:
 * issue 11, 3.2.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "core/metrics.h"

static struct metrics *metrics;
static char *page;

static void setup(void)
{
    metrics = metrics_create();
    cr_assert_not_null(metrics);
}

static void teardown(void)
{
    metrics_destroy(metrics);
    free(page);
}

TestSuite(metrics_two, .init = setup, .fini = teardown, .timeout = 60);

static const double bounds[] = {0.5, 1, 1e6};
static const char *const labels[] = {"l", NULL};

static struct spoe_metric_decl decl(uint32_t type, const char *name)
{
    return (struct spoe_metric_decl){.size = sizeof(struct spoe_metric_decl),
                                     .type = type,
                                     .name = name,
                                     .help = "A \"help\".",
                                     .n_bounds = type == SPOE_METRIC_HISTOGRAM ? 3 : 0,
                                     .bounds = bounds};
}

static struct spoe_metric_family *must(const char *prefix, const struct spoe_metric_decl *d)
{
    struct spoe_metric_family *family;
    struct error wrong = {{0}};

    cr_assert_eq(metrics_declare(metrics, prefix, d, &family, &wrong), SPOE_OK, "%s: %s", d->name,
                 wrong.text);
    return family;
}

static void refused(const char *prefix, const struct spoe_metric_decl *d, const char *why)
{
    struct spoe_metric_family *family;
    struct error wrong = {{0}};

    cr_assert_eq(metrics_declare(metrics, prefix, d, &family, &wrong), SPOE_E_INVAL, "%s", d->name);
    cr_assert_not_null(strstr(wrong.text, why), "%s: %s", d->name, wrong.text);
}

static const char *scrape(enum metrics_format format)
{
    size_t n;
    FILE *out;

    free(page);
    page = NULL;
    out = open_memstream(&page, &n);
    metrics_write(metrics, format, NULL, out);
    cr_assert_eq(fclose(out), 0);
    return page;
}

static void expect(enum metrics_format format, const char *text)
{
    cr_expect_str_eq(scrape(format), text);
}

/* ---- declarations ---- */

Test(metrics_two, names_without_a_prefix_are_not_the_hosts)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, "http_requests");

    d.flags = SPOE_METRIC_UNPREFIXED;
    cr_expect(metric_is_unprefixed(&d));
    (void)must("", &d);
    refused("", &d, METRIC_TAKEN);
    d.name = "spoe_x";
    refused("", &d, "are the host's");
    d.name = "process_x";
    refused("", &d, "are the host's");
    d.name = "spoe";
    (void)must("", &d);
    d.size = offsetof(struct spoe_metric_decl, flags); /* of 1.0: the rest is not there */
    cr_expect_not(metric_is_unprefixed(&d));
}

Test(metrics_two, flags_and_overflows_are_checked)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, "x");

    d.flags = 4;
    refused("spoe_t_", &d, "unknown flags");
    d.flags = SPOE_METRIC_EXEMPLARS;
    refused("spoe_t_", &d, "only a histogram has exemplars");
    d.flags = 0;
    d.overflow = "1x";
    refused("spoe_t_", &d, "overflow");
    d.max_series = SPOE_METRIC_SERIES_MAX + 1;
    d.overflow = NULL;
    refused("spoe_t_", &d, "at most 1000 series");
}

Test(metrics_two, an_overflow_has_a_name)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_COUNTER, "x_total");
    struct spoe_metric_family *family;
    struct spoe_span a = spoe_str("a"), b = spoe_str("b"), c = spoe_str("c");

    d.labels = labels;
    d.max_series = 1;
    d.overflow = "otel_metric_overflow";
    family = must("spoe_t_", &d);
    metric_counter_add(metric_series(family, &a), 1);
    metric_counter_add(metric_series(family, &b), 2);
    metric_counter_add(metric_series(family, &c), 4);
    cr_expect_eq(metric_series(family, &b), metric_series(family, NULL));
    expect(METRICS_PROMETHEUS, "# HELP spoe_t_x_total A \"help\".\n# TYPE spoe_t_x_total counter\n"
                               "spoe_t_x_total{l=\"a\"} 1\n"
                               "spoe_t_x_total{otel_metric_overflow=\"true\"} 6\n");
}

/* ---- OpenMetrics ---- */

Test(metrics_two, open_metrics_by_type)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_COUNTER, "a_bytes_total");

    metric_counter_add(metric_series(must("spoe_t_", &d), NULL), 7);
    d = decl(SPOE_METRIC_GAUGE, "b");
    metric_gauge_set(metric_series(must("spoe_t_", &d), NULL), -2);
    d = decl(SPOE_METRIC_HISTOGRAM, "c_seconds");
    metric_observe(metric_series(must("spoe_t_", &d), NULL), 1);
    expect(METRICS_OPENMETRICS,
           "# HELP spoe_t_a_bytes A \\\"help\\\".\n# TYPE spoe_t_a_bytes counter\n"
           "# UNIT spoe_t_a_bytes bytes\nspoe_t_a_bytes_total 7\n"
           "# HELP spoe_t_b A \\\"help\\\".\n# TYPE spoe_t_b gauge\nspoe_t_b -2\n"
           "# HELP spoe_t_c_seconds A \\\"help\\\".\n# TYPE spoe_t_c_seconds histogram\n"
           "# UNIT spoe_t_c_seconds seconds\n"
           "spoe_t_c_seconds_bucket{le=\"0.5\"} 0\nspoe_t_c_seconds_bucket{le=\"1.0\"} 1\n"
           "spoe_t_c_seconds_bucket{le=\"1000000.0\"} 1\n"
           "spoe_t_c_seconds_bucket{le=\"+Inf\"} 1\nspoe_t_c_seconds_sum 1\n"
           "spoe_t_c_seconds_count 1\n");
}

/* A gauge x and a counter x_total would be two families of one name. */
Test(metrics_two, open_metrics_has_no_name_twice)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, "x");

    (void)must("spoe_t_", &d);
    d = decl(SPOE_METRIC_COUNTER, "x_total");
    (void)must("spoe_t_", &d);
    cr_expect_not_null(strstr(scrape(METRICS_OPENMETRICS), "# TYPE spoe_t_x gauge\n"));
    cr_expect_not_null(strstr(page, "# TYPE spoe_t_x_total unknown\nspoe_t_x_total 0\n"));
    cr_expect_not_null(strstr(scrape(METRICS_PROMETHEUS), "# TYPE spoe_t_x_total counter\n"));
}

static const struct spoe_exemplar example = {.trace_id = {0xab, [15] = 1},
                                             .span_id = {2, [7] = 0xcd},
                                             .unix_ns = INT64_C(1700000000012999999)};

Test(metrics_two, exemplars_are_open_metrics_alone)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_HISTOGRAM, "c_seconds");
    struct spoe_exemplar later = example;
    struct spoe_metric *metric, *without;

    without = metric_series(must("spoe_u_", &d), NULL);
    d.flags = SPOE_METRIC_EXEMPLARS;
    metric = metric_series(must("spoe_t_", &d), NULL);
    metric_observe_exemplar(metric, 0.25, &example);
    later.span_id[0] = 3;
    metric_observe_exemplar(metric, 0.125, &later);
    metric_observe_exemplar(metric, 2e6, &example);
    metric_observe_exemplar(metric, 0.7, NULL);
    metric_observe_exemplar(without, 0.7, &example);
    cr_expect_null(strstr(scrape(METRICS_PROMETHEUS), "trace_id"));
    cr_expect_not_null(strstr(scrape(METRICS_OPENMETRICS),
                              "spoe_t_c_seconds_bucket{le=\"0.5\"} 2 # "
                              "{trace_id=\"ab000000000000000000000000000001\","
                              "span_id=\"03000000000000cd\"} 0.125 1700000000.012\n"
                              "spoe_t_c_seconds_bucket{le=\"1.0\"} 3\n"
                              "spoe_t_c_seconds_bucket{le=\"1000000.0\"} 3\n"
                              "spoe_t_c_seconds_bucket{le=\"+Inf\"} 4 # {trace_id"),
                       "%s", page);
    cr_expect_null(strstr(strstr(page, "spoe_u_"), "trace_id"));
}

/* ---- series that are put ---- */

static const struct callee owner = {.id = "t"};
static spoe_status statuses[12];

static void put_numbers(void *arg, struct spoe_metric_sink *sink)
{
    const struct spoe_metric_label two[] = {{"a", spoe_str("1\"\n")}, {"b", spoe_str("2")}};
    const struct spoe_metric_label twice[] = {{"a", spoe_str("1")}, {"a", spoe_str("2")}};
    const struct spoe_metric_label bad[] = {{"le", spoe_str("1")}};
    const struct spoe_metric_label nameless[] = {{NULL, spoe_str("1")}};
    const struct spoe_metric_histogram histogram = {.size = sizeof histogram};

    (void)arg;
    statuses[0] = metric_put_number(sink, two, 2, 5);
    statuses[1] = metric_put_number(sink, twice, 2, 1);
    statuses[2] = metric_put_number(sink, bad, 1, 1);
    statuses[3] = metric_put_number(sink, nameless, 1, 1);
    statuses[4] = metric_put_number(sink, two, 17, 1);
    statuses[5] = metric_put_histogram(sink, two, 2, &histogram);
    statuses[6] = metric_put_number(sink, two + 1, 1, 6);
    statuses[7] = metric_put_number(sink, NULL, 0, 7);
}

/* issue 11, 3.2: what a plugin forgets is refused and not followed. */
static void put_what_is_not_there(void *arg, struct spoe_metric_sink *sink)
{
    const struct spoe_metric_label valueless[] = {{"a", {NULL, 1}}};
    const struct spoe_metric_label empty[] = {{"a", {NULL, 0}}};

    (void)arg;
    statuses[0] = metric_put_number(sink, NULL, 1, 1);
    statuses[1] = metric_put_number(sink, valueless, 1, 1);
    statuses[2] = metric_put_number(NULL, NULL, 0, 1);
    statuses[3] = metric_put_number(sink, empty, 1, 7);
}

static void put_no_buckets(void *arg, struct spoe_metric_sink *sink)
{
    static const uint64_t buckets[] = {1, 0, 2, 3};
    const struct spoe_metric_histogram none = {.size = sizeof none};
    const struct spoe_metric_histogram some = {.size = sizeof some, .buckets = buckets};

    (void)arg;
    statuses[4] = metric_put_histogram(sink, NULL, 0, &none);
    statuses[5] = metric_put_histogram(sink, NULL, 0, NULL);
    statuses[6] = metric_put_histogram(NULL, NULL, 0, &some);
    statuses[7] = metric_put_histogram(sink, NULL, 1, &some);
}

Test(metrics_two, what_is_not_there_is_not_put)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, "x");
    struct error wrong = {{0}};

    cr_assert_eq(metrics_provide(metrics, "", &d, &owner, put_what_is_not_there, NULL, &wrong),
                 SPOE_OK);
    d = decl(SPOE_METRIC_HISTOGRAM, "x_seconds");
    cr_assert_eq(metrics_provide(metrics, "", &d, &owner, put_no_buckets, NULL, &wrong), SPOE_OK);
    metrics_set_collecting(metrics, &owner, true);
    expect(METRICS_PROMETHEUS, "# HELP x A \"help\".\n# TYPE x gauge\nx{a=\"\"} 7\n");
    for (int i = 0; i < 8; i++)
        cr_expect_eq(statuses[i], i == 3 ? SPOE_OK : SPOE_E_INVAL, "%d", i);
}

Test(metrics_two, a_plugin_puts_its_own_series)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_COUNTER, "x_total");
    struct error wrong = {{0}};

    d.max_series = 2;
    cr_assert_eq(metrics_provide(metrics, "", &d, &owner, put_numbers, NULL, &wrong), SPOE_OK);
    expect(METRICS_PROMETHEUS, ""); /* its plugin has not started */
    metrics_set_collecting(metrics, &owner, true);
    expect(METRICS_PROMETHEUS, "# HELP x_total A \"help\".\n# TYPE x_total counter\n"
                               "x_total{a=\"1\\\"\\n\",b=\"2\"} 5\nx_total{b=\"2\"} 6\n");
    cr_expect(statuses[0] == SPOE_OK && statuses[6] == SPOE_OK);
    for (int i = 1; i < 6; i++)
        cr_expect_eq(statuses[i], SPOE_E_INVAL, "%d", i);
    cr_expect_eq(statuses[7], SPOE_E_LIMIT);
    metrics_set_collecting(metrics, &owner, false);
    expect(METRICS_PROMETHEUS, "");
}

/* Neither is a label's value. */
Test(metrics_two, a_value_that_is_not_there_is_empty)
{
    static const char *const one[] = {"a", NULL};
    const struct spoe_span value = {NULL, 3};
    struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, "x");

    d.labels = one;
    metric_gauge_set(metric_series(must("", &d), &value), 7);
    expect(METRICS_PROMETHEUS, "# HELP x A \"help\".\n# TYPE x gauge\nx{a=\"\"} 7\n");
}

static void put_nothing(void *arg, struct spoe_metric_sink *sink)
{
    (void)arg;
    (void)sink;
}

static void put_a_histogram(void *arg, struct spoe_metric_sink *sink)
{
    static const uint64_t buckets[] = {1, 0, 2, 3};
    struct spoe_exemplar exemplars[4] = {[1] = example};
    struct spoe_metric_histogram histogram = {
        .size = sizeof histogram, .buckets = buckets, .exemplars = exemplars, .sum = 4.5};

    (void)arg;
    exemplars[1].value = 0.75;
    statuses[0] = metric_put_histogram(sink, NULL, 0, &histogram);
    statuses[1] = metric_put_number(sink, NULL, 0, 1);
    histogram.size = offsetof(struct spoe_metric_histogram, sum); /* sum is not there */
    statuses[2] = metric_put_histogram(sink, NULL, 0, &histogram);
}

Test(metrics_two, a_plugin_puts_a_histogram)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_HISTOGRAM, "x_seconds");
    struct error wrong = {{0}};

    d.max_series = SPOE_METRIC_PUT_SERIES_MAX;
    cr_assert_eq(metrics_provide(metrics, "", &d, &owner, put_a_histogram, NULL, &wrong), SPOE_OK);
    d = decl(SPOE_METRIC_GAUGE, "nothing");
    cr_assert_eq(metrics_provide(metrics, "", &d, &owner, put_nothing, NULL, &wrong), SPOE_OK);
    d.max_series = SPOE_METRIC_PUT_SERIES_MAX + 1;
    d.name = "too_many";
    cr_assert_eq(metrics_provide(metrics, "", &d, &owner, put_nothing, NULL, &wrong), SPOE_E_INVAL);
    metrics_set_collecting(metrics, &owner, true);
    expect(
        METRICS_OPENMETRICS,
        "# HELP x_seconds A \\\"help\\\".\n# TYPE x_seconds histogram\n# UNIT x_seconds seconds\n"
        "x_seconds_bucket{le=\"0.5\"} 1\nx_seconds_bucket{le=\"1.0\"} 1 # "
        "{trace_id=\"ab000000000000000000000000000001\",span_id=\"02000000000000cd\"} 0.75 "
        "1700000000.012\n"
        "x_seconds_bucket{le=\"1000000.0\"} 3\nx_seconds_bucket{le=\"+Inf\"} 6\n"
        "x_seconds_sum 4.5\nx_seconds_count 6\n");
    cr_expect(statuses[0] == SPOE_OK && statuses[1] == SPOE_E_INVAL && statuses[2] == SPOE_E_INVAL);
}

/* ---- what is not in the registry ---- */

static void write_guest(const void *arg, enum metrics_format format, FILE *out)
{
    metrics_write_head(out, format, SPOE_METRIC_COUNTER, arg, "h");
}

Test(metrics_two, a_guest_stands_where_it_sorts)
{
    static const char name[] = "m_seconds_total";
    const struct metrics_guest guest = {"m_", write_guest, name};
    struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, "z");
    size_t n;
    FILE *out;

    (void)must("", &d);
    d.name = "a";
    (void)must("", &d);
    out = open_memstream(&page, &n);
    metrics_write(metrics, METRICS_OPENMETRICS, &guest, out);
    cr_assert_eq(fclose(out), 0);
    cr_expect_str_eq(page, "# HELP a A \\\"help\\\".\n# TYPE a gauge\na 0\n"
                           "# HELP m_seconds h\n# TYPE m_seconds counter\n"
                           "# UNIT m_seconds seconds\n"
                           "# HELP z A \\\"help\\\".\n# TYPE z gauge\nz 0\n");
}

/* ---- several instances of one plugin (issue 12, section 1) ---- */

static void put_one(void *arg, struct spoe_metric_sink *sink)
{
    const struct spoe_metric_label taken = {METRIC_INSTANCE_LABEL, spoe_str("mine")};
    const struct spoe_metric_label own = {"l", spoe_str("x")};

    cr_expect_eq(metric_put_number(sink, &taken, 1, 1), arg != NULL ? SPOE_E_INVAL : SPOE_OK);
    cr_expect_eq(metric_put_number(sink, &own, 1, 2), SPOE_OK);
}

Test(metrics_two, instances_declare_the_same_and_are_written_as_one)
{
    struct spoe_metric_decl d = decl(SPOE_METRIC_COUNTER, "x_total");
    struct spoe_metric_decl put = decl(SPOE_METRIC_GAUGE, "y");
    const struct spoe_span a = spoe_str("a"), b = spoe_str("b");
    struct spoe_metric_family *family;
    struct error wrong = {{0}};
    int plugin, other;

    d.labels = labels;
    d.max_series = 1;
    d.overflow = "more";
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {NULL, "one", "two"};

        metrics_declare_for(metrics, &plugin, names[i]);
        family = must("spoe_t_", &d);
        metric_counter_add(metric_series(family, &a), i + 1);
        if (i > 0)
            metric_counter_add(metric_series(family, &b), 7);
        cr_assert_eq(metrics_provide(metrics, "spoe_t_", &put, &owner, put_one,
                                     (void *)(uintptr_t)names[i], &wrong),
                     SPOE_OK);
        refused("spoe_t_", &d, METRIC_TAKEN);
    }
    metrics_declare_for(metrics, &plugin, "three");
    put.labels = (const char *const[]){METRIC_INSTANCE_LABEL, NULL};
    refused("spoe_t_", &put, "is the host's");
    put.labels = NULL;
    put.type = SPOE_METRIC_HISTOGRAM; /* of another type it is another */
    put.n_bounds = 3;
    refused("spoe_t_", &put, METRIC_TAKEN);
    metrics_declare_for(metrics, &other, "one");
    refused("spoe_t_", &d, METRIC_TAKEN);
    metrics_declare_for(metrics, NULL, NULL);
    refused("spoe_t_", &d, METRIC_TAKEN);
    metrics_set_collecting(metrics, &owner, true);
    for (int twice = 0; twice < 2; twice++)
        expect(METRICS_PROMETHEUS, "# HELP spoe_t_x_total A \"help\".\n"
                                   "# TYPE spoe_t_x_total counter\n"
                                   "spoe_t_x_total{l=\"a\"} 1\n"
                                   "spoe_t_x_total{plugin_instance=\"one\",l=\"a\"} 2\n"
                                   "spoe_t_x_total{plugin_instance=\"one\",more=\"true\"} 7\n"
                                   "spoe_t_x_total{plugin_instance=\"two\",l=\"a\"} 3\n"
                                   "spoe_t_x_total{plugin_instance=\"two\",more=\"true\"} 7\n"
                                   "# HELP spoe_t_y A \"help\".\n"
                                   "# TYPE spoe_t_y gauge\n"
                                   "spoe_t_y{plugin_instance=\"mine\"} 1\n"
                                   "spoe_t_y{l=\"x\"} 2\n"
                                   "spoe_t_y{plugin_instance=\"one\",l=\"x\"} 2\n"
                                   "spoe_t_y{plugin_instance=\"two\",l=\"x\"} 2\n");
}
