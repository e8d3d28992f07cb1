/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_metrics.c - the registry of metrics and its text format.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spoe/util.h>

#include "core/metrics.h"

#define THREADS 12 /* more than there are shards */

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

TestSuite(metrics, .init = setup, .fini = teardown, .timeout = 60);

static struct spoe_metric_decl decl(uint32_t type, const char *name)
{
    return (struct spoe_metric_decl){
        .size = sizeof(struct spoe_metric_decl), .type = type, .name = name, .help = "A help."};
}

static struct spoe_metric_family *must(const struct spoe_metric_decl *d)
{
    struct spoe_metric_family *family;
    struct error wrong;
    spoe_status status = metrics_declare(metrics, "spoe_t_", d, &family, &wrong);

    cr_assert_eq(status, SPOE_OK, "%s: %s", d->name, wrong.text);
    cr_assert_not_null(family);
    return family;
}

static void refused(const struct spoe_metric_decl *d, const char *why)
{
    static int before;
    struct spoe_metric_family *family = (void *)&before;
    struct error wrong = {{0}};
    spoe_status status = metrics_declare(metrics, "spoe_t_", d, &family, &wrong);

    cr_assert_eq(status, SPOE_E_INVAL, "%s was taken", d->name != NULL ? d->name : "NULL");
    cr_assert_null(family);
    cr_assert_not_null(strstr(wrong.text, why), "%s: got \"%s\"", d->name, wrong.text);
}

static const char *scrape(void)
{
    size_t n;
    FILE *out;

    free(page);
    page = NULL;
    out = open_memstream(&page, &n);
    cr_assert_not_null(out);
    metrics_write(metrics, METRICS_PROMETHEUS, NULL, out);
    cr_assert_eq(fclose(out), 0);
    return page;
}

static void same(const char *want)
{
    cr_assert_str_eq(scrape(), want);
}

static void has(const char *line)
{
    cr_assert_not_null(strstr(scrape(), line), "no %s in\n%s", line, page);
}

static struct spoe_span other_span(void)
{
    return spoe_str("other");
}

Test(metrics, an_empty_registry_writes_nothing)
{
    same("");
}

Test(metrics, writes_each_type)
{
    static const double bounds[] = {0.1, 1, 2.5};
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "events_total");
    struct spoe_metric_decl g = decl(SPOE_METRIC_GAUGE, "depth");
    struct spoe_metric_decl h = decl(SPOE_METRIC_HISTOGRAM, "wait_seconds");
    struct spoe_metric *histogram;

    h.bounds = bounds;
    h.n_bounds = 3;
    histogram = metric_series(must(&h), NULL);
    metric_counter_add(metric_series(must(&c), NULL), 3);
    metric_gauge_set(metric_series(must(&g), NULL), -7);
    metric_observe(histogram, 0.1); /* a bound belongs to its own bucket */
    metric_observe(histogram, 0.25);
    metric_observe(histogram, 2.5);
    metric_observe(histogram, 100);
    metric_observe(histogram, NAN);
    same("# HELP spoe_t_depth A help.\n"
         "# TYPE spoe_t_depth gauge\n"
         "spoe_t_depth -7\n"
         "# HELP spoe_t_events_total A help.\n"
         "# TYPE spoe_t_events_total counter\n"
         "spoe_t_events_total 3\n"
         "# HELP spoe_t_wait_seconds A help.\n"
         "# TYPE spoe_t_wait_seconds histogram\n"
         "spoe_t_wait_seconds_bucket{le=\"0.1\"} 1\n"
         "spoe_t_wait_seconds_bucket{le=\"1\"} 2\n"
         "spoe_t_wait_seconds_bucket{le=\"2.5\"} 3\n"
         "spoe_t_wait_seconds_bucket{le=\"+Inf\"} 4\n"
         "spoe_t_wait_seconds_sum 102.85\n"
         "spoe_t_wait_seconds_count 4\n");
}

Test(metrics, an_infinite_sum_is_written_as_prometheus_does)
{
    static const double bounds[] = {1};
    struct spoe_metric_decl h = decl(SPOE_METRIC_HISTOGRAM, "x_seconds");

    h.bounds = bounds;
    h.n_bounds = 1;
    metric_observe(metric_series(must(&h), NULL), INFINITY);
    has("spoe_t_x_seconds_sum +Inf\n");
    has("_bucket{le=\"1\"} 0\n");
    has("_count 1\n");
}

