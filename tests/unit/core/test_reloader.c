/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe.reload/1 (12.2) as a plugin and as a worker know it. The test is the workers: it runs their
 * mailboxes itself, so that it decides who may still see a state.
 */
#include <criterion/criterion.h>

#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/file_watch.h"
#include "core/plugin.h"
#include "core/reloader.h"
#include "core/worker_core.h"

#define N_WORKERS 2u
#define LIMIT_NS (60 * NS_PER_S)
#define HOUR_NS (3600 * NS_PER_S)
#define TEXT_MAX 64u

static const struct spoe_plugin desc = {.id = "p"};
static struct spoe_worker workers[N_WORKERS];
static struct host_shared shared;
static struct spoe_instance plugin;
static char folder[64], path[128], other[128];
static int stop_fd;

static _Atomic unsigned n_built, n_released;
static _Atomic spoe_status result;
static _Atomic bool nothing_new, blocks;

/* A state is the file's text. */
static spoe_status build(void *arg, struct spoe_reload_source *source, void **ret_state)
{
    FILE *file = fopen(arg, "r");
    char *text = calloc(1, TEXT_MAX);
    const spoe_status status = atomic_load(&result);

    (void)atomic_fetch_add(&n_built, 1);
    while (atomic_load(&blocks) && !reload_facet.cancelled(source))
        (void)poll(NULL, 0, 1);
    if (file != NULL) {
        (void)!fread(text, 1, TEXT_MAX - 1, file);
        (void)fclose(file);
    }
    if (status != SPOE_OK || atomic_load(&nothing_new)) {
        free(text);
        return status;
    }
    *ret_state = text;
    return SPOE_OK;
}

static void release(void *arg, void *state)
{
    (void)arg;
    (void)atomic_fetch_add(&n_released, 1);
    free(state);
}

