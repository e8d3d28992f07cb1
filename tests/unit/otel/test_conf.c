/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_conf.c - the plugin's own options. test_conf_env.c has OpenTelemetry's. */
#include "conf_host.h"
#include "input/context.h"

#define N(array) (sizeof(array) / sizeof(array)[0])

TestSuite(conf, .timeout = 20);

static void expect_error(const char *wanted)
{
    struct otel_conf conf;

    cr_expect_eq(read_conf(&conf), SPOE_E_CONFIG);
    cr_expect_not_null(strstr(told, wanted), "got '%s', wanted '%s'", told, wanted);
    otel_conf_fini(&conf);
}

static void expect_good(struct otel_conf *conf)
{
    cr_assert_eq(read_conf(conf), SPOE_OK, "%s", told);
    cr_expect_str_eq(told, "");
}

Test(conf, has_a_default_for_everything)
{
    struct otel_conf conf;

    expect_good(&conf);
    cr_expect_str_eq(conf.exporter.endpoint, "localhost:4317");
    cr_expect_null(conf.exporter.url);
    cr_expect_str_eq(conf.exporter.service_name, "haproxy");
    cr_expect_eq(conf.exporter.kind, EXPORTER_OTLP);
    cr_expect_eq(conf.exporter.protocol, OTLP_GRPC);
    cr_expect_eq(conf.exporter.tls, OTLP_TLS_DISABLED);
    cr_expect_null(conf.exporter.tls_ca);
    cr_expect_null(conf.exporter.headers);
    cr_expect_null(conf.exporter.headers_file);
    cr_expect_not(conf.exporter.gzip);
    cr_expect_eq(conf.exporter.concurrency, 1);
    cr_expect_eq(conf.exporter.batch_max, 512);
    cr_expect_eq(conf.exporter.batch_delay_ns, INT64_C(5000000000));
    cr_expect_eq(conf.exporter.timeout_ns, INT64_C(10000000000));
    cr_expect_eq(conf.exporter.retry_initial_ns, INT64_C(5000000000));
    cr_expect_eq(conf.exporter.retry_max_ns, INT64_C(30000000000));
    cr_expect_eq(conf.exporter.retry_give_up_ns, INT64_C(300000000000));
    cr_expect_eq(conf.span_ttl_ns, INT64_C(30000000000));
    cr_expect_eq(conf.span_store_max, 200000);
    cr_expect_eq(conf.span_store_bytes, 256u << 20);
    cr_expect_eq(conf.span_hold_ns, 0);
    cr_expect_eq(conf.span_reorder_ns, INT64_C(1000000000));
    cr_expect_eq(conf.span_queue_max, 10000);
    cr_expect_eq(conf.span_queue_bytes, 64u << 20);
    cr_expect_eq(conf.exporter.bytes_max, 4000000);
    cr_expect_eq(conf.exporter.keepalive_ns, 0);
    cr_expect_not(conf.exporter.use_proxy);
    cr_expect_eq(conf.client_address, CLIENT_ADDRESS_AUTHORITY);
    cr_expect_not(conf.disabled);
    cr_expect_eq(conf.sampler.kind, SAMPLER_ALWAYS_ON);
    cr_expect_eq(conf.sampler.ratio, 1);
    cr_expect_eq(conf.sampler.max_per_second, 0);
    cr_expect_not(conf.sampler.keep_errors);
    cr_expect_not(conf.sampler.bad_requests);
    cr_expect_eq(conf.trust_inbound, TRUST_INBOUND_ACCEPT);
    cr_expect_eq(conf.propagators.set, PROPAGATOR_TRACECONTEXT | PROPAGATOR_BAGGAGE);
    cr_expect_eq(conf.variables, (1u << N_CONTEXT_VARIABLES) - 1);
    cr_expect_eq(conf.semconv, SEMCONV_STABLE);
    cr_expect_eq(conf.limits.value_length, UINT32_MAX);
    cr_expect_eq(conf.limits.attributes, 128);
    cr_expect_eq(conf.limits.events, SPAN_EVENTS_MAX);
    cr_expect_str_eq(conf.known_methods,
                     "GET,POST,PUT,DELETE,HEAD,PATCH,OPTIONS,CONNECT,QUERY,TRACE");
    cr_expect_null(conf.exclude_paths);
    cr_expect_str_eq(conf.redact_query, "*");
    otel_conf_fini(&conf);
}

