/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/instance.h - one instance: its settings, and the three states that are
 * built beside the workers (spoe/ext/reload.h): the table of the lists' files, the databases, and
 * the table of CrowdSec's decisions.
 */
#ifndef IP_REPUTATION_INSTANCE_H
#define IP_REPUTATION_INSTANCE_H

#include <spoe/ext/health.h>
#include <spoe/ext/metrics.h>
#include <spoe/ext/reload.h>
#include <spoe/util.h>

#include "decisions.h"
#include "geo.h"
#include "lists.h"
#include "stream.h"

/* What is built; the places of `trouble`, too. */
enum { LISTS, GEO, CROWDSEC, N_SOURCES };

struct instance {
    const struct spoe_host *host;
    struct spoe_instance *self;
    const struct spoe_reload *reload;
    const struct spoe_health *health; /* NULL: there is none */
    struct lists lists;
    struct table *exempt; /* never looked up; NULL: none */
    size_t max_entries;
    char *country_db, *asn_db; /* NULL: none */
    struct stream stream;
    int64_t stream_interval_ns, crowdsec_score;
    struct spoe_reload_source *source[N_SOURCES]; /* NULL: nothing is configured for it */
    /* Of the thread that builds. */
    struct decisions decisions;
    bool has_all; /* decisions are what the API has, but for what has changed since */
    char trouble[N_SOURCES][WHY_MAX];
    size_t n_entries[N_SOURCES];
    struct {
        struct spoe_meter lookups, exempt, entries, bytes, requests, failed_requests, skipped;
        struct spoe_meter matches[LISTS_MAX + N_DECISIONS]; /* by list, then by kind of decision */
        struct spoe_meter list_entries[LISTS_MAX];
    } meter;
};

/* The names of lists that decisions are. [const] */
extern const char *const decision_names[N_DECISIONS];

/** Read the options. [main] @return SPOE_OK; SPOE_E_CONFIG, reported; instance_fini() is due */
spoe_status instance_configure(struct instance *inst, struct spoe_config *cfg);
void instance_fini(struct instance *inst);

/** Declare what is built. [main], in configure() */
spoe_status sources_declare(struct instance *inst);
/** Build lists and databases once, log what is wrong, and keep nothing. [main] */
spoe_status sources_check(struct instance *inst);

/* The options, in the order of the plugin's table. */
extern const struct spoe_option *const ip_reputation_options[];

#endif
