/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which plugins are started and taken down by a worker, and plugins that disagree on a
 * message.
 */
#include "dispatch_rig.h"

#include <stdio.h>
#include <stdlib.h>

#define CORE_TEST(name) Test(worker_core, name, .timeout = 30)

static char stopped[8];

static spoe_status note_start(void *inst, struct spoe_worker *w, uint32_t index, void **ret)
{
    (void)w;
    (void)index;
    *ret = inst;
    return SPOE_OK;
}

static void note_stop(void *wctx)
{
    strncat(stopped, wctx, 2);
}

/* 9.1: last started, first stopped. */
CORE_TEST(plugins_are_stopped_in_the_reverse_of_their_order)
{
    static char first[] = "1", second[] = "2";
    static struct spoe_plugin one, two;
    static struct spoe_instance i1, i2;
    const char *failed = NULL;

    start(true);
    one = desc_a;
    two = desc_b;
    one.worker_start = two.worker_start = note_start;
    one.worker_stop = two.worker_stop = note_stop;
    i1 = plugin_a;
    i2 = plugin_b;
    i1.desc = &one;
    i2.desc = &two;
    i1.inst = first;
    i2.inst = second;
    set.plugin[0] = &i1;
    set.plugin[1] = &i2;
    cr_assert_eq(worker_core_start(&worker, &failed), 0);
    worker_core_stop(&worker);
    cr_assert_str_eq(stopped, "21");
    worker_core_stop(&worker); /* finds nothing left to stop */
    cr_assert_str_eq(stopped, "21");
    worker_core_fini(&worker);
    route_table_free(&routes);
}

static spoe_status fail_start(void *inst, struct spoe_worker *w, uint32_t index, void **ret)
{
    (void)inst;
    (void)w;
    (void)index;
    (void)ret;
    return SPOE_E_LIMIT;
}

/* 9.1: which one it was is said, and only what was started is stopped. */
CORE_TEST(a_plugin_whose_worker_does_not_start_is_named)
{
    static char first[] = "1", second[] = "2";
    static struct spoe_plugin one, two;
    static struct spoe_instance i1, i2;
    const char *failed = NULL;

    start(true);
    one = desc_a;
    two = desc_b;
    one.worker_start = note_start;
    two.worker_start = fail_start;
    one.worker_stop = two.worker_stop = note_stop;
    i1 = plugin_a;
    i2 = plugin_b;
    i1.desc = &one;
    i2.desc = &two;
    i1.inst = first;
    i2.inst = second;
    set.plugin[0] = &i1;
    set.plugin[1] = &i2;
    cr_assert_neq(worker_core_start(&worker, &failed), 0);
    cr_assert_str_eq(failed, "b");
    worker_core_stop(&worker);
    cr_assert_str_eq(stopped, "1");

    /* Without a worker_start() of its own a plugin gets its instance. */
    two.worker_start = NULL;
    cr_assert_eq(worker_core_start(&worker, &failed), 0);
    cr_assert_eq(worker.wctx[0], first);
    cr_assert_eq(worker.wctx[1], second);
    worker_core_stop(&worker);
    cr_assert_str_eq(stopped, "11");
    worker_core_fini(&worker);
    route_table_free(&routes);
}

/* ---- the order of calls ---- */

static char calls[256];

static void say(const char *what, void *who)
{
    const size_t n = strlen(calls);

    cr_assert_lt(n + strlen(what) + 3, sizeof calls);
    (void)snprintf(calls + n, sizeof calls - n, "%s%s ", what, (const char *)who);
}

static spoe_status on_worker_start(void *inst, struct spoe_worker *w, uint32_t index, void **ret)
{
    (void)w;
    (void)index;
    say("+", inst);
    *ret = inst;
    return SPOE_OK;
}

static void on_worker_stop(void *wctx)
{
    say("-", wctx);
}

static void on_drain(void *inst, int64_t deadline)
{
    (void)deadline;
    say("drain ", inst);
}

