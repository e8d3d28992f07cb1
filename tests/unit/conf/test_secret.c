/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/secret.c by way of conf.c: files and systemd's credentials, and a second reading. 12.2
 */
#include "conf/secret.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/print.h"

static const char *const env[] = {"TEST_SECRET", NULL};
static const struct spoe_option key = {
    .size = sizeof key, .type = SPOE_OPT_SECRET, .key = "key", .env = env};
static const struct spoe_option path = {
    .size = sizeof path, .type = SPOE_OPT_PATH, .key = "path", .flags = SPOE_OPTION_SECRET_FILE};
static const struct spoe_option *const options[] = {&key, &path, NULL};

static char dir[64], file[128], setting[160];

static void setup(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/test-secret-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chmod(dir, 0755), 0); /* every user may pass it */
    (void)snprintf(file, sizeof file, "%s/key", dir);
    (void)snprintf(setting, sizeof setting, "p.key=file:%s", file);
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("TEST_SECRET");
}

static void teardown(void)
{
    (void)unlink(file);
    (void)rmdir(dir);
}

TestSuite(secret, .init = setup, .fini = teardown, .timeout = 30);

static void write_file(const char *bytes, size_t n)
{
    FILE *out = fopen(file, "w");

    cr_assert_not_null(out);
    cr_assert_eq(fwrite(bytes, 1, n, out), n);
    cr_assert_eq(fclose(out), 0);
}

struct reading {
    struct conf *conf;
    struct conf_section *section;
};

static struct reading read_with(const char *assignment)
{
    struct reading r = {.conf = conf_create()};

    conf_add_set(r.conf, assignment);
    r.section = conf_resolve(r.conf, "p", options);
    cr_assert_not_null(r.section);
    return r;
}

static void drop(struct reading *r)
{
    conf_section_destroy(r->section);
    conf_destroy(r->conf);
}

static void expect(const struct reading *r, const char *wanted)
{
    const struct spoe_setting *s = conf_setting(r->section, 0);

    cr_assert_eq(conf_error_count(r->conf), 0, "%s", conf_error_text(r->conf, 0));
    cr_assert_eq(s->value.type, SPOE_T_STR);
    cr_assert(s->value.u.s.n == strlen(wanted) &&
                  memcmp(s->value.u.s.p, wanted, strlen(wanted)) == 0,
              "got \"%.*s\"", (int)s->value.u.s.n, s->value.u.s.p);
}

static void expect_error(const char *assignment, const char *wanted)
{
    struct reading r = read_with(assignment);

    cr_assert_eq(conf_error_count(r.conf), 1);
    cr_assert_not_null(strstr(conf_error_text(r.conf, 0), wanted), "got: %s",
                       conf_error_text(r.conf, 0));
    cr_assert_eq(conf_setting(r.section, 0)->value.type, SPOE_T_NULL);
    drop(&r);
}

Test(secret, is_the_text_or_in_a_file)
{
    static const char *const files[] = {"s3cr3t", "s3cr3t\n", "s3cr3t\r\n"};
    struct reading r = read_with("p.key=s3cr3t");

    expect(&r, "s3cr3t");
    drop(&r);
    for (size_t i = 0; i < 3; i++) {
        write_file(files[i], strlen(files[i]));
        r = read_with(setting);
        expect(&r, "s3cr3t");
        drop(&r);
    }
    write_file("\n\n", 2); /* one line end goes, no more */
    r = read_with(setting);
    expect(&r, "\n");
    drop(&r);
}

Test(secret, is_a_credential_of_systemd)
{
    struct reading r;

    expect_error("p.key=credential:key", "credential:key: CREDENTIALS_DIRECTORY is not set");
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    write_file("abc\n", 4);
    r = read_with("p.key=credential:key");
    expect(&r, "abc");
    drop(&r);
    expect_error("p.key=credential:none", "none: cannot be opened: No such file");
    expect_error("p.key=credential:../key", "the value is not valid");
}

Test(secret, of_everybody_is_said_once)
{
    struct reading r;
    char wanted[256];

    (void)snprintf(wanted, sizeof wanted,
                   "command line: p.key: %s: its mode is 0604: every user may read the secret in "
                   "it",
                   file);
    write_file("s3cr3t", 6);
    cr_assert_eq(chmod(file, 0604), 0);
    r = read_with(setting);
    expect(&r, "s3cr3t");
    cr_assert_eq(conf_warnings(r.conf)->n, 1);
    cr_assert_str_eq(conf_warnings(r.conf)->text[0], wanted);
    drop(&r);
    cr_assert_eq(chmod(file, 0660), 0);
    r = read_with(setting);
    expect(&r, "s3cr3t");
    cr_assert_eq(conf_warnings(r.conf)->n, 0);
    drop(&r);
}