Test(metrics, labels_stand_in_their_order_and_are_escaped)
{
    static const char *const labels[] = {"path", "code", NULL};
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "hits_total");
    const struct spoe_span values[] = {spoe_str("a\"b\\c\nd"), {NULL, 0}};
    const struct spoe_span bad[] = {{"\xff\x01\xc3\xa4", 4}, spoe_str("5")};
    struct spoe_metric_family *family;

    c.labels = labels;
    c.help = "back\\slash\nline";
    family = must(&c);
    cr_assert_eq(strcmp(scrape(), ""), 0, "a family without a series is not written");
    metric_counter_add(metric_series(family, values), 1);
    metric_counter_add(metric_series(family, bad), 2);
    has("# HELP spoe_t_hits_total back\\\\slash\\nline\n");
    has("spoe_t_hits_total{path=\"a\\\"b\\\\c\\nd\",code=\"\"} 1\n");
    has("spoe_t_hits_total{path=\"\xef\xbf\xbd\xef\xbf\xbd\xc3\xa4\",code=\"5\"} 2\n");
}

Test(metrics, a_long_value_is_cut_at_a_character)
{
    static const char *const labels[] = {"v", NULL};
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "cut_total");
    char text[SPOE_METRIC_VALUE_MAX + 2], want[2 * SPOE_METRIC_VALUE_MAX + 64];
    struct spoe_span value = {text, sizeof text};
    size_t n;

    c.labels = labels;
    memset(text, 'x', sizeof text);
    memcpy(text + SPOE_METRIC_VALUE_MAX - 1, "\xc3\xa4", 2); /* its second byte has no room */
    cr_assert_not_null(metric_series(must(&c), &value));
    (void)snprintf(want, sizeof want, "{v=\"%.*s\"} 0\n", (int)SPOE_METRIC_VALUE_MAX - 1, text);
    has(want);
    /* Nothing but what is escaped, at full length. */
    memset(text, '"', sizeof text);
    cr_assert_not_null(metric_series(must(&(struct spoe_metric_decl){.size = sizeof c,
                                                                     .type = c.type,
                                                                     .name = "quotes_total",
                                                                     .help = "h",
                                                                     .labels = labels}),
                                     &value));
    (void)scrape();
    n = strcspn(strstr(page, "quotes_total{"), "}");
    cr_assert_eq(n, strlen("quotes_total{v=\"\"") + 2 * SPOE_METRIC_VALUE_MAX);
}

Test(metrics, the_same_values_give_the_same_series)
{
    static const char *const labels[] = {"v", NULL};
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "same_total");
    const struct spoe_span a = spoe_str("a"), b = spoe_str("b"), bad1 = {"\xfe", 1},
                           bad2 = {"\xff", 1};
    struct spoe_metric_family *family;

    c.labels = labels;
    family = must(&c);
    cr_assert_eq(metric_series(family, &a), metric_series(family, &a));
    cr_assert_neq(metric_series(family, &a), metric_series(family, &b));
    cr_assert_eq(metric_series(family, &bad1), metric_series(family, &bad2),
                 "what is printed alike is one series");
}

Test(metrics, beyond_the_cap_all_is_other)
{
    static const char *const labels[] = {"v", "w", NULL};
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "many_total");
    struct spoe_metric_family *family;
    char text[16];

    c.labels = labels;
    c.max_series = 3;
    family = must(&c);
    for (int i = 0; i < 10; i++) {
        const struct spoe_span values[] = {{text, (size_t)snprintf(text, sizeof text, "%d", i)},
                                           spoe_str("w")};

        metric_counter_add(metric_series(family, values), 1);
    }
    has("spoe_t_many_total{v=\"2\",w=\"w\"} 1\n"
        "spoe_t_many_total{v=\"other\",w=\"other\"} 7\n");
    cr_assert_null(strstr(page, "v=\"3\""));
    cr_assert_eq(metric_series(family, NULL),
                 metric_series(family, (struct spoe_span[]){other_span(), other_span()}),
                 "no values are other values");
}

