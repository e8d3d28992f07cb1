/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf_*.c: which source wins, what a plugin is handed, and the words of each error. */
#include "conf/conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N(array) (sizeof(array) / sizeof(array)[0])

static const char *const tls_choices[] = {"disabled", "enabled", "skip-verify", NULL};
static const char *const endpoint_env[] = {"TEST_ENDPOINT", "TEST_ENDPOINT_OLD", NULL};
static const char *const tls_env[] = {"TEST_TLS", NULL};

static const struct spoe_option endpoint = {.size = sizeof endpoint,
                                            .type = SPOE_OPT_STRING,
                                            .key = "endpoint",
                                            .default_text = "localhost:4317",
                                            .env = endpoint_env};
static const struct spoe_option tls = {.size = sizeof tls,
                                       .type = SPOE_OPT_ENUM,
                                       .key = "tls",
                                       .default_text = "disabled",
                                       .env = tls_env,
                                       .choices = tls_choices};
static const struct spoe_option ttl = {.size = sizeof ttl,
                                       .type = SPOE_OPT_DURATION,
                                       .key = "ttl",
                                       .min = 1000000,
                                       .max = INT64_C(60000000000)};
static const struct spoe_option token = {
    .size = sizeof token, .type = SPOE_OPT_INT, .flags = SPOE_OPTION_SECRET, .key = "token"};
enum { ENDPOINT, TLS, TTL, TOKEN, N_OPTIONS };
static const struct spoe_option *const options[] = {&endpoint, &tls, &ttl, &token, NULL};
static const struct spoe_option *const none[] = {NULL};

static struct conf *conf;

static void setup(void)
{
    unsetenv("TEST_ENDPOINT");
    unsetenv("TEST_ENDPOINT_OLD");
    unsetenv("TEST_TLS");
    conf = conf_create();
    cr_assert_not_null(conf);
}

static void teardown(void)
{
    conf_destroy(conf);
}

TestSuite(conf, .init = setup, .fini = teardown, .timeout = 10);

static void add_text(const char *text)
{
    char *copy = strdup(text);
    FILE *file = fmemopen(copy, strlen(copy), "r");

    cr_assert_not_null(file);
    conf_add_stream(conf, file, "host.conf");
    (void)fclose(file);
    free(copy);
}

static struct conf_section *resolve(void)
{
    struct conf_section *section = conf_resolve(conf, "otel", options);

    cr_assert_not_null(section);
    return section;
}

static bool span_is(struct spoe_span span, const char *text)
{
    return span.n == strlen(text) && memcmp(span.p, text, span.n) == 0;
}

/* The errors are these, in this order, and no others. */
static void expect_errors(const char *const *wanted, size_t n)
{
    for (size_t i = 0; i < n && i < conf_error_count(conf); i++)
        cr_assert_str_eq(conf_error_text(conf, i), wanted[i]);
    cr_assert(conf_error_count(conf) == n, "got %zu errors, the last is: %s",
              conf_error_count(conf),
              conf_error_count(conf) > 0 ? conf_error_text(conf, conf_error_count(conf) - 1) : "");
    cr_assert_null(conf_error_text(conf, n));
}