static void write_to(const char *to, const char *text)
{
    FILE *file = fopen(to, "w");

    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void setup(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/test_reloader.XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/list", folder);
    (void)snprintf(other, sizeof other, "%s/other", folder);
    write_to(path, "one");
    plugin = (struct spoe_instance){.desc = &desc, .callee = {.id = "p"}, .state = PLUGIN_LOADED};
    for (uint32_t i = 0; i < N_WORKERS; i++) {
        cr_assert_eq(mailbox_init(&workers[i].mailbox), 0);
        shared.workers[i] = &workers[i];
    }
    shared.n_workers = N_WORKERS;
    stop_fd = eventfd(0, EFD_CLOEXEC);
}

static void run_mail(void)
{
    for (uint32_t i = 0; i < N_WORKERS; i++)
        (void)mailbox_run(&workers[i].mailbox);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(name);
}

static void teardown(void)
{
    for (uint32_t i = 0; i < N_WORKERS; i++)
        mailbox_close(&workers[i].mailbox);
    reloader_stop(plugin.reloader);
    reloader_destroy(plugin.reloader);
    for (uint32_t i = 0; i < N_WORKERS; i++)
        mailbox_fini(&workers[i].mailbox);
    (void)close(stop_fd);
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(reloader, .init = setup, .fini = teardown, .timeout = 120);

static spoe_status declare(const char *name, uint32_t flags, int64_t poll_ns, int64_t every_ns,
                           struct spoe_reload_source **ret)
{
    const char *const paths[] = {path, NULL};
    const struct spoe_reload_decl decl = {.size = sizeof decl,
                                          .flags = flags,
                                          .name = name,
                                          .paths = paths,
                                          .poll_ns = poll_ns,
                                          .every_ns = every_ns,
                                          .build = build,
                                          .release = release,
                                          .arg = path};

    return reload_facet.declare(&plugin, &decl, ret);
}

/* A source that is watched by inotify alone, built once. */
static struct spoe_reload_source *begin(int64_t poll_ns, int64_t every_ns)
{
    struct spoe_reload_source *source = NULL;
    struct error error;

    cr_assert_eq(declare("list", SPOE_RELOAD_REQUIRED, poll_ns, every_ns, &source), SPOE_OK);
    cr_assert_eq(reloader_start(plugin.reloader, &shared, &error), 0);
    cr_assert_eq(reloader_wait(plugin.reloader, stop_fd, &error), 0, "%s", error.text);
    return source;
}

static bool is_state(const struct spoe_reload_source *source, const char *text)
{
    const char *state = reload_facet.get(source);

    return state != NULL && strcmp(state, text) == 0;
}

/* Turn the workers until a condition holds. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        const int64_t wait_end = clock_mono_ns() + LIMIT_NS;                                       \
        while (!(condition)) {                                                                     \
            cr_assert_lt(clock_mono_ns(), wait_end, "waited in vain for " #condition);             \
            run_mail();                                                                            \
            (void)poll(NULL, 0, 2);                                                                \
        }                                                                                          \
    } while (0)

Test(reloader, a_required_source_is_there_at_the_start)
{
    const struct spoe_reload_source *source = begin(HOUR_NS, 0);

    cr_assert(is_state(source, "one"));
    cr_assert_eq(atomic_load(&n_built), 1);
}

Test(reloader, what_is_written_is_seen_by_inotify)
{
    const struct spoe_reload_source *source = begin(HOUR_NS, 0);

    write_to(path, "two");
    WAIT_FOR(is_state(source, "two"));
    write_to(path, "three");
    WAIT_FOR(is_state(source, "three"));
    WAIT_FOR(atomic_load(&n_released) == 2);
}

Test(reloader, a_rename_over_the_file_is_seen)
{
    const struct spoe_reload_source *source = begin(HOUR_NS, 0);

    for (unsigned i = 0; i < 3; i++) {
        char text[8];

        (void)snprintf(text, sizeof text, "n%u", i);
        write_to(other, text);
        cr_assert_eq(rename(other, path), 0);
        WAIT_FOR(is_state(source, text));
    }
}

static void make(const char *sub, const char *text)
{
    char name[128], file[160];

    (void)snprintf(name, sizeof name, "%s/%s", folder, sub);
    cr_assert_eq(mkdir(name, 0700), 0);
    (void)snprintf(file, sizeof file, "%s/list", name);
    write_to(file, text);
}

/* As the kubelet does it: list -> ..data/list, ..data -> ..1, and ..data is renamed over. */
Test(reloader, a_config_map_is_seen)
{
    const struct spoe_reload_source *source;
    char data[128], temp[128];

    (void)snprintf(data, sizeof data, "%s/..data", folder);
    (void)snprintf(temp, sizeof temp, "%s/..data_tmp", folder);
    make("..1", "one");
    cr_assert_eq(symlink("..1", data), 0);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("..data/list", path), 0);
    source = begin(HOUR_NS, 0);
    cr_assert(is_state(source, "one"));
    make("..2", "two");
    cr_assert_eq(symlink("..2", temp), 0);
    cr_assert_eq(rename(temp, data), 0);
    WAIT_FOR(is_state(source, "two"));
    make("..3", "three");
    cr_assert_eq(symlink("..3", temp), 0);
    cr_assert_eq(rename(temp, data), 0);
    WAIT_FOR(is_state(source, "three"));
}

/* A write through a link is in a folder that the path does not name. */
Test(reloader, a_write_through_a_link_is_seen)
{
    const struct spoe_reload_source *source;
    char target[160];

    make("elsewhere", "one");
    (void)snprintf(target, sizeof target, "%s/elsewhere/list", folder);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink(target, path), 0);
    source = begin(HOUR_NS, 0);
    write_to(target, "two");
    WAIT_FOR(is_state(source, "two"));
}

/* No inotify tells of a folder further up that is another: the poll sees it. */
Test(reloader, the_poll_sees_what_inotify_does_not)
{
    const struct spoe_reload_source *source;
    char link[128], temp[128];

    (void)snprintf(link, sizeof link, "%s/current", folder);
    (void)snprintf(temp, sizeof temp, "%s/next", folder);
    make("r1", "one");
    make("r2", "two");
    cr_assert_eq(symlink("r1", link), 0);
    (void)snprintf(path, sizeof path, "%s/current/list", folder);
    source = begin(20 * NS_PER_MS, 0);
    cr_assert(is_state(source, "one"));
    cr_assert_eq(symlink("r2", temp), 0);
    cr_assert_eq(rename(temp, link), 0);
    WAIT_FOR(is_state(source, "two"));
}

