/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/sources.c - what is built beside the workers, and what is said about it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "instance.h"

static const char *const source_names[N_SOURCES] = {"lists", "geo", "crowdsec"};

/* One line of status, and a state, of all three. */
static void tell(const struct instance *inst)
{
    char text[SPOE_HEALTH_TEXT_MAX];
    const char *trouble = NULL;

    if (inst->health == NULL)
        return;
    for (unsigned i = 0; i < N_SOURCES && trouble == NULL; i++) {
        if (inst->trouble[i][0] != '\0')
            trouble = inst->trouble[i];
    }
    (void)snprintf(text, sizeof text, "%zu entries of %zu lists, %zu decisions%s",
                   inst->n_entries[LISTS], inst->lists.n, inst->n_entries[CROWDSEC],
                   inst->source[GEO] != NULL ? ", databases" : "");
    inst->health->status(inst->self, spoe_str(text));
    inst->health->set(inst->self, trouble != NULL ? SPOE_HEALTH_DEGRADED : SPOE_HEALTH_READY,
                      spoe_str(trouble != NULL ? trouble : ""));
}

/* What is asked every few seconds says the same only once. @return `status` */
static spoe_status end(struct instance *inst, unsigned which, spoe_status status, const char *why)
{
    const bool repeats = which == CROWDSEC && strcmp(why, inst->trouble[which]) == 0;

    if (status != SPOE_OK && why[0] != '\0')
        spoe_logf(inst->host, inst->self, repeats ? SPOE_LOG_DEBUG : SPOE_LOG_ERR, "%s: %s",
                  source_names[which], why);
    if (status != SPOE_E_STOPPING) {
        (void)snprintf(inst->trouble[which], WHY_MAX, "%s", status == SPOE_OK ? "" : why);
        tell(inst);
    }
    return status;
}

struct ask {
    const struct instance *inst;
    const struct spoe_reload_source *source;
};

static int cancelled(void *arg)
{
    const struct ask *ask = arg;

    return ask->source != NULL && ask->inst->reload->cancelled(ask->source) != 0;
}

static spoe_status build_lists(void *arg, struct spoe_reload_source *source, void **ret_state)
{
    struct instance *inst = arg;
    struct ask ask = {.inst = inst, .source = source};
    char why[WHY_MAX];
    struct table *table = lists_read(&inst->lists, inst->max_entries, cancelled, &ask, why);
    size_t n = 0;

    if (table == NULL)
        return end(inst, LISTS, why[0] == '\0' ? SPOE_E_STOPPING : SPOE_E_INVAL, why);
    for (size_t i = 0; i < inst->lists.n; i++) {
        n += inst->lists.list[i].n;
        spoe_meter_set(&inst->meter.list_entries[i], (int64_t)inst->lists.list[i].n);
    }
    inst->n_entries[LISTS] = n;
    spoe_meter_set(&inst->meter.bytes, (int64_t)table_bytes(table));
    spoe_logf(inst->host, inst->self, SPOE_LOG_INFO, "lists: %zu entries, %zu KiB", n,
              table_bytes(table) / 1024);
    *ret_state = table;
    return end(inst, LISTS, SPOE_OK, "");
}

static spoe_status build_geo(void *arg, struct spoe_reload_source *source, void **ret_state)
{
    struct instance *inst = arg;
    char why[WHY_MAX];
    struct geo *geo = geo_open(inst->country_db, inst->asn_db, why);

    (void)source;
    if (geo == NULL)
        return end(inst, GEO, SPOE_E_INVAL, why);
    *ret_state = geo;
    return end(inst, GEO, SPOE_OK, "");
}

/* Lists are kept; what is handed over is a copy, since building sorts. */
static struct table *table_of(const struct decisions *decisions)
{
    struct prefix_set set = decisions->set; /* sorted already: nothing in it changes */

    return table_create(&set);
}