#define EXPECT_ERRORS(...)                                                                         \
    expect_errors((const char *const[]){__VA_ARGS__},                                              \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void expect_setting(const struct conf_section *section, size_t i, const char *raw,
                           const char *origin)
{
    const struct spoe_setting *s = conf_setting(section, i);

    cr_assert_eq(s->size, sizeof *s);
    cr_assert(span_is(s->raw, raw), "got \"%.*s\", wanted \"%s\"", (int)s->raw.n, s->raw.p, raw);
    cr_assert(span_is(s->origin, origin), "got %.*s, wanted %s", (int)s->origin.n, s->origin.p,
              origin);
    cr_assert_eq(s->flags, strcmp(origin, "default") == 0 ? SPOE_SETTING_DEFAULT : 0);
}

Test(conf, defaults_where_nothing_is_set)
{
    struct conf_section *section = resolve();
    const struct spoe_setting *s = conf_setting(section, TLS);

    expect_setting(section, ENDPOINT, "localhost:4317", "default");
    expect_setting(section, TLS, "disabled", "default");
    cr_assert(s->value.type == SPOE_T_UINT32 && s->value.u.u32 == 0);
    /* No default: no value. */
    s = conf_setting(section, TTL);
    cr_assert(s->value.type == SPOE_T_NULL && s->raw.n == 0 && span_is(s->origin, "default"));
    cr_assert_null(conf_setting(section, N_OPTIONS));
    cr_assert_eq(conf_error_count(conf), 0);
    conf_section_destroy(section);
}

/* From the least to the most preferred, each source beats the ones before it. */
Test(conf, command_line_then_environment_then_file_then_default)
{
    struct conf_section *section;

    add_text("# a comment\n[otel]\nendpoint = from-file:1\n");
    section = resolve();
    expect_setting(section, ENDPOINT, "from-file:1", "host.conf:3");
    conf_section_destroy(section);

    setenv("TEST_ENDPOINT_OLD", "from-old:1", 1);
    section = resolve();
    expect_setting(section, ENDPOINT, "from-old:1", "environment TEST_ENDPOINT_OLD");
    conf_section_destroy(section);

    setenv("TEST_ENDPOINT", "from-env:1", 1);
    section = resolve();
    expect_setting(section, ENDPOINT, "from-env:1", "environment TEST_ENDPOINT");
    conf_section_destroy(section);

    conf_add_set(conf, "otel.endpoint=from-line:1");
    section = resolve();
    expect_setting(section, ENDPOINT, "from-line:1", "command line");
    conf_section_destroy(section);

    conf_check_unknown(conf);
    cr_assert_eq(conf_error_count(conf), 0);
}

Test(conf, what_is_overridden_has_to_be_good_as_well)
{
    struct conf_section *section;

    add_text("[otel]\ntls = on\nttl = 2m\ntoken = secret\n");
    setenv("TEST_TLS", "off", 1);
    conf_add_set(conf, "otel.tls=enabled");
    conf_add_set(conf, "otel.ttl=2s");
    conf_add_set(conf, "otel.token=7");
    section = resolve();
    expect_setting(section, TLS, "enabled", "command line");
    expect_setting(section, TTL, "2s", "command line");
    expect_setting(section, TOKEN, "7", "command line");
    conf_section_destroy(section);
    EXPECT_ERRORS("environment TEST_TLS: otel.tls: \"off\" is not valid, expected one of disabled, "
                  "enabled, skip-verify",
                  "host.conf:2: otel.tls: \"on\" is not valid, expected one of disabled, enabled, "
                  "skip-verify",
                  "host.conf:3: otel.ttl: \"2m\" is out of range, expected a duration such as 15ms "
                  "or 30s, 1ms to 1m",
                  "host.conf:4: otel.token: the value is not valid, expected a whole number");
}

Test(conf, an_empty_variable_is_not_set)
{
    struct conf_section *section;

    setenv("TEST_ENDPOINT", "", 1);
    setenv("TEST_TLS", "", 1);
    add_text("[otel]\ntls = enabled\n");
    section = resolve();
    expect_setting(section, ENDPOINT, "localhost:4317", "default");
    expect_setting(section, TLS, "enabled", "host.conf:2");
    conf_section_destroy(section);
    setenv("TEST_ENDPOINT_OLD", "old:1", 1);
    section = resolve();
    expect_setting(section, ENDPOINT, "old:1", "environment TEST_ENDPOINT_OLD");
    conf_section_destroy(section);
    cr_assert_eq(conf_error_count(conf), 0);
}

Test(conf, an_empty_value_is_an_empty_string_and_nothing_else)
{
    struct conf_section *section;
    const struct spoe_setting *s;

    add_text("[otel]\nendpoint =\nttl =\n");
    conf_add_set(conf, "otel.tls=");
    section = resolve();
    s = conf_setting(section, ENDPOINT);
    cr_assert(s->value.type == SPOE_T_STR && s->value.u.s.n == 0 && s->value.u.s.p != NULL);
    expect_setting(section, ENDPOINT, "", "host.conf:2");
    conf_section_destroy(section);
    EXPECT_ERRORS("command line: otel.tls: \"\" is not valid, expected one of disabled, enabled, "
                  "skip-verify",
                  "host.conf:3: otel.ttl: \"\" is not valid, expected a duration such as 15ms or "
                  "30s, 1ms to 1m");
}

Test(conf, settings_outlive_their_sources)
{
    struct conf_section *section;
    const struct spoe_setting *s;

    setenv("TEST_ENDPOINT", "here:1", 1);
    conf_add_set(conf, "otel.ttl=2s");
    section = resolve();
    setenv("TEST_ENDPOINT", "gone:2", 1);
    unsetenv("TEST_ENDPOINT");
    conf_destroy(conf);
    conf = NULL;
    s = conf_setting(section, ENDPOINT);
    expect_setting(section, ENDPOINT, "here:1", "environment TEST_ENDPOINT");
    cr_assert_eq(s->value.u.s.p, s->raw.p);
    cr_assert_eq(conf_setting(section, TTL)->value.u.i64, INT64_C(2000000000));
    conf_section_destroy(section);
}

Test(conf, every_source_names_itself_in_errors)
{
    struct conf_section *section;

    add_text("[otel]\n\nendpoint = x\nttl = 2m\n");
    setenv("TEST_TLS", "maybe", 1);
    conf_add_set(conf, "otel.token=hunter2");
    section = resolve();
    EXPECT_ERRORS("environment TEST_TLS: otel.tls: \"maybe\" is not valid, expected one of "
                  "disabled, enabled, skip-verify",
                  "host.conf:4: otel.ttl: \"2m\" is out of range, expected a duration such as "
                  "15ms or 30s, 1ms to 1m",
                  "command line: otel.token: the value is not valid, expected a whole number");
    /* The default stands in where there is one. */
    expect_setting(section, TLS, "disabled", "default");
    cr_assert_eq(conf_setting(section, TTL)->value.type, SPOE_T_NULL);
    conf_section_destroy(section);
}

Test(conf, a_bad_line_of_the_file_is_named)
{
    add_text("early = 1\n[otel]\nnonsense\nendpoint = a:1\n[broken\n");
    conf_section_destroy(resolve());
    conf_check_unknown(conf);
    EXPECT_ERRORS("host.conf:1: a key before any [section]",
                  "host.conf:3: neither [section] nor key = value",
                  "host.conf:5: a section without its ]");
}

Test(conf, a_key_set_twice_names_both_lines)
{
    struct conf_section *section;

    add_text("[otel]\ntls = enabled\n[other]\ntls = x\n[otel]\n\ntls = disabled\n");
    section = resolve();
    expect_setting(section, TLS, "enabled", "host.conf:2");
    conf_section_destroy(section);
    EXPECT_ERRORS("host.conf:7: otel.tls: set before at line 2");
}

Test(conf, an_option_twice_on_the_command_line_is_an_error)
{
    conf_add_host_option(conf, "listen", ":1");
    conf_add_host_option(conf, "listen", ":2");
    conf_add_set(conf, "host.listen=:3");
    EXPECT_ERRORS("command line: host.listen: given twice",
                  "command line: host.listen: given twice");
}

Test(conf, a_malformed_set_is_an_error)
{
    static const char *const bad[] = {"",        "otel",    "otel.tls", "=x", ".tls=x",
                                      "otel.=x", "tls=a.b", "otel",     ".=", "."};
    char *text = malloc(301);

    for (size_t i = 0; i < N(bad); i++)
        conf_add_set(conf, bad[i]);
    cr_assert_eq(conf_error_count(conf), N(bad));
    cr_assert_str_eq(conf_error_text(conf, 2),
                     "command line: --set \"otel.tls\": expected SECTION.KEY=VALUE");
    cr_assert_str_eq(conf_error_text(conf, 6),
                     "command line: --set \"tls=...\": expected SECTION.KEY=VALUE");
    memset(text, 'x', 300);
    text[300] = '\0';
    conf_add_set(conf, text);
    cr_assert_eq(strspn(strchr(conf_error_text(conf, N(bad)), '"') + 1, "x"), 64);
    free(text);
}

Test(conf, a_value_may_hold_anything)
{
    struct conf_section *section;

    conf_add_set(conf, "otel.endpoint=a.b=c;d [x]");
    section = resolve();
    expect_setting(section, ENDPOINT, "a.b=c;d [x]", "command line");
    conf_section_destroy(section);
}

Test(conf, a_missing_file_is_an_error)
{
    conf_add_file(conf, "/nonexistent/host.conf");
    conf_add_file(conf, "/");
    EXPECT_ERRORS("/nonexistent/host.conf: cannot be opened: No such file or directory",
                  "/: cannot be read: Is a directory");
}

/* 5.3 */
Test(conf, a_file_that_need_not_be_there_may_be_missing_but_not_unreadable)
{
    conf_add_file_if_there(conf, "/nonexistent/host.conf");
    conf_add_file_if_there(conf, "/dev/null/host.conf");
    conf_add_file_if_there(conf, "/");
    EXPECT_ERRORS("/: cannot be read: Is a directory");
}

Test(conf, a_file_is_named_as_its_path_was_given)
{
    char path[] = "/tmp/spoe-test-conf-XXXXXX";
    char origin[64];
    int fd = mkstemp(path);
    struct conf_section *section;

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "[otel]\r\ntls = enabled\r\n", 23), 23);
    (void)close(fd);
    conf_add_file(conf, path);
    (void)unlink(path);
    section = resolve();
    (void)snprintf(origin, sizeof origin, "%s:2", path);
    expect_setting(section, TLS, "enabled", origin);
    conf_section_destroy(section);
}

