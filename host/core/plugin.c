/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/plugin.c - plugins: found, loaded, checked, configured, and taken down again. */
#include "core/plugin.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "core/handler_log.h"
#include "core/message_options.h"

/* Put "cannot load FILE: " before the reason and what is known of the versions after it. */
static void fail_load(struct error *reterr, const char *path, const struct spoe_plugin *desc)
{
    struct error reason = *reterr;
    bool known = desc != NULL && desc->magic == SPOE_PLUGIN_MAGIC;

    if (known)
        (void)error_set(reterr, "cannot load %s: %.600s (plugin ABI %u.%u, host ABI %u.%u)", path,
                        reason.text, desc->abi_major, desc->abi_minor, SPOE_ABI_MAJOR,
                        SPOE_ABI_MINOR);
    else
        (void)error_set(reterr, "cannot load %s: %.600s (host ABI %u.%u)", path, reason.text,
                        SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
}

/* A link in a folder that everybody may write to leads wherever somebody likes. */
static int check_way(const char *path, struct error *reterr)
{
    char *copy = strdup(path), *folder = NULL, *link = NULL;
    struct stat st;
    int result = -1;

    if (copy != NULL)
        folder = realpath(dirname(copy), NULL);
    if (folder == NULL || lstat(path, &st) != 0 || asprintf(&link, "%s/", folder) < 0) {
        link = NULL;
        (void)error_set(reterr, "%s", strerror(errno));
    } else {
        result = plugin_file_check_folder(link, st.st_uid, reterr);
    }
    free(link);
    free(folder);
    free(copy);
    return result;
}

struct spoe_instance *plugin_open(const char *path, enum plugin_trust trust, struct error *reterr)
{
    struct spoe_instance *plugin = calloc(1, sizeof *plugin);
    const struct spoe_plugin *desc = NULL;
    spoe_plugin_entry_fn *entry;

    if (plugin != NULL)
        health_init(&plugin->health);
    if (plugin == NULL || (plugin->path = realpath(path, NULL)) == NULL) {
        (void)error_set(reterr, "%s", strerror(errno));
        goto fail;
    }
    plugin->callee.path = plugin->path;
    if (trust != PLUGIN_TRUST_ANY && check_way(path, reterr) != 0)
        goto fail;
    entry = plugin_file_load(plugin->path, trust, &plugin->callee, reterr);
    if (entry == NULL)
        goto fail;
    thread_enter(&plugin->callee, SPOE_PLUGIN_ENTRY "()");
    desc = entry();
    thread_leave();
    if (descriptor_check(desc, &plugin->n_messages, plugin->n_arguments, reterr) != 0)
        goto fail;
    plugin->desc = desc;
    plugin->callee.id = desc->id;
    return plugin;
fail:
    fail_load(reterr, path, desc);
    plugin_close(plugin);
    return NULL;
}

void plugin_close(struct spoe_instance *plugin)
{
    if (plugin == NULL)
        return;
    thread_forget_callee(); /* of a watch that names whoever is late */
    conf_section_destroy(plugin->settings);
    instance_options_fini(&plugin->options);
    health_fini(&plugin->health);
    reloader_destroy(plugin->reloader);
    free(plugin->name);
    free(plugin->path);
    free(plugin);
}

/* Call a plugin by an instance's name. @return 0; -1 with *reterr */
static int set_name(struct spoe_instance *plugin, const char *instance, struct error *reterr)
{
    if (instance == NULL)
        return 0;
    plugin->name = instance_name(plugin->desc, instance, reterr);
    if (plugin->name == NULL)
        return -1;
    plugin->callee.id = plugin->name;
    return 0;
}

/* Whether it can be in a set with another one. @return 0; -1 with *reterr */
static int check_other(const struct spoe_instance *plugin, const struct spoe_instance *other,
                       struct error *reterr)
{
    const struct spoe_plugin *desc = plugin->desc;

    if (strcmp(other->desc->id, desc->id) != 0)
        return 0;
    if (other->desc != desc || (other->name == NULL && plugin->name == NULL))
        return error_set(reterr, "id \"%s\" is taken by %s (version %s; this one is version %s)",
                         desc->id, other->path, other->desc->version, desc->version);
    if (strcmp(plugin_name(other), plugin_name(plugin)) == 0)
        return error_set(reterr, "instance %s is named twice", plugin_name(plugin));
    return 0;
}

/* @param instance  NULL: it has no name */
static int set_add(struct plugin_set *set, const char *path, const char *instance,
                   struct error *reterr)
{
    struct spoe_instance *plugin;
    int result;

    if (set->n == PLUGINS_MAX) {
        (void)error_set(reterr, "cannot load %s: more than %u plugins", path, PLUGINS_MAX);
        return -1;
    }
    plugin = plugin_open(path, set->trust, reterr);
    if (plugin == NULL)
        return -1;
    result = set_name(plugin, instance, reterr);
    for (size_t i = 0; i < set->n && result == 0; i++)
        result = check_other(plugin, set->plugin[i], reterr);
    if (result != 0) {
        fail_load(reterr, path, plugin->desc);
        plugin_close(plugin);
        return -1;
    }
    plugin->index = (uint32_t)set->n;
    set->plugin[set->n++] = plugin;
    return 0;
}

static int is_shared_object(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 3, ".so") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int set_add_dir(struct plugin_set *set, const char *dir, struct error *reterr)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, is_shared_object, by_name);
    int result = 0;

    if (n < 0) {
        (void)error_set(reterr, "cannot read plugin directory %s: %s", dir, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char *path = NULL;

        if (result == 0) {
            if (asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0) {
                (void)error_set(reterr, "out of memory");
                result = -1;
            } else {
                result = set_add(set, path, NULL, reterr);
                free(path);
            }
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

char *plugin_find(char *const *dirs, const char *name)
{
    /* What lies in "optional" is loaded by name only: whoever names nobody does not get it. */
    static const struct {
        const char *before, *after;
    } forms[] = {{"", ""}, {"", ".so"}, {"optional/", ""}, {"optional/", ".so"}};

    for (size_t i = 0; dirs != NULL && dirs[i] != NULL; i++) {
        for (size_t form = 0; form < sizeof forms / sizeof forms[0]; form++) {
            char *path = NULL;

            if (asprintf(&path, "%s/%s%s%s", dirs[i], forms[form].before, name, forms[form].after) <
                0)
                return NULL;
            if (access(path, F_OK) == 0)
                return path;
            free(path);
        }
    }
    return NULL;
}

/* The file of an element of plugins. @return [give: free()] NULL with *reterr */
static char *file_of(char *const *dirs, const char *name, struct error *reterr)
{
    char *path = strchr(name, '/') != NULL ? strdup(name) : plugin_find(dirs, name);

    if (path == NULL)
        (void)error_set(reterr, "cannot load %s: no such file in the plugin directories", name);
    return path;
}

static int set_add_name(struct plugin_set *set, char *const *dirs, const char *element,
                        struct error *reterr)
{
    const char *instance = instance_find(element);
    char *name, *path = NULL;
    int result = -1;

    name = instance != NULL ? strndup(element, (size_t)(instance - element) - 1) : strdup(element);
    if (name == NULL)
        return error_set(reterr, "out of memory");
    path = file_of(dirs, name, reterr);
    if (path != NULL)
        result = set_add(set, path, instance, reterr);
    free(path);
    free(name);
    return result;
}

int plugin_set_load(struct plugin_set *set, char *const *dirs, char *const *names,
                    struct error *reterr)
{
    set->n = 0;
    if (names != NULL) {
        for (size_t i = 0; names[i] != NULL; i++) {
            if (set_add_name(set, dirs, names[i], reterr) != 0)
                goto fail;
        }
    } else {
        for (size_t i = 0; dirs[i] != NULL; i++) {
            if (set_add_dir(set, dirs[i], reterr) != 0)
                goto fail;
        }
    }
    if (set->n == 0) {
        (void)error_set(reterr, "no plugin in %s%s: there is nothing to do",
                        dirs[0] != NULL ? dirs[0] : "the list",
                        dirs[0] != NULL && dirs[1] ? ", ..." : "");
        goto fail;
    }
    return 0;
fail:
    plugin_set_destroy(set);
    return -1;
}

static void fail_step(struct error *reterr, const struct spoe_instance *plugin, const char *step,
                      spoe_status status)
{
    const struct spoe_plugin *desc = plugin->desc;

    (void)error_set(
        reterr,
        "plugin %s (%s): %s failed with %s (%d) (plugin version %s, ABI %u.%u; host ABI %u.%u)",
        plugin_name(plugin), plugin->path, step, handler_status_text(status), status, desc->version,
        desc->abi_major, desc->abi_minor, SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
}

/* What its metrics have as their label for it: nothing, unless there are several of its plugin. */
static const char *instance_label(const struct plugin_set *set, const struct spoe_instance *plugin)
{
    for (size_t i = 0; plugin->name == NULL && i < set->n; i++) {
        if (set->plugin[i] != plugin && set->plugin[i]->desc == plugin->desc)
            return "";
    }
    return plugin_instance(plugin);
}

static int configure(const struct plugin_set *set, struct spoe_instance *plugin, struct conf *conf,
                     struct error *reterr)
{
    const struct spoe_plugin *desc = plugin->desc;
    size_t before = conf_error_count(conf);
    struct spoe_config cfg = {
        .conf = conf, .plugin = plugin, .processing_timeout_ns = plugin->processing_timeout_ns};
    spoe_status status;
    int result = -1;

    if (instance_options_init(&plugin->options, desc, plugin->name) == 0)
        plugin->settings = conf_resolve(conf, plugin_name(plugin), plugin->options.table);
    if (plugin->settings == NULL) {
        (void)error_set(reterr, "plugin %s: out of memory", plugin_name(plugin));
        return -1;
    }
    cfg.n_options = plugin->options.n_own;
    cfg.section = plugin->settings;
    message_options_take(plugin, conf);
    if (conf_error_count(conf) != before)
        return -1; /* plugin code sees whole and valid settings only */
    if (plugin->metrics != NULL)
        metrics_declare_for(plugin->metrics, desc, instance_label(set, plugin));
    thread_enter(&plugin->callee, "configure()");
    status = desc->configure(plugin->host, plugin, &cfg, &plugin->inst);
    thread_leave();
    if (plugin->metrics != NULL)
        metrics_declare_for(plugin->metrics, NULL, NULL);
    if (status == SPOE_OK && plugin->claims_taken_metric) {
        plugin->state = PLUGIN_CONFIGURED; /* so that destroy() is called */
        (void)error_set(reterr, "plugin %s (%s): a metric that it declares is another's",
                        plugin_name(plugin), plugin->path);
    } else if (status == SPOE_OK && cfg.errors == 0) {
        plugin->state = PLUGIN_CONFIGURED;
        result = 0;
    } else if (status == SPOE_OK) {
        plugin->state = PLUGIN_CONFIGURED; /* so that destroy() is called */
    } else if (cfg.errors == 0) {
        fail_step(reterr, plugin, "configure()", status);
    }
    return result;
}

int plugin_set_configure(struct plugin_set *set, struct conf *conf, struct error *reterr)
{
    int result = 0;

    reterr->text[0] = '\0';
    for (size_t i = 0; i < set->n; i++) {
        struct error error = {{0}};

        set->plugin[i]->metrics = set->metrics;
        set->plugin[i]->recent = set->recent;
        set->plugin[i]->loop = set->loop;
        set->plugin[i]->host = set->host != NULL ? set->host : &host_table;
        set->plugin[i]->processing_timeout_ns = set->processing_timeout_ns;
        if (configure(set, set->plugin[i], conf, &error) == 0)
            continue;
        result = -1;
        if (error.text[0] == '\0')
            continue;
        conf_error(conf, "%s", error.text);
        *reterr = error;
    }
    return result;
}

int plugin_reconfigure(struct spoe_instance *plugin, struct conf *conf,
                       struct conf_section *settings, struct error *reterr)
{
    struct spoe_config cfg = {
        .conf = conf, .section = settings, .plugin = plugin, .n_options = plugin->options.n_own};
    spoe_status status;

    reterr->text[0] = '\0';
    thread_enter(&plugin->callee, "reconfigure()");
    status = plugin->desc->reconfigure(plugin->inst, &cfg);
    thread_leave();
    if (status == SPOE_OK && cfg.errors == 0)
        return 0;
    if (status == SPOE_OK) {
        (void)error_set(reterr, "plugin %s: reconfigure() reported an error and returned SPOE_OK",
                        plugin_name(plugin));
        return 1;
    }
    if (cfg.errors == 0 && status == SPOE_E_LIMIT) {
        (void)error_set(reterr,
                        "plugin %s: workers that are busy for long still use its settings before "
                        "these: it takes no further ones until they are done",
                        plugin_name(plugin));
        return -2;
    }
    if (cfg.errors == 0)
        fail_step(reterr, plugin, "reconfigure()", status);
    return -1;
}

bool plugin_set_check(struct plugin_set *set)
{
    struct error error;
    bool good = true;

    for (size_t i = 0; i < set->n; i++) {
        struct spoe_instance *plugin = set->plugin[i];
        spoe_status status;

        if (plugin->state != PLUGIN_CONFIGURED || !SPOE_HAS(plugin->desc, check))
            continue;
        thread_enter(&plugin->callee, "check()");
        status = plugin->desc->check(plugin->inst);
        thread_leave();
        if (status == SPOE_OK)
            continue;
        fail_step(&error, plugin, "check()", status);
        log_line(SPOE_LOG_ERR, "host", "%s", error.text);
        good = false;
    }
    return good;
}

bool plugin_set_try_out(struct plugin_set *set, int64_t deadline_mono_ns)
{
    bool any = false, good = true;

    for (size_t i = 0; i < set->n; i++) {
        struct spoe_instance *plugin = set->plugin[i];
        spoe_status status;

        if (plugin->state != PLUGIN_CONFIGURED || !SPOE_HAS(plugin->desc, try_out))
            continue;
        any = true;
        thread_enter(&plugin->callee, "try_out()");
        status = plugin->desc->try_out(plugin->inst, deadline_mono_ns);
        thread_leave();
        good = good && status == SPOE_OK; /* if not, the plugin has said why */
    }
    if (!any)
        log_line(SPOE_LOG_ERR, "host", "no plugin that is loaded sends anything");
    return any && good;
}

int plugin_set_start(struct plugin_set *set, struct error *reterr)
{
    for (size_t i = 0; i < set->n; i++) {
        struct spoe_instance *plugin = set->plugin[i];

        if (SPOE_HAS(plugin->desc, start)) {
            spoe_status status;

            thread_enter(&plugin->callee, "start()");
            status = plugin->desc->start(plugin->inst);
            thread_leave();
            if (status != SPOE_OK) {
                fail_step(reterr, plugin, "start()", status);
                return -1;
            }
        }
        plugin->state = PLUGIN_STARTED;
        if (set->metrics != NULL)
            metrics_set_collecting(set->metrics, &plugin->callee, true);
    }
    return 0;
}

int plugin_set_start_reloaders(struct plugin_set *set, const struct host_shared *shared,
                               int stop_fd, struct error *reterr)
{
    for (size_t i = 0; i < set->n; i++) {
        if (reloader_start(set->plugin[i]->reloader, shared, reterr) != 0)
            return -1;
    }
    for (size_t i = 0; i < set->n; i++) {
        if (reloader_wait(set->plugin[i]->reloader, stop_fd, reterr) != 0)
            return -1;
    }
    return 0;
}

void plugin_set_trigger_reloaders(struct plugin_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        reloader_trigger(set->plugin[i]->reloader);
}

void plugin_set_quiesce(struct plugin_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        reloader_cancel(set->plugin[i]->reloader);
    for (size_t i = 0; i < set->n; i++) {
        struct spoe_instance *plugin = set->plugin[i];

        if (plugin->state != PLUGIN_STARTED || !SPOE_HAS(plugin->desc, quiesce))
            continue;
        thread_enter(&plugin->callee, "quiesce()");
        plugin->desc->quiesce(plugin->inst);
        thread_leave();
    }
}

bool plugin_set_open_count(const struct plugin_set *set, uint64_t *ret)
{
    bool any = false;

    *ret = 0;
    for (size_t i = 0; i < set->n; i++) {
        const struct spoe_instance *plugin = set->plugin[i];

        if (plugin->state != PLUGIN_STARTED || !SPOE_HAS(plugin->desc, open_count))
            continue;
        any = true;
        thread_enter(&plugin->callee, "open_count()");
        *ret += plugin->desc->open_count(plugin->inst);
        thread_leave();
    }
    return any;
}

void plugin_drain(struct spoe_instance *plugin, int64_t deadline_mono_ns)
{
    if (plugin->state != PLUGIN_STARTED || !SPOE_HAS(plugin->desc, drain))
        return;
    thread_enter(&plugin->callee, "drain()");
    plugin->desc->drain(plugin->inst, deadline_mono_ns);
    thread_leave();
}

static void stop(struct plugin_set *set, struct spoe_instance *plugin, int64_t deadline_mono_ns)
{
    reloader_stop(plugin->reloader);
    if (plugin->state != PLUGIN_STARTED)
        return;
    plugin->state = PLUGIN_STOPPED;
    if (set->metrics != NULL)
        metrics_set_collecting(set->metrics, &plugin->callee, false);
    if (!SPOE_HAS(plugin->desc, stop))
        return;
    thread_enter(&plugin->callee, "stop()");
    plugin->desc->stop(plugin->inst, deadline_mono_ns);
    thread_leave();
}

void plugin_set_stop(struct plugin_set *set, int64_t deadline_mono_ns)
{
    bool later[PLUGINS_MAX] = {false};

    /* One that is building holds up nobody else; the watch ends the process if it never returns. */
    for (size_t i = set->n; i-- > 0;) {
        reloader_cancel(set->plugin[i]->reloader);
        later[i] = reloader_is_building(set->plugin[i]->reloader);
        if (!later[i])
            stop(set, set->plugin[i], deadline_mono_ns);
    }
    for (size_t i = set->n; i-- > 0;) {
        if (later[i])
            stop(set, set->plugin[i], deadline_mono_ns);
    }
}

void plugin_set_destroy(struct plugin_set *set)
{
    for (size_t i = set->n; i-- > 0;) {
        struct spoe_instance *plugin = set->plugin[i];

        if (plugin->state != PLUGIN_LOADED && SPOE_HAS(plugin->desc, destroy)) {
            thread_enter(&plugin->callee, "destroy()");
            plugin->desc->destroy(plugin->inst);
            thread_leave();
        }
        plugin_close(plugin);
        set->plugin[i] = NULL;
    }
    set->n = 0;
}
