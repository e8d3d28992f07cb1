/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_conf_env.c - OpenTelemetry's own variables: for each a good value, bad ones
 * and an empty one, and that a short name wins where it is set.
 */
#include "conf_host.h"

#include <unistd.h>

#define N(array) (sizeof(array) / sizeof(array)[0])

TestSuite(conf_env, .timeout = 60);

/* A setting as text, so that one table holds all variables. */
typedef void show_fn(const struct otel_conf *conf, char *ret, size_t size);

#define SHOW(name, format, ...)                                                                    \
    static void name(const struct otel_conf *conf, char *ret, size_t size)                         \
    {                                                                                              \
        (void)snprintf(ret, size, format, __VA_ARGS__);                                            \
    }

static const char *or_none(const char *text)
{
    return text != NULL ? text : "none";
}

static const char *attribute(const struct otel_conf *conf, const char *key)
{
    return or_none(resource_str(&conf->resource, key));
}

SHOW(show_endpoint, "%s tls %d", conf->exporter.endpoint, conf->exporter.tls)
SHOW(show_name, "%s", conf->exporter.service_name)
SHOW(show_attributes, "%s %s", attribute(conf, "a"), attribute(conf, "b"))
SHOW(show_ca, "%s", or_none(conf->exporter.tls_ca))
SHOW(show_cert, "%s", or_none(conf->exporter.tls_cert))
SHOW(show_key, "%s", or_none(conf->exporter.tls_key))
SHOW(show_headers, "%s", or_none(conf->exporter.headers))
SHOW(show_gzip, "%d", conf->exporter.gzip)
SHOW(show_timeout, "%lld", (long long)conf->exporter.timeout_ns / 1000000)
SHOW(show_protocol, "%d", conf->exporter.protocol)
SHOW(show_delay, "%lld", (long long)conf->exporter.batch_delay_ns / 1000000)
SHOW(show_give_up, "%lld", (long long)conf->exporter.retry_give_up_ns / 1000000)
SHOW(show_queue, "%zu", conf->span_queue_max)
SHOW(show_batch, "%u", conf->exporter.batch_max)
SHOW(show_sampler, "%d", conf->sampler.kind)
SHOW(show_ratio, "%g", conf->sampler.ratio)
SHOW(show_exporter, "%d", conf->exporter.kind)
SHOW(show_length, "%u", conf->limits.value_length)
SHOW(show_attribute_count, "%u", conf->limits.attributes)
SHOW(show_events, "%u", conf->limits.events)
SHOW(show_disabled, "%d", conf->disabled)
SHOW(show_semconv, "%d", conf->semconv)
SHOW(show_logs, "%d", conf->logs.kind)
SHOW(show_logs_queue, "%zu", conf->logs_queue_max)
SHOW(show_logs_batch, "%u", conf->logs.batch_max)
SHOW(show_logs_delay, "%lld", (long long)conf->logs.batch_delay_ns / 1000000)
SHOW(show_logs_give_up, "%lld", (long long)conf->logs.retry_give_up_ns / 1000000)
SHOW(show_metrics, "%d page %d", conf->metrics.kind, conf->metrics_page)
SHOW(show_interval, "%lld", (long long)conf->metrics_interval_ns / 1000000)
SHOW(show_metrics_give_up, "%lld", (long long)conf->metrics.retry_give_up_ns / 1000000)
SHOW(show_temporality, "%d", conf->temporality)
SHOW(show_methods, "%s", conf->known_methods)

static void show_propagators(const struct otel_conf *conf, char *ret, size_t size)
{
    size_t n = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < conf->propagators.n; i++)
        n += (size_t)snprintf(ret + n, size - n, "%s%d", i > 0 ? " " : "",
                              conf->propagators.list[i]);
}

static void show_nothing(const struct otel_conf *conf, char *ret, size_t size)
{
    (void)conf;
    (void)snprintf(ret, size, "-");
}

#define METHODS "GET,POST,PUT,DELETE,HEAD,PATCH,OPTIONS,CONNECT,QUERY,TRACE"
#define NO_CA "/nonexistent/x.pem"

