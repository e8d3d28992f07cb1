/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/host_conf.c: the defaults, each variable, the bounds, the lists. */
#include "conf/host_conf.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])
#define MS INT64_C(1000000)
#define PLUGIN_DIR "/usr/lib/spoe-host/plugins"

static struct conf *conf;
static struct host_conf hc;

static void setup(void)
{
    for (size_t i = 0; host_options[i] != NULL; i++) {
        for (size_t j = 0; host_options[i]->env[j] != NULL; j++)
            unsetenv(host_options[i]->env[j]);
    }
    conf = conf_create();
    cr_assert_not_null(conf);
}

static void teardown(void)
{
    host_conf_fini(&hc);
    conf_destroy(conf);
}

TestSuite(host_conf, .init = setup, .fini = teardown, .timeout = 10);

static void init(void)
{
    cr_assert_eq(host_conf_init(&hc, conf, PLUGIN_DIR, NULL), 0);
}

static void no_errors(void)
{
    cr_assert(conf_error_count(conf) == 0, "got %s", conf_error_text(conf, 0));
}

static void one_error(const char *text)
{
    cr_assert_eq(conf_error_count(conf), 1);
    cr_assert_str_eq(conf_error_text(conf, 0), text);
}

Test(host_conf, has_the_documented_defaults)
{
    cpu_set_t set;
    uint32_t cores;

    init();
    no_errors();
    cr_assert_eq(hc.n_listen, 1);
    cr_assert_str_eq(hc.listen[0].host, "0.0.0.0");
    cr_assert_str_eq(hc.listen[0].port, "12345");
    cr_assert_null(hc.listen[0].path);
    cr_assert_str_eq(hc.plugin_dirs[0], PLUGIN_DIR);
    cr_assert_null(hc.plugin_dirs[1]);
    cr_assert_null(hc.plugins);
    cr_assert(hc.has_admin);
    cr_assert_str_eq(hc.admin.host, "127.0.0.1");
    cr_assert_str_eq(hc.admin.port, "9902");
    cr_assert_null(hc.socket_group);
    cr_assert_null(hc.engine);
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cores = (uint32_t)CPU_COUNT(&set);
    cr_assert_eq(hc.workers, cores < 4 ? cores : 4);
    cr_assert_eq(hc.max_frame_size, 1048576);
    cr_assert_eq(hc.max_connections, 4096);
    cr_assert_eq(hc.processing_timeout_ns, 10 * MS);
    cr_assert_eq(hc.slow_handle_ns, 5 * MS);  /* 2.9 */
    cr_assert_eq(hc.plugin_trust_any, false); /* 2.13 */
    cr_assert_eq(hc.max_pending, 10000);
    cr_assert_eq(hc.hello_timeout_ns, 5000 * MS);
    cr_assert_eq(hc.idle_timeout_ns, 600000 * MS); /* 1.4 */
    cr_assert_eq(hc.shutdown_timeout_ns, 15000 * MS);
    cr_assert_eq(hc.drain_time_ns, 2000 * MS);
    cr_assert_eq(hc.log_level, SPOE_LOG_INFO);
    cr_assert_eq(hc.log_format, LOG_LOGFMT);
}

