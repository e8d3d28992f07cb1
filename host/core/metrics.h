/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/metrics.h - the registry of metrics, and its text as Prometheus reads it. Plugins reach
 * it through the facets "spoe.metrics/1" and "/2" (spoe/ext/metrics.h), where the rules for names
 * stand.
 *
 * Families are declared on the main thread before anything else runs, series come and numbers
 * change from any thread. Numbers that many threads change are spread over METRIC_SHARDS cache
 * lines: a thread adds to its own, the reader adds them up. Nothing is ever taken away.
 */
#ifndef HOST_CORE_METRICS_H
#define HOST_CORE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>

#include "base/error.h"
#include "base/thread.h"

#define METRIC_SHARDS 8u
#define METRIC_NAME_MAX 100u /* bytes of a family's name with its prefix */
#define METRIC_LABEL_MAX 40u /* bytes of a label's name */
#define METRIC_SERIES_DEFAULT 100u
#define METRIC_COLLECTORS_MAX 8u /* of one owner */
#define METRIC_INSTANCE_LABEL "plugin_instance"
#define METRIC_TAKEN "the name is taken"

struct metrics;

typedef void metrics_collect_fn(void *arg);
typedef void metrics_provide_fn(void *arg, struct spoe_metric_sink *sink);

/* How a page is written. */
enum metrics_format {
    METRICS_PROMETHEUS, /* the text format 0.0.4 */
    METRICS_OPENMETRICS /* 1.0.0, https://github.com/prometheus/OpenMetrics: with exemplars */
};

/** @return NULL: out of memory */
struct metrics *metrics_create(void);
/** No thread may use a handle any more. Takes NULL. */
void metrics_destroy(struct metrics *metrics);

/** Whether a declaration has the flag. */
bool metric_is_unprefixed(const struct spoe_metric_decl *decl);

/**
 * Whose declarations follow. Several instances of one plugin declare the same families, which are
 * then written as one, each series with its instance as a label.
 * @param sharer    what the instances have in common; NULL: whoever it is shares with nobody
 * @param instance  [borrow until the next call] NULL: its series have no label for it
 * [main & not started]
 */
void metrics_declare_for(struct metrics *metrics, const void *sharer, const char *instance);

/**
 * Declare a family; its name is prefix and decl->name. [main & not started]
 * @param reterr  what is wrong with the declaration; set with SPOE_E_INVAL and _LIMIT
 * @return as spoe_metrics.declare()
 */
spoe_status metrics_declare(struct metrics *metrics, const char *prefix,
                            const struct spoe_metric_decl *decl, struct spoe_metric_family **ret,
                            struct error *reterr);

/** Declare a family that fn puts at each scrape, as metrics_add_collector() has it run. */
spoe_status metrics_provide(struct metrics *metrics, const char *prefix,
                            const struct spoe_metric_decl *decl, const struct callee *owner,
                            metrics_provide_fn *fn, void *arg, struct error *reterr);

/**
 * Have fn(arg) called before each scrape while its owner is switched on. [main & not started]
 * @return SPOE_OK; SPOE_E_LIMIT; SPOE_E_NOMEM
 */
spoe_status metrics_add_collector(struct metrics *metrics, const struct callee *owner,
                                  metrics_collect_fn *fn, void *arg);
/** Switch an owner's functions on or off; off: none runs any more when this returns. [main] */
void metrics_set_collecting(struct metrics *metrics, const struct callee *owner, bool on);

/* Families that are not in the registry, written where their first name belongs. */
struct metrics_guest {
    const char *name;
    void (*write)(const void *arg, enum metrics_format format, FILE *out);
    const void *arg;
};

/**
 * Collect, then write all families that have a series, sorted by name. OpenMetrics' end is left to
 * whoever has the page.
 * @param guest  [borrow] NULL: there are no others
 * Threads: one at a time.
 */
void metrics_write(struct metrics *metrics, enum metrics_format format,
                   const struct metrics_guest *guest, FILE *out);
/** HELP, TYPE and UNIT of a family; for those that are not in the registry. */
void metrics_write_head(FILE *out, enum metrics_format format, uint32_t type, const char *name,
                        const char *help);

/* As the members of struct spoe_metrics. [any] */
struct spoe_metric *metric_series(struct spoe_metric_family *family,
                                  const struct spoe_span *values);
void metric_counter_add(struct spoe_metric *counter, uint64_t n);
void metric_counter_set(struct spoe_metric *counter, uint64_t total);
void metric_gauge_set(struct spoe_metric *gauge, int64_t value);
void metric_gauge_add(struct spoe_metric *gauge, int64_t n);
void metric_observe(struct spoe_metric *histogram, double value);
void metric_observe_exemplar(struct spoe_metric *histogram, double value,
                             const struct spoe_exemplar *exemplar);
spoe_status metric_put_number(struct spoe_metric_sink *sink, const struct spoe_metric_label *labels,
                              uint32_t n, int64_t value);
spoe_status metric_put_histogram(struct spoe_metric_sink *sink,
                                 const struct spoe_metric_label *labels, uint32_t n,
                                 const struct spoe_metric_histogram *histogram);

#endif