Test(conf, reads_every_option)
{
    struct otel_conf conf;

    set("endpoint", "collector:4317");
    set("service-name", "shop");
    set("known-methods", " GET, PURGE\t,\nCOPY\n");
    set("span-ttl", "2s");
    set("span-store-max", "10");
    set("span-store-bytes", "1m");
    set("span-hold", "10m");
    set("span-reorder", "0");
    set("span-queue-max", "100");
    set("span-queue-bytes", "2m");
    set("request-bytes-max", "100000");
    set("keepalive", "10s");
    set("use-proxy", "on");
    set("client-server-address", "peer");
    set("tracing-disabled", "yes");
    set("traces-exporter", "console");
    set("headers", "Authorization=Bearer%20x");
    set("compression", "gzip");
    set("timeout", "0");
    set("retry-timeout", "1m");
    set("export-concurrency", "8");
    set("batch-max", "100");
    set("batch-delay", "10ms");
    set("sampler", "parentbased_traceidratio");
    set("sampler-arg", "0.25");
    set("sample-max-per-second", "50");
    set("keep-errors", "on");
    set("trace-bad-requests", "on");
    set("trust-inbound", "ignore");
    set("propagators", "b3multi,tracecontext,b3multi");
    set("exclude-paths", "/healthz,/internal/*");
    set("variables", "trace_id, sampled");
    set("redact-query", "none");
    set("semconv", "http/dup");
    set("value-length-limit", "10");
    set("attribute-count-limit", "7");
    set("event-count-limit", "0");
    set("link-count-limit", "1");
    expect_good(&conf);
    cr_expect_str_eq(conf.exporter.endpoint, "collector:4317");
    cr_expect_str_eq(conf.exporter.service_name, "shop");
    cr_expect_str_eq(conf.known_methods, "GET,PURGE,COPY");
    cr_expect_eq(conf.span_ttl_ns, INT64_C(2000000000));
    cr_expect_eq(conf.span_store_max, 10);
    cr_expect_eq(conf.span_store_bytes, 1u << 20);
    cr_expect_eq(conf.span_hold_ns, INT64_C(600000000000));
    cr_expect_eq(conf.span_reorder_ns, 0);
    cr_expect_eq(conf.span_queue_max, 100);
    cr_expect_eq(conf.span_queue_bytes, 2u << 20);
    cr_expect_eq(conf.exporter.bytes_max, 100000);
    cr_expect_eq(conf.exporter.keepalive_ns, INT64_C(10000000000));
    cr_expect(conf.exporter.use_proxy);
    cr_expect_eq(conf.client_address, CLIENT_ADDRESS_PEER);
    cr_expect(conf.disabled);
    cr_expect_eq(conf.exporter.kind, EXPORTER_CONSOLE);
    cr_expect_str_eq(conf.exporter.headers, "Authorization=Bearer%20x");
    cr_expect(conf.exporter.gzip);
    cr_expect_gt(conf.exporter.timeout_ns, INT64_C(100000000000000000)); /* no limit: years */
    cr_expect_eq(conf.exporter.retry_give_up_ns, INT64_C(60000000000));
    cr_expect_eq(conf.exporter.concurrency, 8);
    cr_expect_eq(conf.exporter.batch_max, 100);
    cr_expect_eq(conf.exporter.batch_delay_ns, INT64_C(10000000));
    cr_expect_eq(conf.sampler.kind, SAMPLER_PARENTBASED_TRACEIDRATIO);
    cr_expect_eq(conf.sampler.ratio, 0.25);
    cr_expect_eq(conf.sampler.max_per_second, 50);
    cr_expect(conf.sampler.keep_errors);
    cr_expect(conf.sampler.bad_requests);
    cr_expect_eq(conf.trust_inbound, TRUST_INBOUND_IGNORE);
    cr_expect_eq(conf.variables, CONTEXT_BIT(CONTEXT_TRACE_ID) | CONTEXT_BIT(CONTEXT_SAMPLED));
    cr_expect_eq(conf.propagators.n, 2);
    cr_expect_eq(conf.propagators.list[0], PROPAGATOR_B3MULTI);
    cr_expect_eq(conf.propagators.list[1], PROPAGATOR_TRACECONTEXT);
    cr_expect_str_eq(conf.exclude_paths, "/healthz,/internal/*");
    cr_expect_null(conf.redact_query);
    cr_expect_eq(conf.semconv, SEMCONV_DUP);
    cr_expect_eq(conf.limits.value_length, 10);
    cr_expect_eq(conf.limits.attributes, 7);
    cr_expect_eq(conf.limits.events, 0);
    otel_conf_fini(&conf);
}

