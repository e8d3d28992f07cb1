/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/host/test_run.c - the host from its configuration to its end, with plugins that are
 * functions of this file: which calls they get, and in which order, however far the start came.
 * (2.1, 2.3, 9.1 B: the order of the end, 9.3)
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "run.h"

#define PLUGINS 3

/* ---- plugins --------------------------------------------------------------------------------- */

/* What was called, as "start a, start b, "; of workers' calls how many. */
static char calls[4096];
static _Atomic int worker_starts, worker_stops;
static const char *failing; /* "start b" */
static struct spoe_worker *worker;
static spoe_status posted[2]; /* what post() said in stop() and in destroy() of the first plugin */

static spoe_status record(const char *call, const void *inst)
{
    char text[64];
    size_t n = strlen(calls);

    (void)snprintf(text, sizeof text, "%s %s", call, (const char *)inst);
    (void)snprintf(calls + n, sizeof calls - n, "%s, ", text);
    return failing != NULL && strcmp(text, failing) == 0 ? SPOE_E_LIMIT : SPOE_OK;
}

static void never(void *arg)
{
    (void)arg;
    cr_assert_fail("a posted function runs");
}

static spoe_status start(void *inst)
{
    return record("start", inst);
}

static spoe_status plugin_worker_start(void *inst, struct spoe_worker *w, uint32_t index,
                                       void **ret_wctx)
{
    char text[64];

    (void)snprintf(text, sizeof text, "worker_start %s %u", (const char *)inst, index);
    (void)atomic_fetch_add(&worker_starts, 1);
    worker = w;
    *ret_wctx = inst;
    return failing != NULL && strcmp(text, failing) == 0 ? SPOE_E_LIMIT : SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    (void)req;
    (void)msg;
    return SPOE_OK;
}

static void drain(void *inst, int64_t deadline_mono_ns)
{
    cr_expect_gt(deadline_mono_ns, clock_mono_ns());
    (void)record("drain", inst);
}

static void plugin_worker_stop(void *wctx)
{
    (void)wctx;
    (void)atomic_fetch_add(&worker_stops, 1);
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    cr_expect_gt(deadline_mono_ns, clock_mono_ns());
    (void)record("stop", inst);
    if (worker != NULL)
        posted[0] = host_table.post(worker, never, NULL);
}

static void destroy(void *inst)
{
    (void)record("destroy", inst);
    if (worker != NULL)
        posted[1] = host_table.post(worker, never, NULL);
}

static const struct spoe_arg_decl *const args[] = {NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "m", "on-frontend-http-request", "", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};
static char names[PLUGINS][2] = {"a", "b", "c"};
static struct spoe_plugin descs[PLUGINS];
static struct spoe_instance *instances[PLUGINS];

/* ---- the host -------------------------------------------------------------------------------- */

static struct control control;
static struct plugin_set set;
static struct route_table routes;
static struct host_conf conf;
static char address[] = "127.0.0.1:0", ip[] = "127.0.0.1", port[] = "0";
static struct reload reload;

