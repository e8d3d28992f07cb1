/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/options.c - the options, and what they become. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/options.h>

#include "instance.h"
#include "list_line.h"

#define NS_PER_S INT64_C(1000000000)
#define MAX_ENTRIES 50000000

enum {
    OPT_LISTS,
    OPT_EXEMPT,
    OPT_MAX_ENTRIES,
    OPT_COUNTRY_DB,
    OPT_ASN_DB,
    OPT_CROWDSEC_URL,
    OPT_CROWDSEC_KEY,
    OPT_CROWDSEC_CA,
    OPT_CROWDSEC_INTERVAL,
    OPT_CROWDSEC_TIMEOUT,
    OPT_CROWDSEC_SCORE
};

const struct spoe_option *const ip_reputation_options[] = {
    [OPT_LISTS] = SPOE_OPTION("lists", .type = SPOE_OPT_STRING, .flags = SPOE_OPTION_LIST,
                              .help = "`NAME=PATH` or `NAME:SCORE=PATH` of each list. "
                                      "Up to 64 lists. A score is 0 to 100; without one it is 100",
                              .env = SPOE_TEXTS("IP_REPUTATION_LISTS")),
    [OPT_EXEMPT] = SPOE_OPTION("exempt", .type = SPOE_OPT_PREFIX, .flags = SPOE_OPTION_LIST,
                               .help = "networks that are on no list, whatever lists and CrowdSec "
                                       "say, such as your own",
                               .env = SPOE_TEXTS("IP_REPUTATION_EXEMPT")),
    [OPT_MAX_ENTRIES] =
        SPOE_OPTION("max-entries", .type = SPOE_OPT_INT, .default_text = "10000000",
                    .help = "most entries of all lists, and most decisions",
                    .env = SPOE_TEXTS("IP_REPUTATION_MAX_ENTRIES"), .min = 1, .max = MAX_ENTRIES),
    [OPT_COUNTRY_DB] = SPOE_OPTION("country-db", .type = SPOE_OPT_PATH,
                                   .help = "database in MaxMind's format that has countries",
                                   .env = SPOE_TEXTS("IP_REPUTATION_COUNTRY_DB")),
    [OPT_ASN_DB] = SPOE_OPTION("asn-db", .type = SPOE_OPT_PATH,
                               .help = "database in MaxMind's format that has autonomous systems",
                               .env = SPOE_TEXTS("IP_REPUTATION_ASN_DB")),
    [OPT_CROWDSEC_URL] =
        SPOE_OPTION("crowdsec-url", .type = SPOE_OPT_URL,
                    .help = "CrowdSec's local API, as `http://127.0.0.1:8080`, without `/v1/...`",
                    .env = SPOE_TEXTS("IP_REPUTATION_CROWDSEC_URL")),
    [OPT_CROWDSEC_KEY] =
        SPOE_OPTION("crowdsec-key", .type = SPOE_OPT_SECRET,
                    .help = "a bouncer's key, or `file:PATH`, or `credential:NAME`. The last is "
                            "systemd's `LoadCredential=`",
                    .env = SPOE_TEXTS("IP_REPUTATION_CROWDSEC_KEY")),
    [OPT_CROWDSEC_CA] =
        SPOE_OPTION("crowdsec-ca", .type = SPOE_OPT_PATH,
                    .help = "PEM file of the CAs to trust, in place of the system's",
                    .env = SPOE_TEXTS("IP_REPUTATION_CROWDSEC_CA")),
    [OPT_CROWDSEC_INTERVAL] =
        SPOE_OPTION("crowdsec-interval", .type = SPOE_OPT_DURATION, .default_text = "10s",
                    .help = "time between two questions to CrowdSec", .min = NS_PER_S / 10,
                    .max = 3600 * NS_PER_S, .env = SPOE_TEXTS("IP_REPUTATION_CROWDSEC_INTERVAL")),
    [OPT_CROWDSEC_TIMEOUT] =
        SPOE_OPTION("crowdsec-timeout", .type = SPOE_OPT_DURATION, .default_text = "60s",
                    .help = "time that an answer of CrowdSec may take", .min = NS_PER_S / 10,
                    .max = 3600 * NS_PER_S, .env = SPOE_TEXTS("IP_REPUTATION_CROWDSEC_TIMEOUT")),
    [OPT_CROWDSEC_SCORE] =
        SPOE_OPTION("crowdsec-score", .type = SPOE_OPT_INT, .default_text = "100",
                    .help = "the score of CrowdSec's decisions", .min = 0, .max = SCORE_MAX,
                    .env = SPOE_TEXTS("IP_REPUTATION_CROWDSEC_SCORE")),
    NULL};

