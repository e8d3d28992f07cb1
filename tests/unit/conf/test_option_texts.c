/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/option_texts.c by way of option.c: what is taken, and what is said of the rest. 12.2 */
#include "conf/option_texts.h"

#include <criterion/criterion.h>
#include <string.h>

#include "conf/option.h"

#define PREFIX "a network such as 10.0.0.0/8 or 2001:db8::/32, without bits beyond the length"
#define URL "a URL: http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]"
#define SECRET "the value is not valid, expected file:/PATH, credential:NAME, or the secret itself"

struct text_case {
    uint32_t type, flags;
    const char *text;
    const char *error; /* NULL: none */
};

static const struct text_case cases[] = {
    {SPOE_OPT_PATH, 0, "/", NULL},
    {SPOE_OPT_PATH, 0, "/etc/a b", NULL},
    {SPOE_OPT_PATH, 0, "etc", "\"etc\" is not valid, expected an absolute path"},
    {SPOE_OPT_PATH, 0, "", "\"\" is not valid, expected an absolute path"},
    {SPOE_OPT_PATH, 0, "/a\nb", "\"/a\nb\" is not valid, expected an absolute path"},
    {SPOE_OPT_URL, 0, "http://h", NULL},
    {SPOE_OPT_URL, 0, "HTTPS://[::1]:8443/x?y", NULL},
    {SPOE_OPT_URL, 0, "ftp://h", "\"ftp://h\" is not valid, expected " URL},
    {SPOE_OPT_URL, 0, "h:80", "\"h:80\" is not valid, expected " URL},
    {SPOE_OPT_ADDRESS, 0, "10.0.0.1", NULL},
    {SPOE_OPT_ADDRESS, 0, "::1", NULL},
    {SPOE_OPT_ADDRESS, 0, "10.0.0", "\"10.0.0\" is not valid, expected an address, IPv4 or IPv6"},
    {SPOE_OPT_PREFIX, 0, "10.0.0.0/8", NULL},
    {SPOE_OPT_PREFIX, 0, "10.0.0.1", NULL},
    {SPOE_OPT_PREFIX, 0, "10.0.0.1/8", "\"10.0.0.1/8\" is not valid, expected " PREFIX},
    {SPOE_OPT_SECRET, 0, "hunter2", NULL},
    {SPOE_OPT_SECRET, 0, "file:/run/secret", NULL},
    {SPOE_OPT_SECRET, 0, "credential:api.key", NULL},
    {SPOE_OPT_SECRET, 0, "", SECRET},
    {SPOE_OPT_SECRET, 0, "file:secret", SECRET},
    {SPOE_OPT_SECRET, 0, "file:", SECRET},
    {SPOE_OPT_SECRET, 0, "credential:", SECRET},
    {SPOE_OPT_SECRET, 0, "credential:a/b", SECRET},
    {SPOE_OPT_SECRET, 0, "credential:..", SECRET},
    {SPOE_OPT_STRING, SPOE_OPTION_LIST, "", NULL},
    {SPOE_OPT_STRING, SPOE_OPTION_LIST, "a, b c ,d,", NULL},
    {SPOE_OPT_STRING, SPOE_OPTION_LIST, "a,,b",
     "\"\" in the list is not valid, expected a comma-separated list of texts"},
    {SPOE_OPT_ADDRESS, SPOE_OPTION_LIST, "10.0.0.1, ::1", NULL},
    {SPOE_OPT_ADDRESS, SPOE_OPTION_LIST, "10.0.0.1, x, ::1",
     "\"x\" in the list is not valid, expected a comma-separated list of addresses, IPv4 or IPv6"},
    {SPOE_OPT_PATH, SPOE_OPTION_LIST, "/a,b",
     "\"b\" in the list is not valid, expected a comma-separated list of absolute paths"},
    {SPOE_OPT_PREFIX, SPOE_OPTION_LIST, "10.0.0.0/8, ::/0", NULL},
};

Test(option_texts, say_what_would_do, .timeout = 10)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct spoe_option option = {
            .size = sizeof option, .type = cases[i].type, .flags = cases[i].flags, .key = "k"};
        struct spoe_value v = {.type = SPOE_T_NULL};
        struct error err;
        const int result = option_parse(&option, cases[i].text, &v, &err);

        cr_assert_eq(result, cases[i].error == NULL ? 0 : -1, "\"%s\"", cases[i].text);
        if (result != 0)
            cr_assert_str_eq(err.text, cases[i].error);
        else /* an address alone is an address, all else a text */
            cr_assert_eq(v.type != SPOE_T_STR,
                         cases[i].type == SPOE_OPT_ADDRESS && cases[i].flags == 0);
    }
}

Test(option_texts, a_path_has_a_length, .timeout = 10)
{
    const struct spoe_option option = {.size = sizeof option, .type = SPOE_OPT_PATH, .key = "k"};
    char path[OPTION_PATH_MAX + 2];
    struct spoe_value v;
    struct error err;

    memset(path, '/', sizeof path);
    path[OPTION_PATH_MAX + 1] = '\0';
    cr_assert_eq(option_parse(&option, path, &v, &err), -1);
    path[OPTION_PATH_MAX] = '\0';
    cr_assert_eq(option_parse(&option, path, &v, &err), 0);
}

Test(option_texts, a_plugin_names_the_schemes, .timeout = 10)
{
    static const char *const schemes[] = {"tcp", "unix", NULL};
    const struct spoe_option option = {
        .size = sizeof option, .type = SPOE_OPT_URL, .key = "k", .choices = schemes};
    struct spoe_value v;
    struct error err;
    char text[OPTION_TEXT_MAX];

    cr_assert_eq(option_parse(&option, "tcp://h:1", &v, &err), 0);
    cr_assert_eq(option_parse(&option, "http://h:1", &v, &err), -1);
    option_describe(&option, text);
    cr_assert_str_eq(text, "a URL: tcp://HOST[:PORT][/PATH] or unix://HOST[:PORT][/PATH]");
}
