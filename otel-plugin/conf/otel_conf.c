/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/otel_conf.c - what the host cannot check by type and range, and what follows
 * from several options at once; reader.h has how. What is exported to whom: export_conf.c.
 */
#include "conf/otel_conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <spoe/util.h>

#include "base/hex.h"
#include "base/pairs.h"
#include "base/text.h"
#include "conf/number.h"
#include "conf/reader.h"
#include "input/context.h"
#include "input/exclude.h"
#include "base/utf8.h"
#include "otlp/batch.h"

#define TEXT_MAX RESOURCE_VALUE_MAX

const char *otel_tls_name(enum otlp_tls tls)
{
    return otel_options[OPT_TLS]->choices[tls];
}

/* ---- single values ------------------------------------------------------------------------ */

/* A text that goes onto every span's resource: one bad byte and collectors refuse the batch. */
static const char *value_error(const char *value)
{
    if (value == NULL)
        return NULL;
    if (strlen(value) > TEXT_MAX)
        return "is too long";
    return utf8_is_clean(value, strlen(value)) ? NULL : "is not UTF-8";
}

static const char *name_error(const char *value)
{
    return value == NULL ? "must not be empty" : value_error(value);
}

/* RFC 9110, 5.6.2: token */
static bool is_token(const char *p, size_t n)
{
    static const char special[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < n; i++) {
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
              (p[i] >= '0' && p[i] <= '9') || memchr(special, p[i], sizeof special - 1) != NULL))
            return false;
    }
    return n > 0;
}

static const char *methods_error(const char *value)
{
    struct text rest, item;

    if (value == NULL)
        return "must name a method";
    rest = text_of(value);
    while (text_next_item(&rest, ',', &item)) {
        if (!is_token(item.p, item.n))
            return "is not a comma-separated list of methods";
    }
    return NULL;
}

/* As http_method_known() reads it: no white space. */
static void strip_methods(char *list)
{
    char *to = list;

    for (const char *p = list; *p != '\0'; p++)
        if (!text_is_space(*p))
            *to++ = *p;
    *to = '\0';
}

/* ---- sampling, propagation, conventions --------------------------------------------------- */

static bool has_ratio(enum sampler_kind kind)
{
    return kind == SAMPLER_TRACEIDRATIO || kind == SAMPLER_PARENTBASED_TRACEIDRATIO;
}

static void read_sampler(struct reader *r)
{
    struct sampler_conf *sampler = &r->conf->sampler;
    char *arg = NULL;
    bool good;

    sampler->kind = (enum sampler_kind)number(r, OPT_SAMPLER);
    sampler->ratio = 1;
    sampler->max_per_second = (uint32_t)number(r, OPT_SAMPLE_MAX_PER_SECOND);
    sampler->keep_errors = number(r, OPT_KEEP_ERRORS) != 0;
    sampler->keep_slower_ns = number(r, OPT_KEEP_SLOWER);
    sampler->bad_requests = number(r, OPT_TRACE_BAD_REQUESTS) != 0;
    if (!has_ratio(sampler->kind))
        return; /* nobody looks at the argument */
    do {
        text(r, OPT_SAMPLER_ARG, &arg);
        good = r->no_memory || (arg != NULL && number_read_ratio(arg, &sampler->ratio));
    } while (!good && reject(r, OPT_SAMPLER_ARG, "is not a number from 0 to 1"));
    free(arg);
}

/* In any case, as the specification wants it of words out of a set. */
static bool list_item_is(struct text item, const char *name)
{
    return strlen(name) == item.n && strncasecmp(item.p, name, item.n) == 0;
}

/* A list that is not set has no item. */
static struct text text_of_value(const char *value)
{
    return value != NULL ? text_of(value) : (struct text){NULL, 0};
}

static const char *const propagator_names[PROPAGATORS_MAX] = {"tracecontext", "baggage", "b3",
                                                              "b3multi"};

/* Put an item behind the others. What does not fit is cut. */
static void list_add(char *list, size_t size, const char *p, size_t n)
{
    const size_t len = strlen(list);

    (void)snprintf(list + len, size - len, "%s%.*s", len > 0 ? "," : "", (int)n, p);
}

