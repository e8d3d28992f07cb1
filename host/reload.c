/* SPDX-License-Identifier: Apache-2.0 */
/* host/reload.c - SIGHUP: the configuration is read again while the host runs. */
#include "reload.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli.h"
#include "conf/conf.h"
#include "net/inherited.h"

#define SEPARATOR ", "
#define NAMES_MAX 3072u /* bytes of names in a line; further ones are only counted */

/* The options that a line names. */
struct names {
    char text[NAMES_MAX];
    size_t len;
    unsigned n, n_left_out;
};

/* What was read again. The section of a plugin that has taken it is the plugin's then. */
struct reading {
    struct conf *conf;
    struct host_conf host;
    struct conf_section *sections[PLUGINS_MAX]; /* of the plugins */
    struct names changed, restart, shadowed;
    bool refused; /* by a plugin */
};

static void add_name(struct names *names, const char *section, const char *key)
{
    size_t left = sizeof names->text - names->len;
    int n = snprintf(names->text + names->len, left, "%s%s.%s", names->n != 0 ? SEPARATOR : "",
                     section, key);

    if (n < 0 || (size_t)n >= left) {
        names->text[names->len] = '\0';
        names->n_left_out++;
        return;
    }
    names->len += (size_t)n;
    names->n++;
}

static void log_names(int level, const char *what, const struct names *names)
{
    if (names->n == 0)
        return;
    if (names->n_left_out == 0)
        log_line(level, "host", "%s: %s", what, names->text);
    else
        log_line(level, "host", "%s: %s and %u more", what, names->text, names->n_left_out);
}

static bool same_option(const struct conf_section *a, const struct conf_section *b, const char *key)
{
    for (size_t i = 0; host_options[i] != NULL; i++) {
        if (strcmp(host_options[i]->key, key) == 0)
            return conf_setting_same(conf_setting(a, i), conf_setting(b, i));
    }
    return false;
}

/* @return 0, with errors in r->conf; -1 out of memory */
static int read_again(const struct reload *reload, struct reading *r)
{
    const struct conf_section *in_use = reload->host_conf->settings;
    struct cli cli;

    r->conf = conf_create();
    if (r->conf == NULL)
        return -1;
    (void)cli_parse(&cli, r->conf, reload->argc, reload->argv); /* as it was at the start */
    conf_wait_for_nothing(r->conf); /* this is the thread that accepts connections */
    cli_add_file(&cli, r->conf);
    inherited_offer(r->conf);
    if (host_conf_init(&r->host, r->conf, reload->plugin_dir, reload->host_conf) != 0)
        return -1;
    for (size_t i = 0; i < reload->plugins->n; i++) {
        const struct spoe_instance *plugin = reload->plugins->plugin[i];

        r->sections[i] = conf_resolve(r->conf, plugin_name(plugin), plugin->options.table);
        if (r->sections[i] == NULL)
            return -1;
    }
    /* With other plugins, which need a restart, there may well be other sections. */
    if (same_option(r->host.settings, in_use, "plugins") &&
        same_option(r->host.settings, in_use, "plugin-dir"))
        conf_check_unknown(r->conf);
    return 0;
}

/*
 * Hold a section against the one in use; what cannot change at run time stays as it is.
 * @param can  whether the owner takes changes at all
 * @return how many options have changed that can; -1 out of memory
 */
static int compare(struct reading *r, const char *name, const struct spoe_option *const *options,
                   struct conf_section *section, const struct conf_section *in_use, bool can)
{
    int n = 0;

    for (size_t i = 0; options[i] != NULL; i++) {
        if (conf_setting_follow(r->conf, section, i, in_use) != 0)
            return -1;
        if (conf_setting_is_shadowed(r->conf, section, i))
            add_name(&r->shadowed, name, options[i]->key);
        if (conf_setting_same(conf_setting(section, i), conf_setting(in_use, i)))
            continue;
        if (can && (options[i]->flags & SPOE_OPTION_RELOADABLE) != 0) {
            add_name(&r->changed, name, options[i]->key);
            n++;
        } else {
            add_name(&r->restart, name, options[i]->key);
            if (conf_setting_keep(section, i, in_use) != 0)
                return -1;
        }
    }
    return n;
}

void reload_put_in_use(struct view *view, struct conf_section **in_use,
                       struct conf_section **section)
{
    struct conf_section *before = *in_use;

    (void)pthread_mutex_lock(&view->settings_lock);
    *in_use = *section;
    (void)pthread_mutex_unlock(&view->settings_lock);
    *section = NULL;
    conf_section_destroy(before);
}

