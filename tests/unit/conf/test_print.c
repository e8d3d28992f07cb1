/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/print.c: what is printed is read back as it was, and what a file cannot say, or nobody
 * shall see, is a comment (5.2, 9.1).
 */
#include "conf/print.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ini_file.h"

static const char *const text_env[] = {"TEST_TEXT", NULL};
static const char *const secret_env[] = {"TEST_SECRET", NULL};
static const char *const choices[] = {"one", "two", NULL};
static const struct spoe_option text_option = {
    .size = sizeof text_option, .type = SPOE_OPT_STRING, .key = "text", .env = text_env};
static const struct spoe_option secret = {.size = sizeof secret,
                                          .type = SPOE_OPT_STRING,
                                          .flags = SPOE_OPTION_SECRET,
                                          .key = "secret",
                                          .env = secret_env};
static const struct spoe_option number = {
    .size = sizeof number, .type = SPOE_OPT_INT, .key = "number", .default_text = "3"};
static const struct spoe_option choice = {.size = sizeof choice,
                                          .type = SPOE_OPT_ENUM,
                                          .key = "choice",
                                          .default_text = "two",
                                          .choices = choices};
static const struct spoe_option *const options[] = {&text_option, &secret, &number, &choice, NULL};

static char *page;

/* The section as it is printed where the text is set to this. */
static const char *print_with(const char *text)
{
    struct conf *conf = conf_create();
    struct conf_section *section;
    size_t n;
    FILE *out;

    cr_assert_not_null(conf);
    cr_assert_eq(setenv("TEST_TEXT", text, 1), 0);
    section = conf_resolve(conf, "p", options);
    cr_assert_not_null(section);
    cr_assert_eq(conf_error_count(conf), 0);
    free(page);
    out = open_memstream(&page, &n);
    cr_assert_not_null(out);
    conf_print_section(out, section);
    cr_assert_eq(fclose(out), 0);
    conf_section_destroy(section);
    conf_destroy(conf);
    return page;
}

/* What the printed file says of the text; NULL: nothing. [give: free()] */
static char *read_back(void)
{
    struct conf *conf = conf_create();
    FILE *file = fmemopen(page, strlen(page), "r");
    struct conf_section *section;
    const struct spoe_setting *setting;
    char *result;

    cr_assert_not_null(conf);
    cr_assert_not_null(file);
    cr_assert_eq(unsetenv("TEST_TEXT"), 0);
    conf_add_stream(conf, file, "printed");
    section = conf_resolve(conf, "p", options);
    cr_assert_not_null(section);
    cr_assert_eq(conf_error_count(conf), 0, "%s", conf_error_text(conf, 0));
    setting = conf_setting(section, 0);
    result = setting->value.type == SPOE_T_STR ? strndup(setting->value.u.s.p, setting->value.u.s.n)
                                               : NULL;
    conf_section_destroy(section);
    conf_destroy(conf);
    (void)fclose(file);
    return result;
}

TestSuite(conf_print, .timeout = 30);

Test(conf_print, each_option_has_its_line_and_its_origin)
{
    cr_assert_eq(setenv("TEST_SECRET", "hush", 1), 0);
    cr_assert_str_eq(print_with("a word"), "[p]\n"
                                           "text = a word  ; environment TEST_TEXT\n"
                                           "; secret  ; environment TEST_SECRET, a secret\n"
                                           "; number = 3  ; default\n"
                                           "; choice = two  ; default\n");
}

Test(conf_print, what_a_file_can_say_is_read_back)
{
    static const char *const good[] = {
        "a",    "a b",      "a\tb",           "a;b", "a=b", "\"a\"", "[x]", "#a",
        "a: b", "\xc3\xa4", "http://host/a@b"};
    static const char *const bad[] = {";",     ";a", " a",   "\ta",   "a ",   "a\t", "a ;b",
                                      "a\t;b", " ",  "a\nb", "a\x01", "\x1f", "a\r"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char *again;

        (void)print_with(good[i]);
        cr_assert_eq(strncmp(page, "[p]\ntext = ", 11), 0, "%s", page);
        again = read_back();
        cr_assert_not_null(again, "%s", page);
        cr_assert_str_eq(again, good[i]);
        free(again);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)print_with(bad[i]);
        cr_assert_eq(strncmp(page, "[p]\n; text = ", 13), 0, "%zu: %s", i, page);
        cr_assert_not_null(strstr(page, "and a file cannot say it\n"), "%zu: %s", i, page);
        cr_assert_null(read_back(), "%zu: %s", i, page);
    }
}

Test(conf_print, a_line_may_be_as_long_as_one_is_read)
{
    static char text[INI_LINE_MAX + 2];
    const size_t others = strlen("text") + strlen("environment TEST_TEXT") + strlen(" =   ; ");
    char *again;

    memset(text, 'x', INI_LINE_MAX - others);
    (void)print_with(text);
    cr_assert_eq(strcspn(page + 4, "\n"), INI_LINE_MAX);
    again = read_back();
    cr_assert_not_null(again);
    cr_assert_eq(strlen(again), INI_LINE_MAX - others);
    free(again);
    text[INI_LINE_MAX - others] = 'x';
    (void)print_with(text);
    cr_assert_eq(strncmp(page, "[p]\n; text = ", 13), 0);
}

Test(conf_print, nobody_sees_a_password)
{
    static const char *const hidden[] = {"http://u:hush@host/", "http://hush@host",
                                         "a,grpc://a,http://u:hush@host", "://hush@",
                                         "http://u:h@hush@host"};
    static const char *const masked[] = {"http://***@host/", "http://***@host",
                                         "a,grpc://a,http://***@host", "://***@",
                                         "http://***@host"};
    static const char *const shown[] = {"http://host/a@b",
                                        "http://host?a@b",
                                        "http://host#a@b",
                                        "http://host, a@b",
                                        "http://host\ta@b",
                                        "u:p@host",
                                        "://"};
    char *text;

    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        (void)print_with(hidden[i]);
        cr_assert_null(strstr(page, "hush"), "%s", page);
        cr_assert_not_null(strstr(page, "; text  ; environment TEST_TEXT, with credentials\n"),
                           "%s", page);
        text = print_without_userinfo(hidden[i]);
        cr_assert_str_eq(text, masked[i]); /* 5.2: on the admin endpoint */
        free(text);
    }
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        cr_assert_not_null(strstr(print_with(shown[i]), shown[i]), "%s", page);
        text = print_without_userinfo(shown[i]);
        cr_assert_str_eq(text, shown[i]);
        free(text);
    }
}
