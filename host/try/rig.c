/* SPDX-License-Identifier: Apache-2.0 */
/* host/try/rig.c - see rig.h. The steps are those of host/run.c. */
#include "try/rig.h"

#include <stdlib.h>

#include "core/handler_log.h"

static int start_worker(struct rig *rig, uint32_t index, struct error *reterr)
{
    struct worker *worker = &rig->workers[index];

    if (worker_start(worker) != 0)
        return error_set(reterr, "worker %u cannot be started", index);
    (void)worker_wait(worker, WORKER_FAILED, INT64_MAX);
    if (worker_get_phase(worker) != WORKER_FAILED)
        return 0;
    return error_set(reterr, "plugin %s: worker_start() failed with %s (%d)", worker->failed_plugin,
                     handler_status_text(worker->core.start_status), worker->core.start_status);
}

int rig_start(struct rig *rig, const struct host_conf *conf, struct plugin_set *plugins,
              const struct route_table *routes, struct error *reterr)
{
    *rig = (struct rig){.shared = {.conf = conf, .plugins = plugins, .routes = routes},
                        .plugins = plugins};
    if (plugin_set_start(plugins, reterr) != 0)
        return -1;
    rig->workers = calloc(conf->workers, sizeof *rig->workers);
    if (rig->workers == NULL)
        return error_set(reterr, "out of memory");
    for (uint32_t i = 0; i < conf->workers; i++) {
        rig->shared.workers[i] = &rig->workers[i].core;
        rig->shared.n_workers = i + 1;
        if (worker_init(&rig->workers[i], &rig->shared, i) != 0)
            return error_set(reterr, "worker %u cannot be made", i);
    }
    for (uint32_t i = 0; i < conf->workers; i++) {
        if (start_worker(rig, i, reterr) != 0)
            return -1;
    }
    return plugin_set_start_reloaders(plugins, &rig->shared, -1, reterr);
}

/* Order all, then wait for all. */
static void bring(struct rig *rig, void (*order)(struct worker *worker), enum worker_phase phase,
                  int64_t deadline_ns)
{
    for (uint32_t i = 0; i < rig->shared.n_workers; i++) {
        if (rig->workers[i].has_thread)
            order(&rig->workers[i]);
    }
    for (uint32_t i = 0; i < rig->shared.n_workers; i++) {
        if (rig->workers[i].has_thread && worker_get_phase(&rig->workers[i]) != WORKER_FAILED)
            (void)worker_wait(&rig->workers[i], phase, deadline_ns);
    }
}

void rig_drain(struct rig *rig, int64_t workers_deadline_ns, int64_t plugins_deadline_ns)
{
    plugin_set_quiesce(rig->plugins);
    bring(rig, worker_drain, WORKER_DRAINED, workers_deadline_ns);
    atomic_store(&rig->shared.closed, true);
    bring(rig, worker_close, WORKER_CLOSED, INT64_MAX);
    for (size_t i = 0; i < rig->plugins->n; i++)
        plugin_drain(rig->plugins->plugin[i], plugins_deadline_ns);
}

void rig_stop(struct rig *rig, int64_t deadline_ns)
{
    bring(rig, worker_stop, WORKER_STOPPED, INT64_MAX);
    plugin_set_stop(rig->plugins, deadline_ns);
}

void rig_destroy(struct rig *rig)
{
    plugin_set_destroy(rig->plugins);
    for (uint32_t i = 0; i < rig->shared.n_workers; i++)
        worker_fini(&rig->workers[i]);
    free(rig->workers);
    *rig = (struct rig){.plugins = rig->plugins};
}