/* @return whether the item is a propagator, which is added to the list */
static bool take_propagator(struct text item, struct propagator_conf *list)
{
    for (size_t i = 0; i < PROPAGATORS_MAX; i++) {
        const enum propagator bit = (enum propagator)(1u << i);

        if (!list_item_is(item, propagator_names[i]))
            continue;
        if ((list->set & bit) == 0)
            list->list[list->n++] = bit;
        list->set |= bit;
        return true;
    }
    return false;
}

/*
 * @param others  what is not known goes here, as a list
 * @return NULL, or what is wrong with the list but for them
 */
static const char *read_propagator_list(const char *value, struct propagator_conf *ret,
                                        char *others, size_t size)
{
    struct propagator_conf list = {.set = 0};
    struct text rest = text_of_value(value), item;
    bool none = false;

    others[0] = '\0';
    while (text_next_item(&rest, ',', &item)) {
        if (list_item_is(item, "none"))
            none = true;
        else if (!take_propagator(item, &list))
            list_add(others, size, item.p, item.n);
    }
    if (none && list.n > 0)
        return "has none beside others";
    *ret = list;
    return NULL;
}

/* As a file says it. */
static void say_propagators(const struct reader *r)
{
    const struct propagator_conf *list = &r->conf->propagators;
    char text[64] = "";

    for (size_t i = 0; i < list->n; i++) {
        const char *name = propagator_names[__builtin_ctz(list->list[i])];

        list_add(text, sizeof text, name, strlen(name));
    }
    say_effective(r, OPT_PROPAGATORS, list->n > 0 ? text : "none");
}

/* In OpenTelemetry's variable what others know and we do not is passed over, with a warning, as
 * long as there is one that we know. */
static void read_propagators(struct reader *r)
{
    static const char wrong[] = "is not a list of tracecontext, baggage, b3, b3multi, or none";
    char *value = NULL, others[128] = "";
    const char *error;
    bool lenient;

    do {
        lenient = (setting(r, OPT_PROPAGATORS)->flags & SPOE_SETTING_LENIENT) != 0;
        text(r, OPT_PROPAGATORS, &value);
        error = r->no_memory
                    ? NULL
                    : read_propagator_list(value, &r->conf->propagators, others, sizeof others);
        if (error == NULL && others[0] != '\0' && (!lenient || r->conf->propagators.n == 0))
            error = wrong;
    } while (error != NULL && reject(r, OPT_PROPAGATORS, error));
    if (error == NULL && lenient)
        say_propagators(r);
    if (error == NULL && others[0] != '\0')
        spoe_logf(r->host, r->self, SPOE_LOG_WARNING,
                  "%.*s: otel.propagators: %s: not known here, the others count",
                  (int)setting(r, OPT_PROPAGATORS)->origin.n, setting(r, OPT_PROPAGATORS)->origin.p,
                  others);
    free(value);
}

static void read_variables(struct reader *r)
{
    char *value = NULL;
    struct text rest, item;
    unsigned bit = 1;

    text(r, OPT_VARIABLES, &value);
    rest = text_of_value(value);
    while (bit != 0 && text_next_item(&rest, ',', &item)) {
        bit = context_variable_bit(item.p, item.n);
        r->conf->variables |= bit;
    }
    if (bit == 0)
        (void)reject(r, OPT_VARIABLES,
                     "is not a list of traceparent, trace_id, span_id, sampled, b3, tracestate");
    free(value);
}

/*
 * The list is shared by conventions of all kinds ("http,database"); HTTP's are ours. A value of
 * the plugin's own has nothing else in it.
 */
static const char *read_semconv_list(const char *value, bool shared, enum semconv_mode *ret)
{
    struct text rest = text_of_value(value), item;
    bool old = false, both = false, stable = false;

    while (text_next_item(&rest, ',', &item)) {
        if (list_item_is(item, "http/dup"))
            both = true;
        else if (list_item_is(item, "http/old"))
            old = true;
        else if (list_item_is(item, "http"))
            stable = true;
        else if (!shared || (item.n >= 5 && strncasecmp(item.p, "http/", 5) == 0))
            return "is not a list of http, http/dup and http/old";
    }
    *ret = both || (old && stable) ? SEMCONV_DUP : old ? SEMCONV_OLD : SEMCONV_STABLE;
    return NULL;
}

static const char *const semconv_names[] = {
    [SEMCONV_STABLE] = "http", [SEMCONV_DUP] = "http/dup", [SEMCONV_OLD] = "http/old"};

