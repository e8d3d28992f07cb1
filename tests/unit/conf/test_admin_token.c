/* SPDX-License-Identifier: Apache-2.0 */
/* issue 13, 3: the token of the admin endpoint, by way of the options; its file and its form. */
#include "conf/admin_token.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/host_conf.h"

#define TOKEN "sixteen-letters!"

static char dir[64], file[128];

static void setup(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/test-token-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chmod(dir, 0755), 0); /* every user may pass it */
    (void)snprintf(file, sizeof file, "%s/token", dir);
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void teardown(void)
{
    (void)unlink(file);
    (void)rmdir(dir);
}

TestSuite(admin_token, .init = setup, .fini = teardown, .timeout = 30);

static void write_file(const char *text)
{
    FILE *out = fopen(file, "w");

    cr_assert_not_null(out);
    cr_assert_geq(fputs(text, out), 0);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(chmod(file, 0640), 0);
}

static void reads(const char *where)
{
    struct error error = {{0}};
    char *token = NULL;

    cr_assert_eq(admin_token_read(where, &token, &error), 0, "%s", error.text);
    cr_assert_str_eq(token, TOKEN);
    free(token);
}

static void refuses(const char *where, const char *why)
{
    struct error error = {{0}};
    char *token = NULL;

    cr_assert_eq(admin_token_read(where, &token, &error), -1, "%s", where);
    cr_assert_not_null(strstr(error.text, why), "%s", error.text);
    cr_assert_null(strstr(error.text, "letters"), "it is a secret");
    cr_assert_null(token);
}

Test(admin_token, lies_in_a_file_or_is_a_credential)
{
    char where[160];

    write_file(TOKEN "\n");
    reads(file);
    (void)snprintf(where, sizeof where, "file:%s", file);
    reads(where);
    refuses("credential:token", "CREDENTIALS_DIRECTORY");
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    reads("credential:token");
    refuses("credential:../token", "without a /");
    refuses("credential:", "without a /");
    refuses("token", "/PATH");
    refuses(TOKEN, "/PATH"); /* the token itself is none of its ways */
}

Test(admin_token, has_a_form)
{
    char longest[ADMIN_TOKEN_MAX + 2];

    refuses(file, "cannot be opened");
    write_file("fifteen-letters");
    refuses(file, "16 to 512");
    write_file("");
    refuses(file, "is empty");
    write_file("sixteen letters!");
    refuses(file, "white space");
    write_file("sixteen-letters\xc3\xa9");
    refuses(file, "ASCII");
    write_file(TOKEN "\n\n");
    refuses(file, "white space");
    memset(longest, 'x', sizeof longest);
    longest[ADMIN_TOKEN_MAX + 1] = '\0';
    write_file(longest);
    refuses(file, "16 to 512");
    longest[ADMIN_TOKEN_MAX] = '\0';
    write_file(longest);
    cr_assert_eq(chmod(file, 0642), 0);
    refuses(file, "everybody may write");
}

/* It is used all the same: a mounted secret of Kubernetes is 0644, unless it is said otherwise. */
Test(admin_token, of_everybody_is_said_once)
{
    char wanted[256];
    struct conf *conf = conf_create();
    struct host_conf hc;

    write_file(TOKEN "\n");
    cr_assert_eq(chmod(file, 0644), 0);
    conf_add_host_option(conf, "admin-token-file", file);
    cr_assert_eq(host_conf_init(&hc, conf, "/plugins", NULL), 0);
    cr_assert_eq(conf_error_count(conf), 0, "%s", conf_error_text(conf, 0));
    cr_assert_str_eq(hc.admin_token, TOKEN);
    cr_assert_eq(conf_warnings(conf)->n, 1);
    (void)snprintf(wanted, sizeof wanted,
                   "host.admin-token-file: %s: its mode is 0644: every user may read the secret "
                   "in it",
                   file);
    cr_assert_not_null(strstr(conf_warnings(conf)->text[0], wanted), "%s",
                       conf_warnings(conf)->text[0]);
    host_conf_fini(&hc);
    conf_destroy(conf);

    cr_assert_eq(chmod(file, 0640), 0);
    conf = conf_create();
    conf_add_host_option(conf, "admin-token-file", file);
    cr_assert_eq(host_conf_init(&hc, conf, "/plugins", NULL), 0);
    cr_assert_eq(conf_warnings(conf)->n, 0);
    host_conf_fini(&hc);
    conf_destroy(conf);
}

Test(admin_token, is_one_of_the_options)
{
    struct conf *conf = conf_create();
    struct host_conf hc;

    write_file(TOKEN "\n");
    conf_add_host_option(conf, "admin-token-file", file);
    conf_add_host_option(conf, "admin-hosts", "a.example, B_c-1.example");
    cr_assert_eq(host_conf_init(&hc, conf, "/plugins", NULL), 0);
    cr_assert_eq(conf_error_count(conf), 0, "%s", conf_error_text(conf, 0));
    cr_assert_str_eq(hc.admin_token, TOKEN);
    cr_assert_str_eq(hc.admin_hosts[0], "a.example");
    cr_assert_str_eq(hc.admin_hosts[1], "B_c-1.example");
    cr_assert_null(hc.admin_hosts[2]);
    host_conf_fini(&hc);
    conf_destroy(conf);

    conf = conf_create();
    write_file("short");
    conf_add_host_option(conf, "admin-token-file", file);
    conf_add_host_option(conf, "admin-hosts", "http://a, b:80,*");
    cr_assert_eq(host_conf_init(&hc, conf, "/plugins", NULL), 0);
    cr_assert_eq(conf_error_count(conf), 4);
    cr_assert_null(hc.admin_token);
    cr_assert_null(hc.admin_hosts);
    host_conf_fini(&hc);
    conf_destroy(conf);
}
