/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf when memory runs out: the n-th allocation fails, for every n until none does. Each run
 * ends in an error or in a failed call, never in a crash or a leak.
 *
 * The linker leads the allocating calls of host_conf here (--wrap, see CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/host_conf.h"

/* The allocation that fails; 0: none. Volatile: LTO does not see who calls what is wrapped. */
static volatile unsigned countdown;

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__real_strndup(const char *text, size_t n);
char *__wrap_strndup(const char *text, size_t n);
char *__wrap_strndup(const char *text, size_t n)
{
    return fails() ? NULL : __real_strndup(text, n);
}

int __wrap_vasprintf(char **ret, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
int __real_vasprintf(char **ret, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
int __wrap_vasprintf(char **ret, const char *format, va_list ap)
{
    return fails() ? -1 : __real_vasprintf(ret, format, ap);
}

int __wrap_asprintf(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **ret, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = __wrap_vasprintf(ret, format, ap);
    va_end(ap);
    return n;
}

/* Everything once. @return whether it ended well */
static bool run(FILE *file)
{
    struct conf *conf = conf_create();
    struct host_conf hc;
    bool good;

    if (conf == NULL)
        return false;
    conf_add_set(conf, "host.engine=e");
    conf_add_host_option(conf, "socket-group", "root");
    conf_add_stream(conf, file, "host.conf");
    good = host_conf_init(&hc, conf, "/plugins", NULL) == 0;
    conf_check_unknown(conf);
    good = good && conf_error_count(conf) == 0;
    for (size_t i = 0; i < conf_error_count(conf); i++)
        cr_assert_not_null(conf_error_text(conf, i));
    if (good) {
        cr_assert_eq(hc.n_listen, 2);
        cr_assert_str_eq(hc.listen[1].path, "/run/a");
        cr_assert_str_eq(hc.plugin_dirs[1], "/b");
        cr_assert_str_eq(hc.plugins[0], "otel.so");
        cr_assert_eq(hc.workers, 3);
        cr_assert_str_eq(hc.engine, "e");
        cr_assert_str_eq(hc.socket_group, "root");
    }
    host_conf_fini(&hc);
    conf_destroy(conf);
    return good;
}

Test(no_memory, any_allocation_may_fail, .timeout = 60)
{
    static char text[] = "[host]\nlisten = [::1]:1, unix:/run/a\nplugin-dir = /a:/b\n"
                         "plugins = otel.so\n";
    bool good = false;
    unsigned n;

    setenv("SPOE_WORKERS", "3", 1);
    for (n = 1; !good && n < 1000; n++) {
        FILE *file = fmemopen(text, sizeof text - 1, "r");

        cr_assert_not_null(file);
        countdown = n;
        good = run(file);
        cr_assert(good == (countdown > 0), "allocation %u", n);
        countdown = 0;
        (void)fclose(file);
    }
    cr_assert(good && n > 100, "only %u allocations", n);
}

/* One of a file, whose options are kept as well: what they are, and how they are written. */
static struct conf_section *read_again(struct conf **ret_conf, const char *text)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    struct conf_section *section;

    cr_assert_not_null(file);
    *ret_conf = conf_create();
    cr_assert_not_null(*ret_conf);
    conf_add_stream(*ret_conf, file, "host.conf");
    (void)fclose(file);
    section = conf_resolve(*ret_conf, "host", host_options);
    cr_assert_not_null(section);
    return section;
}

/* 9.2: a reload without memory fails, and says so; what it has is whole. */
Test(no_memory, any_allocation_of_a_reload_may_fail, .timeout = 60)
{
    for (unsigned kept = 0; kept < 2; kept++) {
        unsigned n;
        bool good = false;

        for (n = 1; !good && n < 100; n++) {
            struct conf *old_conf, *new_conf;
            struct conf_section *in_use = read_again(&old_conf, "[host]\nengine = old\n");
            struct conf_section *section =
                read_again(&new_conf, kept ? "[host]\nengine = new\n" : "[host]\nengine = old\n");
            size_t i = 0;

            while (strcmp(host_options[i]->key, "engine") != 0)
                i++;
            conf_setting_written(old_conf, in_use, i, (struct spoe_span){"as", 2});
            countdown = n;
            good = (kept ? conf_setting_keep(section, i, in_use)
                         : conf_setting_follow(new_conf, section, i, in_use)) == 0;
            cr_assert(good == (countdown > 0), "allocation %u", n);
            countdown = 0;
            cr_assert_str_eq(conf_setting_text(section, i), good ? "as" : kept ? "new" : "old");
            conf_section_destroy(section);
            conf_section_destroy(in_use);
            conf_destroy(new_conf);
            conf_destroy(old_conf);
        }
        cr_assert(good && n > (kept ? 3 : 1), "only %u allocations", n);
    }
}
