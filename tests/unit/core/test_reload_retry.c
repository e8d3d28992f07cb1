/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 12.2: a source of spoe.reload/1 that could not be built, and that nothing else has built again,
 * is tried after a minute. The minute is the test's: the monotonic clock of this program stands
 * still but for what the test adds.
 */
#include <criterion/criterion.h>

#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/plugin.h"
#include "core/reloader.h"
#include "core/worker_core.h"

#define BEGIN_NS (1000 * NS_PER_S)

static _Atomic int64_t mono_ns = BEGIN_NS;

/* In place of the C library's. */
__attribute__((no_sanitize("address", "undefined"))) int clock_gettime(clockid_t id,
                                                                       struct timespec *ts)
{
    const int64_t ns = atomic_load(&mono_ns);

    if (id != CLOCK_MONOTONIC)
        return (int)syscall(SYS_clock_gettime, id, ts);
    *ts = (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    return 0;
}

struct source {
    _Atomic unsigned n_built;
    _Atomic spoe_status result;
};

static spoe_status build(void *arg, struct spoe_reload_source *source, void **ret_state)
{
    struct source *of = arg;

    (void)source;
    (void)ret_state;
    (void)atomic_fetch_add(&of->n_built, 1);
    return atomic_load(&of->result);
}

static void release(void *arg, void *state)
{
    (void)arg;
    cr_assert_null(state);
}

static struct spoe_reload_source *declare(struct spoe_instance *plugin, const char *name,
                                          struct source *of)
{
    const struct spoe_reload_decl decl = {
        .size = sizeof decl, .name = name, .build = build, .release = release, .arg = of};
    struct spoe_reload_source *source = NULL;

    cr_assert_eq(reload_facet.declare(plugin, &decl, &source), SPOE_OK);
    return source;
}

/* Its limit is the test's: no clock goes on. */
static void wait_for(const struct source *of, unsigned n_built)
{
    while (atomic_load(&of->n_built) < n_built)
        (void)poll(NULL, 0, 1);
}

/* Let the thread look at all sources: this one is built for it, and is the last of them. */
static void look(struct spoe_reload_source *last, const struct source *of)
{
    const unsigned n = atomic_load(&of->n_built);

    reload_facet.trigger(last);
    wait_for(of, n + 1);
}

Test(reload_retry, what_was_not_built_is_tried_after_a_minute, .timeout = 120)
{
    static const struct spoe_plugin desc = {.id = "p"};
    static struct source failing = {.result = SPOE_E_INTERNAL}, other;
    struct spoe_instance plugin = {.desc = &desc, .callee = {.id = "p"}, .state = PLUGIN_LOADED};
    struct host_shared shared = {.n_workers = 0};
    struct spoe_reload_source *last;
    struct error error;

    (void)declare(&plugin, "failing", &failing);
    last = declare(&plugin, "other", &other);
    cr_assert_eq(reloader_start(plugin.reloader, &shared, &error), 0);
    wait_for(&other, 1);
    cr_assert_eq(atomic_load(&failing.n_built), 1);

    atomic_fetch_add(&mono_ns, 60 * NS_PER_S - 1);
    look(last, &other);
    cr_assert_eq(atomic_load(&failing.n_built), 1, "a nanosecond too early");

    /* It fails again, and has another minute. */
    atomic_fetch_add(&mono_ns, 1);
    look(last, &other);
    cr_assert_eq(atomic_load(&failing.n_built), 2);
    look(last, &other);
    cr_assert_eq(atomic_load(&failing.n_built), 2);

    /* It is built, and not again for hours. */
    atomic_store(&failing.result, SPOE_OK);
    atomic_fetch_add(&mono_ns, 60 * NS_PER_S);
    look(last, &other);
    cr_assert_eq(atomic_load(&failing.n_built), 3);
    atomic_fetch_add(&mono_ns, 7200 * NS_PER_S);
    look(last, &other);
    cr_assert_eq(atomic_load(&failing.n_built), 3);

    reloader_stop(plugin.reloader);
    reloader_destroy(plugin.reloader);
}
