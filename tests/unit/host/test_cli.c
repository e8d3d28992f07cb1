/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/host/test_cli.c - the command line, word by word (5.3, 9.2). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/ext/haproxy.h>

#include "cli.h"
#include "conf/host_conf.h"
#include "conf/option.h"

static struct cli cli;
static struct conf *conf;

static void setup(void)
{
    conf = conf_create();
    cr_assert_not_null(conf);
}

static void teardown(void)
{
    conf_destroy(conf);
}

TestSuite(cli, .init = setup, .fini = teardown, .timeout = 30);

/* @return the first error, "" where there is none */
static const char *parse(const char *one, const char *two, const char *three)
{
    char *argv[] = {(char *)(uintptr_t) "spoe-host", (char *)(uintptr_t)one, (char *)(uintptr_t)two,
                    (char *)(uintptr_t)three, NULL};
    int argc = 1, result;

    while (argv[argc] != NULL)
        argc++;
    conf_destroy(conf);
    conf = conf_create();
    cr_assert_not_null(conf);
    result = cli_parse(&cli, conf, argc, argv);
    cr_assert_eq(result, conf_error_count(conf) == 0 ? 0 : -1);
    cr_assert_leq(conf_error_count(conf), 1);
    return conf_error_count(conf) != 0 ? conf_error_text(conf, 0) : "";
}

/* issue 11, 1.8 */
Test(cli, haproxys_side_has_a_way_and_a_version)
{
    static const char *const bad[] = {"2.5", "3", "3.", ".1", "3.1.2", "10.0", "2.123", "x.y", ""};

    cr_assert_str_eq(parse("--print-haproxy-config=log", NULL, NULL), "");
    cr_assert(cli.action == CLI_PRINT_HAPROXY_CONFIG && cli.haproxy == 0);
    cr_assert_eq(cli.ways, SPOE_HAPROXY_BY_LOG);
    cr_assert_str_eq(parse("--print-haproxy-config=both", "--for", "2.6"), "");
    cr_assert_eq(cli.ways, SPOE_HAPROXY_BY_SPOE | SPOE_HAPROXY_BY_LOG);
    cr_assert_eq(cli.haproxy, 0x0206);
    cr_assert_str_eq(parse("--for=3.12", "--print-haproxy-config", "spoe"), "");
    cr_assert(cli.ways == SPOE_HAPROXY_BY_SPOE && cli.haproxy == 0x030c);
    cr_assert_str_eq(parse("--print-haproxy-config=spoa", NULL, NULL),
                     "command line: --print-haproxy-config: \"spoa\" is not spoe, log or both");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not_null(
            strstr(parse("--print-haproxy-config=log", "--for", bad[i]), "no version of HAProxy"),
            "%s", bad[i]);
    cr_assert_str_eq(parse("--for=2.6", "-t", NULL),
                     "command line: --for belongs to --print-haproxy-config");
}

Test(cli, each_word_does_what_it_says)
{
    static const struct {
        const char *word, *value;
        enum cli_action action;
    } cases[] = {{"-t", NULL, CLI_CHECK},
                 {"--check", NULL, CLI_CHECK},
                 {"-T", NULL, CLI_PRINT_CONFIG},
                 {"--print-config", NULL, CLI_PRINT_CONFIG},
                 {"-v", NULL, CLI_VERSION},
                 {"--version", NULL, CLI_VERSION},
                 {"-h", NULL, CLI_HELP},
                 {"--help", NULL, CLI_HELP},
                 {"--print-spoe-config", NULL, CLI_PRINT_SPOE_CONFIG},
                 {"--send-test-span", NULL, CLI_SEND_TEST_SPAN},
                 {"--workers", "2", CLI_RUN},
                 {"--workers=2", NULL, CLI_RUN},
                 {"--set", "a.b=c", CLI_RUN},
                 {"--set=a.b=c", NULL, CLI_RUN},
                 {NULL, NULL, CLI_RUN}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_str_eq(parse(cases[i].word, cases[i].value, NULL), "");
        cr_assert_eq(cli.action, cases[i].action, "%s", cases[i].word);
        cr_assert(cli.file == NULL && cli.plugin_info == NULL);
    }
    cr_assert_str_eq(parse("--plugin-info", "otel.so", NULL), "");
    cr_assert_eq(cli.action, CLI_PLUGIN_INFO);
    cr_assert_str_eq(cli.plugin_info, "otel.so");
    cr_assert_str_eq(parse("--plugin-info=otel", "-t", NULL), "");
    cr_assert_str_eq(cli.plugin_info, "otel");
    cr_assert_eq(cli.action, CLI_CHECK, "the last one counts");
    cr_assert_str_eq(parse("-t", "-f", "file"), "");
    cr_assert_str_eq(cli.file, "file");
    cr_assert_eq(cli.action, CLI_CHECK, "a file is no command");
    cr_assert_str_eq(parse("--file=other", NULL, NULL), "");
    cr_assert_str_eq(cli.file, "other");
}