/* What is set beside the variable under test, so that it counts. */
enum beside { ALONE, WITH_RATIO, WITH_TLS, WITH_HOST_PORT, WITH_LOGS, WITH_METRICS };

static const struct variable {
    const char *name;  /* all that there are of it, the preferred one first */
    const char *other; /* NULL: there is one */
    show_fn *show;
    const char *unset;      /* what is shown where it is not set */
    const char *good[4][2]; /* value, shown */
    const char *bad[4];     /* each a warning, and as unset */
    enum beside beside;
    const char *short_name, *short_value, *short_shown;
} variables[] = {
    {.name = "OTEL_SERVICE_NAME",
     .show = show_name,
     .unset = "haproxy",
     .good = {{"shop", "shop"}},
     .bad = {"caf\xe9"},
     .short_name = "SERVICE_NAME",
     .short_value = "edge",
     .short_shown = "edge"},
    {.name = "OTEL_RESOURCE_ATTRIBUTES",
     .show = show_attributes,
     .unset = "none none",
     .good = {{"a=1,b=x%2Cy%3d%25", "1 x,y=%"},
              {" a = 1 ", "1 none"},
              {"a=,b=2", " 2"},
              {"a=x=y,a=z", "z none"}},
     .bad = {"a=1,b", "a=1,b=%4", "=x,a=1", "a=1,b=%ff"},
     .short_name = "RESOURCE_ATTRIBUTES",
     .short_value = "b=7",
     .short_shown = "none 7"},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
     .other = "OTEL_EXPORTER_OTLP_ENDPOINT",
     .show = show_endpoint,
     .unset = "localhost:4317 tls 0",
     .good = {{"http://c:1", "c:1 tls 0"},
              {"HTTPS://c/x/", "c:443 tls 1"},
              {"http://[::1]", "[::1]:80 tls 0"},
              {"c:4317", "c:4317 tls 0"}},
     .bad = {"grpc://c:1", "http://", "http://u:p@c:1", "c"},
     .short_name = "OTLP_ENDPOINT",
     .short_value = "d:2",
     .short_shown = "d:2 tls 0"},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
     .other = "OTEL_EXPORTER_OTLP_INSECURE",
     .show = show_endpoint,
     .unset = "c:1 tls 0",
     .good = {{"false", "c:1 tls 1"}, {"FALSE", "c:1 tls 1"}, {"true", "c:1 tls 0"}},
     .beside = WITH_HOST_PORT,
     .short_name = "OTLP_TLS",
     .short_value = "skip-verify",
     .short_shown = "c:1 tls 2"},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
     .other = "OTEL_EXPORTER_OTLP_CERTIFICATE",
     .show = show_ca,
     .unset = "none",
     .bad = {NO_CA, "/"},
     .beside = WITH_TLS},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
     .other = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
     .show = show_cert,
     .unset = "none",
     .bad = {NO_CA},
     .beside = WITH_TLS},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
     .other = "OTEL_EXPORTER_OTLP_CLIENT_KEY",
     .show = show_key,
     .unset = "none",
     .bad = {NO_CA},
     .beside = WITH_TLS},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
     .other = "OTEL_EXPORTER_OTLP_HEADERS",
     .show = show_headers,
     .unset = "none",
     .good = {{"Api-Key=a%20b, x=1", "Api-Key=a%20b, x=1"}},
     .bad = {"a", "a b=1", "a=%0d%0a", "grpc-x=1"},
     .short_name = "OTLP_HEADERS",
     .short_value = "y=2",
     .short_shown = "y=2"},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
     .other = "OTEL_EXPORTER_OTLP_COMPRESSION",
     .show = show_gzip,
     .unset = "0",
     .good = {{"gzip", "1"}, {"none", "0"}, {"GZIP", "1"}},
     .bad = {"zstd", "on"},
     .short_name = "OTLP_COMPRESSION",
     .short_value = "gzip",
     .short_shown = "1"},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
     .other = "OTEL_EXPORTER_OTLP_TIMEOUT",
     .show = show_timeout,
     .unset = "10000",
     .good = {{"1500", "1500"}, {"0", "315360000000"}},
     .bad = {"10s", "-1", "1.5", "3600001"},
     .short_name = "OTLP_TIMEOUT",
     .short_value = "2s",
     .short_shown = "2000"},
    {.name = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
     .other = "OTEL_EXPORTER_OTLP_PROTOCOL",
     .show = show_protocol,
     .unset = "0",
     .good = {{"http/protobuf", "1"}, {"grpc", "0"}},
     .bad = {"http/json", "http", "udp"},
     .short_name = "OTLP_PROTOCOL",
     .short_value = "http/protobuf",
     .short_shown = "1"},
    {.name = "OTEL_BSP_SCHEDULE_DELAY",
     .show = show_delay,
     .unset = "5000",
     .good = {{"200", "200"}, {"0", "0"}},
     .bad = {"5s", "soon", "-1"},
     .short_name = "BATCH_DELAY",
     .short_value = "1s",
     .short_shown = "1000"},
    {.name = "OTEL_BSP_EXPORT_TIMEOUT",
     .show = show_give_up,
     .unset = "300000",
     .good = {{"30000", "30000"}, {"0", "315360000000"}},
     .bad = {"30s", "x"},
     .short_name = "RETRY_TIMEOUT",
     .short_value = "1m",
     .short_shown = "60000"},
    {.name = "OTEL_BSP_MAX_QUEUE_SIZE",
     .show = show_queue,
     .unset = "10000",
     .good = {{"2048", "2048"}},
     .bad = {"1", "0", "-5", "2k"},
     .short_name = "SPAN_QUEUE_MAX",
     .short_value = "700",
     .short_shown = "700"},
    {.name = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
     .show = show_batch,
     .unset = "512",
     .good = {{"100", "100"}, {"10000", "10000"}},
     .bad = {"0", "10001", "many"},
     .short_name = "BATCH_MAX",
     .short_value = "7",
     .short_shown = "7"},
    {.name = "OTEL_TRACES_SAMPLER",
     .show = show_sampler,
     .unset = "0",
     .good = {{"always_off", "1"},
              {"traceidratio", "2"},
              {"parentbased_always_on", "3"},
              {"Parentbased_TraceIdRatio", "5"}},
     .bad = {"jaeger_remote", "xray", "0.5"},
     .short_name = "SAMPLER",
     .short_value = "parentbased_always_off",
     .short_shown = "4"},
    {.name = "OTEL_TRACES_SAMPLER_ARG",
     .show = show_ratio,
     .unset = "1",
     .good = {{"0.25", "0.25"}, {"1e-3", "0.001"}, {"0", "0"}, {".5", "0.5"}},
     .bad = {"1.1", "-0.1", "50%", "0,5"},
     .beside = WITH_RATIO,
     .short_name = "SAMPLER_ARG",
     .short_value = "0.75",
     .short_shown = "0.75"},
    {.name = "OTEL_PROPAGATORS",
     .show = show_propagators,
     .unset = "1 2",
     .good =
         {{"b3,tracecontext,b3", "4 1"}, {"none", ""}, {"b3multi", "8"}, {" B3 , baggage,", "4 2"}},
     .bad = {"jaeger", "none,b3", "jaeger,xray", "w3c"},
     .short_name = "PROPAGATORS",
     .short_value = "b3",
     .short_shown = "4"},
    {.name = "OTEL_TRACES_EXPORTER",
     .show = show_exporter,
     .unset = "0",
     .good = {{"console", "1"}, {"none", "2"}, {"OTLP", "0"}},
     .bad = {"zipkin", "otlp,console"},
     .short_name = "TRACES_EXPORTER",
     .short_value = "none",
     .short_shown = "2"},
    {.name = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
     .other = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
     .show = show_length,
     .unset = "4294967295",
     .good = {{"100", "100"}, {"0", "0"}},
     .bad = {"-1", "none", "2147483648"},
     .short_name = "VALUE_LENGTH_LIMIT",
     .short_value = "7",
     .short_shown = "7"},
    {.name = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
     .other = "OTEL_ATTRIBUTE_COUNT_LIMIT",
     .show = show_attribute_count,
     .unset = "128",
     .good = {{"10", "10"}, {"0", "0"}},
     .bad = {"-1", "1025", "x"},
     .short_name = "ATTRIBUTE_COUNT_LIMIT",
     .short_value = "7",
     .short_shown = "7"},
    {.name = "OTEL_SPAN_EVENT_COUNT_LIMIT",
     .show = show_events,
     .unset = "4",
     .good = {{"1", "1"}, {"0", "0"}, {"500", "4"}},
     .bad = {"-1", "x"},
     .short_name = "EVENT_COUNT_LIMIT",
     .short_value = "2",
     .short_shown = "2"},
    {.name = "OTEL_SPAN_LINK_COUNT_LIMIT",
     .show = show_nothing,
     .unset = "-",
     .good = {{"1", "-"}},
     .bad = {"-1", "x"},
     .short_name = "LINK_COUNT_LIMIT",
     .short_value = "2",
     .short_shown = "-"},
    {.name = "OTEL_LOGS_EXPORTER",
     .show = show_logs,
     .unset = "2",
     .good = {{"otlp", "0"}, {"NONE", "2"}},
     .bad = {"console", "otlp,none"},
     .short_name = "LOGS_EXPORTER",
     .short_value = "otlp",
     .short_shown = "0"},
    {.name = "OTEL_BLRP_MAX_QUEUE_SIZE",
     .show = show_logs_queue,
     .unset = "10000",
     .good = {{"50", "50"}},
     .bad = {"0", "x"},
     .short_name = "LOGS_QUEUE_MAX",
     .short_value = "70",
     .short_shown = "70"},
    {.beside = WITH_LOGS,
     .name = "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
     .show = show_logs_batch,
     .unset = "512",
     .good = {{"50", "50"}},
     .bad = {"0", "x", "10001"},
     .short_name = "LOGS_BATCH_MAX",
     .short_value = "70",
     .short_shown = "70"},
    {.beside = WITH_LOGS,
     .name = "OTEL_BLRP_SCHEDULE_DELAY",
     .show = show_logs_delay,
     .unset = "1000",
     .good = {{"50", "50"}, {"0", "0"}},
     .bad = {"-1", "5s"},
     .short_name = "LOGS_BATCH_DELAY",
     .short_value = "2s",
     .short_shown = "2000"},
    {.beside = WITH_LOGS,
     .name = "OTEL_BLRP_EXPORT_TIMEOUT",
     .show = show_logs_give_up,
     .unset = "300000",
     .good = {{"50", "50"}},
     .bad = {"-1", "5s"},
     .short_name = "LOGS_RETRY_TIMEOUT",
     .short_value = "2s",
     .short_shown = "2000"},
    {.name = "OTEL_METRICS_EXPORTER",
     .show = show_metrics,
     .unset = "2 page 1",
     .good = {{"otlp", "0 page 0"}, {"none", "2 page 0"}, {"otlp, Prometheus", "0 page 1"}},
     .bad = {"console", "none,otlp"},
     .short_name = "METRICS_EXPORTER",
     .short_value = "none",
     .short_shown = "2 page 0"},
    {.name = "OTEL_METRIC_EXPORT_INTERVAL",
     .show = show_interval,
     .unset = "60000",
     .good = {{"500", "500"}},
     .bad = {"0", "5s"},
     .short_name = "METRIC_EXPORT_INTERVAL",
     .short_value = "2s",
     .short_shown = "2000"},
    {.beside = WITH_METRICS,
     .name = "OTEL_METRIC_EXPORT_TIMEOUT",
     .show = show_metrics_give_up,
     .unset = "30000",
     .good = {{"500", "500"}},
     .bad = {"-1", "5s"},
     .short_name = "METRICS_RETRY_TIMEOUT",
     .short_value = "2s",
     .short_shown = "2000"},
    {.name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
     .show = show_temporality,
     .unset = "0",
     .good = {{"delta", "1"}, {"LowMemory", "2"}},
     .bad = {"both"},
     .short_name = "METRICS_TEMPORALITY",
     .short_value = "delta",
     .short_shown = "1"},
    {.name = "OTEL_SDK_DISABLED",
     .show = show_disabled,
     .unset = "0",
     .good = {{"true", "1"}, {"TRUE", "1"}, {"false", "0"}},
     .bad = {"1", "yes", "on"},
     .short_name = "TRACING_DISABLED",
     .short_value = "yes",
     .short_shown = "1"},
    {.name = "OTEL_SEMCONV_STABILITY_OPT_IN",
     .show = show_semconv,
     .unset = "0",
     .good = {{"http", "0"}, {"http/dup", "1"}, {"http/old", "2"}, {"database,http/dup,http", "1"}},
     .bad = {"http/both"},
     .short_name = "SEMCONV",
     .short_value = "http/old",
     .short_shown = "2"},
    {.name = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
     .show = show_methods,
     .unset = METHODS,
     .good = {{"GET,PURGE", "GET,PURGE"}},
     .bad = {"GET,,PUT", "GET PUT", ","},
     .short_name = "KNOWN_METHODS",
     .short_value = "LIST",
     .short_shown = "LIST"},
};