/* As main() has them after configure(). */
static void begin(void)
{
    struct error error;

    control_block_signals();
    thread_begin("main");
    log_init(SPOE_LOG_ERR, LOG_LOGFMT);
    for (int i = 0; i < PLUGINS; i++) {
        descs[i] = (struct spoe_plugin){.magic = SPOE_PLUGIN_MAGIC,
                                        .size = sizeof descs[i],
                                        .abi_major = SPOE_ABI_MAJOR,
                                        .id = names[i],
                                        .version = "1",
                                        .messages = messages,
                                        .start = start,
                                        .worker_start = plugin_worker_start,
                                        .handle = handle,
                                        .drain = drain,
                                        .worker_stop = plugin_worker_stop,
                                        .stop = stop,
                                        .destroy = destroy};
        instances[i] = calloc(1, sizeof *instances[i]);
        cr_assert_not_null(instances[i]);
        *instances[i] = (struct spoe_instance){.desc = &descs[i],
                                               .callee = {names[i], NULL},
                                               .index = (uint32_t)i,
                                               .n_messages = 1,
                                               .state = PLUGIN_CONFIGURED,
                                               .inst = names[i]};
        set.plugin[i] = instances[i];
    }
    set.n = PLUGINS;
    set.metrics = metrics_create();
    cr_assert_not_null(set.metrics);
    cr_assert_eq(route_table_build(&routes, &set, &error), 0, "%s", error.text);
    conf = (struct host_conf){.listen = {{.text = address, .host = ip, .port = port}},
                              .n_listen = 1,
                              .workers = 2,
                              .max_frame_size = 16384,
                              .max_connections = 10,
                              .max_pending = 10,
                              .processing_timeout_ns = NS_PER_S,
                              .hello_timeout_ns = NS_PER_S,
                              .shutdown_timeout_ns = 3600 * NS_PER_S};
    cr_assert_eq(control_start(&control, 15 * NS_PER_S), 0);
    control_serve(&control, conf.shutdown_timeout_ns);
}

static int run(void)
{
    struct service service;
    int status;

    service_open(&service);
    status = host_run(&control, &service, &reload, &conf, &set, &routes);
    service_close(&service);

    cr_expect_eq(set.n, 0, "all plugins are gone");
    control_stop(&control);
    metrics_destroy(set.metrics);
    route_table_free(&routes);
    return status;
}

/* By the linker (--wrap, see CMakeLists.txt). */
static bool no_event_base;
struct event_base *__real_event_base_new(void);
struct event_base *__wrap_event_base_new(void);

struct event_base *__wrap_event_base_new(void)
{
    return no_event_base ? NULL : __real_event_base_new();
}

TestSuite(run, .timeout = 120, .init = begin);

/* The signal is pending while the host starts, and taken when it serves. */
Test(run, the_end_is_the_start_turned_round)
{
    cr_assert_eq(kill(getpid(), SIGTERM), 0);
    cr_assert_eq(run(), 0);
    cr_expect_str_eq(calls, "start a, start b, start c, drain a, drain b, drain c, stop c, stop b, "
                            "stop a, destroy c, destroy b, destroy a, ");
    cr_expect_eq(worker_starts, 2 * PLUGINS);
    cr_expect_eq(worker_stops, 2 * PLUGINS);
    cr_expect_eq(posted[0], SPOE_E_STOPPING);
    cr_expect_eq(posted[1], SPOE_E_STOPPING);
}

Test(run, a_start_that_fails_takes_down_what_was_started)
{
    failing = "start b";
    cr_assert_eq(run(), 1);
    cr_expect_str_eq(calls, "start a, start b, stop a, destroy c, destroy b, destroy a, ");
    cr_expect_eq(worker_starts, 0);
}

Test(run, a_worker_that_fails_takes_down_what_was_started)
{
    failing = "worker_start b 1";
    cr_assert_eq(run(), 1);
    cr_expect_str_eq(calls,
                     "start a, start b, start c, stop c, stop b, stop a, destroy c, destroy b, "
                     "destroy a, ");
    cr_expect_eq(worker_starts, PLUGINS + 2);
    cr_expect_eq(worker_stops, PLUGINS + 1, "each that was started, and no other");
    cr_expect_eq(posted[1], SPOE_E_STOPPING);
}

Test(run, an_address_that_is_taken_starts_no_plugin)
{
    static char elsewhere[] = "192.0.2.1"; /* RFC 5737: nobody's */

    conf.listen[0].host = elsewhere;
    cr_assert_eq(run(), 1);
    cr_expect_str_eq(calls, "destroy c, destroy b, destroy a, ");
}

/* 9.2 */
Test(run, without_an_event_loop_nothing_is_started)
{
    no_event_base = true;
    cr_assert_eq(run(), 1);
    cr_expect_str_eq(calls, "destroy c, destroy b, destroy a, ");
}