Test(cli, what_is_wrong_is_named_with_what_may_be_meant)
{
    static const struct {
        const char *word, *value, *more, *error;
    } cases[] = {
        {"-f", NULL, NULL, "command line: -f needs a value"},
        {"--file", NULL, NULL, "command line: --file needs a value"},
        {"--set", NULL, NULL, "command line: --set needs a value"},
        {"--workers", NULL, NULL, "command line: --workers needs a value"},
        {"-f", "a", "-fb", "command line: unexpected \"-fb\" (see --help)"},
        {"--file=a", "--file=b", NULL, "command line: -f: given twice"},
        {"--check=1", NULL, NULL, "command line: --check takes no value"},
        {"--help=", NULL, NULL, "command line: --help takes no value"},
        {"--p", NULL, NULL, "command line: unknown option --p (see --help)"},
        {"-p", NULL, NULL, "command line: unexpected \"-p\" (see --help)"},
        {"p", NULL, NULL, "command line: unexpected \"p\" (see --help)"},
        {"--", NULL, NULL, "command line: unknown option -- (see --help)"},
        {"", NULL, NULL, "command line: unexpected \"\" (see --help)"},
        {"--se", NULL, NULL,
         "command line: unknown option --se; did you mean --set, --send-test-span?"},
        {"--print", "x", NULL,
         "command line: unknown option --print; did you mean --print-config, "
         "--print-options, --print-spoe-config, --print-haproxy-config?"},
        {"--wrokers=5", NULL, NULL,
         "command line: unknown option --wrokers; did you mean --workers?"},
        {"--wrokers", "5", NULL, "command line: unknown option --wrokers; did you mean --workers?"},
        {"--wrokers", "-t", NULL,
         "command line: unknown option --wrokers; did you mean --workers?"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *error = parse(cases[i].word, cases[i].value, cases[i].more);

        cr_assert_str_eq(error, cases[i].error, "%s: %s", cases[i].word, error);
    }
    cr_assert_eq(cli.action, CLI_CHECK, "a word behind an unknown one is no value of it");
}

/* Whatever its length, and nothing of a value. */
Test(cli, a_very_long_word_is_cut_where_it_is_shown)
{
    static char word[100001];

    memset(word, 'x', sizeof word - 1);
    memcpy(word, "--", 2);
    cr_assert_lt(strlen(parse(word, NULL, NULL)), 200);
    memcpy(word, "x=", 2);
    cr_assert_lt(strlen(parse(word, NULL, NULL)), 200);
    word[0] = '-', word[1] = '-', word[5] = '=';
    cr_assert_str_eq(parse(word, NULL, NULL), "command line: unknown option --xxx (see --help)");
}

Test(cli, help_names_each_word_and_each_option)
{
    static const char *const words[] = {"-f, --file FILE",
                                        "-t, --check",
                                        "-T, --print-config",
                                        "    --set ID.KEY=VALUE",
                                        "    --plugin-info NAME",
                                        "    --print-spoe-config",
                                        "    --send-test-span",
                                        "-v, --version",
                                        "-h, --help"};
    char *text = NULL, help[OPTION_TEXT_MAX];
    size_t size;
    FILE *out = open_memstream(&text, &size);

    cr_assert_not_null(out);
    cli_help(out);
    cr_assert_eq(fclose(out), 0);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        cr_assert_not_null(strstr(text, words[i]), "%s in %s", words[i], text);
    for (size_t i = 0; host_options[i] != NULL; i++) {
        const char *line = strstr(text, host_options[i]->key);

        cr_assert_not_null(line, "%s", host_options[i]->key);
        option_brief(host_options[i]->help, help);
        cr_assert_not_null(strstr(line, help), "%s", help);
        if (host_options[i]->env != NULL && host_options[i]->env[0] != NULL)
            cr_assert_not_null(strstr(line, host_options[i]->env[0]));
    }
    cr_assert_not_null(strstr(text, "(SPOE_ENGINE, -)"), "one without a default");
    free(text);
}