static void set_beside(enum beside beside)
{
    if (beside == WITH_RATIO)
        set("sampler", "traceidratio");
    if (beside == WITH_TLS)
        set("tls", "enabled");
    if (beside == WITH_HOST_PORT)
        set("endpoint", "c:1");
    if (beside == WITH_LOGS)
        set("logs-exporter", "otlp");
    if (beside == WITH_METRICS)
        set("metrics-exporter", "otlp");
}

static void expect_shown(const struct variable *v, const char *value, const char *wanted,
                         bool warns)
{
    struct otel_conf conf;
    char shown[256];

    set_beside(v->beside);
    cr_assert_eq(read_conf(&conf), SPOE_OK, "%s=%s: %s", v->name, value, told);
    v->show(&conf, shown, sizeof shown);
    cr_expect_str_eq(shown, wanted, "%s=%s: got %s, wanted %s", v->name, value, shown, wanted);
    cr_expect_eq(strstr(told, "warning: environment ") != NULL, warns, "%s=%s: told %s", v->name,
                 value, told);
    otel_conf_fini(&conf);
}

static void try_all(const struct variable *v, const char *name)
{
    expect_shown(v, "(unset)", v->unset, false);
    setenv(name, "", 1);
    expect_shown(v, "", v->unset, false);
    for (size_t i = 0; i < N(v->good) && v->good[i][0] != NULL; i++) {
        setenv(name, v->good[i][0], 1);
        expect_shown(v, v->good[i][0], v->good[i][1], false);
    }
    for (size_t i = 0; i < N(v->bad) && v->bad[i] != NULL; i++) {
        setenv(name, v->bad[i], 1);
        expect_shown(v, v->bad[i], v->unset, true);
        cr_expect_not_null(strstr(told, name), "%s", told);
    }
    unsetenv(name);
}