static void read_semconv(struct reader *r)
{
    char *value = NULL;
    const char *error;

    do {
        const bool shared = (setting(r, OPT_SEMCONV)->flags & SPOE_SETTING_LENIENT) != 0;

        text(r, OPT_SEMCONV, &value);
        error = r->no_memory ? NULL : read_semconv_list(value, shared, &r->conf->semconv);
        if (error == NULL && shared)
            say_effective(r, OPT_SEMCONV, semconv_names[r->conf->semconv]);
    } while (error != NULL && reject(r, OPT_SEMCONV, error));
    free(value);
}

static void read_redaction(struct reader *r)
{
    text(r, OPT_REDACT_QUERY, &r->conf->redact_query);
    if (r->conf->redact_query != NULL && strcmp(r->conf->redact_query, "none") == 0) {
        free(r->conf->redact_query);
        r->conf->redact_query = NULL;
    }
}

static void read_limits(struct reader *r)
{
    struct span_limits *limits = &r->conf->limits;
    const struct spoe_value *length = &setting(r, OPT_VALUE_LENGTH_LIMIT)->value;

    limits->value_length =
        length->type == SPOE_T_NULL ? UINT32_MAX : (uint32_t)number(r, OPT_VALUE_LENGTH_LIMIT);
    limits->attributes = (uint16_t)number(r, OPT_ATTRIBUTE_COUNT_LIMIT);
    limits->events = (uint16_t)(number(r, OPT_EVENT_COUNT_LIMIT) < SPAN_EVENTS_MAX
                                    ? number(r, OPT_EVENT_COUNT_LIMIT)
                                    : SPAN_EVENTS_MAX);
}

/* ---- the resource ------------------------------------------------------------------------- */

static const char *attributes_error(const struct pair_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *key = list->item[i].key, *error = value_error(list->item[i].value);

        if (!utf8_is_clean(key, strlen(key)))
            return "has a key that is not UTF-8";
        if (error != NULL)
            return "has a value that is not UTF-8 or above 1024 bytes";
    }
    return NULL;
}

static void read_attribute_list(struct reader *r)
{
    struct pair_list list = {NULL, 0};
    char *value = NULL;
    const char *error;

    do {
        error = NULL;
        text(r, OPT_RESOURCE_ATTRIBUTES, &value);
        if (!r->no_memory && pair_list_read(value, &list, &error) == PAIRS_E_NOMEM)
            r->no_memory = true;
        if (error == NULL)
            error = attributes_error(&list);
        if (error != NULL)
            pair_list_fini(&list); /* all of it or nothing */
    } while (error != NULL && reject(r, OPT_RESOURCE_ATTRIBUTES, error));
    for (size_t i = 0; i < list.n && !r->no_memory; i++)
        r->no_memory =
            resource_set_str(&r->conf->resource, list.item[i].key, list.item[i].value) != 0;
    pair_list_fini(&list);
    free(value);
}

static void read_attribute(struct reader *r, size_t option, const char *key)
{
    char *value = NULL;

    checked_text(r, option, value_error, &value);
    if (value != NULL && !r->no_memory)
        r->no_memory = resource_set_str(&r->conf->resource, key, value) != 0;
    free(value);
}

static void read_resource(struct reader *r)
{
    struct otel_conf *conf = r->conf;
    const char *name;

    read_attribute_list(r);
    read_attribute(r, OPT_SERVICE_VERSION, "service.version");
    read_attribute(r, OPT_SERVICE_NAMESPACE, "service.namespace");
    read_attribute(r, OPT_SERVICE_INSTANCE_ID, "service.instance.id");
    checked_text(r, OPT_SERVICE_NAME, name_error, &conf->service_name);
    name = resource_str(&conf->resource, "service.name");
    if (name != NULL && name[0] != '\0' && !is_set(r, OPT_SERVICE_NAME)) {
        free(conf->service_name);
        conf->service_name = strdup(name);
        r->no_memory = r->no_memory || conf->service_name == NULL;
    }
    resource_remove(&conf->resource, "service.name"); /* the exporter has it on its own */
    if (!r->no_memory && resource_detect(&conf->resource) != 0)
        r->no_memory = true;
    for (size_t i = 0; i < N_SIGNALS; i++) {
        struct exporter_conf *exporter = otel_conf_exporter(conf, (enum otlp_signal)i);

        exporter->service_name = conf->service_name;
        exporter->service_version = OTEL_PLUGIN_VERSION;
        exporter->resource = conf->resource.item;
        exporter->n_resource = conf->resource.n;
    }
}