Test(reloader, a_build_that_fails_leaves_what_was_there)
{
    struct spoe_reload_source *source = begin(HOUR_NS, 0);
    const struct reload_counts *counts = NULL;

    cr_assert_str_eq(reloader_source(plugin.reloader, 0, &counts), "list");
    atomic_store(&result, SPOE_E_INVAL);
    write_to(path, "two");
    WAIT_FOR(atomic_load(&counts->failed) == 1);
    cr_assert(is_state(source, "one"));
    cr_assert_eq(atomic_load(&counts->built), 1);
    atomic_store(&result, SPOE_OK);
    reload_facet.trigger(source);
    WAIT_FOR(is_state(source, "two"));
    cr_assert_eq(atomic_load(&counts->built), 2);
    cr_assert_null(reloader_source(plugin.reloader, 1, &counts));
}

/* A worker that has not turned may hold the state: nothing is freed, and no third one is built. */
Test(reloader, a_state_lives_until_every_worker_has_turned)
{
    struct spoe_reload_source *source = begin(HOUR_NS, 0);
    const char *held = reload_facet.get(source);
    const int64_t end = clock_mono_ns() + LIMIT_NS;
    const struct reload_counts *counts = NULL;

    (void)reloader_source(plugin.reloader, 0, &counts);
    write_to(path, "two");
    while (!is_state(source, "two")) {
        cr_assert_lt(clock_mono_ns(), end);
        (void)mailbox_run(&workers[0].mailbox);
        (void)poll(NULL, 0, 2);
    }
    (void)mailbox_run(&workers[0].mailbox); /* the other one has not turned */
    reloader_trigger(plugin.reloader);
    for (unsigned i = 0; i < 50; i++) {
        cr_assert_str_eq(held, "one");
        cr_assert_eq(atomic_load(&n_released), 0);
        cr_assert_eq(atomic_load(&n_built), 2);
        (void)poll(NULL, 0, 2);
    }
    WAIT_FOR(atomic_load(&n_released) >= 1 && atomic_load(&counts->built) == 3);
}

Test(reloader, nothing_new_is_no_failure_and_no_new_state)
{
    struct spoe_reload_source *source = begin(HOUR_NS, 0);
    const void *state = reload_facet.get(source);
    const struct reload_counts *counts = NULL;

    (void)reloader_source(plugin.reloader, 0, &counts);
    atomic_store(&nothing_new, true);
    reload_facet.trigger(source);
    WAIT_FOR(atomic_load(&counts->built) == 2);
    cr_assert_eq(reload_facet.get(source), state);
    cr_assert_eq(atomic_load(&n_released), 0);
}

Test(reloader, a_source_without_changes_is_built_every_so_often)
{
    (void)begin(HOUR_NS, NS_PER_MS);
    WAIT_FOR(atomic_load(&n_built) >= 5);
}

Test(reloader, the_start_fails_with_a_required_source)
{
    struct spoe_reload_source *source = NULL;
    struct error error = {{0}};

    atomic_store(&result, SPOE_E_INVAL);
    cr_assert_eq(declare("list", SPOE_RELOAD_REQUIRED, 0, 0, &source), SPOE_OK);
    cr_assert_eq(reloader_start(plugin.reloader, &shared, &error), 0);
    cr_assert_eq(reloader_wait(plugin.reloader, stop_fd, &error), -1);
    cr_assert_not_null(strstr(error.text, "plugin p: list: build() failed"), "%s", error.text);
}