Test(metrics, a_handle_of_another_type_or_none_is_ignored)
{
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "x_total");
    struct spoe_metric_decl g = decl(SPOE_METRIC_GAUGE, "x");
    struct spoe_metric *counter = metric_series(must(&c), NULL);
    struct spoe_metric *gauge = metric_series(must(&g), NULL);

    metric_gauge_set(counter, 5);
    metric_gauge_add(counter, 5);
    metric_observe(counter, 5);
    metric_counter_add(gauge, 5);
    metric_counter_set(gauge, 5);
    metric_observe(gauge, 5);
    metric_counter_add(NULL, 1);
    metric_counter_set(NULL, 1);
    metric_gauge_set(NULL, 1);
    metric_gauge_add(NULL, 1);
    metric_observe(NULL, 1);
    cr_assert_null(metric_series(NULL, NULL));
    has("spoe_t_x 0\n");
    has("spoe_t_x_total 0\n");
}

Test(metrics, a_counter_can_be_set_and_a_gauge_added_to)
{
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "x_total");
    struct spoe_metric_decl g = decl(SPOE_METRIC_GAUGE, "x");
    struct spoe_metric *counter = metric_series(must(&c), NULL);
    struct spoe_metric *gauge = metric_series(must(&g), NULL);

    metric_counter_set(counter, 10);
    metric_counter_set(counter, UINT64_MAX);
    metric_gauge_add(gauge, 3);
    metric_gauge_add(gauge, -5);
    has("spoe_t_x_total 18446744073709551615\n");
    has("spoe_t_x -2\n");
}

Test(metrics, names_follow_the_rules)
{
    static const struct {
        uint32_t type;
        const char *name, *why;
    } bad[] = {
        {SPOE_METRIC_GAUGE, NULL, "[a-z0-9_]"},
        {SPOE_METRIC_GAUGE, "", "[a-z0-9_]"},
        {SPOE_METRIC_GAUGE, "9lives", "begins with a letter"},
        {SPOE_METRIC_GAUGE, "Upper", "[a-z0-9_]"},
        {SPOE_METRIC_GAUGE, "da-sh", "[a-z0-9_]"},
        {SPOE_METRIC_GAUGE, "col:on", "[a-z0-9_]"},
        {SPOE_METRIC_GAUGE, "new\nline 1", "[a-z0-9_]"},
        {SPOE_METRIC_COUNTER, "events", "ends in _total"},
        {SPOE_METRIC_GAUGE, "events_total", "only a counter"},
        {SPOE_METRIC_GAUGE, "x_bucket", "_bucket"},
        {SPOE_METRIC_GAUGE, "x_sum", "_sum"},
        {SPOE_METRIC_GAUGE, "x_count", "_count"},
        {SPOE_METRIC_GAUGE, "wait_ms", "base unit"},
        {SPOE_METRIC_GAUGE, "wait_milliseconds", "base unit"},
        {SPOE_METRIC_COUNTER, "sent_kilobytes_total", "base unit"},
        {0, "x", "unknown type"},
        {4, "x", "unknown type"},
    };
    char longest[METRIC_NAME_MAX + 2];
    struct spoe_metric_decl d;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        d = decl(bad[i].type, bad[i].name);
        refused(&d, bad[i].why);
    }
    memset(longest, 'x', sizeof longest);
    longest[METRIC_NAME_MAX - strlen("spoe_t_")] = '\0';
    d = decl(SPOE_METRIC_GAUGE, longest);
    (void)must(&d);
    longest[METRIC_NAME_MAX - strlen("spoe_t_")] = 'x';
    longest[METRIC_NAME_MAX - strlen("spoe_t_") + 1] = '\0';
    refused(&d, "100 bytes");
    d = decl(SPOE_METRIC_GAUGE, "twice");
    (void)must(&d);
    refused(&d, "taken");
    d = decl(SPOE_METRIC_COUNTER, "received_bytes_total");
    (void)must(&d);
}

static void collect_gauge(void *arg)
{
    metric_gauge_add(arg, 1);
}

