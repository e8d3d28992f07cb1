/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/metrics.c - the registry of metrics.
 *
 * A family's series form a list that only grows, at its end, under the registry's lock; whoever
 * looks for one walks it without. A series is known by its labels as they are printed, so that
 * no two series are ever printed alike.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "core/metrics_impl.h"

#define LINE_BYTES 64u /* of a cache line */
#define CELLS_PER_LINE (LINE_BYTES / sizeof(uint64_t))
#define FNV_OFFSET UINT32_C(2166136261) /* FNV-1a, 32 bits */
#define FNV_PRIME UINT32_C(16777619)

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
        free(metric->exemplars);
        free(metric);
        metric = next;
    }
    for (uint32_t i = 0; i < family->n_labels; i++)
        free(family->labels[i]);
    free(family->bounds);
    free(family->name);
    free(family->help);
    free(family->overflow);
    free(family->instance);
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

static struct spoe_metric_family *family_create(const char *prefix,
                                                const struct spoe_metric_decl *decl)
{
    struct spoe_metric_family *family = calloc(1, sizeof *family);
    const struct metric_decl_more more = metric_decl_more(decl);
    size_t cells = 1;

    if (family == NULL)
        return NULL;
    family->type = decl->type;
    family->flags = more.flags;
    family->max_series = decl->max_series != 0 ? decl->max_series : METRIC_SERIES_DEFAULT;
    family->help = strdup(decl->help);
    if (asprintf(&family->name, "%s%s", prefix, decl->name) < 0)
        family->name = NULL;
    if (family->name == NULL || family->help == NULL ||
        (more.overflow != NULL && (family->overflow = strdup(more.overflow)) == NULL))
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

void metrics_declare_for(struct metrics *metrics, const void *sharer, const char *instance)
{
    metrics->sharer = sharer;
    metrics->instance = instance;
}

/* Whether two families of one name are of two instances of one plugin. */
static bool share_name(const struct spoe_metric_family *a, const struct spoe_metric_family *b)
{
    if (a->sharer == NULL || a->sharer != b->sharer || a->type != b->type)
        return false;
    return a->instance == NULL || b->instance == NULL ? a->instance != b->instance
                                                      : strcmp(a->instance, b->instance) != 0;
}

/* Say whose it is. @return SPOE_OK; why it cannot be */
static spoe_status set_instance(struct spoe_metric_family *family, const struct metrics *metrics,
                                struct error *reterr)
{
    family->sharer = metrics->sharer;
    if (metrics->instance == NULL)
        return SPOE_OK;
    for (uint32_t i = 0; i < family->n_labels; i++) {
        if (strcmp(family->labels[i], METRIC_INSTANCE_LABEL) != 0)
            continue;
        (void)error_set(reterr, "label " METRIC_INSTANCE_LABEL " is the host's");
        return SPOE_E_INVAL;
    }
    family->instance = strdup(metrics->instance);
    return family->instance != NULL ? SPOE_OK : SPOE_E_NOMEM;
}

/* @param ret  [borrow from the registry] */
static spoe_status declare(struct metrics *metrics, const char *prefix,
                           const struct spoe_metric_decl *decl,
                           const struct metric_provider *provider, uint32_t series_max,
                           struct spoe_metric_family **ret, struct error *reterr)
{
    struct spoe_metric_family *family, **at = &metrics->families;
    spoe_status status;
    int order = 1;

    *ret = NULL;
    if (metric_check_decl(prefix, decl, reterr) != 0)
        return SPOE_E_INVAL;
    if (decl->max_series > series_max) {
        (void)error_set(reterr, "at most %u series", series_max);
        return SPOE_E_INVAL;
    }
    family = family_create(prefix, decl);
    if (family == NULL)
        return SPOE_E_NOMEM;
    status = set_instance(family, metrics, reterr);
    if (status != SPOE_OK) {
        family_destroy(family);
        return status;
    }
    while (*at != NULL && ((order = strcmp(family->name, (*at)->name)) > 0 ||
                           (order == 0 && share_name(family, *at))))
        at = &(*at)->next;
    if (*at != NULL && order == 0) {
        (void)error_set(reterr, METRIC_TAKEN);
        family_destroy(family);
        return SPOE_E_INVAL;
    }
    family->metrics = metrics;
    family->provider = *provider;
    if (family->n_labels == 0 && provider->fn == NULL && metric_series(family, NULL) == NULL) {
        family_destroy(family);
        return SPOE_E_NOMEM;
    }
    family->next = *at;
    *at = family;
    *ret = family;
    return SPOE_OK;
}

spoe_status metrics_declare(struct metrics *metrics, const char *prefix,
                            const struct spoe_metric_decl *decl, struct spoe_metric_family **ret,
                            struct error *reterr)
{
    const struct metric_provider none = {.fn = NULL};

    return declare(metrics, prefix, decl, &none, SPOE_METRIC_SERIES_MAX, ret, reterr);
}

spoe_status metrics_provide(struct metrics *metrics, const char *prefix,
                            const struct spoe_metric_decl *decl, const struct callee *owner,
                            metrics_provide_fn *fn, void *arg, struct error *reterr)
{
    const struct metric_provider provider = {.owner = owner, .fn = fn, .arg = arg};
    struct spoe_metric_family *family;

    return declare(metrics, prefix, decl, &provider, SPOE_METRIC_PUT_SERIES_MAX, &family, reterr);
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
    for (struct spoe_metric_family *f = metrics->families; f != NULL; f = f->next) {
        if (f->provider.owner == owner)
            f->provider.on = on;
    }
    (void)pthread_mutex_unlock(&metrics->collecting);
}

/* ---- series ------------------------------------------------------------------------------ */

/* Append a label's value as it is printed: cut, made UTF-8, escaped. @return the new end */
static char *put_value(char *p, struct spoe_span value)
{
    const unsigned char *s = (const unsigned char *)value.p;
    size_t left = s != NULL ? value.n : 0, room = SPOE_METRIC_VALUE_MAX;

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

char *metric_put_label(char *p, const char *name, struct spoe_span value, bool is_first)
{
    const size_t n = strlen(name);

    if (!is_first)
        *p++ = ',';
    memcpy(p, name, n);
    p += n;
    *p++ = '=';
    *p++ = '"';
    p = put_value(p, value);
    *p++ = '"';
    return p;
}

char *metric_put_instance(char *p, const struct spoe_metric_family *family)
{
    if (family->instance == NULL)
        return p;
    return metric_put_label(p, METRIC_INSTANCE_LABEL,
                            (struct spoe_span){family->instance, strlen(family->instance)}, true);
}

static void labels_text(const struct spoe_metric_family *family, const struct spoe_span *values,
                        char ret[METRIC_LABELS_TEXT_MAX])
{
    char *p = metric_put_instance(ret, family);

    for (uint32_t i = 0; i < family->n_labels; i++)
        p = metric_put_label(p, family->labels[i], values[i], p == ret);
    *p = '\0';
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
    if ((family->flags & SPOE_METRIC_EXEMPLARS) != 0)
        metric->exemplars = calloc(family->n_bounds + 1, sizeof *metric->exemplars);
    if (metric->labels == NULL || metric->cells == NULL ||
        ((family->flags & SPOE_METRIC_EXEMPLARS) != 0 && metric->exemplars == NULL)) {
        free(metric->exemplars);
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
static struct spoe_metric *get_series(struct spoe_metric_family *family, const char *labels,
                                      bool capped)
{
    const uint32_t hash = hash_of(labels);
    struct spoe_metric *metric = find_series(family, labels, hash);

    if (metric != NULL)
        return metric;
    (void)pthread_mutex_lock(&family->metrics->lock);
    metric = find_series(family, labels, hash);
    if (metric == NULL && (!capped || family->n_series < family->max_series))
        metric = add_series(family, labels, hash);
    (void)pthread_mutex_unlock(&family->metrics->lock);
    return metric;
}

static struct spoe_metric *overflow_series(struct spoe_metric_family *family)
{
    static const struct spoe_span other = {"other", sizeof "other" - 1};
    static const struct spoe_span yes = {"true", sizeof "true" - 1};
    struct spoe_span others[SPOE_METRIC_LABELS_MAX];
    char labels[METRIC_LABELS_TEXT_MAX], *p;

    if (family->overflow != NULL) {
        p = metric_put_instance(labels, family);
        *metric_put_label(p, family->overflow, yes, p == labels) = '\0';
        return get_series(family, labels, false);
    }
    for (size_t i = 0; i < SPOE_METRIC_LABELS_MAX; i++)
        others[i] = other;
    labels_text(family, others, labels);
    return get_series(family, labels, false);
}

struct spoe_metric *metric_series(struct spoe_metric_family *family, const struct spoe_span *values)
{
    char labels[METRIC_LABELS_TEXT_MAX];
    struct spoe_metric *metric = NULL;

    if (family == NULL)
        return NULL;
    if (values != NULL || family->n_labels == 0) {
        labels_text(family, values, labels);
        metric = get_series(family, labels, true);
    }
    return metric != NULL ? metric : overflow_series(family);
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

void metric_observe_exemplar(struct spoe_metric *histogram, double value,
                             const struct spoe_exemplar *exemplar)
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
    while (!atomic_compare_exchange_weak_explicit(sum, &bits,
                                                  metric_bits_of(metric_double_of(bits) + value),
                                                  memory_order_release, memory_order_relaxed))
        continue;
    if (exemplar != NULL && histogram->exemplars != NULL) {
        struct spoe_exemplar its = *exemplar;

        its.value = value;
        metric_exemplar_set(&histogram->exemplars[bucket], &its);
    }
}

void metric_observe(struct spoe_metric *histogram, double value)
{
    metric_observe_exemplar(histogram, value, NULL);
}
