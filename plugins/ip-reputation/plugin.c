/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/plugin.c - what is known of a client's address: the list that it is on, a
 * score, its country and its autonomous system. Answers at once, from states that are built beside
 * the workers. docs/ip-reputation.md.
 */
#include <stdlib.h>

#include <curl/curl.h>

#include "instance.h"

enum { IP };

const char *const decision_names[N_DECISIONS] = {
    [DECISION_BAN] = "crowdsec",
    [DECISION_CAPTCHA] = "crowdsec-captcha",
    [DECISION_OTHER] = "crowdsec-other",
};

static struct spoe_meter series_of(struct spoe_meter family, const char *value)
{
    const struct spoe_span span = spoe_str(value);

    return spoe_meter_series(family, &span);
}

static void declare_metrics(struct instance *inst)
{
    static const char *const list[] = {"list", NULL}, *const result[] = {"result", NULL};
    const struct spoe_host *host = inst->host;
    struct spoe_meter matches, entries, requests;

    inst->meter.lookups =
        spoe_meter_counter(host, inst->self, "lookups_total", "Addresses looked up.", NULL);
    if (inst->exempt != NULL)
        inst->meter.exempt = spoe_meter_counter(host, inst->self, "exempt_total",
                                                "Addresses that are exempt from all lists.", NULL);
    matches = spoe_meter_counter(host, inst->self, "matches_total",
                                 "Addresses that were on a list, by list.", list);
    entries = spoe_meter_gauge(host, inst->self, "list_entries", "Entries of a list.", list);
    inst->meter.bytes =
        spoe_meter_gauge(host, inst->self, "table_bytes", "Bytes of the lists' table.", NULL);
    for (size_t i = 0; i < inst->lists.n; i++) {
        inst->meter.matches[i] = series_of(matches, inst->lists.list[i].name);
        inst->meter.list_entries[i] = series_of(entries, inst->lists.list[i].name);
    }
    if (inst->stream.url == NULL)
        return;
    for (unsigned i = 0; i < N_DECISIONS; i++)
        inst->meter.matches[LISTS_MAX + i] = series_of(matches, decision_names[i]);
    inst->meter.entries = spoe_meter_gauge(host, inst->self, "crowdsec_decisions",
                                           "CrowdSec's decisions about addresses.", NULL);
    requests = spoe_meter_counter(host, inst->self, "crowdsec_requests_total",
                                  "Requests to CrowdSec's local API, by result.", result);
    inst->meter.requests = series_of(requests, "success");
    inst->meter.failed_requests = series_of(requests, "failure");
    inst->meter.skipped =
        spoe_meter_counter(host, inst->self, "crowdsec_skipped_decisions_total",
                           "Decisions about anything but addresses, left out.", NULL);
}

static void destroy(void *arg)
{
    struct instance *inst = arg;

    instance_fini(inst);
    free(inst);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct instance *inst = calloc(1, sizeof *inst);
    spoe_status status;

    if (inst == NULL)
        return SPOE_E_NOMEM;
    inst->host = host;
    inst->self = self;
    inst->reload = host->get_extension(self, SPOE_RELOAD_1);
    inst->health = host->get_extension(self, SPOE_HEALTH_1);
    status = inst->reload != NULL ? instance_configure(inst, cfg) : SPOE_E_UNSUPPORTED;
    if (status == SPOE_OK)
        status = sources_declare(inst);
    if (status != SPOE_OK) {
        destroy(inst);
        return status;
    }
    declare_metrics(inst);
    *ret_inst = inst;
    return SPOE_OK;
}

static spoe_status start(void *arg)
{
    (void)arg;
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? SPOE_OK : SPOE_E_INTERNAL;
}

static void stop(void *arg, int64_t deadline_mono_ns)
{
    (void)arg;
    (void)deadline_mono_ns;
    curl_global_cleanup();
}

static spoe_status check(void *arg)
{
    return sources_check(arg);
}

/* ---- a message ----------------------------------------------------------------------------- */

static const void *state_of(const struct instance *inst, unsigned which)
{
    return inst->source[which] != NULL ? inst->reload->get(inst->source[which]) : NULL;
}

