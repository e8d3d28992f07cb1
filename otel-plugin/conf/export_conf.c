/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/export_conf.c - what is exported, to whom and how: options that each signal may
 * have of its own (OpenTelemetry's protocol/exporter.md).
 *
 * For traces the options are those without a signal in their names. The two others are as these say
 * where theirs are not set, but for what OpenTelemetry's variables for traces alone say.
 */
#include <assert.h>
#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "conf/endpoint.h"
#include "conf/reader.h"
#include "otlp/batch.h"
#include "otlp/signals.h"
#include "send/headers.h"

/* A collector without logs, or without metrics: docs/otel-export.md. */
#define UNSUPPORTED_PAUSE_NS (300 * SECONDS)

/* What may differ by signal: in traces' options, and in those of the two others. */
static const struct {
    uint8_t option[N_SIGNALS];
} own_options[] = {
#define ROW(name)                                                                                  \
    {                                                                                              \
        {                                                                                          \
            OPT_##name, OPT_LOGS_##name, OPT_METRICS_##name                                        \
        }                                                                                          \
    }
    ROW(ENDPOINT), ROW(TLS_CA),  ROW(TLS_CERT),    ROW(TLS_KEY), ROW(PROTOCOL),
    ROW(INSECURE), ROW(HEADERS), ROW(COMPRESSION), ROW(TIMEOUT),
#undef ROW
};
_Static_assert(N_OPTIONS <= UINT8_MAX, "an option's number is a byte");

/* The places in a list of OpenTelemetry's variables: that of the signal, and that of all. */
enum { OF_SIGNAL, OF_ALL };

/* Whether a setting is from one of OpenTelemetry's variables of an option. */
static bool is_of_variable(const struct reader *r, size_t option, size_t variable)
{
    const struct spoe_span origin = setting(r, option)->origin;
    static const char environment[] = "environment ";
    const size_t n = sizeof environment - 1;

    return origin.n > n && memcmp(origin.p, environment, n) == 0 &&
           spoe_span_is((struct spoe_span){origin.p + n, origin.n - n},
                        otel_options[option]->env_lenient[variable]);
}

/* Whether it is set by what comes before OpenTelemetry's variables. */
static bool is_ours(const struct reader *r, size_t option)
{
    return is_set(r, option) && (setting(r, option)->flags & SPOE_SETTING_LENIENT) == 0;
}

/* The option that counts for the signal that is being read, of those that each may have. */
static size_t of(const struct reader *r, size_t option)
{
    size_t own = 0;

    if (r->exporter->signal == SIGNAL_TRACES)
        return option;
    while (own_options[own].option[SIGNAL_TRACES] != option)
        own++;
    own = own_options[own].option[r->exporter->signal];
    if (is_set(r, own) && !(is_of_variable(r, own, OF_ALL) && is_ours(r, option)))
        return own;
    return is_set(r, option) && !is_of_variable(r, option, OF_SIGNAL) ? option : own;
}

/* ---- numbers that another signal than traces has as a text ---------------------------------- */

/* @return whether the text is one. @param is_theirs  as OpenTelemetry's variables have it */
typedef bool parse_fn(const char *text, bool is_theirs, int64_t *ret);

/* What the option says that counts; what it does not say, or says wrong, is `otherwise`. */
static int64_t own_number(struct reader *r, size_t option, parse_fn *parse, int64_t otherwise)
{
    char *value = NULL;
    int64_t n = otherwise;

    for (;;) {
        const size_t used = of(r, option);
        const struct spoe_setting *s = setting(r, used);

        if (s->value.type != SPOE_T_STR) {
            n = s->value.type != SPOE_T_NULL ? number(r, used) : otherwise;
            break;
        }
        text(r, used, &value);
        if (value == NULL || parse(value, (s->flags & SPOE_SETTING_LENIENT) != 0, &n) ||
            !reject(r, used, "is none that there is: see the option without a signal"))
            break;
    }
    free(value);
    return n;
}

static bool find_word(const char *text, const char *const *words, int64_t *ret)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *ret = (int64_t)i;
            return true;
        }
    }
    return false;
}