Test(conf_env, good_bad_and_empty_values)
{
    for (size_t i = 0; i < N(variables); i++) {
        try_all(&variables[i], variables[i].name);
        if (variables[i].other != NULL)
            try_all(&variables[i], variables[i].other);
    }
}

Test(conf_env, a_short_name_wins_where_it_is_set)
{
    for (size_t i = 0; i < N(variables); i++) {
        const struct variable *v = &variables[i];

        if (v->short_name == NULL)
            continue;
        setenv(v->short_name, v->short_value, 1);
        setenv(v->name, v->good[0][0], 1);
        expect_shown(v, v->short_value, v->short_shown, false);
        if (v->bad[0] != NULL)
            setenv(v->name, v->bad[0], 1); /* nobody looks */
        expect_shown(v, v->short_value, v->short_shown, false);
        setenv(v->short_name, "", 1);
        setenv(v->name, v->good[0][0], 1);
        expect_shown(v, v->good[0][0], v->good[0][1], false);
        unsetenv(v->short_name);
        unsetenv(v->name);
    }
}

Test(conf_env, the_variable_for_traces_comes_first_and_a_bad_one_makes_way)
{
    for (size_t i = 0; i < N(variables); i++) {
        const struct variable *v = &variables[i];

        if (v->other == NULL || v->good[0][0] == NULL || v->bad[0] == NULL)
            continue;
        setenv(v->name, v->good[0][0], 1);
        setenv(v->other, v->bad[0], 1);
        expect_shown(v, v->good[0][0], v->good[0][1], false);
        setenv(v->name, v->bad[0], 1);
        setenv(v->other, v->good[0][0], 1);
        expect_shown(v, v->good[0][0], v->good[0][1], true);
        unsetenv(v->name);
        unsetenv(v->other);
    }
}

