/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf: variables of env_lenient[], whose bad values are warnings, and which are read as
 * OpenTelemetry's specification has it.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

#define N(array) (sizeof(array) / sizeof(array)[0])
#define ENV(...)                                                                                   \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const char *const colours[] = {"red", "dark/Green", NULL};
static const struct spoe_option text = {.size = sizeof text,
                                        .type = SPOE_OPT_STRING,
                                        .key = "text",
                                        .default_text = "none",
                                        .env = ENV("TEST_SHORT"),
                                        .env_lenient = ENV("OTEL_TEST_A", "OTEL_TEST_B")};
static const struct spoe_option number = {.size = sizeof number,
                                          .type = SPOE_OPT_INT,
                                          .key = "number",
                                          .default_text = "7",
                                          .env = ENV("TEST_SHORT"),
                                          .env_lenient = ENV("OTEL_TEST_A", "OTEL_TEST_B"),
                                          .max = 100};
static const struct spoe_option wait = {.size = sizeof wait,
                                        .type = SPOE_OPT_DURATION,
                                        .key = "wait",
                                        .default_text = "5s",
                                        .env_lenient = ENV("OTEL_TEST_A"),
                                        .max = INT64_C(60000000000)};
static const struct spoe_option on = {.size = sizeof on,
                                      .type = SPOE_OPT_BOOL,
                                      .key = "on",
                                      .default_text = "on",
                                      .env_lenient = ENV("OTEL_TEST_A")};
static const struct spoe_option colour = {.size = sizeof colour,
                                          .type = SPOE_OPT_ENUM,
                                          .key = "colour",
                                          .default_text = "red",
                                          .env_lenient = ENV("OTEL_TEST_A"),
                                          .choices = colours};
static const struct spoe_option token = {.size = sizeof token,
                                         .type = SPOE_OPT_INT,
                                         .flags = SPOE_OPTION_SECRET | SPOE_OPTION_REQUIRED,
                                         .key = "token",
                                         .env_lenient = ENV("OTEL_TEST_A")};
static const struct spoe_option bare = {
    .size = sizeof bare, .type = SPOE_OPT_STRING, .key = "bare", .env_lenient = ENV("OTEL_TEST_A")};

static struct conf *conf;

static void setup(void)
{
    unsetenv("TEST_SHORT");
    unsetenv("OTEL_TEST_A");
    unsetenv("OTEL_TEST_B");
    conf = conf_create();
    cr_assert_not_null(conf);
}

static void teardown(void)
{
    conf_destroy(conf);
}

TestSuite(lenient, .init = setup, .fini = teardown, .timeout = 10);

static struct conf_section *resolve(const struct spoe_option *option)
{
    static const struct spoe_option *table[2]; /* a section borrows its table */
    struct conf_section *section;

    table[0] = option;
    section = conf_resolve(conf, "p", table);
    cr_assert_not_null(section);
    return section;
}

static void add_file(const char *content)
{
    char *copy = strdup(content);
    FILE *file = fmemopen(copy, strlen(copy), "r");

    cr_assert_not_null(file);
    conf_add_stream(conf, file, "host.conf");
    (void)fclose(file);
    free(copy);
}

static void expect_origin(const struct conf_section *section, const char *wanted, uint32_t flags)
{
    const struct spoe_setting *s = conf_setting(section, 0);

    cr_assert(s->origin.n == strlen(wanted) && memcmp(s->origin.p, wanted, s->origin.n) == 0,
              "got %.*s, wanted %s", (int)s->origin.n, s->origin.p, wanted);
    cr_assert_eq(s->flags, flags);
}

/* The warnings are this one, or none. */
static void expect_warning(const char *wanted)
{
    if (wanted == NULL) {
        cr_assert_eq(conf_warning_count(conf), 0, "%s", conf_warning_text(conf, 0));
        return;
    }
    cr_assert_eq(conf_warning_count(conf), 1);
    cr_assert_str_eq(conf_warning_text(conf, 0), wanted);
    cr_assert_null(conf_warning_text(conf, 1));
}

Test(lenient, each_source_beats_the_ones_after_it)
{
    struct conf_section *section;

    add_file("[p]\ntext = from-file\n");
    section = resolve(&text);
    expect_origin(section, "host.conf:2", 0);
    conf_section_destroy(section);
    setenv("OTEL_TEST_B", "b", 1);
    section = resolve(&text);
    expect_origin(section, "environment OTEL_TEST_B", SPOE_SETTING_LENIENT);
    conf_section_destroy(section);
    setenv("OTEL_TEST_A", "a", 1);
    section = resolve(&text);
    expect_origin(section, "environment OTEL_TEST_A", SPOE_SETTING_LENIENT);
    conf_section_destroy(section);
    setenv("TEST_SHORT", "s", 1);
    section = resolve(&text);
    expect_origin(section, "environment TEST_SHORT", 0);
    conf_section_destroy(section);
    setenv("TEST_SHORT", "", 1); /* empty is not set, here and there */
    setenv("OTEL_TEST_A", "", 1);
    section = resolve(&text);
    expect_origin(section, "environment OTEL_TEST_B", SPOE_SETTING_LENIENT);
    conf_section_destroy(section);
    conf_check_unknown(conf);
    cr_assert_eq(conf_error_count(conf), 0);
    expect_warning(NULL);
}