static struct match look_up(const struct table *table, const struct spoe_value *ip)
{
    struct ip6 ip6;

    if (table == NULL)
        return (struct match){.found = false};
    if (ip->type == SPOE_T_IPV4)
        return table_find4(table, ip4_load(ip->u.ip4));
    ip6 = ip6_load(ip->u.ip6);
    return ip6_is_mapped(ip6) ? table_find4(table, (uint32_t)ip6.lo) : table_find6(table, ip6);
}

/* The longer prefix counts; of two as long that of the lists' files. What is exempt is on none. */
static spoe_status answer_list(const struct instance *inst, struct spoe_request *req,
                               const struct spoe_value *ip)
{
    const bool exempt = look_up(inst->exempt, ip).found;
    const struct match listed = look_up(exempt ? NULL : state_of(inst, LISTS), ip);
    const struct match decided = look_up(exempt ? NULL : state_of(inst, CROWDSEC), ip);
    const bool decision = decided.found && (!listed.found || decided.len > listed.len);
    const char *name = decision       ? decision_names[decided.list]
                       : listed.found ? inst->lists.list[listed.list].name
                                      : NULL;
    const int64_t score = decision       ? inst->crowdsec_score
                          : listed.found ? inst->lists.list[listed.list].score
                                         : 0;
    spoe_status status = spoe_set_int(inst->host, req, SPOE_SCOPE_TXN, "score", score);

    if (exempt)
        spoe_meter_count(&inst->meter.exempt, 1);
    if (name == NULL || status != SPOE_OK)
        return status;
    spoe_meter_count(&inst->meter.matches[decision ? LISTS_MAX + decided.list : listed.list], 1);
    return spoe_set_str(inst->host, req, SPOE_SCOPE_TXN, "list", spoe_str(name));
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct instance *inst = wctx;
    const struct spoe_value ip = spoe_slot(msg, IP);
    const struct geo *geo = state_of(inst, GEO);
    const struct spoe_span country = geo_country(geo, &ip);
    const uint32_t asn = geo_asn(geo, &ip);
    spoe_status status = answer_list(inst, req, &ip);

    spoe_meter_count(&inst->meter.lookups, 1);
    if (status == SPOE_OK && country.n != 0)
        status = spoe_set_str(inst->host, req, SPOE_SCOPE_TXN, "country", country);
    if (status == SPOE_OK && asn != 0)
        status = spoe_set_int(inst->host, req, SPOE_SCOPE_TXN, "asn", asn);
    return status;
}

#define VARIABLE(name_, types_, help_)                                                             \
    (&(const struct spoe_variable_decl){.size = sizeof(struct spoe_variable_decl),                 \
                                        .scope = SPOE_SCOPE_TXN,                                   \
                                        .types = (types_),                                         \
                                        .name = (name_),                                           \
                                        .help = (help_)})
static const struct spoe_variable_decl *const variables[] = {
    VARIABLE("score", SPOE_ACCEPT_INT, "the list's score; 0 where the address is on none"),
    VARIABLE("list", SPOE_ACCEPT_STR, "the list that has the longest prefix of the address"),
    VARIABLE("country", SPOE_ACCEPT_STR, "its country, two letters (ISO 3166)"),
    VARIABLE("asn", SPOE_ACCEPT_INT, "the number of its autonomous system"), NULL};

SPOE_PLUGIN("ip-reputation", .version = IP_REPUTATION_VERSION, .needs_minor = 1,
            .help = "which list an address is on, its score, country and autonomous system",
            .messages = SPOE_MESSAGES(SPOE_MESSAGE(
                "check-ip", .event = "on-frontend-http-request", .help = "one request",
                .args = SPOE_ARGS([IP] = SPOE_ARG("ip", .types = SPOE_ACCEPT_IP,
                                                  .flags = SPOE_ARG_REQUIRED, .expression = "src",
                                                  .help = "the address to look up")))),
            .options = ip_reputation_options, .variables = variables,
            .flags = SPOE_PLUGIN_INSTANCES, .configure = configure, .start = start,
            .handle = handle, .stop = stop, .destroy = destroy, .check = check);
