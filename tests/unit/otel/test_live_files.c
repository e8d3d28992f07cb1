/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_live_files.c - files of the export that change while it runs. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "send/live_files.h"
#include "fake_host.h"

static char dir[] = "/tmp/spoe-files-XXXXXX";
static char headers_file[64], ca_file[64];

/* A certificate that nothing is signed with: any will do here. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                          "MIIBZzCCAQ2gAwIBAgIUL8N2lqKVVuBqmSTB1hrHPlFQcpQwCgYIKoZIzj0EAwIw\n"
                          "-----END CERTIFICATE-----\n";

static void make_dir(void)
{
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(headers_file, sizeof headers_file, "%s/headers", dir);
    (void)snprintf(ca_file, sizeof ca_file, "%s/ca.pem", dir);
}

static void remove_dir(void)
{
    unlink(headers_file);
    unlink(ca_file);
    rmdir(dir);
}

TestSuite(live_files, .timeout = 60, .init = make_dir, .fini = remove_dir);

/* As a careful writer does it: the name leads to the old or to the new. */
static void write_file(const char *path, const char *text)
{
    char new_path[80];
    FILE *file;

    (void)snprintf(new_path, sizeof new_path, "%s.new", path);
    file = fopen(new_path, "we");
    cr_assert_not_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    cr_assert_eq(rename(new_path, path), 0);
}

static const char *header(const struct live_files *files, const char *key)
{
    for (size_t i = 0; i < files->headers.n; i++)
        if (strcmp(files->headers.item[i].key, key) == 0)
            return files->headers.item[i].value;
    return NULL;
}

Test(live_files, without_files_nothing_changes)
{
    const struct exporter_conf conf = {.headers = "A=1,b=%41"};
    struct live_files files;
    char error[256] = "";

    cr_assert_eq(live_files_init(&files, &conf, &fake_table, NULL, error, sizeof error), 0);
    cr_assert_str_eq(header(&files, "a"), "1");
    cr_assert_str_eq(header(&files, "b"), "A");
    live_files_refresh(&files);
    cr_assert_eq(files.generation, 0);
    cr_assert_str_empty(fake.line);
    live_files_fini(&files);
}

Test(live_files, headers_follow_their_file)
{
    const struct exporter_conf conf = {.headers = "a=1", .headers_file = headers_file};
    struct live_files files;
    char error[256] = "";

    write_file(headers_file, "A: 2\n");
    cr_assert_eq(live_files_init(&files, &conf, &fake_table, NULL, error, sizeof error), 0);
    cr_assert_str_eq(header(&files, "a"), "2", "the file wins");

    live_files_refresh(&files);
    cr_assert_eq(files.generation, 0);

    write_file(headers_file, "A: 3\nNew: secret\n");
    live_files_refresh(&files);
    cr_assert_eq(files.generation, 1);
    cr_assert_str_eq(header(&files, "a"), "3");
    cr_assert_not_null(strstr(fake.line, "new ones are in use"), "%s", fake.line);

    write_file(headers_file, "secret\n");
    live_files_refresh(&files);
    cr_assert_eq(files.generation, 1);
    cr_assert_str_eq(header(&files, "a"), "3");
    cr_assert_not_null(strstr(fake.line, "old ones stay in use"), "%s", fake.line);
    cr_assert_null(strstr(fake.line, "secret"), "%s", fake.line);

    unlink(headers_file);
    fake.warnings = 0;
    for (int i = 0; i < 3; i++)
        live_files_refresh(&files);
    cr_assert_eq(fake.warnings, 1, "once for each change");
    cr_assert_str_eq(header(&files, "new"), "secret");
    live_files_fini(&files);
}

/* Write into the file itself, as many bytes as before. Its time is said, as clocks may be coarse.
 */
static void overwrite(const char *path, const char *text, long mtime_ns)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = 1700000000, .tv_nsec = mtime_ns}};
    const int fd = open(path, O_WRONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(futimens(fd, times), 0);
    (void)close(fd);
}

/* 9.2: the same file with as many bytes, within the same second. */
Test(live_files, an_editor_in_place_is_seen)
{
    const struct exporter_conf conf = {.headers_file = headers_file};
    struct live_files files;
    char error[256] = "";

    write_file(headers_file, "A: 1\n");
    overwrite(headers_file, "A: 2\n", 1);
    cr_assert_eq(live_files_init(&files, &conf, &fake_table, NULL, error, sizeof error), 0);
    for (int i = 3; i < 8; i++) {
        char text[8];

        (void)snprintf(text, sizeof text, "A: %d\n", i);
        overwrite(headers_file, text, i);
        live_files_refresh(&files);
        cr_assert_eq(header(&files, "a")[0], text[3]);
    }
    cr_assert_eq(files.generation, 5);
    live_files_fini(&files);
}

/* For want of a descriptor they could not be read; they are when there is one, and one line says
 * so.
 */
Test(live_files, what_cannot_be_read_for_a_moment_is_read_later)
{
    const struct exporter_conf conf = {.headers_file = headers_file};
    struct live_files files;
    struct rlimit old, none;
    char error[256] = "";

    write_file(headers_file, "A: old\n");
    cr_assert_eq(live_files_init(&files, &conf, &fake_table, NULL, error, sizeof error), 0);
    write_file(headers_file, "A: new\n");
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    fake.warnings = 0;
    for (int i = 0; i < 3; i++)
        live_files_refresh(&files);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    cr_expect_eq(fake.warnings, 1);
    cr_expect_str_eq(header(&files, "a"), "old");
    live_files_refresh(&files);
    cr_expect_str_eq(header(&files, "a"), "new");
    cr_expect_eq(files.generation, 1);
    live_files_refresh(&files);
    cr_expect_eq(files.generation, 1, "that is done");
    live_files_fini(&files);
}

Test(live_files, a_broken_ca_leaves_the_old_one)
{
    const struct exporter_conf conf = {.tls = OTLP_TLS_ENABLED, .tls_ca = ca_file};
    struct live_files files;
    char error[256] = "";

    write_file(ca_file, pem);
    cr_assert_eq(live_files_init(&files, &conf, &fake_table, NULL, error, sizeof error), -1,
                 "it is not a whole one");
    cr_assert_not_null(strstr(error, ca_file), "%s", error);
    live_files_fini(&files);
}

Test(live_files, files_of_tls_do_not_count_without_tls)
{
    const struct exporter_conf conf = {.tls = OTLP_TLS_DISABLED, .tls_ca = ca_file};
    struct live_files files;
    char error[256] = "";

    cr_assert_eq(live_files_init(&files, &conf, &fake_table, NULL, error, sizeof error), 0);
    write_file(ca_file, "broken");
    live_files_refresh(&files);
    cr_assert_str_empty(fake.line);
    live_files_fini(&files);
}