Test(lenient, a_bad_value_is_a_warning_and_the_next_one_counts)
{
    struct conf_section *section;

    setenv("OTEL_TEST_A", "many", 1);
    setenv("OTEL_TEST_B", "12", 1);
    section = resolve(&number);
    expect_origin(section, "environment OTEL_TEST_B", SPOE_SETTING_LENIENT);
    cr_assert_eq(conf_setting(section, 0)->value.u.i64, 12);
    expect_warning("environment OTEL_TEST_A: p.number: \"many\" is not valid, expected a whole "
                   "number, 0 to 100; ignored");
    cr_assert_eq(conf_error_count(conf), 0);
    conf_section_destroy(section);
}

Test(lenient, the_file_and_the_default_come_after_bad_values)
{
    struct conf_section *section;

    setenv("OTEL_TEST_A", "101", 1);
    section = resolve(&number);
    expect_origin(section, "default", SPOE_SETTING_DEFAULT);
    cr_assert_eq(conf_setting(section, 0)->value.u.i64, 7);
    conf_section_destroy(section);
    expect_warning("environment OTEL_TEST_A: p.number: \"101\" is out of range, expected a whole "
                   "number, 0 to 100; ignored");
    add_file("[p]\nnumber = 9\n");
    section = resolve(&number);
    expect_origin(section, "host.conf:2", 0);
    conf_section_destroy(section);
    cr_assert_eq(conf_error_count(conf), 0);
}

Test(lenient, a_bad_value_of_a_variable_of_ones_own_is_an_error)
{
    setenv("TEST_SHORT", "many", 1);
    setenv("OTEL_TEST_A", "12", 1);
    conf_section_destroy(resolve(&number));
    cr_assert_eq(conf_error_count(conf), 1);
    expect_warning(NULL);
}

Test(lenient, values_are_read_as_the_specification_has_it)
{
    static const struct {
        const struct spoe_option *option;
        const char *value;
        int64_t wanted;
        bool warns;
    } cases[] = {
        {&on, "true", 1, false},
        {&on, "TRUE", 1, false},
        {&on, "false", 0, false},
        {&on, "False", 0, false},
        {&on, "1", 0, true},
        {&on, "yes", 0, true},
        {&on, " true", 0, true},
        {&wait, "250", INT64_C(250000000), false},
        {&wait, "0", 0, false},
        {&wait, "2s", INT64_C(5000000000), true},
        {&wait, "-1", INT64_C(5000000000), true},
        {&wait, "60001", INT64_C(5000000000), true},
        {&wait, "1.5", INT64_C(5000000000), true},
        {&wait, "99999999999999999999", INT64_C(5000000000), true},
        {&colour, "RED", 0, false},
        {&colour, "dark/green", 1, false},
        {&colour, "blue", 0, true},
        {&number, "100", 100, false},
        {&number, "0x10", 7, true},
        {&number, "99999999999999999999", 7, true},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct conf_section *section;
        const struct spoe_setting *s;
        const size_t before = conf_warning_count(conf);
        int64_t got;

        setenv("OTEL_TEST_A", cases[i].value, 1);
        section = resolve(cases[i].option);
        s = conf_setting(section, 0);
        got = s->value.type == SPOE_T_BOOL     ? s->value.u.b
              : s->value.type == SPOE_T_UINT32 ? (int64_t)s->value.u.u32
                                               : s->value.u.i64;
        cr_expect_eq(got, cases[i].wanted, "%s: got %lld", cases[i].value, (long long)got);
        cr_expect_eq(conf_warning_count(conf) - before, cases[i].warns ? 1 : 0, "%s",
                     cases[i].value);
        conf_section_destroy(section);
    }
    cr_assert_eq(conf_error_count(conf), 0);
    cr_assert_str_eq(conf_warning_text(conf, 0),
                     "environment OTEL_TEST_A: p.on: \"1\" is not valid, expected true or false; "
                     "taken for false");
    cr_assert_str_eq(conf_warning_text(conf, 3),
                     "environment OTEL_TEST_A: p.wait: \"2s\" is not valid, expected a number of "
                     "milliseconds; ignored");
}

Test(lenient, secrets_are_not_shown_and_required_is_still_required)
{
    setenv("OTEL_TEST_A", "hunter2", 1);
    conf_section_destroy(resolve(&token));
    expect_warning("environment OTEL_TEST_A: p.token: the value is not valid, expected a whole "
                   "number; ignored");
    cr_assert_eq(conf_error_count(conf), 1);
}

