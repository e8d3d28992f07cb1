/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_plugin_set.c - plugins of a folder, and the order in which they are started
 * and taken down again (9.1).
 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/plugin.h"
#include "core/plugin_file.h"

static char calls[256]; /* what was called of which plugin: "+1 +2 -2 ..." */

static void note(char what, const void *inst)
{
    char text[8];

    (void)snprintf(text, sizeof text, "%c%s ", what, (const char *)inst);
    strncat(calls, text, sizeof calls - strlen(calls) - 1);
}

static spoe_status fail_with;
static const char *failing = "";

static spoe_status start(void *inst)
{
    note('+', inst);
    return strcmp(inst, failing) == 0 ? fail_with : SPOE_OK;
}

static void drain(void *inst, int64_t deadline)
{
    cr_assert_eq(deadline, 7);
    note('~', inst);
}

static void stop(void *inst, int64_t deadline)
{
    cr_assert_eq(deadline, 8);
    note('-', inst);
}

static void destroy(void *inst)
{
    note('x', inst);
}

static const char *const names[] = {"1", "2", "3"};
static unsigned configured;
static bool complains; /* configure() of the second one says SPOE_OK and reports an error */

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **inst)
{
    (void)self;
    *inst = (void *)(uintptr_t)names[configured++];
    note('c', *inst);
    if (complains && configured == 2)
        host->config_error(cfg, SIZE_MAX, (struct spoe_span){"I do not like it", 16});
    if (strcmp(*inst, failing) == 0)
        return fail_with;
    return SPOE_OK;
}

static struct spoe_plugin descs[3];
static struct plugin_set set;

static void make_set(void)
{
    set = (struct plugin_set){.n = 3};
    for (size_t i = 0; i < 3; i++) {
        descs[i] = (struct spoe_plugin){.size = sizeof descs[i],
                                        .id = names[i],
                                        .version = "1",
                                        .configure = configure,
                                        .start = start,
                                        .drain = drain,
                                        .stop = stop,
                                        .destroy = destroy};
        set.plugin[i] = calloc(1, sizeof *set.plugin[i]);
        cr_assert_not_null(set.plugin[i]);
        set.plugin[i]->desc = &descs[i];
        set.plugin[i]->path = strdup(names[i]);
        set.plugin[i]->callee.id = names[i];
        set.plugin[i]->index = (uint32_t)i;
    }
    calls[0] = '\0';
    configured = 0;
}

static int configure_all(struct error *reterr)
{
    struct conf *conf = conf_create();
    int result;

    cr_assert_not_null(conf);
    result = plugin_set_configure(&set, conf, reterr);
    cr_assert_eq(conf_error_count(conf) != 0, result != 0);
    conf_destroy(conf);
    return result;
}

static void drain_all(void)
{
    for (size_t i = 0; i < set.n; i++)
        plugin_drain(set.plugin[i], 7);
}

TestSuite(plugin_set, .init = make_set, .timeout = 60);

Test(plugin_set, goes_down_in_the_reverse_of_its_order)
{
    struct error error;

    cr_assert_eq(configure_all(&error), 0);
    cr_assert_eq(plugin_set_start(&set, &error), 0);
    drain_all();
    plugin_set_stop(&set, 8);
    plugin_set_stop(&set, 8); /* finds none that runs */
    drain_all();
    plugin_set_destroy(&set);
    cr_assert_str_eq(calls, "c1 c2 c3 +1 +2 +3 ~1 ~2 ~3 -3 -2 -1 x3 x2 x1 ");
    cr_assert_eq(set.n, 0);
}

Test(plugin_set, what_did_not_start_is_not_stopped)
{
    struct error error;

    failing = "2";
    cr_assert_eq(configure_all(&error), 0);
    fail_with = SPOE_E_LIMIT;
    cr_assert_neq(plugin_set_start(&set, &error), 0);
    cr_assert_not_null(strstr(error.text, "plugin 2 (2): start() failed with SPOE_E_LIMIT"), "%s",
                       error.text);
    drain_all();
    plugin_set_stop(&set, 8);
    plugin_set_destroy(&set);
    cr_assert_str_eq(calls, "c1 c2 c3 +1 +2 ~1 -1 x3 x2 x1 ");
}