/* 9.1: each unit that is not a base unit, alone and before _total. */
Test(metrics, every_other_unit_is_refused)
{
    static const char *const units[] = {
        "ns",        "us",        "ms",        "nanoseconds", "microseconds", "milliseconds",
        "minutes",   "hours",     "days",      "kb",          "mb",           "gb",
        "kilobytes", "megabytes", "gigabytes", "bits",        "percent"};
    char name[64];

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, name);

        (void)snprintf(name, sizeof name, "x_%s", units[i]);
        refused(&d, "base unit");
        (void)snprintf(name, sizeof name, "%s", units[i]); /* no unit, a word */
        (void)must(&d);
        d.type = SPOE_METRIC_COUNTER;
        (void)snprintf(name, sizeof name, "x_%s_total", units[i]);
        refused(&d, "base unit");
    }
}

/* 9.1: what is exactly at a limit is taken. */
Test(metrics, declarations_at_their_limits_are_taken)
{
    static const char *const eight[] = {"a", "b", "c", "d", "e", "f", "g", "h", NULL};
    static char name[METRIC_LABEL_MAX + 2];
    static const char *const one[] = {name, NULL};
    static double bounds[SPOE_METRIC_BOUNDS_MAX];
    struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, "x");
    struct spoe_span values[SPOE_METRIC_LABELS_MAX];
    char wide[SPOE_METRIC_VALUE_MAX];

    d.labels = eight;
    d.max_series = SPOE_METRIC_SERIES_MAX;
    memset(wide, '"', sizeof wide); /* each is printed as two */
    for (size_t i = 0; i < SPOE_METRIC_LABELS_MAX; i++)
        values[i] = (struct spoe_span){wide, sizeof wide};
    cr_assert_not_null(metric_series(must(&d), values));
    (void)scrape();
    cr_assert_eq(strcspn(strchr(page, '{'), "}"),
                 1 + 8 * (strlen("a=\"\"") + 2 * SPOE_METRIC_VALUE_MAX) + 7);

    d = decl(SPOE_METRIC_GAUGE, "y");
    d.labels = one;
    memset(name, 'n', sizeof name - 1);
    refused(&d, "label");
    name[METRIC_LABEL_MAX] = '\0';
    (void)must(&d);

    d = decl(SPOE_METRIC_HISTOGRAM, "z");
    for (unsigned i = 0; i < SPOE_METRIC_BOUNDS_MAX; i++)
        bounds[i] = i;
    d.bounds = bounds;
    d.n_bounds = SPOE_METRIC_BOUNDS_MAX;
    metric_observe(metric_series(must(&d), NULL), SPOE_METRIC_BOUNDS_MAX);
    has("spoe_t_z_bucket{le=\"63\"} 0\nspoe_t_z_bucket{le=\"+Inf\"} 1\n");
    d.name = "without_bounds";
    d.bounds = NULL;
    refused(&d, "bounds");
}

/* 9.1 */
Test(metrics, a_family_has_a_hundred_series_where_it_does_not_say)
{
    static const char *const labels[] = {"v", NULL};
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "many_total");
    struct spoe_metric_family *family;
    char text[16];

    c.labels = labels;
    family = must(&c);
    for (int i = 0; i < 102; i++) {
        const struct spoe_span value = {text, (size_t)snprintf(text, sizeof text, "%d", i)};

        metric_counter_add(metric_series(family, &value), 1);
    }
    has("spoe_t_many_total{v=\"99\"} 1\nspoe_t_many_total{v=\"other\"} 2\n");
    cr_assert_null(strstr(page, "v=\"100\""));
}

/* 9.1 */
Test(metrics, a_histogram_with_labels_has_them_before_its_bounds)
{
    static const double bounds[] = {0.5};
    static const char *const labels[] = {"v", "w", NULL};
    const struct spoe_span values[] = {spoe_str("a"), spoe_str("b")};
    struct spoe_metric_decl h = decl(SPOE_METRIC_HISTOGRAM, "wait_seconds");

    h.bounds = bounds;
    h.n_bounds = 1;
    h.labels = labels;
    metric_observe(metric_series(must(&h), values), 0.5);
    same("# HELP spoe_t_wait_seconds A help.\n"
         "# TYPE spoe_t_wait_seconds histogram\n"
         "spoe_t_wait_seconds_bucket{v=\"a\",w=\"b\",le=\"0.5\"} 1\n"
         "spoe_t_wait_seconds_bucket{v=\"a\",w=\"b\",le=\"+Inf\"} 1\n"
         "spoe_t_wait_seconds_sum{v=\"a\",w=\"b\"} 0.5\n"
         "spoe_t_wait_seconds_count{v=\"a\",w=\"b\"} 1\n");
}