/* The names that have come since. */
static const char *after(const struct names *names, const struct names *before)
{
    return names->text + before->len + (before->n != 0 ? strlen(SEPARATOR) : 0);
}

/* @return 0, also where the plugin refuses; -1 out of memory */
static int apply_to_plugin(struct reading *r, struct view *view, struct spoe_instance *plugin,
                           struct conf_section **section)
{
    const bool can = SPOE_HAS(plugin->desc, reconfigure);
    const struct names before = r->changed;
    const size_t n_errors = conf_error_count(r->conf);
    struct error error;
    int n = compare(r, plugin_name(plugin), plugin->options.table, *section, plugin->settings, can);
    int result;

    if (n < 0)
        return -1;
    result = n > 0 ? plugin_reconfigure(plugin, r->conf, *section, &error) : 0;
    if (result != 0) {
        error_list_log(conf_errors(r->conf), n_errors, SPOE_LOG_ERR, "host");
        if (error.text[0] != '\0')
            log_line(SPOE_LOG_ERR, "host", "%s", error.text);
        log_line(SPOE_LOG_ERR, "host", "plugin %s: %s%s%s", plugin_name(plugin),
                 result < 0 ? "none of its changes was taken"
                            : "its changes do not count, though it may use them",
                 r->changed.len > before.len ? ": " : "",
                 r->changed.len > before.len ? after(&r->changed, &before) : "");
        r->changed = before;
        r->refused = true;
        return 0;
    }
    reload_put_in_use(view, &plugin->settings, section);
    return 0;
}

static void swap_texts(char **a, char **b)
{
    char *text = *a;

    *a = *b;
    *b = text;
}

/* @return 0; -1 out of memory */
static int apply(const struct reload *reload, struct view *view, struct reading *r)
{
    struct host_conf *conf = reload->host_conf;

    if (compare(r, "host", host_options, r->host.settings, conf->settings, true) < 0)
        return -1;
    for (size_t i = 0; i < reload->plugins->n; i++) {
        if (apply_to_plugin(r, view, reload->plugins->plugin[i], &r->sections[i]) != 0)
            return -1;
    }
    host_conf_take_log(conf, r->host.settings);
    log_init(conf->log_level, conf->log_format);
    swap_texts(&conf->admin_token, &r->host.admin_token);
    reload_put_in_use(view, &conf->settings, &r->host.settings);
    return 0;
}

/* @return 0: read and, but for what a plugin refuses, in use; -1 with *reterr */
static int run(const struct reload *reload, struct view *view, struct reading *r,
               struct error *reterr)
{
    if (r == NULL || read_again(reload, r) != 0)
        return error_set(reterr, "out of memory");
    error_list_log(conf_errors(r->conf), 0, SPOE_LOG_ERR, "host");
    if (conf_error_count(r->conf) != 0)
        return error_set(reterr, "it has errors, nothing changes");
    if (apply(reload, view, r) != 0)
        return error_set(reterr, "out of memory before the end");
    return 0;
}

/* Counted before it is said: who has read the line finds the number. */
static void count(struct view *view, bool ok)
{
    if (ok)
        atomic_store(&view->reload_unix_ns, clock_unix_ns());
    (void)atomic_fetch_add(ok ? &view->reloads : &view->failed_reloads, 1);
}

static void log_result(const struct reading *r)
{
    error_list_log(conf_warnings(r->conf), 0, SPOE_LOG_WARNING, "host");
    log_names(SPOE_LOG_WARNING, "needs a restart", &r->restart);
    log_names(SPOE_LOG_WARNING,
              "set in the file in vain, since the environment or the command line comes first",
              &r->shadowed);
    if (r->changed.n == 0)
        log_line(SPOE_LOG_NOTICE, "host", "configuration read again: no option changes");
    else
        log_names(SPOE_LOG_NOTICE, "configuration read again, these options change", &r->changed);
}

static void free_reading(struct reading *r)
{
    for (size_t i = 0; i < PLUGINS_MAX; i++)
        conf_section_destroy(r->sections[i]);
    host_conf_fini(&r->host);
    conf_destroy(r->conf);
    free(r);
}

void reload_run(const struct reload *reload, struct view *view, void (*in_use)(void *arg),
                void *arg)
{
    struct reading *r = calloc(1, sizeof *r);
    struct error error;
    const int result = run(reload, view, r, &error);

    if (result == 0)
        in_use(arg);
    count(view, result == 0 && !r->refused);
    if (result != 0)
        log_line(SPOE_LOG_ERR, "host", "configuration read again: %s", error.text);
    else
        log_result(r);
    if (r != NULL)
        free_reading(r);
    plugin_set_trigger_reloaders(reload->plugins);
}