Test(host_conf, has_the_documented_names)
{
    static const struct {
        const char *key, *env, *default_text;
    } wanted[] = {
        {"listen", "SPOE_ADDR", "0.0.0.0:12345"},
        {"socket-group", "SPOE_SOCKET_GROUP", NULL},
        {"log-listen", "SPOE_LOG_ADDR", "off"},
        {"log-from", "SPOE_LOG_FROM", NULL},
        {"log-delay", "SPOE_LOG_DELAY", "10ms"},
        {"log-line-max", "SPOE_LOG_LINE_MAX", "64k"},
        {"log-receive-buffer", "SPOE_LOG_RECEIVE_BUFFER", "4m"},
        {"admin", "SPOE_ADMIN_ADDR", "127.0.0.1:9902"},
        {"admin-hosts", "SPOE_ADMIN_HOSTS", NULL},
        {"admin-token-file", "SPOE_ADMIN_TOKEN_FILE", NULL},
        {"plugin-dir", "SPOE_PLUGIN_DIR", NULL},
        {"plugins", "SPOE_PLUGINS", NULL},
        {"plugin-trust", "SPOE_PLUGIN_TRUST", "checked"},
        {"workers", "SPOE_WORKERS", NULL},
        {"max-frame-size", "SPOE_MAX_FRAME_SIZE", "1m"},
        {"max-connections", "SPOE_MAX_CONNECTIONS", "4096"},
        {"processing-timeout", "SPOE_PROCESSING_TIMEOUT", "10ms"},
        {"slow-handle", "SPOE_SLOW_HANDLE", "5ms"},
        {"max-pending", "SPOE_MAX_PENDING", "10000"},
        {"hello-timeout", "SPOE_HELLO_TIMEOUT", "5s"},
        {"idle-timeout", "SPOE_IDLE_TIMEOUT", "10m"},
        {"shutdown-timeout", "SPOE_SHUTDOWN_TIMEOUT", "15s"},
        {"drain-time", "SPOE_DRAIN_TIME", "2s"},
        {"plugin-health", "SPOE_PLUGIN_HEALTH", "ignored"},
        {"log-level", "SPOE_LOG_LEVEL", "info"},
        {"log-format", "SPOE_LOG_FORMAT", "logfmt"},
        {"engine", "SPOE_ENGINE", NULL},
    };

    for (size_t i = 0; i < N(wanted); i++) {
        cr_assert_str_eq(host_options[i]->key, wanted[i].key);
        cr_assert_str_eq(host_options[i]->env[0], wanted[i].env);
        cr_assert_null(host_options[i]->env[1]);
        if (wanted[i].default_text != NULL)
            cr_assert_str_eq(host_options[i]->default_text, wanted[i].default_text);
        else
            cr_assert_null(host_options[i]->default_text);
        cr_assert_not_null(host_options[i]->help);
    }
    cr_assert_null(host_options[N(wanted)]);
}

Test(host_conf, takes_everything_from_the_environment)
{
    setenv("SPOE_ADDR", "unix:/run/a.sock, [::1]:0 ,:9000", 1);
    setenv("SPOE_SOCKET_GROUP", "root", 1);
    setenv("SPOE_PLUGIN_DIR", "/a:/b", 1);
    setenv("SPOE_PLUGINS", "otel.so, /opt/x.so", 1);
    setenv("SPOE_WORKERS", "64", 1);
    setenv("SPOE_MAX_FRAME_SIZE", "16m", 1);
    setenv("SPOE_MAX_CONNECTIONS", "10", 1);
    setenv("SPOE_PROCESSING_TIMEOUT", "7", 1);
    setenv("SPOE_MAX_PENDING", "1", 1);
    setenv("SPOE_HELLO_TIMEOUT", "100ms", 1);
    setenv("SPOE_SHUTDOWN_TIMEOUT", "1m", 1);
    setenv("SPOE_LOG_LEVEL", "debug", 1);
    setenv("SPOE_LOG_FORMAT", "json", 1);
    setenv("SPOE_ENGINE", "my-engine", 1);
    init();
    no_errors();
    cr_assert_eq(hc.n_listen, 3);
    cr_assert_str_eq(hc.listen[0].path, "/run/a.sock");
    cr_assert_null(hc.listen[0].port);
    cr_assert_str_eq(hc.listen[1].text, "[::1]:0");
    cr_assert_str_eq(hc.listen[1].host, "::1");
    cr_assert_null(hc.listen[2].host);
    cr_assert_str_eq(hc.listen[2].port, "9000");
    cr_assert_str_eq(hc.socket_group, "root");
    cr_assert_eq(hc.socket_gid, 0);
    cr_assert_str_eq(hc.plugin_dirs[0], "/a");
    cr_assert_str_eq(hc.plugin_dirs[1], "/b");
    cr_assert_null(hc.plugin_dirs[2]);
    cr_assert_str_eq(hc.plugins[0], "otel.so");
    cr_assert_str_eq(hc.plugins[1], "/opt/x.so");
    cr_assert_null(hc.plugins[2]);
    cr_assert_eq(hc.workers, 64);
    cr_assert_eq(hc.max_frame_size, 16777216);
    cr_assert_eq(hc.max_connections, 10);
    cr_assert_eq(hc.processing_timeout_ns, 7 * MS);
    cr_assert_eq(hc.max_pending, 1);
    cr_assert_eq(hc.hello_timeout_ns, 100 * MS);
    cr_assert_eq(hc.shutdown_timeout_ns, 60000 * MS);
    cr_assert_eq(hc.log_level, SPOE_LOG_DEBUG);
    cr_assert_eq(hc.log_format, LOG_JSON);
    cr_assert_str_eq(hc.engine, "my-engine");
}