Test(conf, a_required_option_must_be_set)
{
    static const struct spoe_option a = {
        .size = sizeof a, .type = SPOE_OPT_STRING, .flags = SPOE_OPTION_REQUIRED, .key = "a"};
    static const struct spoe_option b = {.size = sizeof b,
                                         .type = SPOE_OPT_STRING,
                                         .flags = SPOE_OPTION_REQUIRED,
                                         .key = "b",
                                         .env = tls_env};
    static const struct spoe_option c = {
        .size = sizeof c, .type = SPOE_OPT_STRING, .flags = SPOE_OPTION_REQUIRED, .key = "c"};
    static const struct spoe_option *const table[] = {&a, &b, &c, NULL};

    conf_add_set(conf, "p.c=1");
    conf_section_destroy(conf_resolve(conf, "p", table));
    EXPECT_ERRORS("p.a: must be set: --set p.a=..., or the file",
                  "p.b: must be set: --set p.b=..., environment TEST_TLS, or the file");
}

Test(conf, a_table_that_makes_no_sense_names_the_plugin)
{
    static const struct spoe_option bad_default = {.size = sizeof bad_default,
                                                   .type = SPOE_OPT_INT,
                                                   .key = "bad-default",
                                                   .default_text = "ten"};
    static const struct spoe_option bad_key = {
        .size = sizeof bad_key, .type = SPOE_OPT_INT, .key = "Bad Key"};
    static const struct spoe_option bad_type = {
        .size = sizeof bad_type, .type = 99, .key = "bad-type"};
    static const struct spoe_option old = {.size = 8, .type = SPOE_OPT_INT, .key = "old"};
    static const struct spoe_option fine = {
        .size = sizeof fine + 8, .type = SPOE_OPT_INT, .key = "fine", .default_text = "3"};
    static const struct spoe_option *const table[] = {&bad_default, &bad_key, &bad_type, &old,
                                                      &fine,        &fine,    NULL};
    static const char ten[] = "option bad-default of plugin p: bad default: \"ten\" is not valid, "
                              "expected a whole number";
    struct conf_section *section = conf_resolve(conf, "p", table);

    cr_assert_not_null(section);
    EXPECT_ERRORS(ten, "option 1 of plugin p: its key is not 1 to 64 of a-z, 0-9 and -",
                  "option bad-type of plugin p: its type is not known to this host",
                  "option 3 of plugin p: its table is shorter than that of ABI 1.0",
                  "option fine of plugin p: another option has its key");
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(conf_setting(section, i)->value.type, SPOE_T_NULL);
    cr_assert_eq(conf_setting(section, 4)->value.u.i64, 3);
    conf_section_destroy(section);
}

