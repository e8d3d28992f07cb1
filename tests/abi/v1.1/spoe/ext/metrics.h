/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/metrics.h - a plugin's metrics on the host's /metrics page, in Prometheus' text format
 * and as OpenMetrics.
 *
 *     const struct spoe_metrics *m = host->get_extension(self, SPOE_METRICS_1);
 *
 * NULL where the host has no such facet: the plugin goes on without. SPOE_METRICS_2 is the same
 * table with what stands below "Since 1.1"; a host of ABI 1.0 has only the first. What is declared
 * in configure() is shown for the life of the process:
 *
 *   family   one name with its help, type and label names; declared in configure() only
 *   series   one set of label values of a family; a handle, asked for once and kept
 *
 * The names of a plugin begin with "spoe_ID_", which the host puts before what is declared ("-" in
 * the id becomes "_"), unless a family is declared SPOE_METRIC_UNPREFIXED: then the plugin owns the
 * name, and a host in which it is taken does not start. The rest follows Prometheus' rules, and the
 * host holds it to them:
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
#define SPOE_METRICS_2 "spoe.metrics/2"

/* spoe_metric_decl.type */
enum {
    SPOE_METRIC_COUNTER = 1,  /* only grows; whole numbers */
    SPOE_METRIC_GAUGE = 2,    /* goes up and down; whole numbers */
    SPOE_METRIC_HISTOGRAM = 3 /* how often an observed value was in which range */
};

/* spoe_metric_decl.flags. Since 1.1. */
enum {
    SPOE_METRIC_UNPREFIXED =
        1,                    /* the name is as declared; it does not begin with spoe_, process_ */
    SPOE_METRIC_EXEMPLARS = 2 /* HISTOGRAM only: its series have room for exemplars */
};

#define SPOE_METRIC_LABELS_MAX 8u          /* label names of a family */
#define SPOE_METRIC_VALUE_MAX 128u         /* bytes of a label's value; a longer one is cut */
#define SPOE_METRIC_BOUNDS_MAX 64u         /* of a histogram */
#define SPOE_METRIC_SERIES_MAX 1000u       /* of a family, at most; 100 where it does not say */
#define SPOE_METRIC_FAMILIES_MAX 256u      /* of a plugin */
#define SPOE_METRIC_OWN_LABELS_MAX 16u     /* of a series that is put; since 1.1 */
#define SPOE_METRIC_PUT_SERIES_MAX 100000u /* of a family that is provided, at most; since 1.1 */

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
    uint32_t flags;            /* SPOE_METRIC_UNPREFIXED, ...; since 1.1 */
    uint32_t reserved;         /* 0 */
    const char *overflow; /* [borrow] what comes beyond max_series goes into a series whose only
                           * label is this one, with "true"; NULL: see series(). Since 1.1 */
};

/* A request that an observed value is an example of. Stands in arrays: frozen. Since 1.1. */
struct spoe_exemplar {
    uint8_t trace_id[16]; /* shown as hexadecimal digits, as OpenTelemetry has them */
    uint8_t span_id[8];
    double value;    /* what was observed */
    int64_t unix_ns; /* when; 0: there is no exemplar here */
};

/* One label of a series that is put. Frozen. Since 1.1. */
struct spoe_metric_label {
    const char *name;       /* [borrow] as label names are */
    struct spoe_span value; /* [borrow] as values of series() are */
};

/* A histogram that is put. Since 1.1. */
struct spoe_metric_histogram {
    uint32_t size;                         /* sizeof(struct spoe_metric_histogram) */
    uint32_t reserved;                     /* 0 */
    const uint64_t *buckets;               /* [borrow] n_bounds + 1, not added up; mandatory */
    const struct spoe_exemplar *exemplars; /* [borrow] one for each bucket; NULL: none */
    double sum;
};

struct spoe_metric_sink; /* where series are put; valid until the function returns */

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
     *                where it has none. UTF-8; what is not is replaced, what is too long is cut,
     *                one at NULL is empty
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

    /**
     * The same, of a family with SPOE_METRIC_EXEMPLARS; the exemplar becomes its bucket's, for
     * readers that take OpenMetrics. exemplar->value is not looked at.
     *
     * @param exemplar  [borrow] NULL: as observe()
     * Threads: [any]. Does not wait: of two at once for a bucket, one has its exemplar. Since: 1.1.
     */
    void (*observe_exemplar)(struct spoe_metric *histogram, double value,
                             const struct spoe_exemplar *exemplar);

    /**
     * Declare a family whose series are the plugin's own: fn puts all of them at each scrape, with
     * label names that may differ from series to series. For numbers that are kept elsewhere, in
     * large sets: nothing is copied or looked up. When fn runs is said at collect().
     *
     * @param decl  [borrow] .labels and .overflow are not looked at, .max_series may be up to
     *              SPOE_METRIC_PUT_SERIES_MAX
     * @param fn    calls put_number() or put_histogram(), on its own thread, with no series twice
     * @return as declare(); SPOE_E_INVAL also where fn is NULL
     * Threads: [main], during configure(). Since: 1.1.
     */
    spoe_status (*provide)(struct spoe_instance *self, const struct spoe_metric_decl *decl,
                           void (*fn)(void *arg, struct spoe_metric_sink *sink), void *arg);

    /**
     * Put a series of the family that is being read: of a counter its total, of a gauge its value.
     *
     * @param labels  [borrow] n of them, at most SPOE_METRIC_OWN_LABELS_MAX; may be NULL where n is
     *                0. A value of no bytes may be NULL
     * @return SPOE_OK; SPOE_E_INVAL: a label's name, another type, or what is mandatory is NULL or
     *         not within .size; SPOE_E_LIMIT: beyond max_series. A series that is refused is not
     *         shown, the others are
     * Threads: fn's. Since: 1.1.
     */
    spoe_status (*put_number)(struct spoe_metric_sink *sink, const struct spoe_metric_label *labels,
                              uint32_t n, int64_t value);
    spoe_status (*put_histogram)(struct spoe_metric_sink *sink,
                                 const struct spoe_metric_label *labels, uint32_t n,
                                 const struct spoe_metric_histogram *histogram);
};

