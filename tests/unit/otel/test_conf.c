/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_conf.c - the plugin's options. The host's parsing is not tested here. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "conf.h"

/* The settings that the fake host hands out, by the options' keys; what is not here is NULL. */
struct set {
    const char *key;
    struct spoe_value value;
};

static struct spoe_setting settings[16];
static char errors[1024]; /* "key: text|" each */

static const struct spoe_setting *config_get(struct spoe_config *cfg, size_t option)
{
    (void)cfg;
    return &settings[option];
}

static void config_error(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    const size_t n = strlen(errors);

    (void)cfg;
    (void)snprintf(errors + n, sizeof errors - n, "%s: %.*s|", otel_options[option]->key,
                   (int)text.n, text.p);
}

static const struct spoe_host host = {
    .size = sizeof host, .config_get = config_get, .config_error = config_error};

static void set(const char *key, struct spoe_value value)
{
    for (size_t i = 0; otel_options[i] != NULL; i++) {
        if (strcmp(otel_options[i]->key, key) == 0) {
            settings[i].value = value;
            return;
        }
    }
    cr_assert_fail("no option %s", key);
}

static void set_text(const char *key, const char *text)
{
    set(key, spoe_value_str(spoe_str(text)));
}

static void set_tls(uint32_t mode)
{
    set("tls", (struct spoe_value){.type = SPOE_T_UINT32, .u.u32 = mode});
}

static void set_up(void)
{
    set_text("endpoint", "collector:4317");
    set_text("service-name", "shop");
    set_text("known-methods", "GET");
    set("span-ttl", spoe_value_int(INT64_C(30000000000)));
    set("span-store-max", spoe_value_int(200000));
    set("span-queue-max", spoe_value_int(10000));
    set_tls(OTLP_TLS_DISABLED);
}

TestSuite(conf, .init = set_up, .timeout = 20);

static void expect_error(const char *wanted)
{
    struct otel_conf conf = {.span_ttl_ns = 0};

    errors[0] = '\0';
    cr_expect_eq(otel_conf_read(&host, NULL, &conf), SPOE_E_CONFIG);
    cr_expect_not_null(strstr(errors, wanted), "got '%s', wanted '%s'", errors, wanted);
    otel_conf_fini(&conf);
}

Test(conf, reads_every_option)
{
    struct otel_conf conf = {.span_ttl_ns = 0};

    cr_assert_eq(otel_conf_read(&host, NULL, &conf), SPOE_OK, "%s", errors);
    cr_expect_str_eq(conf.exporter.endpoint, "collector:4317");
    cr_expect_str_eq(conf.exporter.service_name, "shop");
    cr_expect_str_eq(conf.known_methods, "GET");
    cr_expect_eq(conf.exporter.tls, OTLP_TLS_DISABLED);
    cr_expect_null(conf.exporter.tls_ca);
    cr_expect_eq(conf.span_ttl_ns, INT64_C(30000000000));
    cr_expect_eq(conf.span_store_max, 200000);
    cr_expect_eq(conf.span_queue_max, 10000);
    cr_expect_eq(conf.exporter.batch_max, 512);
    cr_expect_eq(conf.exporter.batch_delay_ns, INT64_C(5000000000));
    cr_expect_eq(conf.exporter.retry_initial_ns, INT64_C(5000000000));
    cr_expect_eq(conf.exporter.retry_max_ns, INT64_C(30000000000));
    cr_expect_eq(conf.exporter.retry_give_up_ns, INT64_C(300000000000));
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

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const struct spoe_option *option = otel_options[i];

        cr_expect_str_eq(option->key, wanted[i][0]);
        cr_expect_str_eq(option->env[0], wanted[i][1]);
        if (wanted[i][2] == NULL)
            cr_expect_null(option->default_text);
        else
            cr_expect_str_eq(option->default_text, wanted[i][2]);
    }
}

Test(conf, takes_endpoints_without_a_scheme_only)
{
    static const char *const good[] = {"localhost:4317", "10.0.0.1:1", "[::1]:4317",
                                       "otel.example.org:65535"};
    static const char *const bad[] = {"",         "localhost",  "localhost:", "localhost:0",
                                      ":4317",    "host:65536", "host:port",  "::1:4317",
                                      "[::1]",    "a b:4317",   "unix:/a/b",  "host:4317/path",
                                      "a,b:4317x"};
    static const char *const schemes[] = {"http://localhost:4317", "https://localhost:4317",
                                          "dns:///localhost:4317", "grpc://x"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect_null(otel_conf_endpoint_error(spoe_str(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not_null(otel_conf_endpoint_error(spoe_str(bad[i])), "%s", bad[i]);
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        set_text("endpoint", schemes[i]);
        expect_error("endpoint: is written without a scheme");
    }
}

Test(conf, reports_all_that_is_wrong_in_one_run)
{
    set_text("endpoint", "localhost");
    set_text("service-name", "caf\xe9");
    set_text("known-methods", "");
    expect_error("endpoint: has no port");
    expect_error("service-name: is not UTF-8");
    expect_error("known-methods: ");
}

Test(conf, certificate_and_key_come_together)
{
    set_tls(OTLP_TLS_ENABLED);
    set_text("tls-cert", "/nonexistent/cert.pem");
    expect_error("key");
    set("tls-cert", (struct spoe_value){.type = SPOE_T_NULL});
    set_text("tls-key", "/nonexistent/key.pem");
    expect_error("certificate");
}

Test(conf, names_a_file_that_cannot_be_read)
{
    set_tls(OTLP_TLS_ENABLED);
    set_text("tls-ca", "/nonexistent/ca.pem");
    expect_error("tls-ca: ");
    expect_error("/nonexistent/ca.pem");
    set_tls(OTLP_TLS_SKIP_VERIFY);
    expect_error("/nonexistent/ca.pem");
}

Test(conf, ignores_the_files_without_tls)
{
    struct otel_conf conf = {.span_ttl_ns = 0};

    set_text("tls-ca", "/nonexistent/ca.pem");
    set_text("tls-key", "/nonexistent/key.pem");
    cr_expect_eq(otel_conf_read(&host, NULL, &conf), SPOE_OK, "%s", errors);
    otel_conf_fini(&conf);
}
