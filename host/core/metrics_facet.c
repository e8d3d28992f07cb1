/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/metrics_facet.c - the facets "spoe.metrics/1" and "/2", one table: the registry, as
 * a plugin sees it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/metrics.h"
#include "core/plugin.h"

#define PREFIX_MAX (PLUGIN_ID_MAX + 8u)

/* Names are fixed once configure() has returned. */
static bool may_declare(const struct spoe_instance *self)
{
    return self->state == PLUGIN_LOADED;
}

/* "spoe_ID_", with "_" for what a metric's name cannot hold. */
static void make_prefix(const char *id, char ret[PREFIX_MAX])
{
    (void)snprintf(ret, PREFIX_MAX, "spoe_%s_", id);
    for (char *p = ret; *p != '\0'; p++) {
        if (*p == '-')
            *p = '_';
    }
}

/* What comes before a declared name. @return SPOE_OK; why nothing can be declared */
static spoe_status begin(const struct spoe_instance *self, const struct spoe_metric_decl *decl,
                         char ret_prefix[PREFIX_MAX])
{
    if (!may_declare(self))
        return SPOE_E_UNSUPPORTED;
    if (decl == NULL)
        return SPOE_E_INVAL;
    if (self->n_families == SPOE_METRIC_FAMILIES_MAX)
        return SPOE_E_LIMIT;
    if (metric_is_unprefixed(decl))
        ret_prefix[0] = '\0';
    else
        make_prefix(self->desc->id, ret_prefix);
    return SPOE_OK;
}

/* Count a family, or say why there is none. A name that two claim is nobody's: see the header. */
static spoe_status end(struct spoe_instance *self, const struct spoe_metric_decl *decl,
                       const char *prefix, spoe_status status, const struct error *wrong)
{
    if (status == SPOE_OK)
        self->n_families++;
    else if (wrong->text[0] != '\0')
        log_line(SPOE_LOG_ERR, plugin_name(self), "metric %.100s: %s",
                 SPOE_HAS(decl, name) ? decl->name : "", wrong->text);
    if (prefix[0] == '\0' && strcmp(wrong->text, METRIC_TAKEN) == 0)
        self->claims_taken_metric = true;
    return status;
}

static spoe_status facet_declare(struct spoe_instance *self, const struct spoe_metric_decl *decl,
                                 struct spoe_metric_family **ret)
{
    char prefix[PREFIX_MAX];
    struct error wrong = {{0}};
    spoe_status status;

    *ret = NULL;
    status = begin(self, decl, prefix);
    if (status != SPOE_OK)
        return status;
    status = metrics_declare(self->metrics, prefix, decl, ret, &wrong);
    return end(self, decl, prefix, status, &wrong);
}

static spoe_status facet_provide(struct spoe_instance *self, const struct spoe_metric_decl *decl,
                                 void (*fn)(void *arg, struct spoe_metric_sink *sink), void *arg)
{
    char prefix[PREFIX_MAX];
    struct error wrong = {{0}};
    spoe_status status = begin(self, decl, prefix);

    if (status != SPOE_OK)
        return status;
    if (fn == NULL)
        return SPOE_E_INVAL;
    status = metrics_provide(self->metrics, prefix, decl, &self->callee, fn, arg, &wrong);
    return end(self, decl, prefix, status, &wrong);
}

static spoe_status facet_collect(struct spoe_instance *self, void (*fn)(void *arg), void *arg)
{
    if (!may_declare(self))
        return SPOE_E_UNSUPPORTED;
    if (fn == NULL)
        return SPOE_E_INVAL;
    return metrics_add_collector(self->metrics, &self->callee, fn, arg);
}

const struct spoe_metrics metrics_facet = {
    .size = sizeof(struct spoe_metrics),
    .declare = facet_declare,
    .collect = facet_collect,
    .series = metric_series,
    .counter_add = metric_counter_add,
    .counter_set = metric_counter_set,
    .gauge_set = metric_gauge_set,
    .gauge_add = metric_gauge_add,
    .observe = metric_observe,
    .observe_exemplar = metric_observe_exemplar,
    .provide = facet_provide,
    .put_number = metric_put_number,
    .put_histogram = metric_put_histogram,
};
