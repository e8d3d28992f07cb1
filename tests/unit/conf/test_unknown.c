/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf_unknown.c: variables that begin as ours do, and that no option listens to (9.2).
 */
#include "conf/conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const workers_env[] = {"SPOE_WORKERS", NULL};
static const char *const level_env[] = {"SPOE_LOG_LEVEL", "OLD_LOG_LEVEL", NULL};
static const struct spoe_option workers = {
    .size = sizeof workers, .type = SPOE_OPT_INT, .key = "workers", .env = workers_env};
static const struct spoe_option level = {
    .size = sizeof level, .type = SPOE_OPT_STRING, .key = "log-level", .env = level_env};
static const struct spoe_option *const options[] = {&workers, &level, NULL};

static struct conf *conf;

static void setup(void)
{
    cr_assert_eq(clearenv(), 0);
    conf = conf_create();
    cr_assert_not_null(conf);
}

static void teardown(void)
{
    conf_destroy(conf);
}

TestSuite(unknown, .init = setup, .fini = teardown, .timeout = 10);

/* What is said of the environment, if anything, once the options are known. */
static const char *warning(void)
{
    conf_section_destroy(conf_resolve(conf, "host", options));
    conf_check_unknown(conf);
    cr_assert_eq(conf_error_count(conf), 0);
    cr_assert_leq(conf_warning_count(conf), 1);
    return conf_warning_text(conf, 0);
}

Test(unknown, nothing_is_said_of_what_is_known_or_not_ours)
{
    setenv("SPOE_WORKERS", "3", 1);
    setenv("SPOE_LOG_LEVEL", "debug", 1);
    setenv("OLD_LOG_LEVEL", "debug", 1);
    setenv("XSPOE_WROKERS", "3", 1);
    setenv("SPO_WORKERS", "3", 1);
    setenv("SPOE", "3", 1);
    setenv("PATH", "/bin", 1);
    cr_assert_null(warning());
}

Test(unknown, what_is_near_is_named)
{
    setenv("SPOE_WROKERS", "3", 1);
    cr_assert_str_eq(warning(),
                     "environment SPOE_WROKERS: unknown variable; did you mean SPOE_WORKERS?");
}

Test(unknown, so_is_the_beginning_of_one)
{
    setenv("SPOE_LOG", "debug", 1);
    cr_assert_str_eq(warning(),
                     "environment SPOE_LOG: unknown variable; did you mean SPOE_LOG_LEVEL?");
}

Test(unknown, what_is_near_nothing_is_named_too)
{
    setenv("SPOE_NONSENSE", "x", 1);
    cr_assert_str_eq(warning(),
                     "environment SPOE_NONSENSE: unknown variable: no option listens to it");
}

/* No plugin that listens to such variables is loaded: they are for somebody else. */
Test(unknown, a_beginning_that_no_option_has_is_not_ours)
{
    setenv("OTLP_NONSENSE", "x", 1);
    cr_assert_null(warning());
}

Test(unknown, an_empty_variable_is_not_set)
{
    setenv("SPOE_NONSENSE", "", 1);
    setenv("SPOE_WROKERS", "", 1);
    cr_assert_null(warning());
}

/* An entry of the environment need not be NAME=VALUE. */
Test(unknown, what_is_no_variable_is_passed_over)
{
    static char odd[] = "SPOE_NONSENSE";
    static char *only[] = {odd, NULL};

    environ = only;
    cr_assert_null(warning());
}

Test(unknown, without_an_environment_nothing_is_said)
{
    environ = NULL;
    cr_assert_null(warning());
}

Test(unknown, each_is_named_once)
{
    setenv("SPOE_WROKERS", "3", 1);
    setenv("SPOE_NONSENSE", "x", 1);
    conf_section_destroy(conf_resolve(conf, "host", options));
    conf_check_unknown(conf);
    cr_assert_eq(conf_warning_count(conf), 2);
    cr_assert_eq(conf_error_count(conf), 0);
}

/* What Kubernetes and Docker make of a service's name. */
Test(unknown, the_variables_of_a_service_are_not_ours)
{
    static const char *const links[] = {
        "SPOE_HOST_SERVICE_HOST", "SPOE_HOST_SERVICE_PORT", "SPOE_HOST_SERVICE_PORT_SPOP",
        "SPOE_HOST_PORT",         "SPOE_PORT_9000_TCP",     "SPOE_PORT_9000_TCP_ADDR",
        "SPOE_PORT_0_UDP",        "SPOE_PORTAL_PORT_1_TCP"};

    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        setenv(links[i], "x", 1);
    cr_assert_null(warning());
}

Test(unknown, what_only_looks_like_those_is_ours)
{
    static const char *const others[] = {"SPOE_SERVICE", "SPOE_PORTAL", "SPOE_A_PORT_X",
                                         "SPOE_A_PORT_", "SPOE_PORT_:"};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        setenv(others[i], "x", 1);
    conf_section_destroy(conf_resolve(conf, "host", options));
    conf_check_unknown(conf);
    cr_assert_eq(conf_warning_count(conf), sizeof others / sizeof others[0]);
}
