/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/pages.c - the pages of the admin endpoint. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/text.h"
#include "admin/live_page.h"
#include "admin/requests.h"
#include "admin/view.h"
#include "conf/option.h"
#include "conf/print.h"

#define SECRET "***"
#define WHERE_MAX 1024u

int view_init(struct view *view)
{
    (void)pthread_mutex_init(&view->settings_lock, NULL);
    atomic_store(&view->reload_unix_ns, view->start_unix_ns);
    return mailbox_init(&view->mailbox);
}

void view_fini(struct view *view)
{
    mailbox_fini(&view->mailbox);
    (void)pthread_mutex_destroy(&view->settings_lock);
}

static struct spoe_span span_of(const char *s)
{
    return (struct spoe_span){s, s != NULL ? strlen(s) : 0};
}

/* "name": "text", or null. */
static void put_member(FILE *out, const char *name, const char *text, const char *after)
{
    (void)fprintf(out, "\"%s\": ", name);
    if (text != NULL)
        text_put_json(out, span_of(text));
    else
        (void)fputs("null", out);
    (void)fputs(after, out);
}

static void write_metrics(const struct view *view, enum metrics_format format, FILE *out)
{
    const struct metrics_guest process = {"process_", process_metrics_write, view};

    metrics_write(view->metrics, format, &process, out);
}

static int page_metrics(void *arg, FILE *out)
{
    write_metrics(arg, METRICS_PROMETHEUS, out);
    return 200;
}

static int page_openmetrics(void *arg, FILE *out)
{
    write_metrics(arg, METRICS_OPENMETRICS, out);
    (void)fputs("# EOF\n", out);
    return 200;
}

/* The process answers: that is all that it says. */
static int page_healthz(void *arg, FILE *out)
{
    (void)arg;
    (void)fputs("ok\n", out);
    return 200;
}

static const char *state_name(const struct view *view)
{
    static const char *const names[] = {
        [HOST_STARTING] = "starting", [HOST_READY] = "ready", [HOST_DRAINING] = "draining"};

    return names[atomic_load(&view->state)];
}

uint32_t view_stalled(const struct view *view, uint32_t *ret_first)
{
    uint32_t n = 0;

    if (atomic_load(&view->state) == HOST_STARTING)
        return 0;
    for (uint32_t i = view->shared->n_workers; i-- > 0;) {
        struct spoe_worker *worker = view->shared->workers[i];

        if (heartbeat_check(&worker->heartbeat, &worker->mailbox, clock_mono_ns()))
            continue;
        n++;
        if (ret_first != NULL)
            *ret_first = i;
    }
    return n;
}

bool view_main_stalled(struct view *view)
{
    return atomic_load(&view->state) == HOST_READY &&
           !heartbeat_check(&view->heartbeat, &view->mailbox, clock_mono_ns());
}

/* Those that keep the host from being ready, a line each. @return false: there is none */
static bool write_ill_plugins(const struct view *view, FILE *out)
{
    const uint32_t least =
        view->conf->plugin_health == HOST_HEALTH_DEGRADED ? SPOE_HEALTH_DEGRADED : SPOE_HEALTH_DOWN;
    bool any = false;

    for (size_t i = 0; i < view->plugins->n; i++) {
        const struct spoe_instance *plugin = view->plugins->plugin[i];
        struct health_text state;

        health_read(&plugin->health.state, &state);
        if (view->conf->plugin_health == HOST_HEALTH_IGNORED || state.number < least)
            continue;
        any = true;
        (void)fprintf(out, "plugin %s is %s: ", plugin_name(plugin), health_name(state.number));
        text_put_json(out, (struct spoe_span){state.text, state.n});
        (void)fputc('\n', out);
    }
    return any;
}

static int page_readyz(void *arg, FILE *out)
{
    struct view *view = arg;
    const char *state = state_name(view);
    char where[WHERE_MAX];
    uint32_t worker = 0;

    if (view_stalled(view, &worker) != 0) {
        size_t n = thread_describe_all(where, sizeof where);

        (void)fprintf(out, "worker %" PRIu32 " does not turn: %.*s\n", worker, (int)n, where);
        return 503;
    }
    if (view_main_stalled(view)) {
        size_t n = thread_describe_all(where, sizeof where);

        (void)fprintf(out, "the main thread does not turn: %.*s\n", (int)n, where);
        return 503;
    }
    if (strcmp(state, "ready") != 0) {
        (void)fprintf(out, "%s\n", state);
        return 503;
    }
    if (write_ill_plugins(view, out))
        return 503;
    (void)fputs("ready\n", out);
    return 200;
}

/* ---- options ----------------------------------------------------------------------------- */