/* Neither is waited for: one that is not required, and any once the host is to stop. */
Test(reloader, the_start_waits_for_required_ones_until_the_end)
{
    struct spoe_reload_source *source = NULL;
    struct error error = {{0}};
    const uint64_t one = 1;

    atomic_store(&blocks, true);
    cr_assert_eq(declare("optional", 0, 0, 0, &source), SPOE_OK);
    cr_assert_eq(declare("list", SPOE_RELOAD_REQUIRED, 0, 0, &source), SPOE_OK);
    cr_assert_eq(reloader_start(plugin.reloader, &shared, &error), 0);
    cr_assert_eq(write(stop_fd, &one, sizeof one), sizeof one);
    cr_assert_eq(reloader_wait(plugin.reloader, stop_fd, &error), 0);
    cr_assert_null(reload_facet.get(source));
    WAIT_FOR(reloader_is_building(plugin.reloader));
    cr_assert_eq(reload_facet.cancelled(source), 0);
    reloader_cancel(plugin.reloader);
    cr_assert_eq(reload_facet.cancelled(source), 1);
    WAIT_FOR(!reloader_is_building(plugin.reloader));
}

Test(reloader, a_declaration_is_checked)
{
    struct spoe_reload_source *source = NULL;
    struct spoe_reload_decl decl = {
        .size = sizeof decl, .name = "n", .build = build, .release = release};
    char name[8];

    cr_assert_eq(declare("Upper", 0, 0, 0, &source), SPOE_E_INVAL);
    cr_assert_eq(declare("", 0, 0, 0, &source), SPOE_E_INVAL);
    cr_assert_eq(declare("a234567890123456789012345678901234567890", 0, 0, 0, &source),
                 SPOE_E_INVAL);
    cr_assert_eq(declare("n", 2, 0, 0, &source), SPOE_E_INVAL);
    cr_assert_eq(declare("n", 0, -1, 0, &source), SPOE_E_INVAL);
    cr_assert_eq(declare("n", 0, 0, -1, &source), SPOE_E_INVAL);
    decl.build = NULL;
    cr_assert_eq(reload_facet.declare(&plugin, &decl, &source), SPOE_E_INVAL);
    for (unsigned i = 0; i < SPOE_RELOAD_SOURCES_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%u", i);
        cr_assert_eq(declare(name, 0, 0, 0, &source), SPOE_OK);
        if (i == 0)
            cr_assert_eq(declare(name, 0, 0, 0, &source), SPOE_E_INVAL, "the name is taken");
    }
    cr_assert_eq(declare("more", 0, 0, 0, &source), SPOE_E_LIMIT);
    plugin.state = PLUGIN_CONFIGURED;
    cr_assert_eq(declare("late", 0, 0, 0, &source), SPOE_E_UNSUPPORTED);
    cr_assert_eq(reload_facet.cancelled(NULL), 0);
}

/* A plugin that has none has no thread. */
Test(reloader, none_is_nothing)
{
    const struct reload_counts *counts;
    struct error error;

    cr_assert_eq(reloader_start(NULL, &shared, &error), 0);
    cr_assert_eq(reloader_wait(NULL, stop_fd, &error), 0);
    reloader_trigger(NULL);
    reloader_cancel(NULL);
    cr_assert_not(reloader_is_building(NULL));
    cr_assert_null(reloader_source(NULL, 0, &counts));
}

Test(file_watch, without_files_nothing_changes, .timeout = 30)
{
    struct file_watch watch;

    cr_assert_eq(file_watch_init(&watch, NULL), 0);
    cr_assert_not(file_watch_look(&watch));
    cr_assert_eq(watch.fd, -1);
    file_watch_fini(&watch);
}

Test(file_watch, files_come_change_and_go, .init = setup, .fini = teardown, .timeout = 30)
{
    const char *const paths[] = {path, other, NULL};
    struct file_watch watch;

    cr_assert_eq(file_watch_init(&watch, paths), 0);
    cr_assert(file_watch_look(&watch));
    cr_assert_geq(watch.fd, 0);
    cr_assert_not(file_watch_look(&watch));
    write_to(other, "x");
    cr_assert(file_watch_look(&watch));
    cr_assert_not(file_watch_look(&watch));
    write_to(other, "longer");
    cr_assert(file_watch_look(&watch));
    cr_assert_eq(unlink(other), 0);
    cr_assert(file_watch_look(&watch));
    cr_assert_not(file_watch_look(&watch));
    file_watch_fini(&watch);
}
