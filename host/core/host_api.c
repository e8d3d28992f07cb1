/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/host_api.c - the table of functions that plugins are handed (spoe/plugin.h). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "core/dispatch.h"
#include "core/health.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/plugin.h"
#include "core/recent.h"
#include "core/request.h"

#define LOG_TEXT_MAX 2048

static const void *get_extension(struct spoe_instance *self, const char *id)
{
    if (id != NULL && self->metrics != NULL &&
        (strcmp(id, SPOE_METRICS_1) == 0 || strcmp(id, SPOE_METRICS_2) == 0))
        return &metrics_facet;
    if (id != NULL && strcmp(id, SPOE_HEALTH_1) == 0)
        return &health_facet;
    if (id != NULL && strcmp(id, SPOE_LOOP_1) == 0)
        return self->loop;
    if (id != NULL && strcmp(id, SPOE_RELOAD_1) == 0)
        return &reload_facet;
    if (id != NULL && self->recent != NULL && strcmp(id, SPOE_RECENT_1) == 0)
        return &recent_facet;
    return NULL;
}

static int32_t api_log_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    return log_enabled(level);
}

/* At most PLUGIN_LOG_PER_SECOND lines a second and plugin, errors among them. */
static bool may_log(struct spoe_instance *self)
{
    uint64_t second = (uint64_t)(clock_mono_ns() / NS_PER_S);
    uint64_t window = atomic_load_explicit(&self->log_window, memory_order_relaxed);
    uint64_t next;

    do {
        next = window >> 32 == second ? window + 1 : second << 32 | 1u;
        if ((uint32_t)next > PLUGIN_LOG_PER_SECOND) {
            (void)atomic_fetch_add_explicit(&self->log_held, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&self->log_window, &window, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static void api_log(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                    struct spoe_span text)
{
    uint64_t held, stream, frame;
    int n = (int)(text.n < LOG_TEXT_MAX ? text.n : LOG_TEXT_MAX);

    if (!log_enabled(level) || !may_log(self))
        return;
    held = atomic_exchange_explicit(&self->log_held, 0, memory_order_relaxed);
    if (held != 0)
        log_line(SPOE_LOG_WARNING, plugin_name(self), "%" PRIu64 " log lines were held back", held);
    if (req != NULL && request_ids(req, &stream, &frame))
        log_line(level, plugin_name(self), "%.*s (stream %" PRIu64 " frame %" PRIu64 ")", n, text.p,
                 stream, frame);
    else
        log_span(level, plugin_name(self), (struct spoe_span){text.p, (size_t)n});
}

static const struct spoe_setting *config_get(struct spoe_config *cfg, size_t option)
{
    return option < cfg->n_options ? conf_setting(cfg->section, option) : NULL;
}

static void config_error(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    const struct spoe_setting *setting = config_get(cfg, option);

    if (setting == NULL) {
        conf_error(cfg->conf, "%s: %.*s", plugin_name(cfg->plugin), (int)text.n, text.p);
        cfg->errors++;
    } else if (!conf_setting_reject(cfg->conf, cfg->section, option, text)) {
        cfg->errors++;
    }
}

static void config_effective(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    if (option < cfg->n_options)
        conf_setting_written(cfg->conf, cfg->section, option, text);
}

static int64_t config_timeout_ns(struct spoe_config *cfg, size_t message)
{
    const struct spoe_instance *plugin = cfg->plugin;

    if (message >= plugin->n_messages)
        return -1;
    return plugin->timeout_ns[message] != 0 ? plugin->timeout_ns[message]
                                            : cfg->processing_timeout_ns;
}

/* A function to run on a worker. */
struct post {
    struct mail mail;
    const struct spoe_instance *plugin; /* whose it is */
    void (*fn)(void *arg);
    void *arg;
};

static void run_post(struct mail *mail)
{
    struct post *post = container_of(mail, struct post, mail);

    thread_enter(&post->plugin->callee, "a posted function");
    post->fn(post->arg);
    thread_leave();
    free(post);
}

static spoe_status api_post(struct spoe_worker *worker, void (*fn)(void *arg), void *arg)
{
    const struct worker_handle *handle = (const struct worker_handle *)(const void *)worker;
    struct post *post;

    if (handle == NULL || !IS(handle, WORKER_HANDLE_MAGIC) || fn == NULL)
        return SPOE_E_INVAL;
    post = malloc(sizeof *post);
    if (post == NULL)
        return SPOE_E_NOMEM;
    *post =
        (struct post){.mail = {.run = run_post}, .plugin = handle->plugin, .fn = fn, .arg = arg};
    if (!mailbox_put(&handle->worker->mailbox, &post->mail)) {
        free(post);
        return SPOE_E_STOPPING;
    }
    return SPOE_OK;
}

const struct spoe_host host_table = {
    .size = sizeof(struct spoe_host),
    .abi_major = SPOE_ABI_MAJOR,
    .abi_minor = SPOE_ABI_MINOR,
    .name = "spoe-host",
    .version = build_version,
    .get_extension = get_extension,
    .log_enabled = api_log_enabled,
    .log = api_log,
    .config_get = config_get,
    .config_error = config_error,
    .set_var = request_set_var,
    .unset_var = request_unset_var,
    .complete = request_complete,
    .post = api_post,
    .now_mono_ns = clock_mono_ns,
    .config_effective = config_effective,
    .request_commit = request_commit,
    .request_set_data = request_set_data,
    .request_data = request_get_data,
    .config_timeout_ns = config_timeout_ns,
};