/* @return NULL: it is not set, or out of memory, which the caller tells by *ok */
static char *text_of(const struct instance *inst, struct spoe_config *cfg, size_t option, bool *ok)
{
    const struct spoe_span text = spoe_config_str(inst->host, cfg, option);
    char *copy = text.n != 0 ? strndup(text.p, text.n) : NULL;

    *ok &= text.n == 0 || copy != NULL;
    return copy;
}

static bool is_key(const char *key)
{
    for (; *key != '\0'; key++) {
        if (*key <= ' ' || *key > '~')
            return false;
    }
    return true;
}

/* PATH is put behind it; a password in it would be shown wherever it is named. */
static bool is_api(const char *url)
{
    struct spoe_url parts;

    return spoe_url_split(spoe_str(url), &parts) != 0 && parts.userinfo.n == 0 &&
           (parts.path.n == 0 || memchr(parts.path.p, '?', parts.path.n) == NULL);
}

static bool configure_stream(struct instance *inst, struct spoe_config *cfg, bool *ok)
{
    struct stream *stream = &inst->stream;

    stream->url = text_of(inst, cfg, OPT_CROWDSEC_URL, ok);
    stream->key = text_of(inst, cfg, OPT_CROWDSEC_KEY, ok);
    stream->ca = text_of(inst, cfg, OPT_CROWDSEC_CA, ok);
    stream->timeout_ns = spoe_config_int(inst->host, cfg, OPT_CROWDSEC_TIMEOUT);
    inst->stream_interval_ns = spoe_config_int(inst->host, cfg, OPT_CROWDSEC_INTERVAL);
    inst->crowdsec_score = spoe_config_int(inst->host, cfg, OPT_CROWDSEC_SCORE);
    if (stream->url == NULL)
        return true;
    for (size_t n = strlen(stream->url); n > 0 && stream->url[n - 1] == '/'; n--)
        stream->url[n - 1] = '\0';
    if (!is_api(stream->url))
        spoe_config_errorf(inst->host, cfg, OPT_CROWDSEC_URL,
                           "has a user or a query: only scheme, host, port and path are taken");
    else if (stream->key == NULL)
        spoe_config_errorf(inst->host, cfg, OPT_CROWDSEC_KEY, "crowdsec-url needs a key");
    else if (!is_key(stream->key))
        spoe_config_errorf(inst->host, cfg, OPT_CROWDSEC_KEY, "not a key: it has other bytes");
    else
        return true;
    return false;
}

/* The host has checked each of them. @return whether there was memory for it */
static bool configure_exempt(struct instance *inst, struct spoe_config *cfg)
{
    struct spoe_span rest = spoe_config_str(inst->host, cfg, OPT_EXEMPT), item;
    struct prefix_set set = {.max = 0};
    bool ok = true;

    while (ok && spoe_list_next(&rest, &item)) {
        struct prefix prefix;
        const char *why;

        ok = prefix_parse(item.p, item.n, &prefix, &why) == 0 &&
             prefix_set_add(&set, &prefix, 0) == 0;
    }
    if (ok && set.n4 + set.n6 != 0) {
        inst->exempt = table_create(&set);
        ok = inst->exempt != NULL;
    }
    prefix_set_fini(&set);
    return ok;
}

spoe_status instance_configure(struct instance *inst, struct spoe_config *cfg)
{
    const struct spoe_span lists = spoe_config_str(inst->host, cfg, OPT_LISTS);
    char why[WHY_MAX];
    bool ok = true, good = true;

    if (lists_parse(lists.p, lists.n, &inst->lists, why) != 0) {
        inst->host->config_error(cfg, OPT_LISTS, spoe_str(why));
        good = false;
    }
    ok &= configure_exempt(inst, cfg);
    inst->max_entries = (size_t)spoe_config_int(inst->host, cfg, OPT_MAX_ENTRIES);
    inst->decisions.set.max = inst->max_entries;
    inst->country_db = text_of(inst, cfg, OPT_COUNTRY_DB, &ok);
    inst->asn_db = text_of(inst, cfg, OPT_ASN_DB, &ok);
    if ((inst->country_db != NULL || inst->asn_db != NULL) && !geo_is_built()) {
        inst->host->config_error(cfg, inst->country_db != NULL ? OPT_COUNTRY_DB : OPT_ASN_DB,
                                 spoe_str("this plugin was built without libmaxminddb"));
        good = false;
    }
    good &= configure_stream(inst, cfg, &ok);
    return !ok ? SPOE_E_NOMEM : good ? SPOE_OK : SPOE_E_CONFIG;
}

void instance_fini(struct instance *inst)
{
    lists_fini(&inst->lists);
    table_destroy(inst->exempt);
    decisions_fini(&inst->decisions);
    stream_fini(&inst->stream);
    free(inst->country_db);
    free(inst->asn_db);
}