static volatile unsigned
    countdown; /* the allocation that fails; 0: none (--wrap, see CMakeLists.txt) */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* 9.1: the n-th allocation fails, for every n: the family or series is not there, the others are.
 */
Test(metrics, where_memory_is_short_there_is_no_family)
{
    static const double bounds[] = {1};
    static const char *const labels[] = {"v", NULL};
    static const struct callee mine = {"mine", NULL};
    struct spoe_metric_decl h = decl(SPOE_METRIC_HISTOGRAM, "x"),
                            c = decl(SPOE_METRIC_COUNTER, "y_total");
    const struct spoe_span value = spoe_str("a");
    struct spoe_metric_family *family = NULL;
    struct spoe_metric *series = NULL;
    struct error wrong;
    spoe_status status;

    h.bounds = bounds;
    h.n_bounds = 1;
    h.labels = labels;
    for (unsigned n = 1;; n++) {
        countdown = n;
        status = metrics_declare(metrics, "spoe_t_", &h, &family, &wrong);
        if (countdown != 0)
            break;
        cr_assert_eq(status, SPOE_E_NOMEM, "allocation %u", n);
        cr_assert_null(family);
        same("");
    }
    countdown = 0;
    cr_assert_eq(status, SPOE_OK);
    for (unsigned n = 1; series == NULL; n++) {
        countdown = n;
        series = metric_series(family, NULL);
        cr_assert_eq(series == NULL, countdown == 0, "allocation %u", n);
    }
    for (unsigned n = 1; n <= 3; n++) {
        countdown = n;
        cr_assert_eq(metric_series(family, &value), series,
                     "what has no series of its own is other");
    }
    countdown = 0;
    metric_observe(metric_series(family, &value), 2);
    has("spoe_t_x_count{v=\"a\"} 1\n");
    /* A family without labels has its series at once; what fails once is tried once more. */
    for (unsigned n = 1; n <= 3; n++) {
        countdown = n;
        status = metrics_declare(metrics, "spoe_t_", &c, &family, &wrong);
        if (n == 3)
            break;
        cr_assert_eq(status, SPOE_E_NOMEM, "allocation %u", n);
        cr_assert_null(strstr(scrape(), "y_total"));
    }
    cr_assert_eq(status, SPOE_OK);
    countdown = 1;
    cr_assert_eq(metrics_add_collector(metrics, &mine, collect_gauge, NULL), SPOE_E_NOMEM);
    countdown = 1;
    cr_assert_null(metrics_create());
    countdown = 0;
    has("spoe_t_y_total 0\n");
}