static bool parse_protocol(const char *text, bool is_theirs, int64_t *ret)
{
    (void)is_theirs;
    return find_word(text, otel_options[OPT_PROTOCOL]->choices, ret);
}

static bool parse_compression(const char *text, bool is_theirs, int64_t *ret)
{
    (void)is_theirs;
    return find_word(text, otel_options[OPT_COMPRESSION]->choices, ret);
}

static bool parse_switch(const char *text, bool is_theirs, int64_t *ret)
{
    static const char *const words[] = {"false", "true", "off", "on", "no", "yes", "0", "1", NULL};
    const bool found = find_word(text, words, ret);

    if (is_theirs && *ret > 1)
        return false;
    *ret %= 2;
    return found;
}

/* Theirs are whole milliseconds. */
static bool parse_timeout(const char *text, bool is_theirs, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {
        {"ms", SECONDS / 1000}, {"s", SECONDS}, {"m", 60 * SECONDS}, {"h", 3600 * SECONDS}};
    const size_t digits = strspn(text, "0123456789");
    int64_t n = 0, unit = is_theirs ? SECONDS / 1000 : 0;

    if (digits == 0 || digits > 9 || (is_theirs && text[digits] != '\0'))
        return false;
    for (size_t i = 0; i < digits; i++)
        n = n * 10 + (text[i] - '0');
    for (size_t i = 0; !is_theirs && i < sizeof units / sizeof units[0]; i++)
        if (strcmp(text + digits, units[i].unit) == 0)
            unit = units[i].ns;
    if ((unit == 0 && n != 0) || (unit > 0 && n > otel_options[OPT_TIMEOUT]->max / unit))
        return false;
    *ret = n * unit;
    return true;
}

static int64_t read_timeout(struct reader *r)
{
    const int64_t ns = own_number(r, OPT_TIMEOUT, parse_timeout, 10 * SECONDS);

    return ns == 0 ? TEN_YEARS : ns; /* no limit, as duration() */
}

/* ---- the collector ------------------------------------------------------------------------ */

static enum endpoint_rule endpoint_rule(const struct reader *r)
{
    const size_t option = of(r, OPT_ENDPOINT);
    const struct spoe_setting *s = setting(r, option);

    if ((s->flags & SPOE_SETTING_LENIENT) != 0)
        return is_of_variable(r, option, OF_ALL) ? ENDPOINT_ALL : ENDPOINT_SIGNAL;
    return option == OPT_ENDPOINT && r->exporter->signal != SIGNAL_TRACES ? ENDPOINT_SHARED
                                                                          : ENDPOINT_OURS;
}

static const char *read_one_endpoint(const struct reader *r, struct endpoint *ret)
{
    const enum otlp_protocol protocol = r->exporter->protocol;
    const char *value = r->collector->endpoint;

    if (!is_set(r, of(r, OPT_ENDPOINT)))
        value = protocol == OTLP_HTTP ? "localhost:4318" : "localhost:4317";
    return endpoint_read(r->exporter->signal, value != NULL ? value : "", protocol,
                         endpoint_rule(r), ret);
}

/* OpenTelemetry's paths are not ours: a file has the whole one. */
static void say_endpoint(const struct reader *r, const struct endpoint *endpoint)
{
    char text[2 * ENDPOINT_MAX + 64];

    if ((setting(r, of(r, OPT_ENDPOINT))->flags & SPOE_SETTING_LENIENT) == 0 ||
        r->exporter->protocol != OTLP_HTTP)
        return;
    (void)snprintf(text, sizeof text, "%s://%s%s",
                   endpoint->scheme == ENDPOINT_HTTPS ? "https" : "http", endpoint->authority,
                   endpoint->path);
    say_effective(r, of(r, OPT_ENDPOINT), strcmp(endpoint->path, "/") == 0 ? "" : text);
}