Test(lenient, a_rejected_value_makes_way_for_the_next)
{
    struct conf_section *section;

    setenv("OTEL_TEST_A", "a", 1);
    setenv("OTEL_TEST_B", "b", 1);
    add_file("[p]\ntext = from-file\n");
    section = resolve(&text);
    cr_assert(conf_setting_reject(conf, section, 0, (struct spoe_span){"is odd", 6}));
    expect_origin(section, "environment OTEL_TEST_B", SPOE_SETTING_LENIENT);
    expect_warning("environment OTEL_TEST_A: p.text: is odd; ignored");
    cr_assert(conf_setting_reject(conf, section, 0, (struct spoe_span){"is odd", 6}));
    expect_origin(section, "host.conf:2", 0);
    cr_assert_eq(conf_warning_count(conf), 2);
    cr_assert_eq(conf_error_count(conf), 0);
    cr_assert_not(conf_setting_reject(conf, section, 0, (struct spoe_span){"is odd", 6}));
    cr_assert_eq(conf_error_count(conf), 1);
    cr_assert_str_eq(conf_error_text(conf, 0), "host.conf:2: p.text: is odd");
    conf_section_destroy(section);
}

/* What one of env_lenient[] overrides; its error is said once, whoever comes to it again. */
Test(lenient, a_bad_line_of_the_file_is_an_error_whatever_the_variable_says)
{
    struct conf_section *section;

    setenv("OTEL_TEST_A", "8", 1);
    add_file("[p]\nnumber = many\n");
    section = resolve(&number);
    expect_origin(section, "environment OTEL_TEST_A", SPOE_SETTING_LENIENT);
    cr_assert_eq(conf_error_count(conf), 1);
    cr_assert_str_eq(
        conf_error_text(conf, 0),
        "host.conf:2: p.number: \"many\" is not valid, expected a whole number, 0 to 100");
    cr_assert(conf_setting_reject(conf, section, 0, (struct spoe_span){"is odd", 6}));
    expect_origin(section, "default", SPOE_SETTING_DEFAULT);
    cr_assert_eq(conf_error_count(conf), 1);
    conf_section_destroy(section);
}

Test(lenient, a_rejected_value_leaves_the_default)
{
    struct conf_section *section;

    setenv("OTEL_TEST_B", "b", 1);
    section = resolve(&text);
    cr_assert(conf_setting_reject(conf, section, 0, (struct spoe_span){"is odd", 6}));
    expect_origin(section, "default", SPOE_SETTING_DEFAULT);
    cr_assert_eq(conf_setting(section, 0)->value.u.s.n, 4);
    conf_section_destroy(section);
}

Test(lenient, no_more_warnings_are_kept_than_errors)
{
    setenv("OTEL_TEST_A", "x", 1);
    for (size_t i = 0; i < CONF_ERRORS_MAX + 3; i++)
        conf_section_destroy(resolve(&wait));
    cr_assert_eq(conf_warning_count(conf), CONF_ERRORS_MAX + 3);
    cr_assert_not_null(conf_warning_text(conf, CONF_ERRORS_MAX - 1));
    cr_assert_null(conf_warning_text(conf, CONF_ERRORS_MAX));
}

/* What was written of a value that is rejected later says nothing of the next. */
Test(lenient, a_rejected_value_leaves_no_text_behind)
{
    static const struct spoe_option *const options[] = {&bare, NULL};
    struct conf_section *s;

    setenv("OTEL_TEST_A", "x", 1);
    s = conf_resolve(conf, "t", options);
    cr_assert_not_null(s);
    conf_setting_written(conf, s, 0, (struct spoe_span){"X", 1});
    cr_assert_str_eq(conf_setting_text(s, 0), "X");
    cr_assert(conf_setting_reject(conf, s, 0, (struct spoe_span){"no", 2}));
    cr_assert_null(conf_setting_text(s, 0));
    conf_section_destroy(s);
}

/* 9.2: where nothing else says anything. */
Test(lenient, what_is_rejected_leaves_an_option_without_default_unset)
{
    struct conf_section *s;
    const struct spoe_setting *setting;

    setenv("OTEL_TEST_A", "a", 1);
    s = resolve(&bare);
    expect_origin(s, "environment OTEL_TEST_A", SPOE_SETTING_LENIENT);
    cr_assert(conf_setting_reject(conf, s, 0, (struct spoe_span){"no", 2}));
    setting = conf_setting(s, 0);
    cr_assert_eq(setting->value.type, SPOE_T_NULL);
    cr_assert_eq(setting->raw.n, 0);
    expect_origin(s, "default", SPOE_SETTING_DEFAULT);
    cr_assert_null(conf_setting_text(s, 0));
    conf_section_destroy(s);
}