Test(host_conf, maps_every_log_level)
{
    static const struct {
        const char *text;
        int level;
    } cases[] = {{"err", SPOE_LOG_ERR},
                 {"warning", SPOE_LOG_WARNING},
                 {"notice", SPOE_LOG_NOTICE},
                 {"info", SPOE_LOG_INFO},
                 {"debug", SPOE_LOG_DEBUG},
                 /* 5.3 */
                 {"error", SPOE_LOG_ERR},
                 {"warn", SPOE_LOG_WARNING},
                 {"ERR", SPOE_LOG_ERR},
                 {"Warn", SPOE_LOG_WARNING},
                 {"INFO", SPOE_LOG_INFO}};

    for (size_t i = 0; i < N(cases); i++) {
        setenv("SPOE_LOG_LEVEL", cases[i].text, 1);
        init();
        cr_assert_eq(hc.log_level, cases[i].level);
        host_conf_fini(&hc);
    }
    no_errors();
}

Test(host_conf, refuses_what_is_out_of_bounds)
{
    static const struct {
        const char *key, *below, *least, *greatest, *above;
    } cases[] = {
        {"workers", "0", "1", "64", "65"},
        {"max-frame-size", "255", "256", "16m", "16777217"},
        {"max-connections", "0", "1", "1000000", "1000001"},
        {"processing-timeout", "999us", "1ms", "1h", "3601s"},
        {"max-pending", "0", "1", "10000000", "10000001"},
        {"hello-timeout", "9ms", "10ms", "1h", "2h"},
        {"shutdown-timeout", "99ms", "100ms", "1h", "1d"},
    };

    for (size_t i = 0; i < N(cases); i++) {
        const char *const texts[] = {cases[i].below, cases[i].least, cases[i].greatest,
                                     cases[i].above};

        for (size_t j = 0; j < N(texts); j++) {
            const bool bad = j == 0 || j == 3;

            conf_destroy(conf);
            conf = conf_create();
            conf_add_host_option(conf, cases[i].key, texts[j]);
            init();
            cr_assert(conf_error_count(conf) == (bad ? 1 : 0), "%s = %s", cases[i].key, texts[j]);
            if (bad)
                cr_assert_not_null(strstr(conf_error_text(conf, 0), "is out of range"));
            host_conf_fini(&hc);
        }
    }
}

Test(host_conf, is_whole_after_errors)
{
    conf_add_host_option(conf, "workers", "many");
    conf_add_host_option(conf, "processing-timeout", "soon");
    conf_add_host_option(conf, "log-level", "loud");
    init();
    cr_assert_eq(conf_error_count(conf), 3);
    cr_assert_str_eq(conf_error_text(conf, 0), "command line: host.workers: \"many\" is not valid, "
                                               "expected a whole number, 1 to 64");
    cr_assert_str_eq(conf_error_text(conf, 1),
                     "command line: host.processing-timeout: \"soon\" is not valid, expected a "
                     "duration such as 15ms or 30s, 1ms to 1h");
    cr_assert_str_eq(conf_error_text(conf, 2),
                     "command line: host.log-level: \"loud\" is not valid, expected one of err, "
                     "warning, notice, info, debug, error, warn");
    cr_assert_geq(hc.workers, 1);
    cr_assert_eq(hc.processing_timeout_ns, 10 * MS);
    cr_assert_eq(hc.log_level, SPOE_LOG_INFO);
}

