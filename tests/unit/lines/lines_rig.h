/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/lines/lines_rig.h - workers without threads, which the test turns itself, and a plugin
 * that takes log lines by the test's handle().
 */
#ifndef TEST_LINES_RIG_H
#define TEST_LINES_RIG_H

#include "base/clock.h"
#include "base/log.h"
#include "net/worker.h"

static spoe_status handle(void *wctx, struct spoe_request *request, const struct spoe_message *msg);

static const struct spoe_arg_decl arg_n = {sizeof arg_n, SPOE_ACCEPT_INT, 0, 0, "n", "%rt", ""};
static const struct spoe_arg_decl *const args[] = {&arg_n, NULL};
static const struct spoe_message_decl message = {
    sizeof message, SPOE_MESSAGE_FROM_LOG, "on-http-log", "on-http-response", "", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};
static const struct spoe_plugin desc = {.magic = SPOE_PLUGIN_MAGIC,
                                        .size = sizeof desc,
                                        .abi_major = SPOE_ABI_MAJOR,
                                        .id = "rig",
                                        .version = "1",
                                        .messages = messages,
                                        .handle = handle};

static struct host_conf conf;
static struct plugin_set set;
static struct spoe_instance instance;
static struct route_table routes;
static struct host_shared shared;

/* What counts for every test; what else is in `conf` is the test's to set before. */
static inline void rig_configure(uint32_t n_workers, uint32_t max_pending)
{
    conf.workers = n_workers;
    conf.max_connections = 10;
    conf.max_pending = max_pending;
    conf.processing_timeout_ns = 3600 * NS_PER_S;
    conf.log_line_max = HOST_LOG_LINE_MAX;
}

/* @return false: out of memory; rig_stop_workers() is due either way */
static inline bool rig_start_workers(struct worker *workers)
{
    struct error error;

    instance = (struct spoe_instance){.desc = &desc, .n_messages = 1, .n_arguments = {1}};
    set = (struct plugin_set){.plugin = {&instance}, .n = 1};
    shared = (struct host_shared){.conf = &conf, .plugins = &set, .routes = &routes};
    memset(workers, 0, conf.workers * sizeof *workers);
    if (route_table_build(&routes, &set, &error) != 0)
        return false;
    for (uint32_t i = 0; i < conf.workers; i++) {
        shared.workers[i] = &workers[i].core;
        shared.n_workers = i + 1;
        if (worker_init(&workers[i], &shared, i) != 0)
            return false;
        workers[i].phase = WORKER_RUNNING;
    }
    return true;
}

static inline void rig_stop_workers(struct worker *workers)
{
    for (uint32_t i = 0; i < shared.n_workers; i++) {
        if (workers[i].base != NULL)
            worker_core_stop(&workers[i].core);
        worker_fini(&workers[i]);
    }
    shared.n_workers = 0;
}

#endif