/* `tls` where it is set, else the URL's scheme; an endpoint without one is as `insecure` says. */
static enum otlp_tls choose_tls(struct reader *r, enum endpoint_scheme scheme)
{
    if (is_set(r, OPT_TLS) || !is_set(r, of(r, OPT_ENDPOINT)))
        return (enum otlp_tls)number(r, OPT_TLS);
    if (scheme == ENDPOINT_NO_SCHEME)
        return own_number(r, OPT_INSECURE, parse_switch, 1) == 0 ? OTLP_TLS_ENABLED
                                                                 : OTLP_TLS_DISABLED;
    return scheme == ENDPOINT_HTTPS ? OTLP_TLS_ENABLED : OTLP_TLS_DISABLED;
}

static void read_endpoint(struct reader *r)
{
    struct endpoint endpoint = {.scheme = ENDPOINT_NO_SCHEME};
    const char *error;
    bool rejected = false;

    r->exporter->protocol =
        (enum otlp_protocol)own_number(r, OPT_PROTOCOL, parse_protocol, OTLP_GRPC);
    do {
        text(r, of(r, OPT_ENDPOINT), &r->collector->endpoint);
        if (r->no_memory)
            return;
        error = read_one_endpoint(r, &endpoint);
        rejected = rejected || error != NULL;
    } while (error != NULL && reject(r, of(r, OPT_ENDPOINT), error));
    r->collector->fell_back = rejected && !is_set(r, of(r, OPT_ENDPOINT));
    r->exporter->tls = choose_tls(r, endpoint.scheme);
    if (error != NULL)
        return;
    say_endpoint(r, &endpoint);
    free(r->collector->endpoint);
    r->collector->endpoint = strdup(endpoint.authority);
    if (r->exporter->protocol == OTLP_HTTP &&
        asprintf(&r->collector->url, "%s://%s%s",
                 r->exporter->tls == OTLP_TLS_DISABLED ? "http" : "https", endpoint.authority,
                 endpoint.path) < 0)
        r->collector->url = NULL;
    r->no_memory = r->collector->endpoint == NULL ||
                   (r->exporter->protocol == OTLP_HTTP && !r->collector->url);
}

/* The option whose key exporter_check_tls() named. */
static size_t tls_option(const struct reader *r, const char *key)
{
    for (size_t i = OPT_TLS_CA; i <= OPT_TLS_KEY; i++) {
        if (key != NULL && strcmp(otel_options[i]->key, key) == 0)
            return of(r, i);
    }
    return OPT_TLS;
}

/* The authorities and the certificate with its key are apart, so that both can be wrong in one run.
 */
static void check_tls_files(struct reader *r, bool pair)
{
    struct exporter_conf some = *r->exporter;
    const char *key;
    char error[512];
    bool again;

    do {
        if (pair) {
            text(r, of(r, OPT_TLS_CERT), &r->collector->tls_cert);
            text(r, of(r, OPT_TLS_KEY), &r->collector->tls_key);
        } else {
            text(r, of(r, OPT_TLS_CA), &r->collector->tls_ca);
        }
        if (r->no_memory || some.tls == OTLP_TLS_DISABLED || some.kind != EXPORTER_OTLP)
            return; /* the files are ignored, not even looked at */
        some.tls_ca = pair ? NULL : r->collector->tls_ca;
        some.tls_cert = pair ? r->collector->tls_cert : NULL;
        some.tls_key = pair ? r->collector->tls_key : NULL;
        key = NULL;
        error[0] = '\0';
        again = exporter_check_tls(&some, error, sizeof error, &key) != 0 &&
                reject(r, tls_option(r, key), error);
    } while (again);
}

static void read_tls_files(struct reader *r)
{
    check_tls_files(r, false);
    check_tls_files(r, true);
    r->exporter->tls_ca = r->collector->tls_ca;
    r->exporter->tls_cert = r->collector->tls_cert;
    r->exporter->tls_key = r->collector->tls_key;
}

