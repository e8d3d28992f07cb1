/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/plugin.c - plugins: found, loaded, checked, configured, and taken down again. */
#include "core/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/option.h"
#include "core/elf_file.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/thread.h"

/* Sizes as of 1.0, up to its last members: the structs may grow, what is demanded does not. */
#define PLUGIN_SIZE_1_0 (offsetof(struct spoe_plugin, get_extension) + sizeof(void (*)(void)))
#define MESSAGE_SIZE_1_0 (offsetof(struct spoe_message_decl, args) + sizeof(void *))
#define ARGUMENT_SIZE_1_0 (offsetof(struct spoe_arg_decl, help) + sizeof(char *))

static void fail(struct plugin_error *reterr, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void fail(struct plugin_error *reterr, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(reterr->text, sizeof reterr->text, format, ap);
    va_end(ap);
}

static bool is_name(const char *s, size_t max, const char *extra)
{
    size_t n = 0;

    if (s == NULL)
        return false;
    for (; s[n] != '\0'; n++) {
        char c = s[n];

        if (n == max)
            return false;
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            strchr(extra, c) == NULL)
            return false;
    }
    return n > 0;
}

/* The HAProxy events that an HTTP or TCP stream has (SPOE.txt 3.3). */
static bool is_event(const char *s)
{
    static const char *const events[] = {
        "on-client-session",        "on-frontend-tcp-request", "on-backend-tcp-request",
        "on-frontend-http-request", "on-backend-http-request", "on-server-session",
        "on-tcp-response",          "on-http-response",
    };

    for (size_t i = 0; s != NULL && i < sizeof events / sizeof events[0]; i++) {
        if (strcmp(s, events[i]) == 0)
            return true;
    }
    return false;
}

static int check_arguments(struct spoe_instance *plugin, const struct spoe_message_decl *decl,
                           uint32_t *ret_n, struct plugin_error *reterr)
{
    uint32_t n = 0;

    for (; decl->args != NULL && decl->args[n] != NULL; n++) {
        const struct spoe_arg_decl *arg = decl->args[n];

        if (n == PLUGIN_ARGUMENTS_MAX) {
            fail(reterr, "message %s declares more than %u arguments", decl->name,
                 PLUGIN_ARGUMENTS_MAX);
            return -1;
        }
        if (arg->size < ARGUMENT_SIZE_1_0 || !is_name(arg->name, PLUGIN_NAME_MAX, "_.-") ||
            arg->expression == NULL || arg->expression[0] == '\0' ||
            strpbrk(arg->expression, "\r\n") != NULL || arg->types == 0) {
            fail(reterr, "message %s: argument %u has a bad declaration", decl->name, n);
            return -1;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (strcmp(decl->args[i]->name, arg->name) == 0) {
                fail(reterr, "message %s declares argument %s twice", decl->name, arg->name);
                return -1;
            }
        }
    }
    (void)plugin;
    *ret_n = n;
    return 0;
}

static int check_messages(struct spoe_instance *plugin, struct plugin_error *reterr)
{
    const struct spoe_plugin *desc = plugin->desc;
    uint32_t n = 0;

    for (; desc->messages != NULL && desc->messages[n] != NULL; n++) {
        const struct spoe_message_decl *decl = desc->messages[n];

        if (n == PLUGIN_MESSAGES_MAX) {
            fail(reterr, "more than %u messages", PLUGIN_MESSAGES_MAX);
            return -1;
        }
        if (decl->size < MESSAGE_SIZE_1_0 || !is_name(decl->name, PLUGIN_NAME_MAX, "_.-")) {
            fail(reterr, "message %u (\"%.64s\") has a bad declaration", n,
                 decl->size >= MESSAGE_SIZE_1_0 && decl->name != NULL ? decl->name : "");
            return -1;
        }
        if (!is_event(decl->event)) {
            fail(reterr, "message %s: HAProxy has no event \"%s\"", decl->name,
                 decl->event != NULL ? decl->event : "");
            return -1;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (strcmp(desc->messages[i]->name, decl->name) == 0) {
                fail(reterr, "message %s is declared twice", decl->name);
                return -1;
            }
        }
        if (check_arguments(plugin, decl, &plugin->n_arguments[n], reterr) != 0)
            return -1;
    }
    if (n == 0) {
        fail(reterr, "it declares no message");
        return -1;
    }
    plugin->n_messages = n;
    return 0;
}

