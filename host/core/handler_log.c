/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/handler_log.c - see handler_log.h. */
#include "core/handler_log.h"

#include "base/log.h"
#include "core/worker_core.h"

#define COMPONENT "host"

const char *handler_status_text(spoe_status status)
{
    switch (status) {
    case SPOE_E_INVAL:
        return "SPOE_E_INVAL";
    case SPOE_E_NOMEM:
        return "SPOE_E_NOMEM";
    case SPOE_E_CONFIG:
        return "SPOE_E_CONFIG";
    case SPOE_E_TOOBIG:
        return "SPOE_E_TOOBIG";
    case SPOE_E_STALE:
        return "SPOE_E_STALE";
    case SPOE_E_STOPPING:
        return "SPOE_E_STOPPING";
    case SPOE_E_UNSUPPORTED:
        return "SPOE_E_UNSUPPORTED";
    case SPOE_E_LIMIT:
        return "SPOE_E_LIMIT";
    default:
        return "SPOE_E_INTERNAL";
    }
}

static const char *id_of(const struct request *request)
{
    return plugin_name(request->target->plugin);
}

void handler_failed(struct request *request, const char *how, spoe_status status)
{
    struct target_counters *counters = request_counters(request);

    COUNT(&request->worker->counters, handler_errors);
    COUNT(counters, errors);
    log_limited(&counters->failed_limit, SPOE_LOG_WARNING, COMPONENT,
                "plugin %s, message %s: %s %s (%d), its variables are left out", id_of(request),
                request->target->decl->name, how, handler_status_text(status), status);
}

void handler_was_slow(struct request *request, int64_t ns)
{
    struct target_counters *counters = request_counters(request);

    COUNT(counters, slow);
    log_limited(&counters->slow_limit, SPOE_LOG_WARNING, COMPONENT,
                "plugin %s, message %s: handle() took %.1f ms, its worker served nobody else "
                "meanwhile (slow-handle)",
                id_of(request), request->target->decl->name, (double)ns / 1e6);
}

void handler_contradicts(struct request *request, spoe_status status)
{
    struct target_counters *counters = request_counters(request);

    COUNT_SHARED(&request->worker->counters, misbehaviour);
    log_limited(&counters->failed_limit, SPOE_LOG_ERR, COMPONENT,
                "plugin %s, message %s: handle() completed the request and returned %d, which is "
                "not SPOE_PENDING",
                id_of(request), request->target->decl->name, status);
}

void handler_completed_twice(const struct spoe_instance *plugin)
{
    static struct log_limit limits[PLUGINS_MAX], nobodys;
    struct log_limit *limit = plugin != NULL ? &limits[plugin->index] : &nobodys;

    log_limited(limit, SPOE_LOG_ERR, COMPONENT,
                "plugin %s completed a request that is not pending (completed twice?); ignored",
                plugin != NULL ? plugin_name(plugin) : "?");
}