/* Every variable of the table of options is in the table of this test, and is not forgotten. */
Test(conf_env, no_variable_is_without_a_test)
{
    for (size_t i = 0; otel_options[i] != NULL; i++) {
        for (size_t e = 0;
             otel_options[i]->env_lenient != NULL && otel_options[i]->env_lenient[e] != NULL; e++) {
            const char *name = otel_options[i]->env_lenient[e];
            bool found = false;

            for (size_t v = 0; v < N(variables); v++)
                found = found || strcmp(variables[v].name, name) == 0 ||
                        (variables[v].other != NULL && strcmp(variables[v].other, name) == 0);
            /* those for one signal alone: test_conf_signals.c */
            found = found || strstr(name, "OTLP_LOGS_") != NULL ||
                    strstr(name, "OTLP_METRICS_") != NULL;
            cr_expect(found, "%s has no test", name);
        }
    }
}

/* The row of the page's table that is about an option, whose name may be a link. [own] */
static char *row_of(const char *doc, const struct spoe_option *o)
{
    const size_t n = strlen(o->key);

    for (const char *row = doc; row != NULL; row = strchr(row + 1, '\n')) {
        const char *key = row + strspn(row, "\n| [");

        if (key != row && key[0] == '`' && strncmp(key + 1, o->key, n) == 0 && key[n + 1] == '`' &&
            strstr(key, o->env[0]) != NULL && strstr(key, o->env[0]) < key + strcspn(key, "\n"))
            return strndup(row + 1, strcspn(row + 1, "\n"));
    }
    return NULL;
}