static int check_option(const struct spoe_option *const *options, size_t i,
                        struct plugin_error *reterr)
{
    const struct spoe_option *option = options[i];
    const char *wrong = option_check(option);
    char text[OPTION_TEXT_MAX];
    struct spoe_value value;

    for (size_t j = 0; j < i && wrong == NULL; j++) {
        if (strcmp(options[j]->key, option->key) == 0)
            wrong = "another option has its key";
    }
    if (wrong == NULL && option->default_text != NULL &&
        option_parse(option, option->default_text, &value, text) != 0) {
        fail(reterr, "option %s: bad default: %s", option->key, text);
        return -1;
    }
    if (wrong != NULL)
        fail(reterr, "option %zu (\"%s\"): %s", i, option_has_key(option) ? option->key : "",
             wrong);
    return wrong == NULL ? 0 : -1;
}

static int check_options(const struct spoe_plugin *desc, struct plugin_error *reterr)
{
    for (size_t i = 0; desc->options != NULL && desc->options[i] != NULL; i++) {
        if (i == CONF_OPTIONS_MAX) {
            fail(reterr, "more than %u options", CONF_OPTIONS_MAX);
            return -1;
        }
        if (check_option(desc->options, i, reterr) != 0)
            return -1;
    }
    return 0;
}

/* is_name() without capital letters. */
static bool is_id(const char *s)
{
    for (const char *p = s; p != NULL && *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z')
            return false;
    }
    return is_name(s, PLUGIN_ID_MAX, "-");
}