/* ---- all of it ---------------------------------------------------------------------------- */

static const char *trace_id_error(const char *text)
{
    uint8_t id[16];

    if (text == NULL || text[0] == '\0')
        return NULL;
    return strlen(text) == 2 * sizeof id && hex_read(text, id, sizeof id) &&
                   !hex_is_zero(id, sizeof id)
               ? NULL
               : "is not a trace id: 32 digits and letters from a to f";
}

/* The options with SPOE_OPTION_RELOADABLE. */
static void read_rules(struct reader *r)
{
    struct otel_conf *conf = r->conf;

    conf->span_hold_ns = number(r, OPT_SPAN_HOLD);
    conf->span_store_max = (size_t)number(r, OPT_SPAN_STORE_MAX);
    conf->span_store_bytes = (size_t)number(r, OPT_SPAN_STORE_BYTES);
    read_sampler(r);
    read_redaction(r);
    checked_text(r, OPT_EXCLUDE_PATHS, exclude_error, &conf->exclude_paths);
    checked_text(r, OPT_TRACE_ONCE, trace_id_error, &conf->trace_once);
}

static spoe_status result_of(const struct reader *r)
{
    if (r->no_memory)
        return SPOE_E_NOMEM;
    return r->bad ? SPOE_E_CONFIG : SPOE_OK;
}

spoe_status otel_conf_read_rules(const struct spoe_host *host, struct spoe_instance *self,
                                 struct spoe_config *cfg, struct otel_conf *ret)
{
    struct reader r = {.host = host, .self = self, .cfg = cfg, .conf = ret};

    read_rules(&r);
    return result_of(&r);
}

spoe_status otel_conf_read(const struct spoe_host *host, struct spoe_instance *self,
                           struct spoe_config *cfg, struct otel_conf *ret)
{
    struct reader r = {.host = host, .self = self, .cfg = cfg, .conf = ret};

    ret->disabled = number(&r, OPT_DISABLED) != 0;
    ret->span_ttl_ns = number(&r, OPT_SPAN_TTL);
    ret->span_reorder_ns = number(&r, OPT_SPAN_REORDER);
    ret->metric_series_max = (size_t)number(&r, OPT_METRIC_SERIES_MAX);
    ret->client_address = (enum client_address)number(&r, OPT_CLIENT_SERVER_ADDRESS);
    ret->trust_inbound = (enum trust_inbound)number(&r, OPT_TRUST_INBOUND);
    export_conf_read(&r);
    read_rules(&r);
    read_propagators(&r);
    read_variables(&r);
    read_semconv(&r);
    read_limits(&r);
    read_resource(&r);
    ret->exporter.schema_url = ret->semconv != SEMCONV_OLD ? BATCH_SCHEMA_URL : NULL;
    ret->logs.schema_url = ret->exporter.schema_url;
    ret->metrics.schema_url = BATCH_SCHEMA_URL;
    if (!r.no_memory && !r.bad)
        export_conf_check_bytes(&r);
    checked_text(&r, OPT_KNOWN_METHODS, methods_error, &ret->known_methods);
    if (ret->known_methods != NULL)
        strip_methods(ret->known_methods);
    return result_of(&r);
}

void otel_conf_fini(struct otel_conf *conf)
{
    free(conf->service_name);
    for (size_t i = 0; i < N_SIGNALS; i++) {
        struct collector_conf *collector = &conf->collectors[i];

        free(collector->endpoint);
        free(collector->url);
        free(collector->tls_ca);
        free(collector->tls_cert);
        free(collector->tls_key);
        if (collector->headers != NULL)
            explicit_bzero(collector->headers, strlen(collector->headers));
        free(collector->headers);
        free(collector->headers_file);
    }
    free(conf->known_methods);
    free(conf->exclude_paths);
    free(conf->trace_once);
    free(conf->redact_query);
    resource_fini(&conf->resource);
    *conf = (struct otel_conf){.span_ttl_ns = 0};
}
