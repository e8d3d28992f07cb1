/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_metrics.c - the plugin without the facet, and with one that refuses; what
 * it says with a real one is in tests/integ/test_otel_metrics.py.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "send/transport.h"
#include "metrics.h"

static const struct spoe_metrics *facet;
static unsigned declared, series, observed;
static const char *asked_for;

static const void *get_extension(struct spoe_instance *self, const char *id)
{
    (void)self;
    asked_for = id;
    return facet;
}

static const struct spoe_host host = {.size = sizeof host, .get_extension = get_extension};

static spoe_status refuse(struct spoe_instance *self, const struct spoe_metric_decl *decl,
                          struct spoe_metric_family **ret)
{
    (void)self;
    cr_assert_eq(decl->size, sizeof *decl);
    declared++;
    *ret = NULL;
    return SPOE_E_LIMIT;
}

static spoe_status no_collect(struct spoe_instance *self, void (*fn)(void *arg), void *arg)
{
    (void)self;
    (void)fn;
    (void)arg;
    return SPOE_E_LIMIT;
}

static struct spoe_metric *no_series(struct spoe_metric_family *family,
                                     const struct spoe_span *values)
{
    (void)values;
    cr_assert_null(family);
    series++;
    return NULL;
}

static void gauge_set(struct spoe_metric *gauge, int64_t value)
{
    (void)value;
    cr_assert_null(gauge);
}

static void observe(struct spoe_metric *histogram, double value)
{
    cr_assert_null(histogram);
    cr_assert_float_eq(value, 1.5, 1e-9);
    observed++;
}

TestSuite(otel_metrics, .timeout = 60);

Test(otel_metrics, a_host_without_the_facet_is_no_matter)
{
    cr_assert_null(otel_metrics_create(&host, NULL));
    cr_assert_str_eq(asked_for, "spoe.metrics/1");
    otel_metrics_start(NULL, &(struct otel_metrics_source){.counters = NULL});
    otel_metrics_attempt(NULL, TRANSPORT_OK, 1);
}

Test(otel_metrics, a_facet_that_refuses_everything_is_no_matter)
{
    static const struct spoe_metrics refusing = {.size = sizeof refusing,
                                                 .declare = refuse,
                                                 .collect = no_collect,
                                                 .series = no_series,
                                                 .gauge_set = gauge_set,
                                                 .observe = observe};
    struct otel_metrics *metrics;

    facet = &refusing;
    metrics = otel_metrics_create(&host, NULL);
    cr_assert_not_null(metrics);
    cr_assert(declared > 10 && series > 20);
    otel_metrics_start(metrics, &(struct otel_metrics_source){.store_max = 7});
    otel_metrics_attempt(metrics, TRANSPORT_RETRYABLE, 1500000000);
    cr_assert_eq(observed, 1);
    otel_metrics_attempt(metrics, 3, 1);
    otel_metrics_attempt(metrics, -1, 1);
    cr_assert_eq(observed, 1);
    free(metrics);
}
