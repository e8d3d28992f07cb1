/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/worker_core.c - what a worker has of the core, from init to the plugins' worker_stop().
 */
#include "core/worker_core.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"

#include "core/arguments.h"
#include "core/texts.h"
#include "spop/spop.h"

/*
 * How many requests there can be at a time: those of one NOTIFY that is being handled; what an
 * exchange keeps for each that is pending in time, of which there are max-pending and those of the
 * NOTIFY that reached it; and those whose time is over, of each plugin.
 */
static size_t requests_max(const struct host_shared *shared)
{
    const size_t notify = SPOP_MESSAGES_MAX * shared->plugins->n;
    const size_t in_time = shared->conf->max_pending + notify;

    return notify + EXCHANGE_KEPT_MAX * in_time + (OVERDUE_MAX + in_time) * shared->plugins->n;
}

int worker_core_init(struct spoe_worker *worker, struct host_shared *shared, uint32_t index,
                     exchange_done_fn *on_done)
{
    const struct route_table *routes = shared->routes;

    *worker = (struct spoe_worker){.magic = WORKER_CORE_MAGIC,
                                   .index = index,
                                   .shared = shared,
                                   .on_done = on_done,
                                   .tick_ns = clock_tick_ns(),
                                   .mailbox = {.fd = -1}};
    if (mailbox_init(&worker->mailbox) != 0 ||
        request_pool_init(&worker->pool, requests_max(shared), routes->max_slots) != 0)
        goto fail;
    worker->layouts = arguments_create(routes);
    worker->orders = routes->any_from_log ? texts_create(routes) : NULL;
    worker->targets = calloc(routes->n_targets, sizeof *worker->targets);
    if (worker->layouts == NULL || worker->targets == NULL ||
        (routes->any_from_log && worker->orders == NULL))
        goto fail;
    request_register_worker(index, worker);
    return 0;
fail:
    worker_core_fini(worker);
    return -1;
}

void worker_core_fini(struct spoe_worker *worker)
{
    request_register_worker(worker->index, NULL);
    arguments_destroy(worker->layouts, worker->shared->routes);
    worker->layouts = NULL;
    texts_destroy(worker->orders, worker->shared->routes);
    worker->orders = NULL;
    free(worker->targets);
    worker->targets = NULL;
    request_pool_fini(&worker->pool);
    exchange_pool_fini(&worker->exchanges);
    mailbox_fini(&worker->mailbox);
    worker->magic = 0;
}

int worker_core_start(struct spoe_worker *worker, const char **reterr_id)
{
    const struct plugin_set *set = worker->shared->plugins;

    assert(IS(worker, WORKER_CORE_MAGIC));
    for (size_t i = 0; i < set->n; i++) {
        struct spoe_instance *plugin = set->plugin[i];
        struct worker_handle *handle = &worker->handle[i];

        *handle = (struct worker_handle){
            .magic = WORKER_HANDLE_MAGIC, .worker = worker, .plugin = plugin};
        worker->wctx[i] = plugin->inst;
        if (SPOE_HAS(plugin->desc, worker_start)) {
            void *wctx = NULL;
            spoe_status status;

            thread_enter(&plugin->callee, "worker_start()");
            status = plugin->desc->worker_start(plugin->inst, (struct spoe_worker *)(void *)handle,
                                                worker->index, &wctx);
            thread_leave();
            if (status != SPOE_OK) {
                worker->start_status = status;
                *reterr_id = plugin_name(plugin);
                return -1;
            }
            worker->wctx[i] = wctx;
        }
        worker->n_started++;
    }
    return 0;
}

void worker_core_stop(struct spoe_worker *worker)
{
    const struct plugin_set *set = worker->shared->plugins;

    assert(IS(worker, WORKER_CORE_MAGIC));
    mailbox_close(&worker->mailbox);
    for (size_t i = worker->n_started; i-- > 0;) {
        const struct spoe_plugin *desc = set->plugin[i]->desc;

        if (!SPOE_HAS(desc, worker_stop) || !SPOE_HAS(desc, worker_start))
            continue;
        thread_enter(&set->plugin[i]->callee, "worker_stop()");
        desc->worker_stop(worker->wctx[i]);
        thread_leave();
    }
    worker->n_started = 0;
}