Test(conf, names_the_variables_and_defaults_of_the_documentation)
{
    static const char *const wanted[][3] = {
        {"endpoint", "OTLP_ENDPOINT", "localhost:4317"},
        {"service-name", "SERVICE_NAME", "haproxy"},
        {"tls", "OTLP_TLS", "disabled"},
        {"tls-ca", "OTLP_TLS_CA", NULL},
        {"tls-cert", "OTLP_TLS_CERT", NULL},
        {"tls-key", "OTLP_TLS_KEY", NULL},
        {"span-ttl", "SPAN_TTL", "30s"},
        {"span-store-max", "SPAN_STORE_MAX", "200000"},
        {"span-queue-max", "SPAN_QUEUE_MAX", "10000"},
    };

    for (size_t i = 0; i < N(wanted); i++) {
        const struct spoe_option *option = otel_options[i];

        cr_expect_str_eq(option->key, wanted[i][0]);
        cr_expect_str_eq(option->env[0], wanted[i][1]);
        if (wanted[i][2] == NULL)
            cr_expect_null(option->default_text);
        else
            cr_expect_str_eq(option->default_text, wanted[i][2]);
    }
}

Test(conf, takes_host_port_and_urls)
{
    static const char *const good[] = {"localhost:4317", "10.0.0.1:1", "[::1]:4317",
                                       "otel.example.org:65535"};
    static const char *const bad[] = {"",         "localhost",  "localhost:", "localhost:0",
                                      ":4317",    "host:65536", "host:port",  "::1:4317",
                                      "[::1]",    "a b:4317",   "unix:",      "host:4317/path",
                                      "a,b:4317x"};
    static const char *const schemes[] = {"xds:///localhost:4317", "grpc://x"};
    /* 5.3 */
    static const char *const urls[][4] = {
        /* protocol, text, endpoint, URL */
        {"grpc", "http://c:4317", "c:4317", ""},
        {"grpc", "https://c/x", "c:443", ""},
        {"http/protobuf", "http://c:4318", "c:4318", "http://c:4318/v1/traces"},
        {"http/protobuf", "HTTPS://[::1]/", "[::1]:443", "https://[::1]:443/v1/traces"},
        {"http/protobuf", "http://c:1/otlp/x", "c:1", "http://c:1/otlp/x"},
        {"http/protobuf", "c:1", "c:1", "http://c:1/v1/traces"},
    };
    struct otel_conf conf;

    for (size_t i = 0; i < N(good); i++) {
        set("endpoint", good[i]);
        expect_good(&conf);
        cr_expect_str_eq(conf.exporter.endpoint, good[i]);
        otel_conf_fini(&conf);
    }
    for (size_t i = 0; i < N(bad); i++) {
        set("endpoint", bad[i]);
        expect_error("error: command line: otel.endpoint: ");
    }
    for (size_t i = 0; i < N(schemes); i++) {
        set("endpoint", schemes[i]);
        expect_error("endpoint: has a scheme other than http and https");
    }
    for (size_t i = 0; i < N(urls); i++) {
        set("protocol", urls[i][0]);
        set("endpoint", urls[i][1]);
        expect_good(&conf);
        cr_expect_str_eq(conf.exporter.endpoint, urls[i][2]);
        cr_expect_str_eq(conf.exporter.url != NULL ? conf.exporter.url : "", urls[i][3]);
        cr_expect_eq(conf.exporter.tls, strncasecmp(urls[i][1], "https", 5) == 0
                                            ? OTLP_TLS_ENABLED
                                            : OTLP_TLS_DISABLED);
        otel_conf_fini(&conf);
    }
    set("endpoint", "https://c:1");
    set("tls", "skip-verify");
    expect_good(&conf);
    cr_expect_eq(conf.exporter.tls, OTLP_TLS_SKIP_VERIFY, "tls wins over the URL's scheme");
    otel_conf_fini(&conf);
}

Test(conf, reports_all_that_is_wrong_in_one_run)
{
    set("endpoint", "localhost");
    set("service-name", "caf\xe9");
    set("known-methods", "");
    set("sampler", "traceidratio");
    set("sampler-arg", "2");
    set("propagators", "w3c");
    set("variables", "traceparent,nonsense");
    set("semconv", "old");
    set("resource-attributes", "novalue");
    set("headers", "Content-Type=x");
    set("batch-max", "10001");
    set("exclude-paths", "healthz");
    expect_error("endpoint: has no port");
    for (const char *const *p =
             (const char *const[]){
                 "service-name: is not UTF-8", "known-methods: must name a method",
                 "sampler-arg: is not a number from 0 to 1", "propagators: is not a list",
                 "exclude-paths: has a path that does not begin with /",

                 "variables: is not a list", "semconv: is not a list",
                 "resource-attributes: has an item without =",
                 "headers: has a name that the export sets",
                 "batch-max: is more than span-queue-max", NULL};
         *p != NULL; p++)
        cr_expect_not_null(strstr(told, *p), "%s is not in %s", *p, told);
}