/* The page of options has a row for each, with all of its names and its default. */
Test(conf_env, every_option_is_documented)
{
    static char doc[65536];
    FILE *file = fopen(OTEL_CONFIGURATION_MD, "r");
    size_t n, rows = 0;

    cr_assert_not_null(file);
    n = fread(doc, 1, sizeof doc - 1, file);
    (void)fclose(file);
    cr_assert(n > 0 && n < sizeof doc - 1);
    for (size_t i = 0; otel_options[i] != NULL; i++) {
        const struct spoe_option *o = otel_options[i];
        char name[512];
        char *text = row_of(doc, o);

        cr_assert_not_null(text, "no row is about %s", o->key);
        for (size_t e = 0; o->env_lenient != NULL && o->env_lenient[e] != NULL; e++) {
            (void)snprintf(name, sizeof name, "`%s`", o->env_lenient[e]);
            cr_expect_not_null(strstr(text, name), "%s: not %s", text, name);
        }
        if (o->default_text != NULL) {
            (void)snprintf(name, sizeof name, "| `%s` |", o->default_text);
            cr_expect_not_null(strstr(text, name), "%s: not %s", text, name);
        }
        for (size_t c = 0; o->choices != NULL && o->choices[c] != NULL; c++)
            cr_expect_not_null(strstr(text, o->choices[c]), "%s: not %s", text, o->choices[c]);
        /* 2.7 */
        cr_expect_eq(strstr(text, "Can change at run time") != NULL,
                     (o->flags & SPOE_OPTION_RELOADABLE) != 0, "%s", text);
        free(text);
        rows++;
    }
    *strstr(doc, "\n## Endpoints") = '\0'; /* the table is above */
    for (const char *p = doc; (p = strstr(p, "\n| ")) != NULL; p++)
        rows -= p[3] == '`' || (p[3] == '[' && p[4] == '`') ? 1 : 0;
    cr_expect_eq(rows, 0, "the page has rows for options that there are not");
}