static void read_headers(struct reader *r)
{
    struct pair_list list = {NULL, 0};
    bool of_file = false, again;
    char error[512];

    do {
        int result;

        text(r, of(r, OPT_HEADERS), &r->collector->headers);
        text(r, OPT_HEADERS_FILE, &r->collector->headers_file);
        if (r->no_memory)
            return;
        result = headers_read(r->collector->headers, r->collector->headers_file, &list, error,
                              sizeof error, &of_file);
        r->no_memory = result == PAIRS_E_NOMEM;
        again = result == PAIRS_E_INVAL &&
                reject(r, of_file ? OPT_HEADERS_FILE : of(r, OPT_HEADERS), error);
    } while (again);
    pair_list_fini(&list); /* the export reads them anew, since the file may change */
}

/* ---- what is common, and what is not ------------------------------------------------------- */

/* A batch that the queue cannot hold would never be full. */
static uint32_t read_batch_max(struct reader *r, size_t option, size_t of_queue)
{
    const int64_t queue = number(r, of_queue);
    char error[64];

    (void)snprintf(error, sizeof error, "is more than %s", otel_options[of_queue]->key);
    while (is_set(r, option) && number(r, option) > queue)
        if (!reject(r, option, error))
            break;
    return (uint32_t)(number(r, option) < queue ? number(r, option) : queue);
}

/* Servers hang up on a client that pings more often than they like. */
static int64_t read_keepalive(struct reader *r)
{
    const int64_t ns = number(r, OPT_KEEPALIVE);

    if (ns > 0 && ns < 10 * SECONDS)
        (void)reject(r, OPT_KEEPALIVE, "is below 10s");
    return ns;
}

/* @param r  with the exporter and the collector of the signal */
static void read_collector(struct reader *r)
{
    struct exporter_conf *exporter = r->exporter;
    const struct collector_conf *collector = r->collector;

    exporter->gzip = own_number(r, OPT_COMPRESSION, parse_compression, 0) != 0;
    exporter->bytes_max = (uint32_t)number(r, OPT_REQUEST_BYTES_MAX);
    exporter->use_proxy = number(r, OPT_USE_PROXY) != 0;
    exporter->keepalive_ns = number(r, OPT_KEEPALIVE);
    exporter->timeout_ns = read_timeout(r);
    exporter->retry_initial_ns = 5 * SECONDS;
    exporter->retry_max_ns = 30 * SECONDS;
    read_endpoint(r);
    read_tls_files(r);
    read_headers(r);
    exporter->endpoint = collector->endpoint;
    exporter->url = collector->url;
    exporter->headers = collector->headers;
    exporter->headers_file = collector->headers_file;
}

/* What is not exported is not read: what is wrong in the options that are shared is told once. */
static bool begin_signal(struct reader *r, enum otlp_signal signal)
{
    r->exporter = otel_conf_exporter(r->conf, signal);
    r->collector = &r->conf->collectors[signal];
    r->exporter->signal = signal;
    return signal == SIGNAL_TRACES ||
           (r->exporter->kind == EXPORTER_OTLP && !r->bad && !r->no_memory);
}

static void read_traces(struct reader *r)
{
    struct otel_conf *conf = r->conf;
    struct exporter_conf *exporter = &conf->exporter;

    conf->span_queue_max = (size_t)number(r, OPT_SPAN_QUEUE_MAX);
    conf->span_queue_bytes = (size_t)number(r, OPT_SPAN_QUEUE_BYTES);
    exporter->kind = (enum exporter_kind)number(r, OPT_EXPORTER);
    exporter->concurrency = (uint32_t)number(r, OPT_EXPORT_CONCURRENCY);
    exporter->batch_max = read_batch_max(r, OPT_BATCH_MAX, OPT_SPAN_QUEUE_MAX);
    exporter->batch_delay_ns = number(r, OPT_BATCH_DELAY);
    exporter->retry_give_up_ns = duration(r, OPT_RETRY_TIMEOUT);
    (void)begin_signal(r, SIGNAL_TRACES);
    (void)read_keepalive(r);
    read_collector(r);
}