/* destroy() is due for what configure() has made, and for nothing else. */
Test(plugin_set, what_configure_made_is_destroyed)
{
    struct error error;

    complains = true;
    cr_assert_neq(configure_all(&error), 0);
    plugin_set_destroy(&set);
    cr_assert_str_eq(calls, "c1 c2 c3 x3 x2 x1 ", "the second said SPOE_OK");

    make_set();
    complains = false;
    failing = "2";
    fail_with = SPOE_E_CONFIG;
    cr_assert_neq(configure_all(&error), 0);
    cr_assert_not_null(strstr(error.text, "configure() failed with SPOE_E_CONFIG"));
    plugin_set_destroy(&set);
    cr_assert_str_eq(calls, "c1 c2 c3 x3 x1 ");
}

Test(plugin_set, every_status_has_its_name)
{
    static const struct {
        spoe_status status;
        const char *text;
    } rows[] = {{SPOE_E_INVAL, "SPOE_E_INVAL "},   {SPOE_E_NOMEM, "SPOE_E_NOMEM "},
                {SPOE_E_CONFIG, "SPOE_E_CONFIG "}, {SPOE_E_UNSUPPORTED, "SPOE_E_UNSUPPORTED "},
                {SPOE_E_LIMIT, "SPOE_E_LIMIT "},   {SPOE_E_INTERNAL, "SPOE_E_INTERNAL "}};
    struct error error;

    failing = "1";
    set.plugin[0]->inst = (void *)(uintptr_t)names[0];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fail_with = rows[i].status;
        cr_assert_neq(plugin_set_start(&set, &error), 0);
        cr_assert_not_null(strstr(error.text, rows[i].text), "%s", error.text);
    }
    plugin_set_destroy(&set);
}

/* ---- what is asked of those that have it ---- */

static spoe_status check(void *inst)
{
    note('?', inst);
    return strcmp(inst, failing) == 0 ? fail_with : SPOE_OK;
}

static spoe_status try_out(void *inst, int64_t deadline)
{
    cr_assert_eq(deadline, 9);
    note('!', inst);
    return strcmp(inst, failing) == 0 ? fail_with : SPOE_OK;
}

static void quiesce(void *inst)
{
    note('q', inst);
}

static uint64_t open_count(void *inst)
{
    note('#', inst);
    return (uint64_t)strtol(inst, NULL, 10);
}

static void give_all(size_t i)
{
    descs[i].check = check;
    descs[i].try_out = try_out;
    descs[i].quiesce = quiesce;
    descs[i].open_count = open_count;
}

/* 9.2: check() and try_out() of all, whatever one says; a failure is one of the whole. */
Test(plugin_set, all_are_checked_and_tried)
{
    struct error error;

    cr_assert_eq(configure_all(&error), 0);
    calls[0] = '\0';
    cr_assert(plugin_set_check(&set), "where none has anything to check");
    cr_assert_not(plugin_set_try_out(&set, 9), "where none sends anything");
    give_all(0);
    give_all(2);
    cr_assert(plugin_set_check(&set));
    cr_assert(plugin_set_try_out(&set, 9));
    cr_assert_str_eq(calls, "?1 ?3 !1 !3 ");
    for (size_t i = 0; i < 3; i += 2) {
        calls[0] = '\0';
        failing = names[i];
        fail_with = SPOE_E_UNSUPPORTED;
        cr_assert_not(plugin_set_check(&set), "%s", failing);
        cr_assert_not(plugin_set_try_out(&set, 9), "%s", failing);
        cr_assert_str_eq(calls, "?1 ?3 !1 !3 ");
    }
    plugin_set_destroy(&set);
}

/* 9.2: a plugin that could not be configured has nothing that could be asked. */
Test(plugin_set, what_is_not_configured_is_not_asked)
{
    struct error error;
    uint64_t n;

    failing = "2";
    fail_with = SPOE_E_CONFIG;
    for (size_t i = 0; i < 3; i++)
        give_all(i);
    cr_assert_neq(configure_all(&error), 0);
    failing = "";
    calls[0] = '\0';
    cr_assert(plugin_set_check(&set));
    cr_assert(plugin_set_try_out(&set, 9));
    plugin_set_quiesce(&set);
    cr_assert_not(plugin_set_open_count(&set, &n), "none has started");
    cr_assert_str_eq(calls, "?1 ?3 !1 !3 ");
    plugin_set_destroy(&set);
}

