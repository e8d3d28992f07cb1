/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/otel_conf.c - what the host cannot check by type and range, and what follows
 * from several options at once.
 *
 * A value that will not do is reported through config_error(). If it is of one of OpenTelemetry's
 * own variables the host warns and hands out the value that comes next in preference, so each
 * check here is a loop that ends with a good value, or with an error that stops the start.
 */
#include "conf/otel_conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <spoe/util.h>

#include "base/text.h"
#include "conf/endpoint.h"
#include "send/headers.h"
#include "conf/number.h"
#include "input/context.h"
#include "input/exclude.h"
#include "base/utf8.h"
#include "otlp/batch.h"

#define SECONDS INT64_C(1000000000)
#define TEN_YEARS (INT64_C(10) * 365 * 24 * 3600 * SECONDS)
#define TEXT_MAX RESOURCE_VALUE_MAX

/* What is read from, and how it goes. */
struct reader {
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct spoe_config *cfg;
    struct otel_conf *conf;
    bool bad;       /* an error is reported */
    bool no_memory; /* nothing further counts */
};

const char *otel_tls_name(enum otlp_tls tls)
{
    return otel_options[OPT_TLS]->choices[tls];
}

/* ---- single values ------------------------------------------------------------------------ */

static const struct spoe_setting *setting(const struct reader *r, size_t option)
{
    return r->host->config_get(r->cfg, option);
}

static bool is_set(const struct reader *r, size_t option)
{
    return (setting(r, option)->flags & SPOE_SETTING_DEFAULT) == 0;
}

/* @return whether there is another value to look at */
static bool reject(struct reader *r, size_t option, const char *why)
{
    const bool lenient = (setting(r, option)->flags & SPOE_SETTING_LENIENT) != 0;

    r->host->config_error(r->cfg, option, spoe_str(why));
    if (!lenient)
        r->bad = true;
    return lenient;
}

/* How a file says what is in effect, where a lenient value is not read as a file's is. */
static void say_effective(const struct reader *r, size_t option, const char *text)
{
    if (SPOE_HAS(r->host, config_effective))
        r->host->config_effective(r->cfg, option, spoe_str(text));
}

static int64_t number(const struct reader *r, size_t option)
{
    const struct spoe_value *value = &setting(r, option)->value;
    int64_t n = 0;

    if (value->type == SPOE_T_BOOL)
        return value->u.b;
    (void)spoe_get_int(value, &n); /* the host checked the type */
    return n;
}

/* Copy a string option; *ret is freed first, and stays NULL where nothing is set. */
static void text(struct reader *r, size_t option, char **ret)
{
    const struct spoe_value *value = &setting(r, option)->value;

    free(*ret);
    *ret = NULL;
    if (value->type != SPOE_T_STR || value->u.s.n == 0)
        return;
    *ret = strndup(value->u.s.p, value->u.s.n);
    if (*ret == NULL)
        r->no_memory = true;
}

typedef const char *check_fn(const char *value);

/* The same, until check() finds nothing wrong. It sees NULL where nothing is set. */
static void checked_text(struct reader *r, size_t option, check_fn *check, char **ret)
{
    const char *error;

    do {
        text(r, option, ret);
        error = r->no_memory ? NULL : check(*ret);
    } while (error != NULL && reject(r, option, error));
}

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

/* ---- the collector ------------------------------------------------------------------------ */

static enum endpoint_rule endpoint_rule(const struct reader *r)
{
    const struct spoe_setting *s = setting(r, OPT_ENDPOINT);

    if ((s->flags & SPOE_SETTING_LENIENT) == 0)
        return ENDPOINT_OURS;
    return spoe_span_is(s->origin, "environment " ENV_TRACES_ENDPOINT) ? ENDPOINT_SIGNAL
                                                                       : ENDPOINT_ALL;
}

static const char *read_one_endpoint(const struct reader *r, struct endpoint *ret)
{
    const enum otlp_protocol protocol = r->conf->exporter.protocol;
    const char *value = r->conf->endpoint;

    if (protocol == OTLP_HTTP && !is_set(r, OPT_ENDPOINT))
        value = "localhost:4318";
    return endpoint_read(SIGNAL_TRACES, value != NULL ? value : "", protocol, endpoint_rule(r),
                         ret);
}

/* OpenTelemetry's paths are not ours: a file has the whole one. */
static void say_endpoint(const struct reader *r, const struct endpoint *endpoint)
{
    char text[2 * ENDPOINT_MAX + 64];

    if (endpoint_rule(r) == ENDPOINT_OURS || r->conf->exporter.protocol != OTLP_HTTP)
        return;
    (void)snprintf(text, sizeof text, "%s://%s%s",
                   endpoint->scheme == ENDPOINT_HTTPS ? "https" : "http", endpoint->authority,
                   endpoint->path);
    say_effective(r, OPT_ENDPOINT, strcmp(endpoint->path, "/") == 0 ? "" : text);
}

