/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_conf_no_memory.c - reading the configuration when the n-th allocation fails,
 * for every n until none does: it says so, and nothing crashes or leaks. The linker leads the
 * allocating calls here (--wrap, see CMakeLists.txt).
 */
#include "conf_host.h"

#include <stdarg.h>
#include <unistd.h>

static volatile unsigned countdown; /* the allocation that fails; 0: none */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
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

int __wrap_asprintf(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **ret, const char *format, ...)
{
    va_list ap;
    int n;

    if (fails())
        return -1;
    va_start(ap, format);
    n = vasprintf(ret, format, ap);
    va_end(ap);
    return n;
}

/* @return whether it was read whole */
static bool run(unsigned n)
{
    struct spoe_config cfg = {.conf = conf_create()};
    struct otel_conf conf = {.span_ttl_ns = 0};
    spoe_status status;

    cr_assert_not_null(cfg.conf);
    cfg.section = conf_resolve(cfg.conf, "otel", otel_options);
    cr_assert_not_null(cfg.section);
    countdown = n;
    status = otel_conf_read(&conf_host, NULL, &cfg, &conf);
    /* Either all of it, or it says that there is no memory; a getline() of libc's own counts too.
     */
    cr_expect(status == SPOE_OK || status == SPOE_E_NOMEM, "allocation %u: %d", n, status);
    if (status == SPOE_OK) {
        cr_expect_str_eq(conf.exporter.url, "https://c:443/v1/traces");
        cr_expect_str_eq(conf.exporter.service_name, "shop");
        cr_expect_str_eq(resource_str(&conf.resource, "k"), "v");
        cr_expect_str_eq(conf.exporter.headers, "a=1,b=2");
        cr_expect_not_null(conf.redact_query);
        cr_expect_str_eq(conf.known_methods, "GET");
        cr_expect_str_eq(conf.exclude_paths, "/h");
    }
    otel_conf_fini(&conf);
    conf_section_destroy(cfg.section);
    conf_destroy(cfg.conf);
    return status == SPOE_OK && countdown > 0;
}

Test(conf_no_memory, any_allocation_may_fail, .timeout = 60)
{
    char path[] = "/tmp/spoe-test-XXXXXX";
    const int fd = mkstemp(path);
    unsigned n = 1;

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "a: 3\nc: 4\n", 10), 10);
    (void)close(fd);
    setenv("OTLP_PROTOCOL", "http/protobuf", 1);
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c", 1);
    setenv("OTEL_RESOURCE_ATTRIBUTES", "k=v,service.name=shop", 1);
    setenv("OTLP_HEADERS", "a=1,b=2", 1);
    setenv("OTLP_HEADERS_FILE", path, 1);
    setenv("SAMPLER", "traceidratio", 1);
    setenv("SERVICE_VERSION", "1", 1);
    setenv("KNOWN_METHODS", "GET", 1);
    setenv("EXCLUDE_PATHS", "/h", 1);
    while (n < 1000 && !run(n))
        n++;
    cr_assert(n > 40 && n < 1000, "%u allocations", n);
    (void)unlink(path);
}