static void on_stop(void *inst, int64_t deadline)
{
    (void)deadline;
    say("stop ", inst);
}

static void on_destroy(void *inst)
{
    say("destroy ", inst);
}

static struct spoe_instance *make_plugin(const char *id, const struct spoe_plugin *desc,
                                         struct plugin_set *into)
{
    struct spoe_instance *plugin = calloc(1, sizeof *plugin);

    cr_assert_not_null(plugin);
    plugin->desc = desc;
    plugin->path = strdup("/x.so");
    plugin->inst = strdup(id);
    plugin->index = (uint32_t)into->n;
    plugin->state = PLUGIN_STARTED;
    into->plugin[into->n++] = plugin;
    return plugin;
}

/* 9.1 What was started last is stopped first, by the workers and at the end. */
CORE_TEST(plugins_are_taken_down_in_reverse)
{
    const struct spoe_plugin desc = {.magic = SPOE_PLUGIN_MAGIC,
                                     .size = sizeof desc,
                                     .worker_start = on_worker_start,
                                     .worker_stop = on_worker_stop,
                                     .drain = on_drain,
                                     .stop = on_stop,
                                     .destroy = on_destroy};
    struct plugin_set two = {.n = 0};
    const char *failed = NULL;
    void *inst_1, *inst_2;

    start(false);
    shared.plugins = &two;
    inst_1 = make_plugin("1", &desc, &two)->inst;
    inst_2 = make_plugin("2", &desc, &two)->inst;
    cr_assert_eq(worker_core_start(&worker, &failed), 0);
    plugin_drain(two.plugin[0], 0);
    plugin_drain(two.plugin[1], 0);
    worker_core_stop(&worker);
    plugin_set_stop(&two, 0);
    plugin_set_destroy(&two);
    cr_assert_str_eq(calls, "+1 +2 drain 1 drain 2 -2 -1 stop 2 stop 1 destroy 2 destroy 1 ");
    free(inst_1);
    free(inst_2);
    worker_core_fini(&worker);
    route_table_free(&routes);
}

/* ---- routes ---- */

Test(route, names_both_plugins_whose_expressions_differ, .timeout = 30)
{
    static const struct spoe_arg_decl other = {sizeof other, SPOE_ACCEPT_IP,         0, 0,
                                               "who",        "hdr(x-forwarded-for)", ""};
    static const struct spoe_arg_decl *const args[] = {&other, NULL};
    static const struct spoe_message_decl message = {
        sizeof message, 0, "check", "on-frontend-http-request", "", args};
    static const struct spoe_message_decl *const messages[] = {&message, NULL};
    static const struct spoe_plugin desc = DESCRIPTOR("c", messages, handle_b, NULL);
    struct spoe_instance plugin_c = {
        .desc = &desc, .index = 1, .n_messages = 1, .n_arguments = {1}};
    struct plugin_set both = {.plugin = {&plugin_a, &plugin_c}, .n = 2};
    struct route_table table;
    struct error error;

    cr_assert_eq(route_table_build(&table, &both, &error), -1);
    cr_assert_str_eq(error.text, "plugins a and c disagree on argument who of message check: "
                                 "src and hdr(x-forwarded-for)");
}

Test(route, names_both_plugins_whose_events_differ, .timeout = 30)
{
    static const struct spoe_message_decl message = {sizeof message,     0,  "check",
                                                     "on-http-response", "", args_b};
    static const struct spoe_message_decl *const messages[] = {&message, NULL};
    static const struct spoe_plugin desc = DESCRIPTOR("c", messages, handle_b, NULL);
    struct spoe_instance plugin_c = {
        .desc = &desc, .index = 1, .n_messages = 1, .n_arguments = {1}};
    struct plugin_set both = {.plugin = {&plugin_a, &plugin_c}, .n = 2};
    struct route_table table;
    struct error error;

    cr_assert_eq(route_table_build(&table, &both, &error), -1);
    cr_assert_str_eq(error.text, "plugins a and c disagree on message check: event "
                                 "on-frontend-http-request and on-http-response");
}
