/* SPDX-License-Identifier: Apache-2.0 */
/* host/main.c - spoe-host: what to do, by the command line. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli.h"
#include "conf/conf.h"
#include "conf/host_conf.h"
#include "conf/options_json.h"
#include "conf/print.h"
#include "control.h"
#include "base/build_info.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/describe.h"
#include "core/engine.h"
#include "core/haproxy_config.h"
#include "core/message_options.h"
#include "core/plugin.h"
#include "core/recent.h"
#include "core/route.h"
#include "ctl/ctl.h"
#include "ctl/words.h"
#include "net/inherited.h"
#include "net/loop.h"
#include "net/sockets_check.h"
#include "new_plugin.h"
#include "reload.h"
#include "run.h"
#include "service.h"
#include "trial.h"

/* An installation and the build tree have in common: bin/ beside lib/, or lib/TRIPLET/. */
#define PLUGIN_DIR_FROM_BIN "../" INSTALL_LIBDIR "/spoe-host/plugins"
#define TEMPLATE_DIR_FROM_BIN "../share/spoe-host/template"
#define BESIDE_SIZE (PATH_MAX + 64)

/* For --send-test-span: longer than one export takes unless it is told otherwise. */
#define TRY_OUT_NS (30 * NS_PER_S)
#define START_TIMEOUT_NS (15 * NS_PER_S) /* before shutdown-timeout is known: its default */
#define LAST_LINES_NS NS_PER_S           /* for a slow reader of the log, after an orderly end */

struct program {
    struct cli cli;
    struct control control;
    struct service service; /* of CLI_RUN */
    struct conf *conf;
    struct host_conf host_conf;
    struct plugin_set plugins;
    struct route_table routes;
    struct reload reload;
    struct error
        inherited; /* what is wrong with the sockets that were handed over; empty: nothing */
    char plugin_dir[BESIDE_SIZE];
};

/* Name the errors of the configuration. @return the exit status: one of its own where the host was
 * to run, so that whoever would start it again can know that this does not help. */
static int report_errors(struct program *p)
{
    error_list_log(conf_errors(p->conf), 0, SPOE_LOG_ERR, "host");
    if (p->cli.action == CLI_RUN && conf_error_count(p->conf) != 0)
        service_failed(&p->service, error_list_text(conf_errors(p->conf), 0));
    return p->cli.action == CLI_RUN ? EX_CONFIG : 1;
}

/* A folder that belongs to this binary, by its way from there. */
static void beside_binary(const char *way, const char *otherwise, char ret[BESIDE_SIZE])
{
    char exe[PATH_MAX], path[BESIDE_SIZE], *real;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n <= 0) {
        (void)snprintf(ret, BESIDE_SIZE, "%s", otherwise);
        return;
    }
    exe[n] = '\0';
    (void)snprintf(path, sizeof path, "%s/%s", dirname(exe), way);
    real = realpath(path, NULL);
    (void)snprintf(ret, BESIDE_SIZE, "%s", real != NULL ? real : path);
    free(real);
}

/* Where the host's options are said. @return 0; -1 out of memory */
static int read_host_conf(struct program *p)
{
    beside_binary(PLUGIN_DIR_FROM_BIN, "/usr/" INSTALL_LIBDIR "/spoe-host/plugins", p->plugin_dir);
    cli_add_file(&p->cli, p->conf);
    inherited_offer(p->conf);
    if (host_conf_init(&p->host_conf, p->conf, p->plugin_dir, NULL) == 0)
        return 0;
    log_line(SPOE_LOG_ERR, "host", "out of memory");
    return -1;
}

static enum plugin_trust trust_of(const struct host_conf *conf)
{
    return conf->plugin_trust_any ? PLUGIN_TRUST_ANY : PLUGIN_TRUST_CHECKED;
}

/* A file, or the name of one in the plugin directories. @return NULL, logged */
static struct spoe_instance *open_plugin(struct program *p)
{
    const char *name = p->cli.plugin_info;
    struct error error;
    struct spoe_instance *plugin;
    struct stat st;
    char *path = NULL;

