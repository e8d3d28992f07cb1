/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that count, find and make series while another scrapes, and collectors are switched on
 * and off: for the TSan build. At the end nothing may be missing.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "core/metrics.h"

#define THREADS 6
#define ROUNDS 20000
#define LABELS 40 /* more than max_series */
#define SCRAPES 100

static struct metrics *metrics;
static struct spoe_metric_family *by_label;
static struct spoe_metric *counter, *gauge, *histogram, *collected;
static _Atomic int running;

static struct spoe_metric_family *declare(uint32_t type, const char *name,
                                          const char *const *labels)
{
    static const double bounds[] = {1, 10, 100};
    struct spoe_metric_decl decl = {.size = sizeof decl,
                                    .type = type,
                                    .max_series = 25,
                                    .n_bounds = type == SPOE_METRIC_HISTOGRAM ? 3 : 0,
                                    .name = name,
                                    .help = "h",
                                    .labels = labels,
                                    .bounds = bounds,
                                    .flags =
                                        type == SPOE_METRIC_HISTOGRAM ? SPOE_METRIC_EXEMPLARS : 0};
    struct spoe_metric_family *family;
    struct error wrong;
    spoe_status status = metrics_declare(metrics, "spoe_race_", &decl, &family, &wrong);

    assert(status == SPOE_OK);
    return family;
}

static void *update(void *arg)
{
    char text[16];
    struct spoe_exemplar exemplar;

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct spoe_span value = {text, 0};

        value.n = (size_t)snprintf(text, sizeof text, "%d", i % LABELS);
        metric_counter_add(counter, 1);
        metric_gauge_add(gauge, i % 2 == 0 ? 1 : -1);
        /* Torn, their bytes would differ. */
        memset(exemplar.trace_id, i % 250 + 1, sizeof exemplar.trace_id);
        memset(exemplar.span_id, i % 250 + 1, sizeof exemplar.span_id);
        exemplar.unix_ns = i + 1;
        metric_observe_exemplar(histogram, i % 200, &exemplar);
        metric_counter_add(metric_series(by_label, &value), 1);
    }
    (void)atomic_fetch_sub(&running, 1);
    return NULL;
}

static void collect(void *arg)
{
    static int calls; /* never two at once */

    (void)arg;
    metric_counter_set(collected, (uint64_t)++calls);
}

static void *switch_collector(void *arg)
{
    bool on = false;

    while (atomic_load(&running) > 0)
        metrics_set_collecting(metrics, arg, on = !on);
    return NULL;
}

static uint64_t number_after(const char *text, const char *name)
{
    const char *p = strstr(text, name);

    assert(p != NULL && p[strlen(name)] == ' ');
    return strtoull(p + strlen(name) + 1, NULL, 10);
}

/* @return the sum of a family's series */
static uint64_t sum_of(const char *page, const char *head)
{
    uint64_t sum = 0;

    for (const char *p = strstr(page, head); p != NULL; p = strstr(p + 1, head)) {
        const char *end = strchr(p, '}');

        assert(end != NULL && end[1] == ' ');
        sum += strtoull(end + 2, NULL, 10);
    }
    return sum;
}

/* Each exemplar is whole. @return how many there are */
static unsigned check_exemplars(const char *page)
{
    static const char trace[] = "trace_id=\"", span[] = "span_id=\"";
    unsigned n = 0;

    for (const char *p = strstr(page, trace); p != NULL; p = strstr(p, trace), n++) {
        const char *its = (p += sizeof trace - 1), *other = strstr(p, span) + sizeof span - 1;

        for (int i = 2; i < 32; i += 2)
            assert(memcmp(its, its + i, 2) == 0);
        assert(memcmp(its, other + 14, 2) == 0);
    }
    return n;
}

static char *scrape_as(enum metrics_format format)
{
    static char *page; /* not on the stack, of which GCC at -O3 would see a pointer remain */
    size_t n;
    FILE *out = open_memstream(&page, &n);

    assert(out != NULL);
    metrics_write(metrics, format, NULL, out);
    (void)fclose(out);
    assert(page != NULL);
    return page;
}

static char *scrape(void)
{
    return scrape_as(METRICS_PROMETHEUS);
}

int main(void)
{
    static const char *const labels[] = {"label", NULL};
    static struct callee owner;
    pthread_t threads[THREADS + 1];
    uint64_t last = 0, now;
    char *page;

    metrics = metrics_create();
    assert(metrics != NULL);
    by_label = declare(SPOE_METRIC_COUNTER, "labelled_total", labels);
    counter = metric_series(declare(SPOE_METRIC_COUNTER, "plain_total", NULL), NULL);
    gauge = metric_series(declare(SPOE_METRIC_GAUGE, "gauge", NULL), NULL);
    histogram = metric_series(declare(SPOE_METRIC_HISTOGRAM, "size_bytes", NULL), NULL);
    collected = metric_series(declare(SPOE_METRIC_COUNTER, "collected_total", NULL), NULL);
    assert(metrics_add_collector(metrics, &owner, collect, NULL) == SPOE_OK);
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert(pthread_create(&threads[i], NULL, update, NULL) == 0);
    assert(pthread_create(&threads[THREADS], NULL, switch_collector, &owner) == 0);
    for (int i = 0; i < SCRAPES; i++) {
        page = scrape();
        now = number_after(page, "\nspoe_race_plain_total");
        assert(now >= last); /* a counter never falls */
        last = now;
        free(page);
        page = scrape_as(METRICS_OPENMETRICS);
        (void)check_exemplars(page);
        free(page);
    }
    for (int i = 0; i <= THREADS; i++)
        assert(pthread_join(threads[i], NULL) == 0);
    page = scrape();
    assert(number_after(page, "\nspoe_race_plain_total") == THREADS * ROUNDS);
    free(page);
    page = scrape_as(METRICS_OPENMETRICS);
    assert(check_exemplars(page) == 4); /* one for each bucket */
    free(page);
    page = scrape();
    assert(number_after(page, "\nspoe_race_gauge") == 0);
    assert(number_after(page, "\nspoe_race_size_bytes_count") == THREADS * ROUNDS);
    assert(sum_of(page, "\nspoe_race_labelled_total{") == THREADS * ROUNDS);
    free(page);
    metrics_destroy(metrics);
    return 0;
}
