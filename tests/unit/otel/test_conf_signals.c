/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_conf_signals.c - which option counts for which signal: those of logs and
 * metrics are as those of traces where nothing else is said (OpenTelemetry's protocol/exporter.md).
 */
#include "conf_host.h"

#define N(array) (sizeof(array) / sizeof(array)[0])
#define GENERAL "OTEL_EXPORTER_OTLP_"
#define OF_TRACES GENERAL "TRACES_"
#define OF_LOGS GENERAL "LOGS_"
#define OF_METRICS GENERAL "METRICS_"

TestSuite(conf_signals, .timeout = 60);

static void read_all(struct otel_conf *ret)
{
    setenv("LOGS_EXPORTER", "otlp", 1);
    setenv("METRICS_EXPORTER", "otlp", 1);
    cr_assert_eq(read_conf(ret), SPOE_OK, "%s", told);
}

/* 3.2 */
Test(conf_signals, where_each_signal_goes)
{
    static const struct {
        const char *set[3][2];
        const char *wanted[N_SIGNALS];
    } cases[] = {
        {{{NULL}},
         {"http://localhost:4318/v1/traces", "http://localhost:4318/v1/logs",
          "http://localhost:4318/v1/metrics"}},
        {{{GENERAL "ENDPOINT", "http://c:1/x/"}},
         {"http://c:1/x/v1/traces", "http://c:1/x/v1/logs", "http://c:1/x/v1/metrics"}},
        {{{OF_TRACES "ENDPOINT", "http://t:1"}},
         {"http://t:1/", "http://localhost:4318/v1/logs", "http://localhost:4318/v1/metrics"}},
        {{{OF_TRACES "ENDPOINT", "http://t:1/"}, {GENERAL "ENDPOINT", "http://c:1"}},
         {"http://t:1/", "http://c:1/v1/logs", "http://c:1/v1/metrics"}},
        {{{OF_LOGS "ENDPOINT", "http://l:1"}, {GENERAL "ENDPOINT", "http://c:1"}},
         {"http://c:1/v1/traces", "http://l:1/", "http://c:1/v1/metrics"}},
        {{{"OTLP_ENDPOINT", "o:1"}, {GENERAL "ENDPOINT", "http://c:1"}},
         {"http://o:1/v1/traces", "http://o:1/v1/logs", "http://o:1/v1/metrics"}},
        {{{"OTLP_ENDPOINT", "http://o:1/a/v1/traces"}, {OF_METRICS "ENDPOINT", "http://m:1/b"}},
         {"http://o:1/a/v1/traces", "http://o:1/a/v1/logs", "http://m:1/b"}},
        {{{"OTLP_LOGS_ENDPOINT", "https://l/b"}, {OF_LOGS "ENDPOINT", "http://m:1/b"}},
         {"http://localhost:4318/v1/traces", "https://l:443/b",
          "http://localhost:4318/v1/metrics"}},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct otel_conf conf;

        clearenv();
        setenv(GENERAL "PROTOCOL", "http/protobuf", 1);
        for (size_t s = 0; s < N(cases[i].set) && cases[i].set[s][0] != NULL; s++)
            setenv(cases[i].set[s][0], cases[i].set[s][1], 1);
        read_all(&conf);
        for (size_t s = 0; s < N_SIGNALS; s++)
            cr_expect_str_eq(otel_conf_exporter(&conf, (enum otlp_signal)s)->url,
                             cases[i].wanted[s], "case %zu: %s", i,
                             otel_conf_exporter(&conf, (enum otlp_signal)s)->url);
        otel_conf_fini(&conf);
    }
}

/* A path of the plugin's own endpoint is that of traces; where the others go it does not say. */
Test(conf_signals, a_path_for_traces_is_none_for_others)
{
    struct otel_conf conf;

    setenv("OTLP_PROTOCOL", "http/protobuf", 1);
    setenv("OTLP_ENDPOINT", "http://o:1/spans", 1);
    setenv("LOGS_EXPORTER", "otlp", 1);
    cr_assert_eq(read_conf(&conf), SPOE_E_CONFIG);
    cr_assert_not_null(strstr(told, "has a path, which is that for traces"), "%s", told);
    otel_conf_fini(&conf);
    setenv("OTLP_LOGS_ENDPOINT", "http://o:1/logs", 1);
    cr_assert_eq(read_conf(&conf), SPOE_OK);
    cr_assert_str_eq(conf.logs.url, "http://o:1/logs");
    otel_conf_fini(&conf);
}

/* 3.2: each of the variables, for one signal and for all. */
Test(conf_signals, how_each_signal_goes)
{
    struct otel_conf conf;

    setenv(OF_LOGS "PROTOCOL", "http/protobuf", 1);
    setenv(GENERAL "HEADERS", "a=1", 1);
    setenv(OF_METRICS "HEADERS", "b=2", 1);
    setenv(OF_METRICS "COMPRESSION", "gzip", 1);
    setenv(GENERAL "TIMEOUT", "7000", 1);
    setenv(OF_LOGS "TIMEOUT", "3000", 1);
    setenv(OF_METRICS "ENDPOINT", "m:1", 1);
    setenv(OF_METRICS "INSECURE", "false", 1);
    read_all(&conf);
    cr_assert_eq(conf.exporter.protocol, OTLP_GRPC);
    cr_assert_eq(conf.logs.protocol, OTLP_HTTP);
    cr_assert_eq(conf.metrics.protocol, OTLP_GRPC);
    cr_assert_str_eq(conf.exporter.headers, "a=1");
    cr_assert_str_eq(conf.logs.headers, "a=1");
    cr_assert_str_eq(conf.metrics.headers, "b=2");
    cr_assert(!conf.exporter.gzip && !conf.logs.gzip && conf.metrics.gzip);
    cr_assert_eq(conf.exporter.timeout_ns, INT64_C(7000000000));
    cr_assert_eq(conf.logs.timeout_ns, INT64_C(3000000000));
    cr_assert_eq(conf.metrics.timeout_ns, INT64_C(7000000000));
    cr_assert_eq(conf.exporter.tls, OTLP_TLS_DISABLED);
    cr_assert_eq(conf.logs.tls, OTLP_TLS_DISABLED);
    cr_assert_eq(conf.metrics.tls, OTLP_TLS_ENABLED);
    cr_assert_str_eq(conf.logs.service_name, conf.exporter.service_name);
    otel_conf_fini(&conf);
}

/* 3.2, 3.3: nothing goes out over OTLP but traces unless it is asked for. */
Test(conf_signals, which_signals_are_exported)
{
    static const struct {
        const char *variable, *value;
        bool good;
        int logs, metrics, page;
    } cases[] = {
        {"OTEL_LOGS_EXPORTER", NULL, true, EXPORTER_NONE, EXPORTER_NONE, 1},
        {"OTEL_LOGS_EXPORTER", "otlp", true, EXPORTER_OTLP, EXPORTER_NONE, 1},
        {"OTEL_LOGS_EXPORTER", "none", true, EXPORTER_NONE, EXPORTER_NONE, 1},
        {"OTEL_LOGS_EXPORTER", "console", false, EXPORTER_NONE, EXPORTER_NONE, 1},
        {"OTEL_METRICS_EXPORTER", "prometheus", true, EXPORTER_NONE, EXPORTER_NONE, 1},
        {"OTEL_METRICS_EXPORTER", "otlp", true, EXPORTER_NONE, EXPORTER_OTLP, 0},
        {"OTEL_METRICS_EXPORTER", "OTLP, prometheus", true, EXPORTER_NONE, EXPORTER_OTLP, 1},
        {"OTEL_METRICS_EXPORTER", "none", true, EXPORTER_NONE, EXPORTER_NONE, 0},
        {"OTEL_METRICS_EXPORTER", "none,otlp", false, EXPORTER_NONE, EXPORTER_NONE, 1},
        {"OTEL_METRICS_EXPORTER", "console", false, EXPORTER_NONE, EXPORTER_NONE, 1},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct otel_conf conf;

        clearenv();
        if (cases[i].value != NULL)
            setenv(cases[i].variable, cases[i].value, 1);
        cr_assert_eq(read_conf(&conf), SPOE_OK, "%s", told);
        cr_expect_eq(told[0] == '\0', cases[i].good, "%s", told);
        cr_expect_eq((int)conf.logs.kind, cases[i].logs, "case %zu", i);
        cr_expect_eq((int)conf.metrics.kind, cases[i].metrics, "case %zu", i);
        cr_expect_eq(conf.metrics_page, cases[i].page, "case %zu", i);
        otel_conf_fini(&conf);
    }
}

/* 3.4: limits of their own, by OpenTelemetry's variables for them. */
Test(conf_signals, limits_of_each)
{
    struct otel_conf conf;

    setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "50", 1);
    setenv("OTEL_BLRP_SCHEDULE_DELAY", "70", 1);
    setenv("OTEL_BLRP_EXPORT_TIMEOUT", "9000", 1);
    setenv("OTEL_METRIC_EXPORT_INTERVAL", "500", 1);
    setenv("OTEL_METRIC_EXPORT_TIMEOUT", "8000", 1);
    setenv(OF_METRICS "TEMPORALITY_PREFERENCE", "Delta", 1);
    read_all(&conf);
    cr_assert_eq(conf.logs_queue_max, 50);
    cr_assert_eq(conf.logs.batch_max, 50, "no more than the queue holds");
    cr_assert_eq(conf.logs.batch_delay_ns, 70000000);
    cr_assert_eq(conf.logs.retry_give_up_ns, INT64_C(9000000000));
    cr_assert_eq(conf.metrics_interval_ns, 500000000);
    cr_assert_eq(conf.metrics.retry_give_up_ns, INT64_C(8000000000));
    cr_assert_eq(conf.temporality, TEMPORALITY_DELTA);
    cr_assert_eq(conf.exporter.batch_max, 512);
    otel_conf_fini(&conf);
}

