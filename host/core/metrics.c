/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/metrics.c - the registry of metrics.
 *
 * A family's series form a list that only grows, at its end, under the registry's lock; whoever
 * looks for one walks it without. A series is known by its labels as they are printed, so that
 * no two series are ever printed alike.
 */
#include "core/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define LINE_BYTES 64u /* of a cache line */
#define CELLS_PER_LINE (LINE_BYTES / sizeof(uint64_t))
#define DECL_SIZE_1_0 (offsetof(struct spoe_metric_decl, bounds) + sizeof(double *))
/* name="value", and every byte of a value may be escaped. */
#define LABELS_TEXT_MAX                                                                            \
    (SPOE_METRIC_LABELS_MAX * (METRIC_LABEL_MAX + 2 * SPOE_METRIC_VALUE_MAX + 4) + 1)
#define NUMBER_TEXT_MAX 32u
#define FNV_OFFSET UINT32_C(2166136261) /* FNV-1a, 32 bits */
#define FNV_PRIME UINT32_C(16777619)

/*
 * Cells of a counter: one in each shard. Of a histogram: in each shard one per bucket, "+Inf"
 * included, then the sum as the bits of a double. Of a gauge: one, in all.
 */
struct spoe_metric {
    const struct spoe_metric_family *family;
    _Atomic(struct spoe_metric *) next;
    uint32_t hash;
    char *labels; /* as printed, without braces; empty where the family has none */
    _Atomic uint64_t *cells;
};

struct spoe_metric_family {
    struct spoe_metric_family *next; /* by name */
    struct metrics *metrics;
    char *name, *help;
    uint32_t type, max_series, n_labels, n_bounds;
    uint32_t stride; /* cells of one shard, whole lines */
    char *labels[SPOE_METRIC_LABELS_MAX];
    double *bounds;
    _Atomic(struct spoe_metric *) first;
    struct spoe_metric *last; /* lock */
    uint32_t n_series;        /* lock */
};

struct collector {
    struct collector *next;
    const struct callee *owner;
    metrics_collect_fn *fn;
    void *arg;
    bool on; /* collecting */
};

struct metrics {
    struct spoe_metric_family *families;
    struct collector *collectors; /* in the order of registration */
    pthread_mutex_t lock;         /* series that are added; not held while others' code runs */
    pthread_mutex_t collecting;   /* held while collectors run */
};

struct metrics *metrics_create(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics == NULL)
        return NULL;
    (void)pthread_mutex_init(&metrics->lock, NULL);
    (void)pthread_mutex_init(&metrics->collecting, NULL);
    return metrics;
}

static void family_destroy(struct spoe_metric_family *family)
{
    struct spoe_metric *metric = atomic_load_explicit(&family->first, memory_order_acquire);

    while (metric != NULL) {
        struct spoe_metric *next = atomic_load_explicit(&metric->next, memory_order_acquire);

        free(metric->labels);
        free(metric->cells);
        free(metric);
        metric = next;
    }
    for (uint32_t i = 0; i < family->n_labels; i++)
        free(family->labels[i]);
    free(family->bounds);
    free(family->name);
    free(family->help);
    free(family);
}