    /* Of the host's options plugin-dir and plugin-trust count; the others need not be right. */
    if (read_host_conf(p) != 0)
        return NULL;
    if (strchr(name, '/') == NULL && !(stat(name, &st) == 0 && S_ISREG(st.st_mode)))
        path = plugin_find(p->host_conf.plugin_dirs, name);
    plugin = plugin_open(path != NULL ? path : name, trust_of(&p->host_conf), &error);
    free(path);
    if (plugin == NULL)
        log_line(SPOE_LOG_ERR, "host", "%s", error.text);
    return plugin;
}

static int plugin_info(struct program *p)
{
    struct spoe_instance *plugin = open_plugin(p);

    if (plugin == NULL)
        return 1;
    describe_plugin(stdout, plugin);
    plugin_close(plugin);
    return 0;
}

/* --print-options */
static int print_options(struct program *p)
{
    const bool of_host = strcmp(p->cli.plugin_info, "host") == 0;
    struct spoe_instance *plugin = of_host ? NULL : open_plugin(p);

    if (!of_host && plugin == NULL)
        return 1;
    (void)fputs("{", stdout);
    options_json_member(stdout, "section", of_host ? "host" : plugin->desc->id);
    if (of_host) {
        (void)fputs(",\n\"words\": ", stdout);
        cli_words_json(stdout);
        (void)fputs(",\n\"ctl\": ", stdout);
        ctl_words_json(stdout);
        (void)fputs(",\n\"message_options\": ", stdout);
        message_options_json(stdout);
    }
    (void)fputs(",\n\"options\": ", stdout);
    options_json(stdout, of_host ? host_options : plugin->desc->options);
    (void)fputs("}\n", stdout);
    plugin_close(plugin);
    return 0;
}

/* Files, environment, plugins: everything up to the point where the host could run. */
static int prepare(struct program *p)
{
    struct error error;
    bool fails; /* a plugin, for another reason than its options */
    int status;

    if (p->cli.action == CLI_RUN && p->inherited.text[0] != '\0') {
        log_line(SPOE_LOG_ERR, "service", "%s", p->inherited.text);
        return 1;
    }
    if (read_host_conf(p) != 0)
        return 1;
    log_init(p->host_conf.log_level, p->host_conf.log_format);
    if (p->cli.action ==
        CLI_RUN) /* before, there was nothing to take down: a signal left at once */
        control_serve(&p->control, p->host_conf.shutdown_timeout_ns);
    if (p->cli.action == CLI_RUN)
        log_line(SPOE_LOG_INFO, "host", "spoe-host %s, commit %s, built %s", build_version,
                 build_commit, build_time);
    p->plugins.trust = trust_of(&p->host_conf);
    p->plugins.processing_timeout_ns = p->host_conf.processing_timeout_ns;
    if (plugin_set_load(&p->plugins, p->host_conf.plugin_dirs, p->host_conf.plugins, &error) != 0) {
        conf_error(p->conf, "%s", error.text);
        (void)report_errors(p);
        return 1; /* an upgrade may be under way: to try again does make sense */
    }
    (void)plugin_set_configure(&p->plugins, p->conf, &error);
    fails = error.text[0] != '\0';
    conf_check_unknown(p->conf);
    if (engine_check(&p->plugins, &error) != 0 ||
        route_table_build(&p->routes, &p->plugins, &error) != 0) {
        conf_error(p->conf, "%s", error.text);
        fails = true;
    }
    error_list_log(conf_warnings(p->conf), 0, SPOE_LOG_WARNING, "host");
    if (conf_error_count(p->conf) == 0)
        return 0;
    status = report_errors(p);
    return fails ? 1 : status;
}

static void log_plugins(const struct plugin_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct spoe_plugin *desc = set->plugin[i]->desc;

        log_line(SPOE_LOG_INFO, "host", "plugin %s %s (ABI %u.%u) from %s",
                 plugin_name(set->plugin[i]), desc->version, desc->abi_major, desc->abi_minor,
                 set->plugin[i]->path);
    }
}