/* 9.1: the first option's key is looked at as well. */
Test(conf, no_option_has_the_key_of_the_first)
{
    static const struct spoe_option first = {
        .size = sizeof first, .type = SPOE_OPT_INT, .key = "first"};
    static const struct spoe_option other = {
        .size = sizeof other, .type = SPOE_OPT_INT, .key = "other"};
    static const struct spoe_option *const table[] = {&first, &other, &first, NULL};
    struct conf_section *section = conf_resolve(conf, "p", table);

    EXPECT_ERRORS("option first of plugin p: another option has its key");
    conf_section_destroy(section);
}

Test(conf, a_table_has_a_greatest_length)
{
    static struct spoe_option many[CONF_OPTIONS_MAX + 1];
    static char keys[CONF_OPTIONS_MAX + 1][8];
    const struct spoe_option *table[CONF_OPTIONS_MAX + 2] = {NULL};

    for (size_t i = 0; i < N(many); i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        many[i] = tls;
        many[i].key = keys[i];
        table[i] = &many[i];
    }
    table[CONF_OPTIONS_MAX] = NULL;
    conf_section_destroy(conf_resolve(conf, "p", table));
    cr_assert_eq(conf_error_count(conf), 0);
    table[CONF_OPTIONS_MAX] = &many[CONF_OPTIONS_MAX];
    conf_section_destroy(conf_resolve(conf, "p", table));
    EXPECT_ERRORS("plugin p: more than 256 options");
}

