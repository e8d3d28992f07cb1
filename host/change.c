/* SPDX-License-Identifier: Apache-2.0 */
/* host/change.c - see change.h. */
#include "change.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "conf/conf.h"
#include "conf/option.h"
#include "conf/print.h"
#include "reload.h"

/* One change under way. */
struct work {
    const struct change_tools *tools;
    const struct change *change;
    struct conf *conf;             /* collects errors */
    struct spoe_instance *plugin;  /* whose options they are; NULL: the host's */
    struct conf_section **in_use;  /* its settings */
    struct conf_section *section;  /* the new ones */
    size_t option[JSON_PAIRS_MAX]; /* where each is in the section */
    struct error error;            /* why nothing changes */
    bool later;                    /* but may later */
};

/* The section of "ID.KEY". @return 0; -1 with the error */
static int find_section(struct work *w, const char *name, const char *dot)
{
    const size_t n = (size_t)(dot - name);

    if (n == strlen("host") && memcmp(name, "host", n) == 0) {
        w->in_use = &w->tools->host_conf->settings;
        return 0;
    }
    for (size_t i = 0; i < w->tools->plugins->n; i++) {
        struct spoe_instance *plugin = w->tools->plugins->plugin[i];

        if (strlen(plugin_name(plugin)) == n && memcmp(plugin_name(plugin), name, n) == 0) {
            w->plugin = plugin;
            w->in_use = &plugin->settings;
            return 0;
        }
    }
    return error_set(&w->error, "%.100s: no plugin of that name is loaded", name);
}

/* @return 0; -1 with the error */
static int find_option(struct work *w, const char *name, const char *key, size_t *ret)
{
    const struct spoe_option *option;

    for (size_t i = 0; (option = conf_section_option(*w->in_use, i)) != NULL; i++) {
        if (!option_has_key(option) || strcmp(option->key, key) != 0)
            continue;
        *ret = i;
        if (!change_is_for(option) ||
            (w->plugin != NULL && !SPOE_HAS(w->plugin->desc, reconfigure)))
            return error_set(&w->error, "%.100s: cannot be changed while the host runs", name);
        return 0;
    }
    return error_set(&w->error,
                     "%.100s: there is no such option; GET /control has all that can "
                     "be changed",
                     name);
}

/* @return 0; -1 with the error */
static int find_all(struct work *w)
{
    const struct json_pairs *pairs = &w->change->pairs;
    size_t id = 0;

    if (pairs->n == 0)
        return error_set(&w->error, "no option is named");
    for (size_t i = 0; i < pairs->n; i++) {
        const char *name = pairs->pair[i].name, *dot = strchr(name, '.');

        if (dot == NULL)
            return error_set(&w->error, "%.100s: an option is ID.KEY, as in host.log-level", name);
        if (i == 0) {
            id = (size_t)(dot - name);
            if (find_section(w, name, dot) != 0)
                return -1;
        } else if ((size_t)(dot - name) != id || strncmp(name, pairs->pair[0].name, id) != 0) {
            return error_set(&w->error,
                             "the options of one change belong to one plugin, or all to "
                             "the host: %.100s does not",
                             name);
        }
        if (find_option(w, name, dot + 1, &w->option[i]) != 0)
            return -1;
    }
    return 0;
}

/* The first of what was collected. @return -1 */
static int fail(struct work *w)
{
    const char *text = conf_error_count(w->conf) > 0 ? conf_error_text(w->conf, 0) : NULL;

    if (text != NULL)
        return error_set(&w->error, "%s", text);
    return w->error.text[0] != '\0' ? -1 : error_set(&w->error, "out of memory");
}

/* @return 0; -1 with the error: nothing has changed */
static int apply(struct work *w)
{
    const struct json_pairs *pairs = &w->change->pairs;
    struct host_conf *conf = w->tools->host_conf;
    struct error error;
    int result;

    w->conf = conf_create();
    w->section = w->conf != NULL ? conf_section_copy(*w->in_use) : NULL;
    if (w->section == NULL)
        return error_set(&w->error, "out of memory");
    for (size_t i = 0; i < pairs->n; i++) {
        if (conf_setting_put(w->conf, w->section, w->option[i], pairs->pair[i].value,
                             CHANGE_ORIGIN) != 0)
            return fail(w);
    }
    if (w->plugin == NULL) {
        host_conf_take_log(conf, w->section);
        log_init(conf->log_level, conf->log_format);
        return 0;
    }
    result = plugin_reconfigure(w->plugin, w->conf, w->section, &error);
    if (result == 0)
        return 0;
    w->error = error;
    w->later = result == -2;
    return fail(w);
}

static char *shown(const struct conf_section *section, size_t i)
{
    const char *text = conf_setting_text(section, i);

    return text != NULL ? print_without_userinfo(text) : NULL;
}

static void put_json(FILE *out, const char *text)
{
    if (text != NULL)
        text_put_json(out, (struct spoe_span){text, strlen(text)});
    else
        (void)fputs("null", out);
}

/* What has changed, for whoever asked and for the log. The new settings are not in use yet. */
static void tell(const struct work *w, FILE *out)
{
    const struct json_pairs *pairs = &w->change->pairs;

    (void)fputs("{\"changed\": [", out);
    for (size_t i = 0; i < pairs->n; i++) {
        char *before = shown(*w->in_use, w->option[i]), *now = shown(w->section, w->option[i]);

        log_line(SPOE_LOG_NOTICE, "host", "changed by %s: %s = %s (it was %s)", w->change->who,
                 pairs->pair[i].name, now != NULL ? now : "", before != NULL ? before : "not set");
        (void)fputs(i == 0 ? "\n  {\"option\": " : ",\n  {\"option\": ", out);
        put_json(out, pairs->pair[i].name);
        (void)fputs(", \"value\": ", out);
        put_json(out, now);
        (void)fputs(", \"before\": ", out);
        put_json(out, before);
        (void)fputs("}", out);
        free(before);
        free(now);
    }
    (void)fputs("\n]}\n", out);
}

void change_run(void *arg, struct change *change)
{
    struct work w = {.tools = arg, .change = change};
    struct view *view = w.tools->view;
    FILE *out = open_memstream(&change->text, &change->n);

    if (out == NULL) {
        change->text = NULL;
        return;
    }
    if (atomic_load(&view->state) != HOST_READY) { /* plugins have been told that it ends */
        change->status = 503;
        (void)fputs("the host ends: nothing has changed\n", out);
    } else if (find_all(&w) == 0 && apply(&w) == 0) {
        change->status = 200;
        tell(&w, out);
        reload_put_in_use(view, w.in_use, &w.section);
    } else {
        change->status = w.later ? ADMIN_BUSY : 422;
        (void)fprintf(out, "%s\n", w.error.text);
        log_line(SPOE_LOG_WARNING, "host", "a change by %s is refused: %s", change->who,
                 w.error.text);
    }
    (void)atomic_fetch_add(
        change->status == 200 ? &view->control_changes : &view->failed_control_changes, 1);
    if (fclose(out) != 0) {
        free(change->text);
        change->text = NULL;
    }
    conf_section_destroy(w.section);
    conf_destroy(w.conf);
}