/* As Debian's packages have /etc/spoe-host, 0750: what is in it is for those who may pass it. */
Test(secret, of_nobody_where_its_folder_is)
{
    char link[80];
    struct reading r;

    write_file("s3cr3t", 6);
    cr_assert_eq(chmod(file, 0644), 0);
    (void)snprintf(link, sizeof link, "%s-link", dir);
    cr_assert_eq(symlink(file, link), 0);
    for (size_t i = 0; i < 2; i++) { /* by its own name, and by a link from elsewhere */
        cr_assert_eq(chmod(dir, 0750), 0);
        r = read_with(setting);
        cr_assert_eq(conf_error_count(r.conf), 0);
        cr_assert_eq(conf_warnings(r.conf)->n, 0, "%s", conf_warnings(r.conf)->text[0]);
        drop(&r);
        cr_assert_eq(chmod(dir, 0751), 0);
        r = read_with(setting);
        cr_assert_eq(conf_warnings(r.conf)->n, 1);
        drop(&r);
        (void)snprintf(setting, sizeof setting, "p.key=file:%s", link);
    }
    cr_assert_eq(unlink(link), 0);
}

/* What the plugin reads itself. */
Test(secret, a_file_s_name_is_looked_at_as_well)
{
    struct reading r;
    char wanted[256];

    (void)snprintf(setting, sizeof setting, "p.path=%s", file);
    (void)snprintf(wanted, sizeof wanted, "command line: p.path: %s: its mode is 0644", file);
    r = read_with(setting);
    cr_assert_eq(conf_warnings(r.conf)->n, 0, "nobody can read what is not there");
    drop(&r);
    write_file("s3cr3t", 6);
    cr_assert_eq(chmod(file, 0644), 0);
    r = read_with(setting);
    cr_assert_eq(conf_error_count(r.conf), 0);
    cr_assert_eq(conf_warnings(r.conf)->n, 1);
    cr_assert_eq(strncmp(conf_warnings(r.conf)->text[0], wanted, strlen(wanted)), 0, "%s",
                 conf_warnings(r.conf)->text[0]);
    drop(&r);
    cr_assert_eq(chmod(file, 0600), 0);
    r = read_with(setting);
    cr_assert_eq(conf_warnings(r.conf)->n, 0);
    drop(&r);
}

Test(secret, errors_name_origin_and_file)
{
    static char much[SECRET_BYTES_MAX + 1];
    char wanted[256];

    (void)snprintf(wanted, sizeof wanted, "command line: p.key: %s: cannot be opened: No such",
                   file);
    expect_error(setting, wanted);
    write_file("", 0);
    expect_error(setting, "is empty");
    write_file("\n", 1);
    expect_error(setting, "is empty");
    write_file("a\0b", 3);
    expect_error(setting, "has a NUL byte");
    memset(much, 'x', sizeof much);
    write_file(much, sizeof much);
    expect_error(setting, "more than 64 KiB");
    (void)unlink(file);
    cr_assert_eq(mkfifo(file, 0600), 0);
    expect_error(setting, "not a regular file");
    (void)unlink(file);
    (void)snprintf(wanted, sizeof wanted, "p.key=file:%s", dir);
    expect_error(wanted, "cannot be read: Is a directory");
}

/* What is preferred less is held to its form, and not looked for. */
Test(secret, is_read_of_the_source_that_counts)
{
    struct reading r;

    setenv("TEST_SECRET", "file:/nowhere/at/all", 1);
    r = read_with("p.key=mine");
    expect(&r, "mine");
    drop(&r);
}

Test(secret, is_read_anew_and_kept)
{
    struct reading old, new;

    write_file("one", 3);
    old = read_with(setting);
    write_file("two", 3);
    new = read_with(setting);
    cr_assert(!conf_setting_same(conf_setting(old.section, 0), conf_setting(new.section, 0)));
    cr_assert_eq(conf_setting_follow(new.conf, new.section, 0, old.section), 0);
    expect(&new, "two");
    cr_assert_eq(conf_setting_keep(new.section, 0, old.section), 0);
    drop(&old);
    expect(&new, "one");
    drop(&new);
}

Test(secret, is_not_printed)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    struct reading r = read_with("p.key=hunter2");

    cr_assert_not_null(out);
    conf_print_section(out, r.section);
    cr_assert_eq(fclose(out), 0);
    cr_assert_null(strstr(text, "hunter2"), "%s", text);
    free(text);
    drop(&r);
}