/* 3.2: a bad value of one signal's variable is told of once, and counts as not set; that of all
 * signals counts then. */
Test(conf_signals, a_bad_value_makes_way)
{
    static const struct {
        const char *name, *bad, *good;
    } cases[] = {
        {"ENDPOINT", "ftp://c:1", "http://c:1"},
        {"PROTOCOL", "http/json", "http/protobuf"},
        {"HEADERS", "a", "a=1"},
        {"COMPRESSION", "zstd", "gzip"},
        {"TIMEOUT", "10s", "7000"},
        {"CERTIFICATE", "/nonexistent", NULL},
        {"CLIENT_CERTIFICATE", "/nonexistent", NULL},
        {"CLIENT_KEY", "/nonexistent", NULL},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct otel_conf conf;
        char name[64];

        clearenv();
        (void)snprintf(name, sizeof name, OF_METRICS "%s", cases[i].name);
        setenv(name, cases[i].bad, 1);
        if (cases[i].good == NULL)
            setenv("OTLP_TLS", "enabled", 1); /* or the files are not looked at */
        cr_assert_eq(read_conf(&conf), SPOE_OK);
        cr_assert_str_eq(told, "", "metrics are not exported: %s", told);
        otel_conf_fini(&conf);
        (void)snprintf(name, sizeof name, GENERAL "%s", cases[i].name);
        if (cases[i].good != NULL)
            setenv(name, cases[i].good, 1);
        read_all(&conf);
        cr_assert_not_null(strstr(told, "warning: "), "%s", cases[i].name);
        cr_assert_null(strstr(strstr(told, "warning: ") + 1, "warning: "), "%s", told);
        if (strcmp(cases[i].name, "TIMEOUT") == 0)
            cr_assert_eq(conf.metrics.timeout_ns, INT64_C(7000000000));
        if (strcmp(cases[i].name, "ENDPOINT") == 0)
            cr_assert_str_eq(conf.metrics.endpoint, "c:1");
        cr_assert(conf.metrics.gzip == (strcmp(cases[i].name, "COMPRESSION") == 0));
        otel_conf_fini(&conf);
    }
}