/* ---- inline helpers; no part of the ABI. Since 1.1 ------------------------------------------- */

/*
 * A metric, or a family of them, and the table it is used by: declared by one call in configure(),
 * kept in the instance. One that could not be declared (the log says why), or for which the host
 * has no facet, takes updates and ignores them.
 */
struct spoe_meter {
    const struct spoe_metrics *table;
    struct spoe_metric_family *family;
    struct spoe_metric *metric; /* NULL where the family has labels: spoe_meter_series() */
};

/** Declare a family as spoe_metrics.declare() does, and its series where it has no labels. */
static inline struct spoe_meter spoe_meter_declare(const struct spoe_host *host,
                                                   struct spoe_instance *self,
                                                   const struct spoe_metric_decl *decl)
{
    struct spoe_meter meter;

    meter.table = (const struct spoe_metrics *)host->get_extension(self, SPOE_METRICS_1);
    meter.family = NULL;
    meter.metric = NULL;
    if (meter.table != NULL && meter.table->declare(self, decl, &meter.family) == SPOE_OK &&
        (decl->labels == NULL || decl->labels[0] == NULL))
        meter.metric = meter.table->series(meter.family, NULL);
    return meter;
}

/* @param labels  ends with NULL; may be NULL */
static inline struct spoe_meter spoe_meter_simple_(const struct spoe_host *host,
                                                   struct spoe_instance *self, uint32_t type,
                                                   const char *name, const char *help,
                                                   const char *const *labels)
{
    struct spoe_metric_decl decl = {sizeof decl, type, 0, 0, name, help, labels, NULL, 0, 0, NULL};

    return spoe_meter_declare(host, self, &decl);
}

/** Declare a counter, "things_total", or a gauge; labels end with NULL, and may be NULL. */
static inline struct spoe_meter spoe_meter_counter(const struct spoe_host *host,
                                                   struct spoe_instance *self, const char *name,
                                                   const char *help, const char *const *labels)
{
    return spoe_meter_simple_(host, self, SPOE_METRIC_COUNTER, name, help, labels);
}

static inline struct spoe_meter spoe_meter_gauge(const struct spoe_host *host,
                                                 struct spoe_instance *self, const char *name,
                                                 const char *help, const char *const *labels)
{
    return spoe_meter_simple_(host, self, SPOE_METRIC_GAUGE, name, help, labels);
}

/** Declare a histogram of n bounds, rising. */
static inline struct spoe_meter spoe_meter_histogram(const struct spoe_host *host,
                                                     struct spoe_instance *self, const char *name,
                                                     const char *help, const double *bounds,
                                                     uint32_t n)
{
    struct spoe_metric_decl decl = {
        sizeof decl, SPOE_METRIC_HISTOGRAM, 0, n, name, help, NULL, bounds, 0, 0, NULL};

    return spoe_meter_declare(host, self, &decl);
}

/** The series of a set of label values, in the order of the labels. Ask once, keep it. */
static inline struct spoe_meter spoe_meter_series(struct spoe_meter meter,
                                                  const struct spoe_span *values)
{
    meter.metric = meter.family != NULL ? meter.table->series(meter.family, values) : NULL;
    return meter;
}

/** Add to a counter; set a gauge, or add to it; note a value in a histogram. Threads: [any]. */
static inline void spoe_meter_count(const struct spoe_meter *meter, uint64_t n)
{
    if (meter->metric != NULL)
        meter->table->counter_add(meter->metric, n);
}

static inline void spoe_meter_set(const struct spoe_meter *meter, int64_t value)
{
    if (meter->metric != NULL)
        meter->table->gauge_set(meter->metric, value);
}

static inline void spoe_meter_add(const struct spoe_meter *meter, int64_t n)
{
    if (meter->metric != NULL)
        meter->table->gauge_add(meter->metric, n);
}

static inline void spoe_meter_observe(const struct spoe_meter *meter, double value)
{
    if (meter->metric != NULL)
        meter->table->observe(meter->metric, value);
}

#ifdef __cplusplus
}
#endif
#endif