Test(conf, looks_at_the_ratio_only_where_it_counts)
{
    struct otel_conf conf;

    set("sampler-arg", "nonsense");
    expect_good(&conf);
    cr_expect_eq(conf.sampler.ratio, 1);
    otel_conf_fini(&conf);
}

Test(conf, http_has_a_url_and_a_port_of_its_own)
{
    struct otel_conf conf;

    set("protocol", "http/protobuf");
    expect_good(&conf);
    cr_expect_str_eq(conf.exporter.endpoint, "localhost:4318");
    cr_expect_str_eq(conf.exporter.url, "http://localhost:4318/v1/traces");
    otel_conf_fini(&conf);
    set("protocol", "http/protobuf");
    set("endpoint", "[::1]:4317");
    set("tls", "skip-verify");
    expect_good(&conf);
    cr_expect_str_eq(conf.exporter.url, "https://[::1]:4317/v1/traces");
    otel_conf_fini(&conf);
}

Test(conf, certificate_and_key_come_together)
{
    set("tls", "enabled");
    set("tls-cert", "/nonexistent/cert.pem");
    expect_error("key");
    set("tls", "enabled");
    set("tls-key", "/nonexistent/key.pem");
    expect_error("certificate");
}

Test(conf, names_a_file_that_cannot_be_read)
{
    set("tls", "enabled");
    set("tls-ca", "/nonexistent/ca.pem");
    expect_error("tls-ca: ");
    cr_expect_not_null(strstr(told, "/nonexistent/ca.pem"));
    set("tls", "skip-verify");
    set("tls-ca", "/nonexistent/ca.pem");
    expect_error("/nonexistent/ca.pem");
    set("headers-file", "/nonexistent/headers");
    expect_error("headers-file: /nonexistent/headers: cannot be opened");
}

Test(conf, names_authorities_and_certificate_in_one_run)
{
    set("tls", "enabled");
    set("tls-ca", "/nonexistent/ca.pem");
    set("tls-cert", "/nonexistent/cert.pem");
    set("tls-key", "/nonexistent/key.pem");
    expect_error("tls-ca: /nonexistent/ca.pem");
    cr_expect_not_null(strstr(told, "tls-cert: /nonexistent/cert.pem"), "%s", told);
}

Test(conf, ignores_the_files_without_tls)
{
    struct otel_conf conf;

    set("tls-ca", "/nonexistent/ca.pem");
    set("tls-key", "/nonexistent/key.pem");
    expect_good(&conf);
    otel_conf_fini(&conf);
    set("tls", "enabled");
    set("tls-ca", "/nonexistent/ca.pem");
    set("traces-exporter", "none");
    expect_good(&conf);
    otel_conf_fini(&conf);
}

Test(conf, a_batch_is_no_larger_than_the_queue)
{
    struct otel_conf conf;

    set("span-queue-max", "20");
    expect_good(&conf);
    cr_expect_eq(conf.exporter.batch_max, 20);
    otel_conf_fini(&conf);
}

Test(conf, no_text_of_a_header_is_ever_shown)
{
    static const char *const bad[] = {"x=hunter2%0a", "hunter2", "x-hunter2=%", "=hunter2",
                                      "host=hunter2"};

    for (size_t i = 0; i < N(bad); i++) {
        set("headers", bad[i]);
        expect_error("otel.headers: ");
        cr_expect_null(strstr(told, "hunter2"), "%s", told);
    }
}

/* 3.9, O9: what is in every request leaves no room for spans. */
Test(conf, a_resource_that_fills_a_request_is_an_error)
{
    static char list[80 * 1024];
    struct otel_conf conf;
    size_t n = 0;

    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "key%d=%01000d,", i, i);
    setenv("RESOURCE_ATTRIBUTES", list, 1);
    set("request-bytes-max", "65536");
    expect_error("request-bytes-max: is too little: the resource alone, which is in every request, "
                 "has ");
    set("request-bytes-max", "200000");
    expect_good(&conf);
    otel_conf_fini(&conf);
}