/* `tls` where it is set, else the URL's scheme; an endpoint without one is as `insecure` says. */
static enum otlp_tls choose_tls(const struct reader *r, enum endpoint_scheme scheme)
{
    if (is_set(r, OPT_TLS) || !is_set(r, OPT_ENDPOINT))
        return (enum otlp_tls)number(r, OPT_TLS);
    if (scheme == ENDPOINT_NO_SCHEME)
        return is_set(r, OPT_INSECURE) && number(r, OPT_INSECURE) == 0 ? OTLP_TLS_ENABLED
                                                                       : OTLP_TLS_DISABLED;
    return scheme == ENDPOINT_HTTPS ? OTLP_TLS_ENABLED : OTLP_TLS_DISABLED;
}

static void read_endpoint(struct reader *r)
{
    struct otel_conf *conf = r->conf;
    struct endpoint endpoint = {.scheme = ENDPOINT_NO_SCHEME};
    const char *error;
    bool rejected = false;

    conf->exporter.protocol = (enum otlp_protocol)number(r, OPT_PROTOCOL);
    do {
        text(r, OPT_ENDPOINT, &conf->endpoint);
        if (r->no_memory)
            return;
        error = read_one_endpoint(r, &endpoint);
        rejected = rejected || error != NULL;
    } while (error != NULL && reject(r, OPT_ENDPOINT, error));
    conf->endpoint_fell_back = rejected && !is_set(r, OPT_ENDPOINT);
    conf->exporter.tls = choose_tls(r, endpoint.scheme);
    if (error != NULL)
        return;
    say_endpoint(r, &endpoint);
    free(conf->endpoint);
    conf->endpoint = strdup(endpoint.authority);
    if (conf->exporter.protocol == OTLP_HTTP &&
        asprintf(&conf->url, "%s://%s%s",
                 conf->exporter.tls == OTLP_TLS_DISABLED ? "http" : "https", endpoint.authority,
                 endpoint.path) < 0)
        conf->url = NULL;
    r->no_memory = conf->endpoint == NULL || (conf->exporter.protocol == OTLP_HTTP && !conf->url);
}

/* The option whose key exporter_check_tls() named. */
static size_t tls_option(const char *key)
{
    for (size_t i = OPT_TLS_CA; i <= OPT_TLS_KEY; i++) {
        if (key != NULL && strcmp(otel_options[i]->key, key) == 0)
            return i;
    }
    return OPT_TLS;
}

/* The authorities and the certificate with its key are apart, so that both can be wrong in one run.
 */
static void check_tls_files(struct reader *r, bool pair)
{
    struct otel_conf *conf = r->conf;
    struct exporter_conf some = conf->exporter;
    const char *key;
    char error[512];
    bool again;

    do {
        if (pair) {
            text(r, OPT_TLS_CERT, &conf->tls_cert);
            text(r, OPT_TLS_KEY, &conf->tls_key);
        } else {
            text(r, OPT_TLS_CA, &conf->tls_ca);
        }
        if (r->no_memory || some.tls == OTLP_TLS_DISABLED || some.kind != EXPORTER_OTLP)
            return; /* the files are ignored, not even looked at */
        some.tls_ca = pair ? NULL : conf->tls_ca;
        some.tls_cert = pair ? conf->tls_cert : NULL;
        some.tls_key = pair ? conf->tls_key : NULL;
        key = NULL;
        error[0] = '\0';
        again = exporter_check_tls(&some, error, sizeof error, &key) != 0 &&
                reject(r, tls_option(key), error);
    } while (again);
}

static void read_tls_files(struct reader *r)
{
    struct otel_conf *conf = r->conf;

    check_tls_files(r, false);
    check_tls_files(r, true);
    conf->exporter.tls_ca = conf->tls_ca;
    conf->exporter.tls_cert = conf->tls_cert;
    conf->exporter.tls_key = conf->tls_key;
}

static void read_headers(struct reader *r)
{
    struct otel_conf *conf = r->conf;
    struct pair_list list = {NULL, 0};
    bool of_file = false, again;
    char error[512];

    do {
        int result;

        text(r, OPT_HEADERS, &conf->headers);
        text(r, OPT_HEADERS_FILE, &conf->headers_file);
        if (r->no_memory)
            return;
        result =
            headers_read(conf->headers, conf->headers_file, &list, error, sizeof error, &of_file);
        r->no_memory = result == PAIRS_E_NOMEM;
        again =
            result == PAIRS_E_INVAL && reject(r, of_file ? OPT_HEADERS_FILE : OPT_HEADERS, error);
    } while (again);
    pair_list_fini(&list); /* the export reads them anew, since the file may change */
}

/* A batch that the queue cannot hold would never be full. */
static uint32_t read_batch_max(struct reader *r)
{
    const int64_t queue = number(r, OPT_SPAN_QUEUE_MAX);

    while (is_set(r, OPT_BATCH_MAX) && number(r, OPT_BATCH_MAX) > queue)
        if (!reject(r, OPT_BATCH_MAX, "is more than span-queue-max"))
            break;
    return (uint32_t)(number(r, OPT_BATCH_MAX) < queue ? number(r, OPT_BATCH_MAX) : queue);
}