/* Name what the file sets to no effect. */
static void log_in_vain(const struct program *p, const char *id,
                        const struct spoe_option *const *options, const struct conf_section *s)
{
    for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
        const struct spoe_span origin = conf_setting(s, i)->origin;

        if (conf_setting_is_shadowed(p->conf, s, i))
            log_line(SPOE_LOG_WARNING, "host",
                     "%s.%s is set in the file in vain, since it is set by: %.*s", id,
                     options[i]->key, (int)origin.n, origin.p);
    }
}

/* What a start, or -t, goes by. */
static void log_configuration(const struct program *p)
{
    log_in_vain(p, "host", host_options, p->host_conf.settings);
    for (size_t i = 0; i < p->plugins.n; i++) {
        const struct spoe_instance *plugin = p->plugins.plugin[i];

        log_in_vain(p, plugin_name(plugin), plugin->options.table, plugin->settings);
    }
    log_plugins(&p->plugins);
}

/* -t: what a start would find out only when it is under way. @return false, logged: it would fail
 */
static bool check_surroundings(struct program *p)
{
    struct sockets_claims claims = {.n = 0};
    bool good = true;

    for (size_t i = 0; i < p->host_conf.n_listen; i++)
        good = sockets_check(&claims, &p->host_conf.listen[i], "listener") && good;
    for (size_t i = 0; i < p->host_conf.n_log_listen; i++)
        good = sockets_check(&claims, &p->host_conf.log_listen[i].at, "lines") && good;
    if (p->host_conf.has_admin)
        good = sockets_check(&claims, &p->host_conf.admin, "admin") && good;
    return plugin_set_check(&p->plugins) && good;
}

/* -T */
static void print_config(const struct program *p)
{
    (void)printf(
        "; Written by spoe-host %s -T: what is in effect, and where each value comes from.\n"
        "; A line that begins with ; says nothing when this is read back with -f: a default, or a\n"
        "; value that is not shown.\n\n",
        build_version);
    conf_print_section(stdout, p->host_conf.settings);
    for (size_t i = 0; i < p->plugins.n; i++) {
        (void)putchar('\n');
        conf_print_section(stdout, p->plugins.plugin[i]->settings);
    }
}

static int print_haproxy_config(const struct program *p)
{
    const uint32_t version = p->cli.haproxy != 0 ? p->cli.haproxy : HAPROXY_2_6;
    struct error error;

    if (haproxy_config_whole(stdout, &p->plugins, &p->host_conf, p->cli.ways, version, &error) == 0)
        return 0;
    log_line(SPOE_LOG_ERR, "host", "--print-haproxy-config: %s", error.text);
    return 1;
}

/* --new-plugin */
static int new_plugin(const struct program *p)
{
    char templates[BESIDE_SIZE];
    struct error error;

    beside_binary(TEMPLATE_DIR_FROM_BIN, "/usr/share/spoe-host/template", templates);
    if (new_plugin_write(templates, p->cli.new_plugin, &error) != 0) {
        log_line(SPOE_LOG_ERR, "host", "--new-plugin: %s", error.text);
        return 1;
    }
    (void)printf("%s/ is a plugin to begin with: its README.md says how to go on\n",
                 p->cli.new_plugin);
    return 0;
}