/* 9.2 */
Test(plugin_set, what_is_open_is_added_up_over_those_that_run)
{
    struct error error;
    uint64_t n = 99;

    cr_assert_eq(configure_all(&error), 0);
    cr_assert_eq(plugin_set_start(&set, &error), 0);
    cr_assert_not(plugin_set_open_count(&set, &n), "none tells");
    cr_assert_eq(n, 0);
    give_all(1);
    give_all(2);
    calls[0] = '\0';
    plugin_set_quiesce(&set);
    cr_assert(plugin_set_open_count(&set, &n));
    cr_assert_eq(n, 5);
    cr_assert_str_eq(calls, "q2 q3 #2 #3 ");
    plugin_set_stop(&set, 8);
    calls[0] = '\0';
    plugin_set_quiesce(&set);
    cr_assert_not(plugin_set_open_count(&set, &n));
    cr_assert_str_eq(calls, "");
    plugin_set_destroy(&set);
}

/* ---- folders ----------------------------------------------------------------------------- */

static char dir[] = "/tmp/plugin-set-XXXXXX";

static const char *replaced; /* in what is copied, by as many x; NULL: nothing */

static const char *copied = "SPOE_TEST_PLUGIN"; /* the variable that names it */

static void copy_plugin(const char *name)
{
    static char bytes[1 << 20];
    const char *from = getenv(copied);
    char path[256];
    size_t n;
    FILE *in, *out;

    cr_assert_not_null(from);
    in = fopen(from, "re");
    cr_assert_not_null(in);
    n = fread(bytes, 1, sizeof bytes, in);
    cr_assert(n > 0 && n < sizeof bytes);
    (void)fclose(in);
    if (replaced != NULL) {
        char *at = memmem(bytes, n, replaced, strlen(replaced) + 1);

        cr_assert_not_null(at);
        memset(at, 'x', strlen(replaced));
    }
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    out = fopen(path, "we");
    cr_assert_not_null(out);
    cr_assert_eq(fwrite(bytes, 1, n, out), n);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(chmod(path, 0755), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_all(void)
{
    cr_assert_eq(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

Test(plugin_files, a_folder_gives_what_ends_in_so_in_the_order_of_names, .timeout = 120)
{
    char *const dirs[] = {dir, NULL};
    struct error error;

    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(plugin_set_load(&set, dirs, NULL, &error), -1);
    cr_assert_not_null(strstr(error.text, "nothing to do"));
    copy_plugin(".so"); /* no name in front of it */
    copy_plugin(".hidden.so");
    copy_plugin("a.so.bak");
    copy_plugin("aso");
    cr_assert_eq(plugin_set_load(&set, dirs, NULL, &error), -1);
    cr_assert_not_null(strstr(error.text, "nothing to do"), "%s", error.text);
    copy_plugin("b.so");
    copy_plugin("a.so");
    cr_assert_eq(plugin_set_load(&set, dirs, NULL, &error), 0, "%s", error.text);
    cr_assert_eq(set.n, 2);
    cr_assert_not_null(strstr(set.plugin[0]->path, "/a.so"));
    cr_assert_not_null(strstr(set.plugin[1]->path, "/b.so"));
    cr_assert(set.plugin[0]->index == 0 && set.plugin[1]->index == 1);
    plugin_set_destroy(&set);
    remove_all();
}

Test(plugin_files, there_may_be_64_and_no_more, .timeout = 120)
{
    char *const dirs[] = {dir, NULL};
    struct error error;
    char name[32];

    cr_assert_not_null(mkdtemp(dir));
    for (unsigned i = 0; i < PLUGINS_MAX; i++) {
        (void)snprintf(name, sizeof name, "p%02u.so", i);
        copy_plugin(name);
    }
    cr_assert_eq(plugin_set_load(&set, dirs, NULL, &error), 0, "%s", error.text);
    cr_assert_eq(set.n, PLUGINS_MAX);
    plugin_set_destroy(&set);
    copy_plugin("q.so");
    cr_assert_neq(plugin_set_load(&set, dirs, NULL, &error), 0);
    cr_assert_not_null(strstr(error.text, "q.so: more than 64 plugins"), "%s", error.text);
    cr_assert_eq(set.n, 0);
    remove_all();
}

/* 9.2: one name that nobody has, wherever it stands, and nothing is loaded. */
Test(plugin_files, all_that_are_named_or_none, .timeout = 120)
{
    static char a[] = "a.so", b[] = "b", gone[] = "gone", path[64];
    char *const dirs[] = {dir, NULL};
    struct error error;

    cr_assert_not_null(mkdtemp(dir));
    copy_plugin("a.so");
    copy_plugin("b.so");
    (void)snprintf(path, sizeof path, "%s/nowhere.so", dir);
    for (size_t at = 0; at < 3; at++) {
        for (int as_path = 0; as_path < 2; as_path++) {
            char *wanted[] = {a, b, b, NULL};

            wanted[at] = as_path ? path : gone;
            if (at == 0)
                wanted[1] = a;
            cr_assert_eq(plugin_set_load(&set, dirs, wanted, &error), -1);
            cr_assert_not_null(strstr(error.text, as_path ? "nowhere.so" : "cannot load gone"),
                               "%s", error.text);
            cr_assert_eq(set.n, 0);
        }
    }
    cr_assert_eq(plugin_set_load(&set, dirs, (char *const[]){b, a, NULL}, &error), 0);
    cr_assert_eq(set.n, 2);
    cr_assert_not_null(strstr(set.plugin[0]->path, "/b.so"), "in the order of their naming");
    plugin_set_destroy(&set);
    remove_all();
}

/* 9.2: the longest path there can be is looked at, a longer one is refused. */
Test(plugin_files, a_path_has_a_greatest_length, .timeout = 60)
{
    static char path[PATH_MAX + 2];
    struct error error = {""};

    memset(path, '/', PATH_MAX - 1);
    cr_assert_eq(plugin_file_check_folder(path, 0, &error), 0, "%s", error.text);
    for (size_t n = PATH_MAX; n <= PATH_MAX + 1; n++) {
        path[n - 1] = '/';
        cr_assert_eq(plugin_file_check_folder(path, 0, &error), -1);
        cr_assert_not_null(strstr(error.text, "longer than 4096 bytes"), "%s", error.text);
    }
}

/* 9.2: what the loader says is what is told. */
Test(plugin_files, a_library_that_is_not_there_is_named, .timeout = 60)
{
    char path[64];
    struct error error = {""};

    cr_assert_not_null(mkdtemp(dir));
    replaced = "libc.so.6";
    copy_plugin("a.so");
    (void)snprintf(path, sizeof path, "%s/a.so", dir);
    cr_assert_null(plugin_open(path, PLUGIN_TRUST_CHECKED, &error));
    cr_assert_not_null(strstr(error.text, "cannot load "), "%s", error.text);
    cr_assert_not_null(strstr(error.text, "xxxxxxxxx: cannot open shared object file"), "%s",
                       error.text);
    remove_all();
}

/* 9.2: of two with one id the second is refused, and said where the first is. */
Test(plugin_files, an_id_is_taken_once, .timeout = 120)
{
    char *const dirs[] = {dir, NULL};
    struct error error;
    char path[64];

    cr_assert_not_null(mkdtemp(dir));
    copy_plugin("b.so");
    copied = "SPOE_TEST_PLUGIN_GOOD";
    copy_plugin("a.so");
    cr_assert_eq(plugin_set_load(&set, dirs, NULL, &error), 0, "%s", error.text);
    cr_assert_eq(set.n, 2);
    plugin_set_destroy(&set);
    copy_plugin("c.so");
    cr_assert_eq(plugin_set_load(&set, dirs, NULL, &error), -1);
    (void)snprintf(path, sizeof path, "is taken by %s/a.so", dir);
    cr_assert_not_null(strstr(error.text, path), "%s", error.text);
    cr_assert_not_null(strstr(error.text, "/c.so"), "%s", error.text);
    cr_assert_eq(set.n, 0);
    remove_all();
}