static spoe_status build_crowdsec(void *arg, struct spoe_reload_source *source, void **ret_state)
{
    struct instance *inst = arg;
    struct ask ask = {.inst = inst, .source = source};
    const bool all = !inst->has_all;
    const uint64_t n_skipped = inst->decisions.n_skipped;
    const char *wrong = "";
    char why[WHY_MAX];
    bool changed;
    struct body body;
    struct table *table;
    int result = stream_get(&inst->stream, all, cancelled, &ask, &body, why);

    inst->has_all = false; /* what was told once is not told again */
    if (result == 0) {
        if (all)
            decisions_fini(&inst->decisions);
        result = decisions_take(&inst->decisions, body.bytes != NULL ? body.bytes : "", body.n,
                                &changed, &wrong);
        if (result != 0)
            (void)snprintf(why, sizeof why, "%.200s: %s", inst->stream.url, wrong);
    }
    body_fini(&body);
    if (result != 0 && cancelled(&ask))
        return SPOE_E_STOPPING;
    spoe_meter_count(result == 0 ? &inst->meter.requests : &inst->meter.failed_requests, 1);
    if (result != 0)
        return end(inst, CROWDSEC, SPOE_E_INTERNAL, why);
    spoe_meter_count(&inst->meter.skipped, inst->decisions.n_skipped - n_skipped);
    if (changed || all) {
        table = table_of(&inst->decisions);
        if (table == NULL)
            return end(inst, CROWDSEC, SPOE_E_NOMEM, "out of memory");
        inst->n_entries[CROWDSEC] = inst->decisions.set.n4 + inst->decisions.set.n6;
        spoe_meter_set(&inst->meter.entries, (int64_t)inst->n_entries[CROWDSEC]);
        *ret_state = table;
    }
    inst->has_all = true;
    return end(inst, CROWDSEC, SPOE_OK, "");
}

static void release_table(void *arg, void *state)
{
    (void)arg;
    table_destroy(state);
}

static void release_geo(void *arg, void *state)
{
    (void)arg;
    geo_close(state);
}

spoe_status sources_declare(struct instance *inst)
{
    const char *paths[LISTS_MAX + 1] = {NULL}, *databases[3] = {NULL};
    struct spoe_reload_decl decl = {.size = sizeof decl, .arg = inst};
    spoe_status status = SPOE_OK;

    for (size_t i = 0; i < inst->lists.n; i++)
        paths[i] = inst->lists.list[i].path;
    databases[0] = inst->country_db != NULL ? inst->country_db : inst->asn_db;
    databases[1] = inst->country_db != NULL ? inst->asn_db : NULL;
    decl.release = release_table;
    if (inst->lists.n != 0) {
        decl.name = source_names[LISTS];
        decl.flags = SPOE_RELOAD_REQUIRED;
        decl.paths = paths;
        decl.build = build_lists;
        status = inst->reload->declare(inst->self, &decl, &inst->source[LISTS]);
    }
    if (status == SPOE_OK && inst->stream.url != NULL) {
        decl.name = source_names[CROWDSEC];
        decl.flags = 0; /* a host that starts before CrowdSec does serves all the same */
        decl.paths = NULL;
        decl.build = build_crowdsec;
        decl.every_ns = inst->stream_interval_ns;
        status = inst->reload->declare(inst->self, &decl, &inst->source[CROWDSEC]);
    }
    if (status == SPOE_OK && databases[0] != NULL) {
        decl.name = source_names[GEO];
        decl.flags = SPOE_RELOAD_REQUIRED;
        decl.paths = databases;
        decl.build = build_geo;
        decl.release = release_geo;
        decl.every_ns = 0;
        status = inst->reload->declare(inst->self, &decl, &inst->source[GEO]);
    }
    return status;
}

spoe_status sources_check(struct instance *inst)
{
    spoe_status lists = SPOE_OK, geo = SPOE_OK;
    void *state = NULL;

    if (inst->source[LISTS] != NULL)
        lists = build_lists(inst, NULL, &state);
    table_destroy(state);
    state = NULL;
    if (inst->source[GEO] != NULL)
        geo = build_geo(inst, NULL, &state);
    geo_close(state);
    return lists != SPOE_OK ? lists : geo;
}
