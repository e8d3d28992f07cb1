/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/conf_host.h - the host's own resolution of options under the plugin's reading of
 * them, so that tests say what users say: --set and environment variables.
 */
#ifndef TESTS_UNIT_OTEL_CONF_HOST_H
#define TESTS_UNIT_OTEL_CONF_HOST_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "conf/otel_conf.h"
#include "conf/conf.h"

struct spoe_config {
    struct conf *conf;
    struct conf_section *section;
};

static struct conf *the_conf;    /* what set() adds to, until read_conf() */
static struct conf *logged_conf; /* that is being read */
/* What -T would print, of one option: which one is said before read_conf(). */
static size_t printed_option;
static char printed[4096];
static char told[8192]; /* by the last read_conf(): "error: ...|" or "warning: ...|" each */

static const struct spoe_setting *config_get(struct spoe_config *cfg, size_t option)
{
    return conf_setting(cfg->section, option);
}

static void config_error(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    (void)conf_setting_reject(cfg->conf, cfg->section, option, text);
}

static void config_effective(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    conf_setting_written(cfg->conf, cfg->section, option, text);
}

static int32_t log_is_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    (void)level;
    return 1;
}

/* As warnings of the host. */
static void log_text(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                     struct spoe_span text)
{
    (void)self;
    (void)req;
    (void)level;
    conf_warning(logged_conf, "%.*s", (int)text.n, text.p);
}

static const struct spoe_host conf_host = {.size = sizeof conf_host,
                                           .log_enabled = log_is_enabled,
                                           .log = log_text,
                                           .config_get = config_get,
                                           .config_error = config_error,
                                           .config_effective = config_effective};

/* As --set otel.KEY=VALUE. */
static inline void set(const char *key, const char *value)
{
    char text[4096];

    if (the_conf == NULL)
        the_conf = conf_create();
    cr_assert_not_null(the_conf);
    (void)snprintf(text, sizeof text, "otel.%s=%s", key, value);
    conf_add_set(the_conf, text);
}

static inline void tell(const char *what, const char *text)
{
    const size_t n = strlen(told);

    (void)snprintf(told + n, sizeof told - n, "%s: %s|", what, text);
}

/*
 * Read what was set since the last time, and the environment. As in the host, an error of its own
 * comes before the plugin's code.
 */
static inline spoe_status read_conf(struct otel_conf *ret)
{
    struct spoe_config cfg = {.conf = the_conf != NULL ? the_conf : conf_create()};
    spoe_status status = SPOE_E_CONFIG;

    the_conf = NULL;
    told[0] = '\0';
    *ret = (struct otel_conf){.span_ttl_ns = 0};
    cr_assert_not_null(cfg.conf);
    cfg.section = conf_resolve(cfg.conf, "otel", otel_options);
    cr_assert_not_null(cfg.section);
    logged_conf = cfg.conf;
    if (conf_error_count(cfg.conf) == 0)
        status = otel_conf_read(&conf_host, NULL, &cfg, ret);
    cr_expect_eq(status == SPOE_OK, conf_error_count(cfg.conf) == 0);
    for (size_t i = 0; i < conf_error_count(cfg.conf); i++)
        tell("error", conf_error_text(cfg.conf, i));
    for (size_t i = 0; i < conf_warning_count(cfg.conf); i++)
        tell("warning", conf_warning_text(cfg.conf, i));
    (void)snprintf(printed, sizeof printed, "%s",
                   conf_setting_text(cfg.section, printed_option) != NULL
                       ? conf_setting_text(cfg.section, printed_option)
                       : "(not)");
    conf_section_destroy(cfg.section);
    conf_destroy(cfg.conf);
    return status;
}

#endif