Test(conf_env, a_bad_short_name_is_an_error)
{
    struct otel_conf conf;

    setenv("OTLP_TIMEOUT", "soon", 1);
    setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5", 1);
    cr_expect_eq(read_conf(&conf), SPOE_E_CONFIG);
    cr_expect_not_null(strstr(told, "error: environment OTLP_TIMEOUT: otel.timeout: "), "%s", told);
    otel_conf_fini(&conf);
    unsetenv("OTLP_TIMEOUT");
    setenv("OTLP_HEADERS", "x", 1);
    cr_expect_eq(read_conf(&conf), SPOE_E_CONFIG);
    cr_expect_not_null(strstr(told, "error: environment OTLP_HEADERS: otel.headers: "), "%s", told);
    otel_conf_fini(&conf);
}

Test(conf_env, paths_of_http)
{
    static const struct {
        const char *variable, *value, *url;
    } cases[] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318", "http://c:4318/v1/traces"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/", "https://c:443/v1/traces"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c/otlp", "http://c:80/otlp/v1/traces"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c/otlp/", "http://c:80/otlp/v1/traces"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318", "http://c:4318/"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/x/y", "https://c:443/x/y"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/v1/traces", "http://c:80/v1/traces"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318", "http://localhost:4318/v1/traces"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c/?x=1", "http://localhost:4318/v1/traces"},
    };

    setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", 1);
    for (size_t i = 0; i < N(cases); i++) {
        struct otel_conf conf;

        setenv(cases[i].variable, cases[i].value, 1);
        cr_assert_eq(read_conf(&conf), SPOE_OK, "%s", told);
        cr_expect_str_eq(conf.exporter.url, cases[i].url, "%s: got %s", cases[i].value,
                         conf.exporter.url);
        otel_conf_fini(&conf);
        unsetenv(cases[i].variable);
    }
}

/* resource/sdk.md: OTEL_SERVICE_NAME comes before service.name of the attributes. */
Test(conf_env, where_the_service_name_comes_from)
{
    struct otel_conf conf;

    setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,service.version=1.2", 1);
    cr_assert_eq(read_conf(&conf), SPOE_OK);
    cr_expect_str_eq(conf.exporter.service_name, "shop");
    cr_expect_str_eq(attribute(&conf, "service.version"), "1.2");
    cr_expect_str_eq(attribute(&conf, "service.name"), "none"); /* once on the wire */
    otel_conf_fini(&conf);
    setenv("OTEL_SERVICE_NAME", "edge", 1);
    setenv("SERVICE_VERSION", "7", 1);
    cr_assert_eq(read_conf(&conf), SPOE_OK);
    cr_expect_str_eq(conf.exporter.service_name, "edge");
    cr_expect_str_eq(attribute(&conf, "service.version"), "7");
    otel_conf_fini(&conf);
    setenv("SERVICE_NAME", "front", 1);
    cr_assert_eq(read_conf(&conf), SPOE_OK);
    cr_expect_str_eq(conf.exporter.service_name, "front");
    otel_conf_fini(&conf);
}

Test(conf_env, what_is_given_comes_before_what_is_found_out)
{
    struct otel_conf conf;

    cr_assert_eq(read_conf(&conf), SPOE_OK);
    cr_expect_eq(strlen(attribute(&conf, "service.instance.id")), 36);
    cr_expect_neq(strlen(attribute(&conf, "host.name")), 0);
    otel_conf_fini(&conf);
    setenv("OTEL_RESOURCE_ATTRIBUTES",
           "service.instance.id=pod-1,host.name=h,process.pid=7,k8s.pod.name=p%20q", 1);
    cr_assert_eq(read_conf(&conf), SPOE_OK);
    cr_expect_str_eq(attribute(&conf, "service.instance.id"), "pod-1");
    cr_expect_str_eq(attribute(&conf, "host.name"), "h");
    cr_expect_str_eq(attribute(&conf, "process.pid"), "7");
    cr_expect_str_eq(attribute(&conf, "k8s.pod.name"), "p q");
    otel_conf_fini(&conf);
}