/* What is in effect, as far as anybody may see it. */
static void put_value(FILE *out, const struct spoe_setting *setting, const char *text)
{
    char *shown = NULL;

    if (text == NULL && setting->value.type != SPOE_T_NULL)
        text = setting->raw.p;
    if (text != NULL)
        shown = print_without_userinfo(text);
    if (shown != NULL)
        text_put_json(out, span_of(shown));
    else
        (void)fputs("null", out);
    free(shown);
}

static void put_option(FILE *out, const struct conf_section *section, size_t i)
{
    const struct spoe_option *option = conf_section_option(section, i);
    const struct spoe_setting *setting = conf_setting(section, i);
    const bool secret = option_is_secret(option);

    (void)fputs("    {", out);
    put_member(out, "key", option->key, ", \"value\": ");
    if (secret && setting->value.type != SPOE_T_NULL)
        text_put_json(out, span_of(SECRET));
    else
        put_value(out, setting, secret ? NULL : conf_setting_text(section, i));
    (void)fputs(", \"origin\": ", out);
    text_put_json(out, setting->origin);
    (void)fprintf(out, ", \"secret\": %s}", secret ? "true" : "false");
}

/* "options": [...] */
static void put_options(FILE *out, const struct conf_section *section)
{
    const char *separator = "\n";

    (void)fputs("  \"options\": [", out);
    for (size_t i = 0; conf_section_option(section, i) != NULL; i++) {
        if (!conf_setting_is_shown(section, i))
            continue;
        (void)fputs(separator, out);
        put_option(out, section, i);
        separator = ",\n";
    }
    (void)fputs("\n  ]", out);
}

/* ---- /plugins ---------------------------------------------------------------------------- */

static void put_plugin(FILE *out, const struct spoe_instance *plugin)
{
    const struct spoe_plugin *desc = plugin->desc;

    (void)fputs("{\n  ", out);
    put_member(out, "id", plugin_name(plugin), ", ");
    put_member(out, "version", desc->version, ", ");
    (void)fprintf(out, "\"abi\": \"%u.%u\",\n  ", desc->abi_major, desc->abi_minor);
    put_member(out, "path", plugin->path, ",\n  ");
    put_member(out, "help", desc->help, ",\n  \"messages\": [");
    for (uint32_t i = 0; i < plugin->n_messages; i++) {
        (void)fputs(i == 0 ? "\n    {" : ",\n    {", out);
        put_member(out, "name", desc->messages[i]->name, ", ");
        put_member(out, "event", desc->messages[i]->event, "}");
    }
    (void)fputs("\n  ],\n", out);
    put_options(out, plugin->settings);
    (void)fputs("\n}", out);
}

static int page_plugins(void *arg, FILE *out)
{
    struct view *view = arg;

    (void)fputs("[", out);
    (void)pthread_mutex_lock(&view->settings_lock);
    for (size_t i = 0; i < view->plugins->n; i++) {
        if (i > 0)
            (void)fputs(", ", out);
        put_plugin(out, view->plugins->plugin[i]);
    }
    (void)pthread_mutex_unlock(&view->settings_lock);
    (void)fputs("]\n", out);
    return 200;
}

/* ---- /status ----------------------------------------------------------------------------- */

static void put_peer(FILE *out, const struct peer_group *group, uint32_t open)
{
    struct peer_kind kind;

    peers_read(group, &kind);
    if (kind.frame_size == 0) {
        (void)fprintf(out, "    {\"versions\": null, \"connections\": %" PRIu32 "}", open);
        return;
    }
    (void)fputs("    {", out);
    put_member(out, "address", kind.address, ", \"versions\": ");
    text_put_json(out, (struct spoe_span){kind.versions, kind.versions_len});
    (void)fprintf(out,
                  ", \"max_frame_size\": %" PRIu32 ", \"frame_size\": %" PRIu32
                  ", \"pipelining\": %s, \"connections\": %" PRIu32 "}",
                  kind.max_frame_size, kind.frame_size, kind.pipelining ? "true" : "false", open);
}

static void put_worker(FILE *out, const struct worker *worker)
{
    uint32_t n = atomic_load_explicit(&worker->peers.n, memory_order_acquire);
    const char *separator = "\n";

    (void)fprintf(out, "  {\"connections\": %" PRIu32 ", \"messages\": %" PRIu64 ", \"peers\": [",
                  atomic_load(&worker->n_conns),
                  atomic_load_explicit(&worker->core.counters.messages, memory_order_relaxed));
    for (uint32_t i = 0; i < n; i++) {
        const struct peer_group *group = &worker->peers.group[i];
        uint32_t open = atomic_load_explicit(&group->open, memory_order_relaxed);

        if (open == 0)
            continue;
        (void)fputs(separator, out);
        put_peer(out, group, open);
        separator = ",\n";
    }
    (void)fputs("]}", out);
}