static int act(struct program *p)
{
    int status;

    switch (p->cli.action) {
    case CLI_VERSION:
        (void)printf("spoe-host %s, commit %s, built %s, plugin ABI %d.%d\n", build_version,
                     build_commit, build_time, SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
        return 0;
    case CLI_HELP:
        cli_help(stdout);
        return 0;
    case CLI_PLUGIN_INFO:
        return plugin_info(p);
    case CLI_PRINT_OPTIONS:
        return print_options(p);
    case CLI_NEW_PLUGIN:
        return new_plugin(p);
    default:
        break;
    }
    status = prepare(p);
    if (status != 0)
        return status;
    switch (p->cli.action) {
    case CLI_CHECK:
        log_configuration(p);
        if (!check_surroundings(p))
            return 1;
        (void)puts("Configuration is valid");
        return 0;
    case CLI_PRINT_CONFIG:
        print_config(p);
        return 0;
    case CLI_SEND_TEST_SPAN:
        if (!plugin_set_try_out(&p->plugins, clock_mono_ns() + TRY_OUT_NS))
            return 1;
        (void)puts("The test span was taken");
        return 0;
    case CLI_TRY:
        return trial_run(&p->control, &p->cli, &p->host_conf, &p->plugins, &p->routes);
    case CLI_PRINT_SPOE_CONFIG:
        haproxy_config_spoe(stdout, &p->plugins, &p->host_conf);
        return 0;
    case CLI_PRINT_HAPROXY_CONFIG:
        return print_haproxy_config(p);
    default:
        log_configuration(p);
        return host_run(&p->control, &p->service, &p->reload, &p->host_conf, &p->plugins,
                        &p->routes);
    }
}

/* What a command has written must have arrived: half a file for HAProxy is no success. */
static int finish_output(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    log_line(SPOE_LOG_ERR, "host", "standard output: %s", strerror(errno));
    return 1;
}

/* What we open must not take the number of a standard stream, and then be written to as one. */
static int open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int opened = fcntl(fd, F_GETFD) < 0 ? open("/dev/null", O_RDWR) : fd;

        if (opened != fd) /* the lowest that is free, if it was opened */
            return -1;
    }
    return 0;
}

/* What runs beside main() from the first moment on. */
static int start_watch(struct program *p)
{
    int error;

    control_block_signals();
    thread_begin("main");
    crash_install();
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    log_detect_journal();
    error = log_start(true);
    if (error != 0) {
        log_line(SPOE_LOG_ERR, "host", "log thread: %s", strerror(error));
        return -1;
    }
    return control_start(&p->control, START_TIMEOUT_NS);
}

/* The action's part is over; plugins may still have to be destroyed, and lines to be written. */
static void finish(struct program *p, int status)
{
    const bool orderly = p->cli.action == CLI_RUN && status == 0;

    if (p->cli.action == CLI_RUN)
        (void)control_end(&p->control);
    plugin_set_destroy(&p->plugins);
    metrics_destroy(p->plugins.metrics);
    recent_destroy(p->plugins.recent);
    route_table_free(&p->routes);
    host_conf_fini(&p->host_conf);
    conf_destroy(p->conf);
    if (p->cli.action == CLI_RUN)
        service_close(&p->service);
    log_stop(orderly ? clock_mono_ns() + LAST_LINES_NS : INT64_MAX);
    control_stop(&p->control);
    thread_end();
    crash_leaving();
}

int main(int argc, char **argv)
{
    struct program p = {0};
    int status = 1;

    if (open_standard_streams() != 0)
        return 1;
    if (argc > 1 && strcmp(argv[1], "ctl") == 0) /* a client of a host: nothing of one is begun */
        return ctl_main(argc - 1, argv + 1);
    (void)inherited_open(&p.inherited); /* told of where the host is to run */
    if (start_watch(&p) != 0) {
        crash_leaving();
        return 1;
    }
    p.reload = (struct reload){.argc = argc,
                               .argv = argv,
                               .plugin_dir = p.plugin_dir,
                               .host_conf = &p.host_conf,
                               .plugins = &p.plugins};
    p.conf = conf_create();
    p.plugins.loop = &loop_facet;
    p.plugins.metrics = metrics_create();
    p.plugins.recent = recent_create();
    if (p.conf == NULL || p.plugins.metrics == NULL || p.plugins.recent == NULL) {
        log_line(SPOE_LOG_ERR, "host", "out of memory");
    } else {
        bool bad = cli_parse(&p.cli, p.conf, argc, argv) != 0;

        if (p.cli.action == CLI_RUN) {
            log_waits(false);
            service_open(&p.service);
        }
        status = bad ? report_errors(&p) : act(&p);
    }
    if (p.cli.action != CLI_RUN)
        status = finish_output(status);
    finish(&p, status);
    return status;
}
