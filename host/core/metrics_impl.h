/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/metrics_impl.h - what the registry is made of, for the files that are it: metrics.c
 * (declarations, series, numbers), metrics_rules.c (what may be declared), metrics_exemplars.c, and
 * metrics_text.c (pages).
 */
#ifndef HOST_CORE_METRICS_IMPL_H
#define HOST_CORE_METRICS_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "core/metrics.h"

#define METRIC_NUMBER_TEXT_MAX 32u
/* name="value", and every byte of a value may be escaped; and the instance's. */
#define METRIC_LABELS_TEXT_MAX                                                                     \
    ((SPOE_METRIC_LABELS_MAX + 1) * (METRIC_LABEL_MAX + 2 * SPOE_METRIC_VALUE_MAX + 4) + 1)
/* Of a series whose label names are its own, likewise. */
#define METRIC_OWN_LABELS_TEXT_MAX                                                                 \
    ((SPOE_METRIC_OWN_LABELS_MAX + 1) * (METRIC_LABEL_MAX + 2 * SPOE_METRIC_VALUE_MAX + 4) + 1)

/* The last exemplar of a bucket. Whoever finds it being written goes on without. */
struct metric_exemplar {
    _Atomic uint32_t turn;                                 /* odd: it is being written */
    _Atomic uint64_t trace_id[2], span_id, value, unix_ns; /* unix_ns 0: none */
};

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
    struct metric_exemplar *exemplars; /* one for each bucket; NULL: the family has none */
};

/* Who reads out a family's series at each scrape. */
struct metric_provider {
    const struct callee *owner;
    metrics_provide_fn *fn; /* NULL: the registry has the series */
    void *arg;
    bool on; /* collecting */
};

struct spoe_metric_family {
    struct spoe_metric_family *next; /* by name */
    struct metrics *metrics;
    char *name, *help, *overflow;
    const void *sharer; /* families of one are printed as one; NULL: it is alone */
    char *instance;     /* label of all its series; NULL: none */
    uint32_t type, flags, max_series, n_labels, n_bounds;
    uint32_t stride; /* cells of one shard, whole lines */
    char *labels[SPOE_METRIC_LABELS_MAX];
    double *bounds;
    struct metric_provider provider;
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
    const void *sharer; /* of what is declared: metrics_declare_for() */
    const char *instance;
    const char *headed;           /* the name whose head was written last, in metrics_write() */
    struct collector *collectors; /* in the order of registration */
    pthread_mutex_t lock;         /* series that are added; not held while others' code runs */
    pthread_mutex_t collecting;   /* held while collectors and providers run */
};

/* Members of a declaration that a plugin's may not have. */
struct metric_decl_more {
    uint32_t flags;
    const char *overflow;
};

struct metric_decl_more metric_decl_more(const struct spoe_metric_decl *decl);

/** Whether a text is a name: [a-z0-9_], beginning with a letter, of at most so many bytes. */
bool metric_is_word(const char *s, size_t max);
/** @return 0; -1 with what is wrong */
int metric_check_decl(const char *prefix, const struct spoe_metric_decl *decl,
                      struct error *reterr);

/** Put the label of the family's instance first, where it has one. @return the new end */
char *metric_put_instance(char *p, const struct spoe_metric_family *family);

/** A number as it is printed. */
void metric_number_text(double value, char ret[METRIC_NUMBER_TEXT_MAX]);
/** Append a label as it is printed, its value cut, made UTF-8, escaped. @return the new end */
char *metric_put_label(char *p, const char *name, struct spoe_span value, bool is_first);

void metric_exemplar_set(struct metric_exemplar *exemplar, const struct spoe_exemplar *value);
/** @return false: there is none */
bool metric_exemplar_get(const struct metric_exemplar *exemplar, struct spoe_exemplar *ret);

static inline double metric_double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t metric_bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

#endif
