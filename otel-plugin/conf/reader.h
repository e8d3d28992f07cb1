/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/reader.h - reading single options, for otel_conf.c and export_conf.c alone.
 *
 * A value that will not do is reported through config_error(). If it is of one of OpenTelemetry's
 * own variables the host warns and hands out the value that comes next in preference, so each
 * check is a loop that ends with a good value, or with an error that stops the start.
 */
#ifndef OTEL_CONF_READER_H
#define OTEL_CONF_READER_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "conf/otel_conf.h"

#define SECONDS INT64_C(1000000000)
#define TEN_YEARS (INT64_C(10) * 365 * 24 * 3600 * SECONDS)

/* What is read from, and how it goes. */
struct reader {
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct spoe_config *cfg;
    struct otel_conf *conf;
    struct exporter_conf *exporter; /* of the signal that is being read */
    struct collector_conf *collector;
    bool bad;       /* an error is reported */
    bool no_memory; /* nothing further counts */
};

static inline const struct spoe_setting *setting(const struct reader *r, size_t option)
{
    return r->host->config_get(r->cfg, option);
}

static inline bool is_set(const struct reader *r, size_t option)
{
    return (setting(r, option)->flags & SPOE_SETTING_DEFAULT) == 0;
}

/* @return whether there is another value to look at */
static inline bool reject(struct reader *r, size_t option, const char *why)
{
    const bool lenient = (setting(r, option)->flags & SPOE_SETTING_LENIENT) != 0;

    r->host->config_error(r->cfg, option, spoe_str(why));
    if (!lenient)
        r->bad = true;
    return lenient;
}

/* How a file says what is in effect, where a lenient value is not read as a file's is. */
static inline void say_effective(const struct reader *r, size_t option, const char *text)
{
    if (SPOE_HAS(r->host, config_effective))
        r->host->config_effective(r->cfg, option, spoe_str(text));
}

static inline int64_t number(const struct reader *r, size_t option)
{
    const struct spoe_value *value = &setting(r, option)->value;
    int64_t n = 0;

    if (value->type == SPOE_T_BOOL)
        return value->u.b;
    (void)spoe_get_int(value, &n); /* the host checked the type */
    return n;
}

/* Copy a string option; *ret is freed first, and stays NULL where nothing is set. */
static inline void text(struct reader *r, size_t option, char **ret)
{
    const struct spoe_value *value = &setting(r, option)->value;

    free(*ret);
    *ret = NULL;
    if (value->type != SPOE_T_STR || value->u.s.n == 0)
        return;
    *ret = strndup(value->u.s.p, value->u.s.n);
    if (*ret == NULL)
        r->no_memory = true;
}

typedef const char *check_fn(const char *value);

/* The same, until check() finds nothing wrong. It sees NULL where nothing is set. */
static inline void checked_text(struct reader *r, size_t option, check_fn *check, char **ret)
{
    const char *error;

    do {
        text(r, option, ret);
        error = r->no_memory ? NULL : check(*ret);
    } while (error != NULL && reject(r, option, error));
}

static inline int64_t duration(const struct reader *r, size_t option)
{
    const int64_t ns = number(r, option);

    return ns == 0 ? TEN_YEARS : ns; /* no limit; a sum with a clock's reading still fits */
}

/** The exporters of all signals, but for the resource. */
void export_conf_read(struct reader *r);
/** To be called when the resource is known. */
void export_conf_check_bytes(struct reader *r);

#endif