void metrics_destroy(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    while (metrics->families != NULL) {
        struct spoe_metric_family *next = metrics->families->next;

        family_destroy(metrics->families);
        metrics->families = next;
    }
    while (metrics->collectors != NULL) {
        struct collector *next = metrics->collectors->next;

        free(metrics->collectors);
        metrics->collectors = next;
    }
    (void)pthread_mutex_destroy(&metrics->collecting);
    (void)pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* ---- declarations ------------------------------------------------------------------------ */

static bool is_word(const char *s, size_t max)
{
    size_t n = strnlen(s, max + 1);

    if (n == 0 || n > max || s[0] < 'a' || s[0] > 'z')
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

/* Whether the first n bytes of s end in `suffix`. */
static bool ends_in(const char *s, size_t n, const char *suffix)
{
    size_t len = strlen(suffix);

    return n >= len && memcmp(s + n - len, suffix, len) == 0;
}

static bool has_other_unit(const char *s, size_t n)
{
    static const char *const others[] = {
        "_ns",      "_us",    "_ms",   "_nanoseconds", "_microseconds", "_milliseconds",
        "_minutes", "_hours", "_days", "_kilobytes",   "_megabytes",    "_gigabytes",
        "_kb",      "_mb",    "_gb",   "_bits",        "_percent",
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (ends_in(s, n, others[i]))
            return true;
    }
    return false;
}

/* What can be wrong with a declaration: these return 0, or -1 with *reterr. */
static int check_name(const char *prefix, const struct spoe_metric_decl *decl, struct error *reterr)
{
    const char *name = decl->name;
    size_t n;
    bool total;

    if (name == NULL || !is_word(name, METRIC_NAME_MAX - strlen(prefix)))
        return error_set(
            reterr, "a name is [a-z0-9_], begins with a letter, and has at most 100 bytes in all");
    n = strlen(name);
    total = ends_in(name, n, "_total");
    if (total != (decl->type == SPOE_METRIC_COUNTER))
        return error_set(reterr, total ? "only a counter's name ends in _total"
                                       : "a counter's name ends in _total");
    if (ends_in(name, n, "_bucket") || ends_in(name, n, "_sum") || ends_in(name, n, "_count"))
        return error_set(reterr, "a name cannot end in _bucket, _sum or _count");
    if (has_other_unit(name, total ? n - strlen("_total") : n))
        return error_set(reterr, "the unit is a base unit, such as _seconds or _bytes");
    return 0;
}

static int check_labels(const struct spoe_metric_decl *decl, struct error *reterr)
{
    for (size_t i = 0; decl->labels != NULL && decl->labels[i] != NULL; i++) {
        if (i == SPOE_METRIC_LABELS_MAX)
            return error_set(reterr, "at most 8 labels");
        if (!is_word(decl->labels[i], METRIC_LABEL_MAX) || strcmp(decl->labels[i], "le") == 0)
            return error_set(
                reterr,
                "a label's name is [a-z0-9_], begins with a letter, has at most 40 bytes and "
                "is not le");
        for (size_t j = 0; j < i; j++) {
            if (strcmp(decl->labels[i], decl->labels[j]) == 0)
                return error_set(reterr, "two labels have one name");
        }
    }
    return 0;
}

static void number_text(double value, char ret[NUMBER_TEXT_MAX])
{
    if (isinf(value))
        (void)snprintf(ret, NUMBER_TEXT_MAX, "%s", value > 0 ? "+Inf" : "-Inf");
    else if (isnan(value))
        (void)snprintf(ret, NUMBER_TEXT_MAX, "NaN");
    else
        (void)snprintf(ret, NUMBER_TEXT_MAX, "%.15g", value);
}

static int check_bounds(const struct spoe_metric_decl *decl, struct error *reterr)
{
    char text[2][NUMBER_TEXT_MAX];

    if (decl->type != SPOE_METRIC_HISTOGRAM)
        return decl->n_bounds == 0 ? 0 : error_set(reterr, "only a histogram has bounds");
    if (decl->n_bounds == 0 || decl->n_bounds > SPOE_METRIC_BOUNDS_MAX || decl->bounds == NULL)
        return error_set(reterr, "a histogram has 1 to 64 bounds");
    for (uint32_t i = 0; i < decl->n_bounds; i++) {
        if (!isfinite(decl->bounds[i]))
            return error_set(reterr, "a bound is not finite");
        number_text(decl->bounds[i], text[i % 2]);
        if (i > 0 && (decl->bounds[i] <= decl->bounds[i - 1] || strcmp(text[0], text[1]) == 0))
            return error_set(reterr, "bounds must rise");
    }
    return 0;
}

static int check_decl(const char *prefix, const struct spoe_metric_decl *decl, struct error *reterr)
{
    if (decl->size < DECL_SIZE_1_0)
        return error_set(reterr, "the declaration is too short");
    if (decl->type < SPOE_METRIC_COUNTER || decl->type > SPOE_METRIC_HISTOGRAM)
        return error_set(reterr, "unknown type");
    if (decl->help == NULL || decl->help[0] == '\0')
        return error_set(reterr, "no help");
    if (decl->max_series > SPOE_METRIC_SERIES_MAX)
        return error_set(reterr, "at most 1000 series");
    if (check_name(prefix, decl, reterr) != 0 || check_labels(decl, reterr) != 0)
        return -1;
    return check_bounds(decl, reterr);
}

static struct spoe_metric_family *family_create(const char *prefix,
                                                const struct spoe_metric_decl *decl)
{
    struct spoe_metric_family *family = calloc(1, sizeof *family);
    size_t cells = 1;

    if (family == NULL)
        return NULL;
    family->type = decl->type;
    family->max_series = decl->max_series != 0 ? decl->max_series : METRIC_SERIES_DEFAULT;
    family->help = strdup(decl->help);
    if (asprintf(&family->name, "%s%s", prefix, decl->name) < 0)
        family->name = NULL;
    if (family->name == NULL || family->help == NULL)
        goto fail;
    for (size_t i = 0; decl->labels != NULL && decl->labels[i] != NULL; i++) {
        family->labels[i] = strdup(decl->labels[i]);
        if (family->labels[i] == NULL)
            goto fail;
        family->n_labels++;
    }
    if (decl->type == SPOE_METRIC_HISTOGRAM) {
        family->bounds = calloc(decl->n_bounds, sizeof *family->bounds);
        if (family->bounds == NULL)
            goto fail;
        memcpy(family->bounds, decl->bounds, decl->n_bounds * sizeof *family->bounds);
        family->n_bounds = decl->n_bounds;
        cells = decl->n_bounds + 2; /* "+Inf" and the sum */
    }
    family->stride = (uint32_t)((cells + CELLS_PER_LINE - 1) / CELLS_PER_LINE * CELLS_PER_LINE);
    return family;
fail:
    family_destroy(family);
    return NULL;
}

spoe_status metrics_declare(struct metrics *metrics, const char *prefix,
                            const struct spoe_metric_decl *decl, struct spoe_metric_family **ret,
                            struct error *reterr)
{
    struct spoe_metric_family *family, **at = &metrics->families;
    int order = 1;

    *ret = NULL;
    if (check_decl(prefix, decl, reterr) != 0)
        return SPOE_E_INVAL;
    family = family_create(prefix, decl);
    if (family == NULL)
        return SPOE_E_NOMEM;
    while (*at != NULL && (order = strcmp(family->name, (*at)->name)) > 0)
        at = &(*at)->next;
    if (*at != NULL && order == 0) {
        (void)error_set(reterr, "the name is taken");
        family_destroy(family);
        return SPOE_E_INVAL;
    }
    family->metrics = metrics;
    if (family->n_labels == 0 && metric_series(family, NULL) == NULL) {
        family_destroy(family);
        return SPOE_E_NOMEM;
    }
    family->next = *at;
    *at = family;
    *ret = family;
    return SPOE_OK;
}

spoe_status metrics_add_collector(struct metrics *metrics, const struct callee *owner,
                                  metrics_collect_fn *fn, void *arg)
{
    struct collector *collector, **at = &metrics->collectors;
    unsigned n = 0;

    for (; *at != NULL; at = &(*at)->next)
        n += (*at)->owner == owner;
    if (n >= METRIC_COLLECTORS_MAX)
        return SPOE_E_LIMIT;
    collector = malloc(sizeof *collector);
    if (collector == NULL)
        return SPOE_E_NOMEM;
    *collector = (struct collector){.owner = owner, .fn = fn, .arg = arg};
    *at = collector;
    return SPOE_OK;
}

void metrics_set_collecting(struct metrics *metrics, const struct callee *owner, bool on)
{
    (void)pthread_mutex_lock(&metrics->collecting);
    for (struct collector *c = metrics->collectors; c != NULL; c = c->next) {
        if (c->owner == owner)
            c->on = on;
    }
    (void)pthread_mutex_unlock(&metrics->collecting);
}

/* ---- series ------------------------------------------------------------------------------ */

/* Append a label's value as it is printed: cut, made UTF-8, escaped. @return the new end */
static char *put_value(char *p, struct spoe_span value)
{
    const unsigned char *s = (const unsigned char *)value.p;
    size_t left = value.n, room = SPOE_METRIC_VALUE_MAX;

    while (left > 0) {
        size_t len = text_utf8_len(s, left), n = len;
        const char *piece = s[0] == '\n' ? "n" : (const char *)s;

        if (len == 0 || (s[0] < ' ' && s[0] != '\n')) {
            len = 1;
            piece = TEXT_REPLACEMENT;
            n = sizeof TEXT_REPLACEMENT - 1;
        }
        if (n > room)
            break;
        if (s[0] == '"' || s[0] == '\\' || s[0] == '\n')
            *p++ = '\\';
        memcpy(p, piece, n);
        p += n;
        room -= n;
        s += len;
        left -= len;
    }
    return p;
}

static size_t labels_text(const struct spoe_metric_family *family, const struct spoe_span *values,
                          char ret[LABELS_TEXT_MAX])
{
    char *p = ret;

    for (uint32_t i = 0; i < family->n_labels; i++) {
        size_t n = strlen(family->labels[i]);

        if (i > 0)
            *p++ = ',';
        memcpy(p, family->labels[i], n);
        p += n;
        *p++ = '=';
        *p++ = '"';
        p = put_value(p, values[i]);
        *p++ = '"';
    }
    *p = '\0';
    return (size_t)(p - ret);
}

static uint32_t hash_of(const char *text)
{
    uint32_t hash = FNV_OFFSET;

    for (const char *p = text; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * FNV_PRIME;
    return hash;
}

static struct spoe_metric *find_series(struct spoe_metric_family *family, const char *labels,
                                       uint32_t hash)
{
    struct spoe_metric *metric = atomic_load_explicit(&family->first, memory_order_acquire);

    while (metric != NULL && (metric->hash != hash || strcmp(metric->labels, labels) != 0))
        metric = atomic_load_explicit(&metric->next, memory_order_acquire);
    return metric;
}

/* Make a series and put it at the end. The lock is held. */
static struct spoe_metric *add_series(struct spoe_metric_family *family, const char *labels,
                                      uint32_t hash)
{
    size_t cells =
        family->type == SPOE_METRIC_GAUGE ? CELLS_PER_LINE : (size_t)family->stride * METRIC_SHARDS;
    struct spoe_metric *metric = calloc(1, sizeof *metric);

    if (metric == NULL)
        return NULL;
    metric->family = family;
    metric->hash = hash;
    metric->labels = strdup(labels);
    metric->cells = aligned_alloc(LINE_BYTES, cells * sizeof *metric->cells);
    if (metric->labels == NULL || metric->cells == NULL) {
        free(metric->labels);
        free(metric->cells);
        free(metric);
        return NULL;
    }
    for (size_t i = 0; i < cells; i++)
        atomic_init(&metric->cells[i], 0); /* a double's 0 too */
    atomic_store_explicit(family->last != NULL ? &family->last->next : &family->first, metric,
                          memory_order_release);
    family->last = metric;
    family->n_series++;
    return metric;
}

/* @param capped  whether it counts against max_series */
static struct spoe_metric *get_series(struct spoe_metric_family *family,
                                      const struct spoe_span *values, bool capped)
{
    char labels[LABELS_TEXT_MAX];
    struct spoe_metric *metric;
    uint32_t hash;

    (void)labels_text(family, values, labels);
    hash = hash_of(labels);
    metric = find_series(family, labels, hash);
    if (metric != NULL)
        return metric;
    (void)pthread_mutex_lock(&family->metrics->lock);
    metric = find_series(family, labels, hash);
    if (metric == NULL && (!capped || family->n_series < family->max_series))
        metric = add_series(family, labels, hash);
    (void)pthread_mutex_unlock(&family->metrics->lock);
    return metric;
}

struct spoe_metric *metric_series(struct spoe_metric_family *family, const struct spoe_span *values)
{
    static const struct spoe_span other = {"other", sizeof "other" - 1};
    struct spoe_span others[SPOE_METRIC_LABELS_MAX];
    struct spoe_metric *metric;

    if (family == NULL)
        return NULL;
    for (size_t i = 0; i < SPOE_METRIC_LABELS_MAX; i++)
        others[i] = other;
    metric = values != NULL || family->n_labels == 0 ? get_series(family, values, true) : NULL;
    return metric != NULL ? metric : get_series(family, others, false);
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* This thread's shard. */
static uint32_t my_shard(void)
{
    static _Atomic uint32_t next;
    static _Thread_local uint32_t shard; /* plus one; 0: none yet */

    if (shard == 0)
        shard = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % METRIC_SHARDS + 1;
    return shard - 1;
}

static _Atomic uint64_t *my_cells(struct spoe_metric *metric)
{
    return metric->cells + (size_t)my_shard() * metric->family->stride;
}

static bool is_a(const struct spoe_metric *metric, uint32_t type)
{
    return metric != NULL && metric->family->type == type;
}

void metric_counter_add(struct spoe_metric *counter, uint64_t n)
{
    if (is_a(counter, SPOE_METRIC_COUNTER))
        (void)atomic_fetch_add_explicit(my_cells(counter), n, memory_order_relaxed);
}

void metric_counter_set(struct spoe_metric *counter, uint64_t total)
{
    if (is_a(counter, SPOE_METRIC_COUNTER))
        atomic_store_explicit(counter->cells, total, memory_order_relaxed);
}

void metric_gauge_set(struct spoe_metric *gauge, int64_t value)
{
    if (is_a(gauge, SPOE_METRIC_GAUGE))
        atomic_store_explicit(gauge->cells, (uint64_t)value, memory_order_relaxed);
}

void metric_gauge_add(struct spoe_metric *gauge, int64_t n)
{
    if (is_a(gauge, SPOE_METRIC_GAUGE))
        (void)atomic_fetch_add_explicit(gauge->cells, (uint64_t)n, memory_order_relaxed);
}

static double double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void metric_observe(struct spoe_metric *histogram, double value)
{
    const struct spoe_metric_family *family;
    _Atomic uint64_t *cells, *sum;
    uint64_t bits;
    uint32_t bucket = 0;

    if (!is_a(histogram, SPOE_METRIC_HISTOGRAM) || isnan(value))
        return;
    family = histogram->family;
    cells = my_cells(histogram);
    sum = &cells[family->n_bounds + 1];
    while (bucket < family->n_bounds && value > family->bounds[bucket])
        bucket++;
    (void)atomic_fetch_add_explicit(&cells[bucket], 1, memory_order_relaxed);
    /* Where every thread has a shard of its own, this succeeds at once. */
    bits = atomic_load_explicit(sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(sum, &bits, bits_of(double_of(bits) + value),
                                                  memory_order_release, memory_order_relaxed))
        continue;
}

/* ---- text format ------------------------------------------------------------------------- */

/* A cell of every shard, added up. */
static uint64_t sum_cells(const struct spoe_metric *metric, uint32_t cell)
{
    uint64_t sum = 0;

    for (uint32_t s = 0; s < METRIC_SHARDS; s++)
        sum += atomic_load_explicit(&metric->cells[(size_t)s * metric->family->stride + cell],
                                    memory_order_relaxed);
    return sum;
}

static void write_histogram(const struct spoe_metric *metric, FILE *out)
{
    const struct spoe_metric_family *family = metric->family;
    const char *name = family->name, *comma = metric->labels[0] != '\0' ? "," : "";
    const char *open = metric->labels[0] != '\0' ? "{" : "",
               *close = metric->labels[0] != '\0' ? "}" : "";
    char text[NUMBER_TEXT_MAX];
    uint64_t n = 0;
    double sum = 0;

    /* First, so that what is in the sum is in the buckets, too: metric_observe(). */
    for (uint32_t s = 0; s < METRIC_SHARDS; s++)
        sum += double_of(
            atomic_load_explicit(&metric->cells[(size_t)s * family->stride + family->n_bounds + 1],
                                 memory_order_acquire));
    for (uint32_t b = 0; b <= family->n_bounds; b++) {
        n += sum_cells(metric, b);
        number_text(b < family->n_bounds ? family->bounds[b] : (double)INFINITY, text);
        (void)fprintf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, metric->labels, comma,
                      text, n);
    }
    number_text(sum, text);
    (void)fprintf(out, "%s_sum%s%s%s %s\n", name, open, metric->labels, close, text);
    /* What the buckets say, so that they always agree. */
    (void)fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, metric->labels, close, n);
}

static void write_series(const struct spoe_metric *metric, FILE *out)
{
    const struct spoe_metric_family *family = metric->family;

    if (family->type == SPOE_METRIC_HISTOGRAM) {
        write_histogram(metric, out);
        return;
    }
    (void)fputs(family->name, out);
    if (metric->labels[0] != '\0')
        (void)fprintf(out, "{%s}", metric->labels);
    if (family->type == SPOE_METRIC_COUNTER)
        (void)fprintf(out, " %" PRIu64 "\n", sum_cells(metric, 0));
    else
        (void)fprintf(out, " %" PRId64 "\n",
                      (int64_t)atomic_load_explicit(metric->cells, memory_order_relaxed));
}

static void write_head(const struct spoe_metric_family *family, FILE *out)
{
    static const char *const types[] = {
        [SPOE_METRIC_COUNTER] = "counter",
        [SPOE_METRIC_GAUGE] = "gauge",
        [SPOE_METRIC_HISTOGRAM] = "histogram",
    };

    (void)fprintf(out, "# HELP %s ", family->name);
    for (const char *p = family->help; *p != '\0'; p++) {
        if (*p == '\\' || *p == '\n')
            (void)fputs(*p == '\n' ? "\\n" : "\\\\", out);
        else
            (void)fputc(*p, out);
    }
    (void)fprintf(out, "\n# TYPE %s %s\n", family->name, types[family->type]);
}

void metrics_write(struct metrics *metrics, FILE *out)
{
    (void)pthread_mutex_lock(&metrics->collecting);
    for (const struct collector *c = metrics->collectors; c != NULL; c = c->next) {
        if (!c->on)
            continue;
        thread_enter(c->owner, "collect()");
        c->fn(c->arg);
        thread_leave();
    }
    (void)pthread_mutex_unlock(&metrics->collecting);
    for (const struct spoe_metric_family *family = metrics->families; family != NULL;
         family = family->next) {
        const struct spoe_metric *metric =
            atomic_load_explicit(&family->first, memory_order_acquire);

        if (metric == NULL)
            continue;
        write_head(family, out);
        for (; metric != NULL; metric = atomic_load_explicit(&metric->next, memory_order_acquire))
            write_series(metric, out);
    }
}
