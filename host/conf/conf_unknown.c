/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf_unknown.c - sections, keys and variables that nobody asked for. */
#include "conf/conf_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "conf/suggest.h"

/* ---- what is known ---- */

static void name_destroy(struct name *n)
{
    free(n->section);
    free(n->key);
    free(n);
}

void conf_names_destroy(struct names *names)
{
    struct name *n;

    while ((n = STAILQ_FIRST(names)) != NULL) {
        STAILQ_REMOVE_HEAD(names, next);
        name_destroy(n);
    }
}

int conf_add_name(struct names *names, const char *section, const char *key)
{
    struct name *n = calloc(1, sizeof *n);
    bool ok = true;

    if (n == NULL)
        return -1;
    n->section = conf_copy(section, &ok);
    n->key = conf_copy(key, &ok);
    if (!ok) {
        name_destroy(n);
        return -1;
    }
    STAILQ_INSERT_TAIL(names, n, next);
    return 0;
}

/* ---- what is not ---- */

static bool section_known(const struct conf *conf, const char *section)
{
    const struct name *n;

    STAILQ_FOREACH(n, &conf->names, next)
    {
        if (n->key == NULL && strcmp(n->section, section) == 0)
            return true;
    }
    return false;
}

static void report_section(struct conf *conf, const struct entry *e)
{
    struct suggestion near;
    const struct name *n;

    suggest_begin(&near, e->section);
    STAILQ_FOREACH(n, &conf->names, next)
    {
        if (n->key == NULL)
            suggest_offer(&near, n->section);
    }
    if (near.best != NULL)
        conf_error(conf, "%s: unknown section [%s]; did you mean [%s]?", e->origin, e->section,
                   near.best);
    else
        conf_error(conf, "%s: unknown section [%s]: neither host nor the id of a loaded plugin",
                   e->origin, e->section);
}

/* "a, b": the messages of a section's plugin, by the options that each of them has. */
static void list_messages(const struct conf *conf, const char *section, char *ret, size_t size)
{
    static const char begin[] = "message.\"", end[] = "\".processing-timeout";
    const struct name *n;
    size_t len = 0;

    ret[0] = '\0';
    STAILQ_FOREACH(n, &conf->names, next)
    {
        const size_t key_len = n->key != NULL ? strlen(n->key) : 0;

        if (key_len < sizeof begin + sizeof end - 1 || strcmp(n->section, section) != 0 ||
            strncmp(n->key, begin, sizeof begin - 1) != 0 ||
            strcmp(n->key + key_len - (sizeof end - 1), end) != 0 || len >= size)
            continue;
        len += (size_t)snprintf(ret + len, size - len, "%s%.*s", len > 0 ? ", " : "",
                                (int)(key_len - (sizeof begin - 1) - (sizeof end - 1)),
                                n->key + sizeof begin - 1);
    }
}

/* Of a key that is like none: what there is. */
static void report_strange_key(struct conf *conf, const struct entry *e)
{
    char messages[256];

    list_messages(conf, e->section, messages, sizeof messages);
    if (strncmp(e->key, "message.", strlen("message.")) == 0 && messages[0] != '\0')
        conf_error(conf,
                   "%s: unknown option %s.%s; expected message.\"NAME\" and .event, .if, .args or "
                   ".processing-timeout, where NAME is one of: %s",
                   e->origin, e->section, e->key, messages);
    else if (strcmp(e->section, "host") == 0)
        conf_error(conf, "%s: unknown option %s.%s (see --help)", e->origin, e->section, e->key);
    else
        conf_error(conf, "%s: unknown option %s.%s (see --plugin-info %.*s)", e->origin, e->section,
                   e->key, (int)strcspn(e->section, ":"), e->section);
}

static void report_key(struct conf *conf, const struct entry *e)
{
    struct suggestion near;
    const struct name *n;

    suggest_begin(&near, e->key);
    STAILQ_FOREACH(n, &conf->names, next)
    {
        if (n->key != NULL && strcmp(n->section, e->section) == 0)
            suggest_offer(&near, n->key);
    }
    if (near.best != NULL)
        conf_error(conf, "%s: unknown option %s.%s; did you mean %s?", e->origin, e->section,
                   e->key, near.best);
    else
        report_strange_key(conf, e);
}

/* One of those that Kubernetes and Docker make of the names of services: SPOE_HOST_SERVICE_PORT,
 * OTLP_PORT_4317_TCP_ADDR. */
static bool is_service_link(const char *name)
{
    const char *p = name;

    if (strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL)
        return true;
    while ((p = strstr(p, "_PORT")) != NULL) {
        p += strlen("_PORT");
        if (*p == '\0' || (*p == '_' && p[1] >= '0' && p[1] <= '9'))
            return true;
    }
    return false;
}

/* A variable of ours, by its beginning `prefix`, that no option listens to. */
static void check_variable(struct conf *conf, const char *prefix, const char *name)
{
    struct suggestion near;
    const struct name *n;
    bool ours = false;

    suggest_begin(&near, name);
    STAILQ_FOREACH(n, &conf->variables, next)
    {
        if (strcmp(n->key, name) == 0)
            return;
        ours = ours || strncmp(n->key, prefix, strlen(prefix)) == 0;
        suggest_offer(&near, n->key);
    }
    if (is_service_link(name))
        return;
    if (near.best != NULL)
        conf_warning(conf, "environment %s: unknown variable; did you mean %s?", name, near.best);
    else if (ours)
        conf_warning(conf, "environment %s: unknown variable: no option listens to it", name);
}

static void check_environment(struct conf *conf)
{
    static const char *const prefixes[] = {"SPOE_", "OTLP_"};

    if (getauxval(AT_SECURE) != 0) /* as for env_get() */
        return;
    for (char *const *e = environ; e != NULL && *e != NULL; e++) {
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
            const char *equals = strchr(*e, '=');
            char *name;

            if (equals == NULL || equals[1] == '\0' ||
                strncmp(*e, prefixes[i], strlen(prefixes[i])) != 0)
                continue;
            name = strndup(*e, (size_t)(equals - *e));
            if (name == NULL)
                conf_error(conf, "environment: out of memory");
            else
                check_variable(conf, prefixes[i], name);
            free(name);
        }
    }
}

void conf_check_unknown(struct conf *conf)
{
    const struct entry *e;

    STAILQ_FOREACH(e, &conf->entries, next)
    {
        if (section_known(conf, e->section)) {
            if (e->key != NULL && !e->known)
                report_key(conf, e);
        } else if (e->key == NULL || e->source == SOURCE_COMMAND_LINE) {
            /* In the file the section's own line says it once for all of its keys. */
            report_section(conf, e);
        }
    }
    check_environment(conf);
}