static void read_logs(struct reader *r)
{
    struct otel_conf *conf = r->conf;
    struct exporter_conf *exporter = &conf->logs;

    exporter->kind = number(r, OPT_LOGS_EXPORTER) == LOGS_OTLP ? EXPORTER_OTLP : EXPORTER_NONE;
    conf->logs_queue_max = (size_t)number(r, OPT_LOGS_QUEUE_MAX);
    conf->logs_queue_bytes = (size_t)number(r, OPT_LOGS_QUEUE_BYTES);
    if (!begin_signal(r, SIGNAL_LOGS))
        return;
    exporter->concurrency = (uint32_t)number(r, OPT_EXPORT_CONCURRENCY);
    exporter->batch_max = read_batch_max(r, OPT_LOGS_BATCH_MAX, OPT_LOGS_QUEUE_MAX);
    exporter->batch_delay_ns = number(r, OPT_LOGS_BATCH_DELAY);
    exporter->retry_give_up_ns = duration(r, OPT_LOGS_RETRY_TIMEOUT);
    exporter->unsupported_pause_ns = UNSUPPORTED_PAUSE_NS;
    read_collector(r);
}

/* @return NULL, or what is wrong with the list */
static const char *read_metrics_list(const char *value, bool *ret_otlp, bool *ret_prometheus)
{
    struct text rest = {value, value != NULL ? strlen(value) : 0}, item;
    bool otlp = false, prometheus = false, none = false;

    while (text_next_item(&rest, ',', &item)) {
        const bool is_otlp = item.n == 4 && strncasecmp(item.p, "otlp", 4) == 0;
        const bool is_none = item.n == 4 && strncasecmp(item.p, "none", 4) == 0;
        const bool is_page = item.n == 10 && strncasecmp(item.p, "prometheus", 10) == 0;

        if (!is_otlp && !is_none && !is_page)
            return "is not a list of prometheus and otlp, or none";
        otlp |= is_otlp;
        none |= is_none;
        prometheus |= is_page;
    }
    if (none && (otlp || prometheus))
        return "has none beside others";
    *ret_otlp = otlp;
    *ret_prometheus = prometheus;
    return NULL;
}

static void read_metrics(struct reader *r)
{
    struct otel_conf *conf = r->conf;
    struct exporter_conf *exporter = &conf->metrics;
    char *value = NULL;
    const char *error;
    bool otlp = false;

    do {
        text(r, OPT_METRICS_EXPORTER, &value);
        error = r->no_memory ? NULL : read_metrics_list(value, &otlp, &conf->metrics_page);
    } while (error != NULL && reject(r, OPT_METRICS_EXPORTER, error));
    free(value);
    exporter->kind = otlp ? EXPORTER_OTLP : EXPORTER_NONE;
    conf->metrics_interval_ns = number(r, OPT_METRIC_EXPORT_INTERVAL);
    conf->temporality = (enum metrics_temporality)number(r, OPT_METRICS_TEMPORALITY);
    if (!begin_signal(r, SIGNAL_METRICS))
        return;
    exporter->concurrency = 1;
    exporter->batch_max = METRIC_POINTS_MAX; /* what is read at one moment goes as one */
    exporter->interval_ns = conf->metrics_interval_ns;
    exporter->retry_give_up_ns = duration(r, OPT_METRICS_RETRY_TIMEOUT);
    exporter->unsupported_pause_ns = UNSUPPORTED_PAUSE_NS;
    read_collector(r);
}

void export_conf_read(struct reader *r)
{
    read_traces(r);
    read_logs(r);
    read_metrics(r);
}

/*
 * What every request says about its sender must leave room for spans: half of a request at least.
 */
static void check_bytes(struct reader *r, const struct exporter_conf *exporter)
{
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

void export_conf_check_bytes(struct reader *r)
{
    for (size_t i = 0; i < N_SIGNALS && !r->bad; i++) {
        const struct exporter_conf *exporter = otel_conf_exporter(r->conf, (enum otlp_signal)i);

        if (i == SIGNAL_TRACES || exporter->kind == EXPORTER_OTLP)
            check_bytes(r, exporter);
    }
}