Test(host_conf, every_bad_address_is_an_error_of_its_own)
{
    setenv("SPOE_ADDR", "localhost,127.0.0.1:0,,[::1]:x", 1);
    init();
    cr_assert_eq(conf_error_count(conf), 3);
    cr_assert_str_eq(conf_error_text(conf, 0),
                     "environment SPOE_ADDR: host.listen: \"localhost\": expected HOST:PORT, "
                     "[IPV6]:PORT, *:PORT, unix:/PATH or fd:NAME");
    cr_assert_str_eq(conf_error_text(conf, 1),
                     "environment SPOE_ADDR: host.listen: an empty item in the list");
    cr_assert_str_eq(conf_error_text(conf, 2),
                     "environment SPOE_ADDR: host.listen: \"[::1]:x\": the port is a number from "
                     "0 to 65535");
    cr_assert_eq(hc.n_listen, 1);
    cr_assert_str_eq(hc.listen[0].text, "127.0.0.1:0");
}

Test(host_conf, wants_an_address)
{
    conf_add_host_option(conf, "listen", "");
    init();
    one_error("command line: host.listen: no address");
}

Test(host_conf, the_admin_endpoint_can_be_off_or_a_file)
{
    conf_add_host_option(conf, "admin", "off");
    init();
    no_errors();
    cr_assert_not(hc.has_admin);
    host_conf_fini(&hc);
    conf_destroy(conf);
    conf = conf_create();
    conf_add_host_option(conf, "admin", "unix:/run/admin.sock");
    init();
    no_errors();
    cr_assert(hc.has_admin);
    cr_assert_str_eq(hc.admin.path, "/run/admin.sock");
}

Test(host_conf, the_admin_endpoint_has_one_address)
{
    conf_add_host_option(conf, "admin", "127.0.0.1:1,127.0.0.1:2");
    init();
    one_error("command line: host.admin: \"127.0.0.1:1,127.0.0.1:2\": an IPv6 address stands in "
              "brackets, as in [::1]:12345");
    cr_assert_not(hc.has_admin);
}

Test(host_conf, the_admin_endpoint_is_switched_off_by_word_only)
{
    conf_add_host_option(conf, "admin", "");
    init();
    one_error("command line: host.admin: no address; off switches it off");
    cr_assert_not(hc.has_admin);
}

Test(host_conf, finds_the_group_by_number_too)
{
    conf_add_host_option(conf, "socket-group", "4294967294");
    init();
    no_errors();
    cr_assert_str_eq(hc.socket_group, "4294967294");
    cr_assert_eq(hc.socket_gid, 4294967294);
}

/* 2.7: a reload is on the thread that accepts, and a group's name may be a server's to know. */
Test(host_conf, looks_up_no_group_that_is_in_use)
{
    static char name[] = "no-such-group";
    struct host_conf in_use = {.socket_group = name, .socket_gid = 77};

    conf_add_host_option(conf, "socket-group", name);
    cr_assert_eq(host_conf_init(&hc, conf, PLUGIN_DIR, &in_use), 0);
    no_errors();
    cr_assert_str_eq(hc.socket_group, name);
    cr_assert_eq(hc.socket_gid, 77);
    host_conf_fini(&hc);
    in_use.socket_group = NULL;
    cr_assert_eq(host_conf_init(&hc, conf, PLUGIN_DIR, &in_use), 0);
    one_error("command line: host.socket-group: \"no-such-group\": no such group");
}