Test(conf_env, a_bad_certificate_leaves_without_its_key)
{
    struct otel_conf conf;
    char path[] = "/tmp/spoe-test-XXXXXX";
    const int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    (void)close(fd);
    set("tls", "enabled");
    setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", path, 1);
    setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", path, 1);
    cr_assert_eq(read_conf(&conf), SPOE_OK, "%s", told);
    cr_expect_null(conf.exporter.tls_cert);
    cr_expect_null(conf.exporter.tls_key);
    otel_conf_fini(&conf);
    (void)unlink(path);
}

/* W9: what others know and we do not is named and passed over. */
Test(conf_env, propagators_of_others_do_not_spoil_the_list)
{
    struct otel_conf conf;

    setenv("OTEL_PROPAGATORS", "jaeger,b3,xray", 1);
    printed_option = OPT_PROPAGATORS;
    cr_assert_eq(read_conf(&conf), SPOE_OK);
    cr_expect_eq(conf.propagators.set, PROPAGATOR_B3);
    cr_expect_str_eq(told, "warning: environment OTEL_PROPAGATORS: otel.propagators: jaeger,xray: "
                           "not known here, the others count|");
    cr_expect_str_eq(printed, "b3");
    otel_conf_fini(&conf);
    setenv("OTEL_PROPAGATORS", "none", 1);
    cr_assert_eq(read_conf(&conf), SPOE_OK);
    cr_expect_str_eq(printed, "none");
    otel_conf_fini(&conf);
    set("propagators", "jaeger,b3");
    cr_expect_eq(read_conf(&conf), SPOE_E_CONFIG, "our own variable is strict");
    otel_conf_fini(&conf);
}

/* 5.2: what -T prints means in a file what the variable means. */
Test(conf_env, what_is_in_effect_can_be_said_in_a_file)
{
    static const struct {
        const char *name, *value, *protocol;
        size_t option;
        const char *printed;
    } cases[] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1/x", "http/protobuf", OPT_ENDPOINT,
         "http://c:1/x/v1/traces"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "https://c", "http/protobuf", OPT_ENDPOINT,
         "https://c:443/v1/traces"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1]/x", "http/protobuf", OPT_ENDPOINT,
         "http://[::1]:80/x"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c", "http/protobuf", OPT_ENDPOINT, "(not)"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1/x", "grpc", OPT_ENDPOINT, "https://c:1/x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "c:1", "grpc", OPT_ENDPOINT, "c:1"},
        {"OTEL_SEMCONV_STABILITY_OPT_IN", "database,http/dup", "grpc", OPT_SEMCONV, "http/dup"},
        {"OTEL_SEMCONV_STABILITY_OPT_IN", "database", "grpc", OPT_SEMCONV, "http"},
        {"OTEL_PROPAGATORS", "B3,baggage", "grpc", OPT_PROPAGATORS, "b3,baggage"},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct otel_conf first, again;

        setenv(cases[i].name, cases[i].value, 1);
        set("protocol", cases[i].protocol);
        printed_option = cases[i].option;
        cr_assert_eq(read_conf(&first), SPOE_OK, "%s", told);
        cr_expect_str_eq(printed, cases[i].printed);
        unsetenv(cases[i].name);
        if (strcmp(printed, "(not)") != 0) {
            set("protocol", cases[i].protocol);
            set(otel_options[cases[i].option]->key, cases[i].printed);
            cr_assert_eq(read_conf(&again), SPOE_OK, "%s", told);
            cr_expect_str_eq(again.exporter.endpoint, first.exporter.endpoint);
            cr_expect_eq(again.exporter.tls, first.exporter.tls);
            cr_expect_str_eq(again.exporter.url != NULL ? again.exporter.url : "",
                             first.exporter.url != NULL ? first.exporter.url : "");
            cr_expect_eq(again.semconv, first.semconv);
            cr_expect_eq(again.propagators.set, first.propagators.set);
            otel_conf_fini(&again);
        }
        otel_conf_fini(&first);
    }
}