Test(conf, unknown_keys_and_sections_are_named_with_what_is_near)
{
    static const char nobody[] =
        "host.conf:7: unknown section [nobody]: neither host nor the id of "
        "a loaded plugin";

    add_text("[otel]\nendpiont = a:1\nwhatever = 1\n[hots]\nworkers = 1\nx = 2\n"
             "[nobody]\n[host]\nendpoint = b:1\n");
    conf_add_set(conf, "otle.tls=enabled");
    conf_add_set(conf, "otel.tlss=enabled");
    conf_add_set(conf, "otel.ca=1"); /* two letters from tls, but that is all it has */
    conf_add_host_option(conf, "wrokers", "1");
    conf_section_destroy(conf_resolve(conf, "host", none));
    conf_section_destroy(resolve());
    conf_check_unknown(conf);
    EXPECT_ERRORS("host.conf:2: unknown option otel.endpiont; did you mean endpoint?",
                  "host.conf:3: unknown option otel.whatever (see --plugin-info otel)",
                  "host.conf:4: unknown section [hots]; did you mean [host]?", nobody,
                  "host.conf:9: unknown option host.endpoint (see --help)",
                  "command line: unknown section [otle]; did you mean [otel]?",
                  "command line: unknown option otel.tlss; did you mean tls?",
                  "command line: unknown option otel.ca (see --plugin-info otel)",
                  "command line: unknown option host.wrokers (see --help)");
}

Test(conf, a_very_long_unknown_key_has_no_suggestion)
{
    char text[400];

    memset(text, 'k', sizeof text);
    memcpy(text, "otel.", 5);
    memcpy(text + 390, "=1", 3);
    conf_add_set(conf, text);
    conf_section_destroy(resolve());
    conf_check_unknown(conf);
    cr_assert_eq(conf_error_count(conf), 1);
    cr_assert_null(strstr(conf_error_text(conf, 0), "did you mean"));
}

Test(conf, setting_errors_name_the_origin)
{
    struct conf_section *section;

    add_text("[otel]\nendpoint = nowhere\n");
    section = resolve();
    conf_setting_error(conf, section, ENDPOINT, "no port in \"%s\"", "nowhere");
    conf_setting_error(conf, section, TLS, "no good");
    conf_section_destroy(section);
    EXPECT_ERRORS("host.conf:2: otel.endpoint: no port in \"nowhere\"",
                  "default: otel.tls: no good");
}

Test(conf, errors_beyond_the_kept_ones_are_counted)
{
    for (unsigned i = 0; i < CONF_ERRORS_MAX + 3; i++)
        conf_error(conf, "error %u", i);
    cr_assert_eq(conf_error_count(conf), CONF_ERRORS_MAX + 3);
    cr_assert_str_eq(conf_error_text(conf, CONF_ERRORS_MAX - 1), "error 63");
    cr_assert_null(conf_error_text(conf, CONF_ERRORS_MAX));
}

Test(conf, destructors_take_null)
{
    conf_destroy(NULL);
    conf_section_destroy(NULL);
}

/* 9.2: what is past the end is said once, and not taken. */
Test(conf, a_file_has_so_many_entries)
{
    for (unsigned over = 0; over < 2; over++) {
        struct conf_section *section;
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);

        cr_assert_not_null(file);
        (void)fputs("[otel]\nttl = 2s\n[x]\n", file);
        for (unsigned i = 3; i < CONF_ENTRIES_MAX - 1; i++)
            (void)fprintf(file, "k%u=\n", i);
        (void)fputs("[otel]\n", file);
        if (over)
            (void)fputs("endpoint = a:1\n[otel]\ntls = enabled\n", file);
        (void)fclose(file);
        add_text(text);
        free(text);
        if (over)
            EXPECT_ERRORS("host.conf:8193: more than 8192 sections and keys");
        cr_assert_eq(conf_error_count(conf), over);
        section = resolve();
        cr_assert_eq(conf_setting(section, TTL)->value.u.i64, INT64_C(2000000000));
        expect_setting(section, ENDPOINT, "localhost:4317", "default");
        expect_setting(section, TLS, "disabled", "default");
        conf_section_destroy(section);
        teardown();
        setup();
    }
}

/* 9.2 */
Test(conf, a_stream_that_cannot_be_read_is_an_error)
{
    FILE *file = fopen("/dev/null", "we");

    cr_assert_not_null(file);
    conf_add_stream(conf, file, "host.conf");
    (void)fclose(file);
    EXPECT_ERRORS("host.conf: cannot be read: Bad file descriptor");
}