Test(host_conf, names_where_an_unknown_group_comes_from)
{
    setenv("SPOE_SOCKET_GROUP", "no-such-group", 1);
    init();
    one_error("environment SPOE_SOCKET_GROUP: host.socket-group: \"no-such-group\": no such group");
    cr_assert_null(hc.socket_group);
}

Test(host_conf, an_unknown_group_is_no_number_either)
{
    static const char *const bad[] = {"-1", "4294967295", "0x10", "no group",
                                      "99999999999999999999"};

    for (size_t i = 0; i < N(bad); i++) {
        conf_destroy(conf);
        conf = conf_create();
        conf_add_host_option(conf, "socket-group", bad[i]);
        init();
        cr_assert(conf_error_count(conf) == 1, "%s", bad[i]);
        cr_assert_null(hc.socket_group);
        host_conf_fini(&hc);
    }
}

Test(host_conf, takes_sixteen_addresses)
{
    char text[HOST_LISTEN_MAX * 3 + 4] = "";

    for (size_t i = 0; i < HOST_LISTEN_MAX; i++)
        memcpy(text + i * 3, i == 0 ? ":10" : ",:1", 4);
    conf_add_host_option(conf, "listen", text);
    init();
    no_errors();
    cr_assert_eq(hc.n_listen, HOST_LISTEN_MAX);
    host_conf_fini(&hc);

    memcpy(text + strlen(text), ",:2", 4);
    conf_destroy(conf);
    conf = conf_create();
    conf_add_host_option(conf, "listen", text);
    init();
    one_error("command line: host.listen: \":2\": more than 16 addresses");
    cr_assert_eq(hc.n_listen, HOST_LISTEN_MAX);
}

Test(host_conf, an_empty_directory_in_the_list_is_an_error)
{
    conf_add_host_option(conf, "plugin-dir", "/a::/b:");
    init();
    cr_assert_eq(conf_error_count(conf), 2);
    cr_assert_str_eq(conf_error_text(conf, 0),
                     "command line: host.plugin-dir: an empty item in the list");
    cr_assert_str_eq(hc.plugin_dirs[1], "/b");
}

Test(host_conf, has_a_directory_even_when_the_list_is_bad)
{
    conf_add_host_option(conf, "plugin-dir", ":");
    init();
    cr_assert_eq(conf_error_count(conf), 2);
    cr_assert_str_eq(hc.plugin_dirs[0], PLUGIN_DIR);
}

Test(host_conf, an_empty_list_of_plugins_means_all)
{
    conf_add_host_option(conf, "plugins", "");
    init();
    no_errors();
    cr_assert_null(hc.plugins);
}

Test(host_conf, an_engine_has_a_plain_name)
{
    conf_add_host_option(conf, "engine", "a] b");
    init();
    one_error("command line: host.engine: \"a] b\": a name of 1 to 64 letters, digits, _, . and -");
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

/* The line of docs/configuration.md that describes an option has its names and its default. */
Test(host_conf, is_documented)
{
    static char doc[65536];
    FILE *file = fopen(CONFIGURATION_MD, "r");
    size_t n;

    cr_assert_not_null(file);
    n = fread(doc, 1, sizeof doc - 1, file);
    (void)fclose(file);
    cr_assert(n > 0 && n < sizeof doc - 1);
    for (size_t i = 0; host_options[i] != NULL; i++) {
        const struct spoe_option *o = host_options[i];
        char *text = row_of(doc, o);

        cr_assert(text != NULL, "no row is about %s", o->key);
        if (o->default_text != NULL)
            cr_assert(strstr(text, o->default_text) != NULL, "%s: not %s", text, o->default_text);
        for (size_t j = 0; o->choices != NULL && o->choices[j] != NULL; j++)
            cr_assert(strstr(text, o->choices[j]) != NULL, "%s: not %s", text, o->choices[j]);
        /* 2.7 */
        cr_assert_eq(strstr(text, "Can change at run time") != NULL,
                     (o->flags & SPOE_OPTION_RELOADABLE) != 0, "%s", text);
        free(text);
    }
}
