/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/plugin.c - asks an HTTP service for each request, as nginx's
 * ngx_http_auth_request_module does: the functions that the host calls. docs/auth-request.md is its
 * page.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <spoe/util.h>

#include "auth-request/asks.h"
#include "auth-request/auth.h"
#include "auth-request/haproxy_side.h"
#include "auth-request/question.h"
#include "auth-request/reply.h"
#include "auth-request/service.h"

static void destroy(void *inst)
{
    struct auth *auth = inst;

    if (auth == NULL)
        return;
    auth_conf_fini(&auth->conf);
    free(auth);
}

/* What the host has to have. @return SPOE_OK, SPOE_E_UNSUPPORTED */
static spoe_status check_host(struct auth *auth)
{
    auth->loop = auth->host->get_extension(auth->self, SPOE_LOOP_1);
    auth->health = auth->host->get_extension(auth->self, SPOE_HEALTH_1);
    if (auth->loop != NULL && SPOE_HAS(auth->host, request_commit) &&
        SPOE_HAS(auth->host, config_timeout_ns) && SPOE_HAS(auth->host, request_set_data) &&
        SPOE_HAS(auth->host, request_data))
        return SPOE_OK;
    spoe_logf(auth->host, auth->self, SPOE_LOG_ERR, "this host is too old: it has no spoe.loop/1");
    return SPOE_E_UNSUPPORTED;
}

/* An answer that takes longer than the host waits is none. */
static void check_patience(const struct auth *auth)
{
    const struct auth_conf *conf = &auth->conf;

    if (conf->patience_ns < conf->timeout_ns)
        spoe_logf(auth->host, auth->self, SPOE_LOG_WARNING,
                  "processing-timeout is %lld ms, timeout %lld ms: raise the first, and HAProxy's "
                  "\"timeout processing\" with it, or lower the other",
                  (long long)(conf->patience_ns / 1000000),
                  (long long)(conf->timeout_ns / 1000000));
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct auth *auth = calloc(1, sizeof *auth);
    char why[160];
    spoe_status status;

    if (auth == NULL)
        return SPOE_E_NOMEM;
    auth->host = host;
    auth->self = self;
    status = check_host(auth);
    if (status == SPOE_OK)
        status = auth_conf_read(host, cfg, &auth->conf);
    if (status == SPOE_OK && service_check_url(auth->conf.url, why, sizeof why) != 0) {
        host->config_error(cfg, OPT_URL, spoe_str(why));
        status = SPOE_E_CONFIG;
    }
    if (status == SPOE_OK && service_check_version(&auth->conf, why, sizeof why) != 0) {
        host->config_error(cfg, OPT_HTTP_VERSION, spoe_str(why));
        status = SPOE_E_CONFIG;
    }
    if (status == SPOE_OK)
        status = numbers_declare(&auth->numbers, host, self);
    /* Does not fail for so few bytes, but may wait for them where a machine has just begun. */
    if (status == SPOE_OK &&
        getrandom(auth->hash_key, sizeof auth->hash_key, 0) != sizeof auth->hash_key)
        status = SPOE_E_INTERNAL;
    if (status != SPOE_OK) {
        destroy(auth);
        return status;
    }
    check_patience(auth);
    *ret_inst = auth;
    return SPOE_OK;
}

static spoe_status start(void *inst)
{
    struct auth *auth = inst;

    if (service_global_start() != 0)
        return SPOE_E_INTERNAL;
    auth->curl_started = true;
    return SPOE_OK;
}

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    struct auth *auth = inst;
    struct asks *asks = asks_create(auth, worker);

    (void)index;
    if (asks == NULL)
        return SPOE_E_NOMEM;
    (void)atomic_fetch_add(&auth->n_workers, 1);
    *ret_wctx = asks;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    return asks_handle(wctx, req, msg);
}

static void cancel(void *wctx, struct spoe_request *req, int32_t why)
{
    asks_cancel(wctx, req, why);
}

static void worker_stop(void *wctx)
{
    asks_destroy(wctx);
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    struct auth *auth = inst;

    (void)deadline_mono_ns;
    if (auth->curl_started)
        service_global_stop();
}

static const void *get_extension(void *inst, const char *id)
{
    (void)inst;
    return strcmp(id, SPOE_HAPROXY_1) == 0 ? &auth_haproxy_side : NULL;
}

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .needs_minor = 1, /* request_commit(), spoe.loop/1 */
        .id = "auth-request",
        .version = AUTH_REQUEST_VERSION,
        .help = "asks an HTTP service whether a request may go on",
        .messages = auth_messages,
        .options = auth_options,
        .configure = configure,
        .start = start,
        .worker_start = worker_start,
        .handle = handle,
        .cancel = cancel,
        .worker_stop = worker_stop,
        .stop = stop,
        .destroy = destroy,
        .variables = auth_variables,
        .get_extension = get_extension,
        .flags = SPOE_PLUGIN_INSTANCES, /* nothing is in statics */
    };

    return &plugin;
}