static void put_workers(FILE *out, const struct view *view)
{
    bool running = atomic_load(&view->state) != HOST_STARTING;
    uint32_t connections = 0;

    (void)fputs("  \"workers\": [", out);
    for (uint32_t i = 0; running && i < view->shared->n_workers; i++) {
        const struct worker *worker = worker_of(view->shared->workers[i]);

        connections += atomic_load(&worker->n_conns);
        (void)fputs(i == 0 ? "\n" : ",\n", out);
        put_worker(out, worker);
    }
    (void)fprintf(out,
                  "],\n  \"connections\": %" PRIu32 ", \"max_connections\": %" PRIu32
                  ",\n  \"pending\": %zu, \"max_pending\": %" PRIu32 ",\n",
                  connections, listeners_max(view->listeners),
                  atomic_load(&view->shared->n_pending), view->conf->max_pending);
}

/* "plugins": what they say of themselves. */
static void put_healths(FILE *out, const struct view *view)
{
    (void)fputs("  \"plugins\": [", out);
    for (size_t i = 0; i < view->plugins->n; i++) {
        const struct spoe_instance *plugin = view->plugins->plugin[i];
        const int64_t since = atomic_load(&plugin->health.unix_ns);
        struct health_text state, status;

        health_read(&plugin->health.state, &state);
        health_read(&plugin->health.status, &status);
        (void)fputs(i == 0 ? "\n    {" : ",\n    {", out);
        put_member(out, "id", plugin_name(plugin), ", ");
        put_member(out, "health", health_name(state.number), ", \"reason\": ");
        text_put_json(out, (struct spoe_span){state.text, state.n});
        (void)fputs(", \"status\": ", out);
        text_put_json(out, (struct spoe_span){status.text, status.n});
        (void)fprintf(out, ", \"since_seconds\": %" PRId64 "}",
                      (since != 0 ? since : view->start_unix_ns) / NS_PER_S);
    }
    (void)fputs("],\n", out);
}

static int page_status(void *arg, FILE *out)
{
    struct view *view = arg;

    (void)fputs("{\n  ", out);
    put_member(out, "version", build_version, ", ");
    put_member(out, "commit", build_commit, ", ");
    put_member(out, "built", build_time, ", ");
    (void)fprintf(out, "\"abi\": \"%d.%d\",\n  ", SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
    put_member(out, "state", state_name(view), ", ");
    (void)fprintf(out, "\"start_time_seconds\": %" PRId64 ", \"uptime_seconds\": %" PRId64 ",\n",
                  view->start_unix_ns / NS_PER_S,
                  (clock_mono_ns() - view->start_mono_ns) / NS_PER_S);
    put_workers(out, view);
    put_healths(out, view);
    (void)pthread_mutex_lock(&view->settings_lock);
    put_options(out, view->conf->settings);
    (void)pthread_mutex_unlock(&view->settings_lock);
    (void)fputs("\n}\n", out);
    return 200;
}

#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"

const struct admin_page view_pages[] = {
    {.path = "/metrics",
     .content_type = "text/plain; version=0.0.4; charset=utf-8",
     .write = page_metrics,
     .media_type = "text/plain"},
    {.path = "/metrics",
     .content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
     .write = page_openmetrics,
     .media_type = "application/openmetrics-text"},
    {.path = "/healthz", .content_type = TEXT, .write = page_healthz},
    {.path = "/readyz", .content_type = TEXT, .write = page_readyz},
    {.path = "/plugins", .content_type = JSON, .write = page_plugins, .access = ACCESS_HOST},
    {.path = "/status", .content_type = JSON, .write = page_status, .access = ACCESS_HOST},
    {.path = "/requests",
     .content_type = JSON,
     .write = requests_page,
     .access = ACCESS_REQUESTS,
     .post = requests_post,
     .post_access = ACCESS_REQUESTS},
    {.path = "/",
     .content_type = "text/html; charset=utf-8",
     .write = live_page_html,
     .access = ACCESS_HOST,
     .headers = LIVE_PAGE_HEADERS},
    {.path = "/page.css",
     .content_type = "text/css; charset=utf-8",
     .write = live_page_css,
     .access = ACCESS_HOST,
     .headers = LIVE_PAGE_HEADERS},
    {.path = "/page.js",
     .content_type = "text/javascript; charset=utf-8",
     .write = live_page_js,
     .access = ACCESS_HOST,
     .headers = LIVE_PAGE_HEADERS},
    {.path = "/control",
     .content_type = JSON,
     .write = page_control,
     .access = ACCESS_HOST,
     .post = page_control_post,
     .later = page_control_later,
     .post_access = ACCESS_CHANGE},
    {.path = NULL},
};