static int64_t duration(const struct reader *r, size_t option)
{
    const int64_t ns = number(r, option);

    return ns == 0 ? TEN_YEARS : ns; /* no limit; a sum with a clock's reading still fits */
}

/* Servers hang up on a client that pings more often than they like. */
static int64_t read_keepalive(struct reader *r)
{
    const int64_t ns = number(r, OPT_KEEPALIVE);

    if (ns > 0 && ns < 10 * SECONDS)
        (void)reject(r, OPT_KEEPALIVE, "is below 10s");
    return ns;
}

static void read_exporter(struct reader *r)
{
    struct exporter_conf *exporter = &r->conf->exporter;

    exporter->kind = (enum exporter_kind)number(r, OPT_EXPORTER);
    exporter->gzip = number(r, OPT_COMPRESSION) != 0;
    exporter->concurrency = (uint32_t)number(r, OPT_EXPORT_CONCURRENCY);
    exporter->batch_max = read_batch_max(r);
    exporter->batch_delay_ns = number(r, OPT_BATCH_DELAY);
    exporter->bytes_max = (uint32_t)number(r, OPT_REQUEST_BYTES_MAX);
    exporter->use_proxy = number(r, OPT_USE_PROXY) != 0;
    exporter->keepalive_ns = read_keepalive(r);
    exporter->timeout_ns = duration(r, OPT_TIMEOUT);
    exporter->retry_initial_ns = 5 * SECONDS;
    exporter->retry_max_ns = 30 * SECONDS;
    exporter->retry_give_up_ns = duration(r, OPT_RETRY_TIMEOUT);
    read_endpoint(r);
    read_tls_files(r);
    read_headers(r);
    exporter->endpoint = r->conf->endpoint;
    exporter->url = r->conf->url;
    exporter->headers = r->conf->headers;
    exporter->headers_file = r->conf->headers_file;
}

/*
 * What every request says about its sender must leave room for spans: half of a request at least.
 * To be called when the resource is known.
 */
static void check_request_bytes(struct reader *r)
{
    const struct exporter_conf *exporter = &r->conf->exporter;
    const struct batch_resource resource = {.service_name = exporter->service_name,
                                            .version = exporter->service_version,
                                            .schema_url = exporter->schema_url,
                                            .attributes = exporter->resource,
                                            .n_attributes = exporter->n_resource};
    struct batch_encoder *encoder = batch_encoder_create(&resource);
    size_t overhead;
    char error[128];

    if (encoder == NULL) {
        r->no_memory = true;
        return;
    }
    overhead = batch_overhead(encoder);
    batch_encoder_destroy(encoder);
    if (overhead <= exporter->bytes_max / 2)
        return;
    (void)snprintf(error, sizeof error,
                   "is too little: the resource alone, which is in every request, has %zu bytes",
                   overhead);
    (void)reject(r, OPT_REQUEST_BYTES_MAX, error);
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
    conf->exporter.service_name = conf->service_name;
    conf->exporter.service_version = OTEL_PLUGIN_VERSION;
    conf->exporter.resource = conf->resource.item;
    conf->exporter.n_resource = conf->resource.n;
}

/* ---- all of it ---------------------------------------------------------------------------- */

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
    ret->span_queue_max = (size_t)number(&r, OPT_SPAN_QUEUE_MAX);
    ret->span_queue_bytes = (size_t)number(&r, OPT_SPAN_QUEUE_BYTES);
    ret->trust_inbound = (enum trust_inbound)number(&r, OPT_TRUST_INBOUND);
    read_exporter(&r);
    read_rules(&r);
    read_propagators(&r);
    read_variables(&r);
    read_semconv(&r);
    read_limits(&r);
    read_resource(&r);
    ret->exporter.schema_url = ret->semconv != SEMCONV_OLD ? BATCH_SCHEMA_URL : NULL;
    if (!r.no_memory && !r.bad)
        check_request_bytes(&r);
    checked_text(&r, OPT_KNOWN_METHODS, methods_error, &ret->known_methods);
    if (ret->known_methods != NULL)
        strip_methods(ret->known_methods);
    return result_of(&r);
}

void otel_conf_fini(struct otel_conf *conf)
{
    free(conf->endpoint);
    free(conf->url);
    free(conf->service_name);
    free(conf->tls_ca);
    free(conf->tls_cert);
    free(conf->tls_key);
    if (conf->headers != NULL)
        explicit_bzero(conf->headers, strlen(conf->headers));
    free(conf->headers);
    free(conf->headers_file);
    free(conf->known_methods);
    free(conf->exclude_paths);
    free(conf->redact_query);
    resource_fini(&conf->resource);
    *conf = (struct otel_conf){.span_ttl_ns = 0};
}