Test(metrics, declarations_are_checked)
{
    static const char *const upper[] = {"Code", NULL}, *const le[] = {"le", NULL};
    static const char *const dup[] = {"a", "b", "a", NULL};
    static const char *const nine[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", NULL};
    static const double falling[] = {1, 1}, close[] = {1, 1 + 1e-16 + 2.3e-16}, inf[] = {INFINITY};
    struct spoe_metric_decl d = decl(SPOE_METRIC_GAUGE, "x");

    d.size = offsetof(struct spoe_metric_decl, flags) - 1; /* of 1.0 */
    refused(&d, "too short");
    d.size = sizeof d;
    d.help = NULL;
    refused(&d, "help");
    d.help = "h";
    d.labels = upper;
    refused(&d, "label");
    d.labels = le;
    refused(&d, "label");
    d.labels = dup;
    refused(&d, "two labels");
    d.labels = nine;
    refused(&d, "8 labels");
    d.labels = NULL;
    d.max_series = SPOE_METRIC_SERIES_MAX + 1;
    refused(&d, "series");
    d.max_series = 0;
    d.bounds = falling;
    d.n_bounds = 2;
    refused(&d, "only a histogram");
    d.type = SPOE_METRIC_HISTOGRAM;
    refused(&d, "rise");
    d.bounds = close;
    refused(&d, "rise");
    d.bounds = inf;
    d.n_bounds = 1;
    refused(&d, "finite");
    d.n_bounds = 0;
    refused(&d, "bounds");
    d.n_bounds = SPOE_METRIC_BOUNDS_MAX + 1;
    refused(&d, "bounds");
    same("");
}

Test(metrics, collects_while_the_owner_is_on)
{
    static const struct callee mine = {"mine", NULL}, theirs = {"theirs", NULL};
    struct spoe_metric_decl g = decl(SPOE_METRIC_GAUGE, "seen");
    struct spoe_metric *gauge = metric_series(must(&g), NULL);

    for (unsigned i = 0; i < METRIC_COLLECTORS_MAX; i++)
        cr_assert_eq(metrics_add_collector(metrics, &mine, collect_gauge, gauge), SPOE_OK);
    cr_assert_eq(metrics_add_collector(metrics, &mine, collect_gauge, gauge), SPOE_E_LIMIT);
    cr_assert_eq(metrics_add_collector(metrics, &theirs, collect_gauge, gauge), SPOE_OK);
    has("spoe_t_seen 0\n");
    metrics_set_collecting(metrics, &mine, true);
    has("spoe_t_seen 8\n");
    metrics_set_collecting(metrics, &mine, false);
    has("spoe_t_seen 8\n");
    metrics_set_collecting(metrics, &theirs, true);
    has("spoe_t_seen 9\n");
}

static const struct callee stopped = {"stopped", NULL};
static pthread_t stopper;
static _Atomic pid_t stopper_tid;
static _Atomic bool has_stopped;

static void *stop_collecting(void *arg)
{
    atomic_store(&stopper_tid, gettid());
    metrics_set_collecting(metrics, &stopped, false);
    atomic_store(&has_stopped, true);
    return arg;
}

static bool sleeps(pid_t tid)
{
    char name[64], text[256] = "", *at;
    FILE *file;

    (void)snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)tid);
    file = fopen(name, "re");
    if (file == NULL)
        return false;
    (void)!fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    at = strrchr(text, ')');
    return at != NULL && at[1] == ' ' && at[2] == 'S';
}

/* Somebody wants it to be the last time, and waits until it is over. */
static void collect_last(void *arg)
{
    cr_assert_eq(pthread_create(&stopper, NULL, stop_collecting, NULL), 0);
    while (atomic_load(&stopper_tid) == 0 ||
           !(atomic_load(&has_stopped) || sleeps(atomic_load(&stopper_tid))))
        (void)sched_yield();
    cr_assert_not(atomic_load(&has_stopped));
    metric_gauge_add(arg, 1);
}

/* 9.2: a plugin whose collector is off may be taken down: nobody is in it. */
Test(metrics, who_stops_collecting_waits_for_a_collector_that_runs)
{
    struct spoe_metric_decl g = decl(SPOE_METRIC_GAUGE, "seen");
    struct spoe_metric *gauge = metric_series(must(&g), NULL);

    cr_assert_eq(metrics_add_collector(metrics, &stopped, collect_last, gauge), SPOE_OK);
    metrics_set_collecting(metrics, &stopped, true);
    has("spoe_t_seen 1\n");
    cr_assert_eq(pthread_join(stopper, NULL), 0);
    cr_assert(atomic_load(&has_stopped));
    has("spoe_t_seen 1\n");
}

static struct spoe_metric *shared[2];

static void *add_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        metric_counter_add(shared[0], 2);
        metric_observe(shared[1], 0.5);
    }
    return NULL;
}

Test(metrics, nothing_is_lost_where_threads_share_shards)
{
    static const double bounds[] = {1};
    struct spoe_metric_decl c = decl(SPOE_METRIC_COUNTER, "x_total");
    struct spoe_metric_decl h = decl(SPOE_METRIC_HISTOGRAM, "x_seconds");
    pthread_t threads[THREADS];

    h.bounds = bounds;
    h.n_bounds = 1;
    shared[0] = metric_series(must(&c), NULL);
    shared[1] = metric_series(must(&h), NULL);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    has("spoe_t_x_total 24000\n");
    has("spoe_t_x_seconds_sum 6000\nspoe_t_x_seconds_count 12000\n");
}

/* 9.2 */
Test(metrics, nothing_is_destroyed_without_harm)
{
    metrics_destroy(NULL);
}
