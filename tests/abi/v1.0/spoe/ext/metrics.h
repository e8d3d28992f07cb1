/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/metrics.h - a plugin's metrics on the host's /metrics page, in Prometheus' text format.
 *
 *     const struct spoe_metrics *m = host->get_extension(self, SPOE_METRICS_1);
 *
 * NULL where the host has no such facet: the plugin goes on without. What is declared in
 * configure() is shown for the life of the process:
 *
 *   family   one name with its help, type and label names; declared in configure() only
 *   series   one set of label values of a family; a handle, asked for once and kept
 *
 * The names of a plugin begin with "spoe_ID_", which the host puts before what is declared ("-" in
 * the id becomes "_"). The rest follows Prometheus' rules, and the host holds it to them:
 *
 *   - [a-z0-9_], beginning with a letter, at most 100 bytes with the prefix, unique in the host
 *   - a counter's name ends in "_total", no other does; none ends in "_bucket", "_sum" or "_count"
 *   - the unit comes last and is a base unit: "_seconds", "_bytes"; names that end in "_ms",
 *     "_milliseconds", "_kilobytes" and the like, before "_total", are refused
 *   - label names are [a-z0-9_], beginning with a letter, at most 40 bytes; "le" is taken
 *
 * Updates come from any thread, do not lock and do not allocate. A handle that is NULL, or of
 * another type than the function is for, is ignored: whoever failed to declare a metric need not
 * ask before each use.
 *
 * Threads and lifetimes are those of spoe/plugin.h. The table grows at its end only. Since 1.0.
 */
#ifndef SPOE_EXT_METRICS_H
#define SPOE_EXT_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPOE_METRICS_1 "spoe.metrics/1"

/* spoe_metric_decl.type */
enum {
    SPOE_METRIC_COUNTER = 1,  /* only grows; whole numbers */
    SPOE_METRIC_GAUGE = 2,    /* goes up and down; whole numbers */
    SPOE_METRIC_HISTOGRAM = 3 /* how often an observed value was in which range */
};

#define SPOE_METRIC_LABELS_MAX 8u     /* label names of a family */
#define SPOE_METRIC_VALUE_MAX 128u    /* bytes of a label's value; a longer one is cut */
#define SPOE_METRIC_BOUNDS_MAX 64u    /* of a histogram */
#define SPOE_METRIC_SERIES_MAX 1000u  /* of a family, at most; 100 where it does not say */
#define SPOE_METRIC_FAMILIES_MAX 256u /* of a plugin */

struct spoe_metric_family; /* handles, never dereferenced; valid until destroy() is called */
struct spoe_metric;

/* One family. Since 1.0. */
struct spoe_metric_decl {
    uint32_t size;             /* sizeof(struct spoe_metric_decl) */
    uint32_t type;             /* SPOE_METRIC_* */
    uint32_t max_series;       /* 0: 100; what comes beyond goes into one series, see series() */
    uint32_t n_bounds;         /* HISTOGRAM only, 1 to SPOE_METRIC_BOUNDS_MAX */
    const char *name;          /* [borrow] without "spoe_ID_" */
    const char *help;          /* [borrow] one line */
    const char *const *labels; /* [borrow] names, ends with NULL; may be NULL */
    const double *bounds;      /* [borrow] upper bounds, finite, rising; "+Inf" comes by itself */
};

/* The facet's functions; one table, [const]. All of them are mandatory in 1.0. */
struct spoe_metrics {
    uint32_t size;
    uint32_t reserved;

    /**
     * Declare a family. Without label names it has one series, which is shown from the start.
     *
     * @param decl        [borrow]
     * @param ret_family  set to NULL on failure
     * @return SPOE_OK; SPOE_E_INVAL: against the rules above, the log says which;
     *         SPOE_E_UNSUPPORTED: not in configure(); SPOE_E_LIMIT; SPOE_E_NOMEM
     * Threads: [main], during configure(). Since: 1.0.
     */
    spoe_status (*declare)(struct spoe_instance *self, const struct spoe_metric_decl *decl,
                           struct spoe_metric_family **ret_family);

    /**
     * Have a function called before each scrape, for values that cost something to keep but
     * little to ask for. It sets gauges and counters, by gauge_set() and counter_set().
     *
     * It runs on the host's admin thread, after start() has returned and never once stop() has
     * been called, never twice at once; it must not block. Several may be given.
     *
     * @return SPOE_OK; SPOE_E_INVAL; SPOE_E_UNSUPPORTED: not in configure(); SPOE_E_LIMIT
     * Threads: [main], during configure(). Since: 1.0.
     */
    spoe_status (*collect)(struct spoe_instance *self, void (*fn)(void *arg), void *arg);

    /**
     * The series of a set of label values; the same handle every time. It is shown from the first
     * call on. Ask once and keep the handle where that is possible.
     *
     * Beyond max_series, and without memory, it is the family's series in which every label is
     * "other": nothing is lost but the distinction.
     *
     * @param family  NULL: the result is NULL
     * @param values  [borrow] as many as the family has label names, in their order; may be NULL
     *                where it has none. UTF-8; what is not is replaced, what is too long is cut
     * @return NULL only where family is, or where not even "other" could be made
     * Threads: [any]. Cost: a search; a lock only where the series is new. Since: 1.0.
     */
    struct spoe_metric *(*series)(struct spoe_metric_family *family,
                                  const struct spoe_span *values);

    /** Add to a counter. Threads: [any]. Cost: one relaxed addition. Since: 1.0. */
    void (*counter_add)(struct spoe_metric *counter, uint64_t n);

    /**
     * Set a counter to a total that is kept elsewhere and never falls; for collect(). Not together
     * with counter_add() on one series. Threads: [any], one at a time per series. Since: 1.0.
     */
    void (*counter_set)(struct spoe_metric *counter, uint64_t total);

    /** Set a gauge, or add to it. Threads: [any]. Cost: one relaxed access. Since: 1.0. */
    void (*gauge_set)(struct spoe_metric *gauge, int64_t value);
    void (*gauge_add)(struct spoe_metric *gauge, int64_t n);

    /**
     * Note a value in a histogram; NaN is ignored. Threads: [any]. Cost: a search of the bounds,
     * two relaxed additions. Since: 1.0.
     */
    void (*observe)(struct spoe_metric *histogram, double value);
};

#ifdef __cplusplus
}
#endif
#endif