static int check_descriptor(const struct spoe_plugin *desc, struct plugin_error *reterr)
{
    if (desc == NULL) {
        fail(reterr, "%s() returned NULL", SPOE_PLUGIN_ENTRY);
        return -1;
    }
    if (desc->magic != SPOE_PLUGIN_MAGIC) {
        fail(reterr, "wrong magic 0x%08x, expected 0x%08x", desc->magic, SPOE_PLUGIN_MAGIC);
        return -1;
    }
    if (desc->abi_major != SPOE_ABI_MAJOR) {
        fail(reterr, "plugin has ABI %u.%u, this host has %u.%u", desc->abi_major, desc->abi_minor,
             SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
        return -1;
    }
    if (desc->needs_minor > SPOE_ABI_MINOR) {
        fail(reterr, "plugin needs ABI %u.%u, this host has %u.%u", desc->abi_major,
             desc->needs_minor, SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
        return -1;
    }
    if (desc->size < PLUGIN_SIZE_1_0) {
        fail(reterr, "descriptor of %u bytes is shorter than the %zu of ABI 1.0", desc->size,
             PLUGIN_SIZE_1_0);
        return -1;
    }
    if (!is_id(desc->id) || strcmp(desc->id, "host") == 0) {
        fail(reterr, "bad id \"%.32s\": 1 to %u of [a-z0-9-], not \"host\"",
             desc->id != NULL ? desc->id : "", PLUGIN_ID_MAX);
        return -1;
    }
    if (desc->version == NULL || desc->configure == NULL || desc->handle == NULL) {
        fail(reterr, "version, configure and handle are mandatory");
        return -1;
    }
    return 0;
}

/* Put "cannot load FILE: " before the reason and what is known of the versions after it. */
static void fail_load(struct plugin_error *reterr, const char *path, const struct spoe_plugin *desc)
{
    struct plugin_error reason = *reterr;
    bool known = desc != NULL && desc->magic == SPOE_PLUGIN_MAGIC;

    if (known)
        fail(reterr, "cannot load %s: %.600s (plugin ABI %u.%u, host ABI %u.%u)", path, reason.text,
             desc->abi_major, desc->abi_minor, SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
    else
        fail(reterr, "cannot load %s: %.600s (host ABI %u.%u)", path, reason.text, SPOE_ABI_MAJOR,
             SPOE_ABI_MINOR);
}

struct spoe_instance *plugin_open(const char *path, struct plugin_error *reterr)
{
    struct spoe_instance *plugin = calloc(1, sizeof *plugin);
    const struct spoe_plugin *desc = NULL;
    spoe_plugin_entry_fn *entry = NULL;
    void *handle, *symbol;
    const char *wrong;

    if (plugin == NULL || (plugin->path = realpath(path, NULL)) == NULL) {
        fail(reterr, "%s", strerror(errno));
        goto fail;
    }
    wrong = elf_file_wrong(plugin->path);
    if (wrong != NULL) {
        fail(reterr, "%s", wrong);
        goto fail;
    }
    plugin->callee.path = plugin->path;
    thread_enter(&plugin->callee, "dlopen()");
    handle = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    thread_leave();
    crash_look_again();
    if (handle == NULL) {
        fail(reterr, "%s", dlerror());
        goto fail;
    }
    symbol = dlsym(handle, SPOE_PLUGIN_ENTRY);
    if (symbol == NULL) {
        fail(reterr, "it does not export %s", SPOE_PLUGIN_ENTRY);
        goto fail;
    }
    memcpy(&entry, &symbol, sizeof entry); /* POSIX's way from void * to a function */
    thread_enter(&plugin->callee, SPOE_PLUGIN_ENTRY "()");
    desc = entry();
    thread_leave();
    if (check_descriptor(desc, reterr) != 0)
        goto fail;
    plugin->desc = desc;
    plugin->callee.id = desc->id;
    if (check_messages(plugin, reterr) != 0 || check_options(desc, reterr) != 0)
        goto fail;
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
    conf_section_destroy(plugin->settings);
    free(plugin->path);
    free(plugin);
}

static int set_add(struct plugin_set *set, const char *path, struct plugin_error *reterr)
{
    struct spoe_instance *plugin;

    if (set->n == PLUGINS_MAX) {
        fail(reterr, "cannot load %s: more than %u plugins", path, PLUGINS_MAX);
        return -1;
    }
    plugin = plugin_open(path, reterr);
    if (plugin == NULL)
        return -1;
    for (size_t i = 0; i < set->n; i++) {
        const struct spoe_instance *other = set->plugin[i];

        if (strcmp(other->desc->id, plugin->desc->id) == 0) {
            fail(reterr, "id \"%s\" is taken by %s (version %s; this one is version %s)",
                 plugin->desc->id, other->path, other->desc->version, plugin->desc->version);
            fail_load(reterr, path, plugin->desc);
            plugin_close(plugin);
            return -1;
        }
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

static int set_add_dir(struct plugin_set *set, const char *dir, struct plugin_error *reterr)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, is_shared_object, by_name);
    int result = 0;

    if (n < 0) {
        fail(reterr, "cannot read plugin directory %s: %s", dir, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char *path = NULL;

        if (result == 0) {
            if (asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0) {
                fail(reterr, "out of memory");
                result = -1;
            } else {
                result = set_add(set, path, reterr);
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
    for (size_t i = 0; dirs != NULL && dirs[i] != NULL; i++) {
        for (int with_suffix = 0; with_suffix < 2; with_suffix++) {
            char *path = NULL;

            if (asprintf(&path, "%s/%s%s", dirs[i], name, with_suffix ? ".so" : "") < 0)
                return NULL;
            if (access(path, F_OK) == 0)
                return path;
            free(path);
        }
    }
    return NULL;
}

static int set_add_name(struct plugin_set *set, char *const *dirs, const char *name,
                        struct plugin_error *reterr)
{
    char *path;
    int result;

    if (strchr(name, '/') != NULL)
        return set_add(set, name, reterr);
    path = plugin_find(dirs, name);
    if (path == NULL) {
        fail(reterr, "cannot load %s: no such file in the plugin directories", name);
        return -1;
    }
    result = set_add(set, path, reterr);
    free(path);
    return result;
}

int plugin_set_load(struct plugin_set *set, char *const *dirs, char *const *names,
                    struct plugin_error *reterr)
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
        fail(reterr, "no plugin in %s%s: there is nothing to do",
             dirs[0] != NULL ? dirs[0] : "the list", dirs[0] != NULL && dirs[1] ? ", ..." : "");
        goto fail;
    }
    return 0;
fail:
    plugin_set_destroy(set);
    return -1;
}

static size_t count_options(const struct spoe_plugin *desc)
{
    size_t n = 0;

    while (desc->options != NULL && desc->options[n] != NULL)
        n++;
    return n;
}

static const char *status_text(spoe_status status)
{
    switch (status) {
    case SPOE_E_INVAL:
        return "SPOE_E_INVAL";
    case SPOE_E_NOMEM:
        return "SPOE_E_NOMEM";
    case SPOE_E_CONFIG:
        return "SPOE_E_CONFIG";
    case SPOE_E_UNSUPPORTED:
        return "SPOE_E_UNSUPPORTED";
    case SPOE_E_LIMIT:
        return "SPOE_E_LIMIT";
    default:
        return "SPOE_E_INTERNAL";
    }
}

static void fail_step(struct plugin_error *reterr, const struct spoe_instance *plugin,
                      const char *step, spoe_status status)
{
    const struct spoe_plugin *desc = plugin->desc;

    fail(reterr,
         "plugin %s (%s): %s failed with %s (%d) (plugin version %s, ABI %u.%u; host ABI %u.%u)",
         desc->id, plugin->path, step, status_text(status), status, desc->version, desc->abi_major,
         desc->abi_minor, SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
}

static int configure(struct spoe_instance *plugin, struct conf *conf, struct plugin_error *reterr)
{
    static const struct spoe_option *const none[] = {NULL};
    const struct spoe_plugin *desc = plugin->desc;
    size_t before = conf_error_count(conf);
    struct spoe_config cfg = {.conf = conf, .plugin = plugin, .n_options = count_options(desc)};
    spoe_status status;
    int result = -1;

    plugin->settings = conf_resolve(conf, desc->id, desc->options != NULL ? desc->options : none);
    if (plugin->settings == NULL) {
        fail(reterr, "plugin %s: out of memory", desc->id);
        return -1;
    }
    cfg.section = plugin->settings;
    if (conf_error_count(conf) != before)
        return -1; /* plugin code sees whole and valid settings only */
    thread_enter(&plugin->callee, "configure()");
    status = desc->configure(&host_table, plugin, &cfg, &plugin->inst);
    thread_leave();
    if (status == SPOE_OK && cfg.errors == 0) {
        plugin->state = PLUGIN_CONFIGURED;
        result = 0;
    } else if (status == SPOE_OK) {
        plugin->state = PLUGIN_CONFIGURED; /* so that destroy() is called */
    } else if (cfg.errors == 0) {
        fail_step(reterr, plugin, "configure()", status);
    }
    return result;
}

int plugin_set_configure(struct plugin_set *set, struct conf *conf, struct plugin_error *reterr)
{
    int result = 0;

    reterr->text[0] = '\0';
    for (size_t i = 0; i < set->n; i++) {
        struct plugin_error error = {{0}};

        set->plugin[i]->metrics = set->metrics;
        if (configure(set->plugin[i], conf, &error) == 0)
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
                       struct conf_section *settings, struct plugin_error *reterr)
{
    struct spoe_config cfg = {.conf = conf,
                              .section = settings,
                              .plugin = plugin,
                              .n_options = count_options(plugin->desc)};
    spoe_status status;

    reterr->text[0] = '\0';
    thread_enter(&plugin->callee, "reconfigure()");
    status = plugin->desc->reconfigure(plugin->inst, &cfg);
    thread_leave();
    if (status == SPOE_OK)
        return 0;
    if (cfg.errors == 0)
        fail_step(reterr, plugin, "reconfigure()", status);
    return -1;
}

bool plugin_set_check(struct plugin_set *set)
{
    struct plugin_error error;
    bool good = true;

    for (size_t i = 0; i < set->n; i++) {
        struct spoe_instance *plugin = set->plugin[i];
        spoe_status status;

        if (plugin->state != PLUGIN_CONFIGURED || !SPOE_HAS(plugin->desc, check))
            continue;
        status = plugin->desc->check(plugin->inst);
        if (status == SPOE_OK)
            continue;
        fail_step(&error, plugin, "check()", status);
        log_line(SPOE_LOG_ERR, "host", "%s", error.text);
        good = false;
    }
    return good;
}

int plugin_set_start(struct plugin_set *set, struct plugin_error *reterr)
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

void plugin_set_quiesce(struct plugin_set *set)
{
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

void plugin_set_drain(struct plugin_set *set, int64_t deadline_mono_ns)
{
    for (size_t i = 0; i < set->n; i++) {
        struct spoe_instance *plugin = set->plugin[i];

        if (plugin->state != PLUGIN_STARTED || !SPOE_HAS(plugin->desc, drain))
            continue;
        thread_enter(&plugin->callee, "drain()");
        plugin->desc->drain(plugin->inst, deadline_mono_ns);
        thread_leave();
    }
}

void plugin_set_stop(struct plugin_set *set, int64_t deadline_mono_ns)
{
    for (size_t i = set->n; i-- > 0;) {
        struct spoe_instance *plugin = set->plugin[i];

        if (plugin->state != PLUGIN_STARTED)
            continue;
        plugin->state = PLUGIN_STOPPED;
        if (set->metrics != NULL)
            metrics_set_collecting(set->metrics, &plugin->callee, false);
        if (!SPOE_HAS(plugin->desc, stop))
            continue;
        thread_enter(&plugin->callee, "stop()");
        plugin->desc->stop(plugin->inst, deadline_mono_ns);
        thread_leave();
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
