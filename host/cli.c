/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/cli.c - the command line. Words count letter by letter: what is only the beginning of one is
 * unknown, so that a new option never changes what an old command line means.
 */
#include "cli.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <spoe/ext/haproxy.h>

#include "conf/host_conf.h"
#include "conf/option.h"
#include "conf/options_json.h"
#include "conf/suggest.h"
#include "core/haproxy_config.h"

/* What is not one of the host's options. */
static const struct word {
    const char *name;
    char letter;            /* -t; 0: it has none */
    bool takes_value;       /* behind '=', or the next word */
    enum cli_action action; /* CLI_RUN: it is no command */
    const char *shown;      /* in --help: its value */
    const char *help;
} words[] = {
    {"help", 'h', false, CLI_HELP, "", "this text. The host's options with variables and defaults"},
    {"version", 'v', false, CLI_VERSION, "", "version, git commit, build time and plugin ABI"},
    {"check", 't', false, CLI_CHECK, "",
     "check configuration and plugins, then exit. Status 0 if the host would start"},
    {"print-config", 'T', false, CLI_PRINT_CONFIG, "",
     "write the configuration in effect and where each value comes from, then exit. It is checked "
     "as by `--check`"},
    {"file", 'f', true, CLI_RUN, " FILE",
     "read options from an INI file. By default `/etc/spoe-host/spoe-host.ini`, if that is there"},
    {"set", 0, true, CLI_RUN, " ID.KEY=VALUE",
     "set an option of a plugin (or of host). May be given again"},
    {"plugin-info", 0, true, CLI_PLUGIN_INFO, " NAME",
     "describe a plugin, a file or one in the plugin directories, and exit. Id, version, ABI, "
     "messages with arguments, variables, options"},
    {"print-options", 0, true, CLI_PRINT_OPTIONS, " NAME",
     "write the options of a plugin, or of `host`, as JSON, and exit. For tools: these pages are "
     "made of it"},
    {"print-spoe-config", 0, false, CLI_PRINT_SPOE_CONFIG, "",
     "write HAProxy's SPOE section for the plugins and exit"},
    {"print-haproxy-config", 0, true, CLI_PRINT_HAPROXY_CONFIG, "=spoe|log|both",
     "write all of HAProxy's side for the plugins and exit. By SPOE messages, by lines of the log, "
     "or by both"},
    {"for", 0, true, CLI_RUN, " VERSION",
     "the oldest HAProxy that is to take it (2.6). Belongs to `--print-haproxy-config`"},
    {"send-test-span", 0, false, CLI_SEND_TEST_SPAN, "",
     "let the plugins send once what they send to others, report and exit. Status 0 if it was "
     "taken. That it was is on standard output, the rest in the log"},
    {"try", 0, true, CLI_TRY, " MESSAGE",
     "hand \"MESSAGE NAME=VALUE ...\" to the plugins, show the answer and exit. In this process, "
     "without HAProxy: what a rule in HAProxy would see. May be given again"},
    {"try-file", 0, true, CLI_TRY, " FILE",
     "the same with each line, or recorded frame, of a file. May be given again"},
    {"new-plugin", 0, true, CLI_NEW_PLUGIN, " NAME",
     "write a folder with a plugin to begin with, and exit"},
};
#define N_WORDS (sizeof words / sizeof words[0])

/* The words that are left. */
struct rest {
    int argc;
    char **argv;
    int at;
};

/* The value of an option: behind '=', or the next word. @return NULL: there is none */
static const char *value_of(const char *equals, struct rest *rest)
{
    if (equals != NULL)
        return equals + 1;
    if (rest->at + 1 >= rest->argc)
        return NULL;
    return rest->argv[++rest->at];
}

/* How HAProxy is to tell of requests. */
static void take_way(struct cli *cli, struct conf *conf, const char *value)
{
    static const struct {
        const char *name;
        uint32_t ways;
    } ways[] = {{"spoe", SPOE_HAPROXY_BY_SPOE},
                {"log", SPOE_HAPROXY_BY_LOG},
                {"both", SPOE_HAPROXY_BY_SPOE | SPOE_HAPROXY_BY_LOG}};

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(value, ways[i].name) == 0)
            cli->ways = ways[i].ways;
    }
    if (cli->ways == 0)
        conf_error(conf, "command line: --print-haproxy-config: \"%.64s\" is not spoe, log or both",
                   value);
}

/* MAJOR.MINOR, of one digit and of one or two. */
static void take_version(struct cli *cli, struct conf *conf, const char *value)
{
    const size_t n = strspn(value, "0123456789");
    const char *minor = value + n + 1;
    uint32_t number = 0;

    if (n == 1 && value[n] == '.' && strspn(minor, "0123456789") == strlen(minor) &&
        minor[0] != '\0' && strlen(minor) <= 2) {
        for (; *minor != '\0'; minor++)
            number = number * 10 + (uint32_t)(*minor - '0');
        cli->haproxy = (uint32_t)(value[0] - '0') << 8 | number;
    }
    if (cli->haproxy < HAPROXY_2_6)
        conf_error(conf, "command line: --for: \"%.64s\" is no version of HAProxy from 2.6 on",
                   value);
}

static void add_try(struct cli *cli, struct conf *conf, const char *text, bool is_file)
{
    if (cli->n_tries == CLI_TRIES_MAX)
        conf_error(conf, "command line: more than %u times --try and --try-file", CLI_TRIES_MAX);
    else
        cli->tries[cli->n_tries++] = (struct cli_try){text, is_file};
}

static void take_word(struct cli *cli, struct conf *conf, const struct word *word, const char *said,
                      const char *equals, struct rest *rest)
{
    const char *value = word->takes_value ? value_of(equals, rest) : NULL;

    if (!word->takes_value && equals != NULL)
        conf_error(conf, "command line: --%s takes no value", word->name);
    if (word->action != CLI_RUN) /* whatever is wrong with it: the exit status goes by it */
        cli->action = word->action;
    if (word->takes_value && value == NULL)
        conf_error(conf, "command line: %s needs a value", said);
    if (value == NULL)
        return;
    if (word->action == CLI_PLUGIN_INFO || word->action == CLI_PRINT_OPTIONS)
        cli->plugin_info = value;
    else if (word->action == CLI_NEW_PLUGIN)
        cli->new_plugin = value;
    else if (word->action == CLI_PRINT_HAPROXY_CONFIG)
        take_way(cli, conf, value);
    else if (word->action == CLI_TRY)
        add_try(cli, conf, value, strcmp(word->name, "try") != 0);
    else if (strcmp(word->name, "for") == 0)
        take_version(cli, conf, value);
    else if (strcmp(word->name, "set") == 0)
        conf_add_set(conf, value);
    else if (strcmp(word->name, "file") == 0 && cli->file != NULL)
        conf_error(conf, "command line: -f: given twice");
    else if (strcmp(word->name, "file") == 0)
        cli->file = value;
}

/* The i-th word that there is, NULL past the last. */
static const char *nth_name(size_t i)
{
    if (i < N_WORDS)
        return words[i].name;
    return host_options[i - N_WORDS] != NULL ? host_options[i - N_WORDS]->key : NULL;
}

/* "--a, --b": what begins with `word`; none for a single letter. */
static void list_beginning_with(const char *word, char *ret, size_t size)
{
    const size_t len = strlen(word);
    size_t n = 0;

    ret[0] = '\0';
    for (size_t i = 0; len > 1 && nth_name(i) != NULL; i++) {
        if (strncmp(nth_name(i), word, len) == 0 && n < size)
            n += (size_t)snprintf(ret + n, size - n, "%s--%s", n > 0 ? ", " : "", nth_name(i));
    }
}

static void report_unknown(struct conf *conf, const char *what, const char *said)
{
    const char *word = said + strspn(said, "-");
    char several[256];
    struct suggestion near;

    suggest_begin(&near, word);
    for (size_t i = 0; nth_name(i) != NULL; i++)
        suggest_offer(&near, nth_name(i));
    list_beginning_with(word, several, sizeof several);
    if (several[0] != '\0')
        conf_error(conf, "command line: %s; did you mean %s?", what, several);
    else if (near.best != NULL)
        conf_error(conf, "command line: %s; did you mean --%s?", what, near.best);
    else
        conf_error(conf, "command line: %s (see --help)", what);
}

/* --NAME or --NAME=VALUE. What stands behind the = may be a secret. */
static void parse_long(struct cli *cli, struct conf *conf, struct rest *rest)
{
    const char *said = rest->argv[rest->at], *value;
    char what[96], name[64];
    const char *equals = strchr(said, '=');
    const size_t n = equals != NULL ? (size_t)(equals - said) : strlen(said);

    (void)snprintf(name, sizeof name, "%.*s", n > INT16_MAX ? INT16_MAX : (int)n, said);
    for (size_t w = 0; w < N_WORDS; w++) {
        if (strcmp(words[w].name, name + 2) == 0) {
            take_word(cli, conf, &words[w], name, equals, rest);
            return;
        }
    }
    for (size_t o = 0; host_options[o] != NULL; o++) {
        if (strcmp(host_options[o]->key, name + 2) != 0)
            continue;
        value = value_of(equals, rest);
        if (value == NULL)
            conf_error(conf, "command line: %s needs a value", name);
        else
            conf_add_host_option(conf, host_options[o]->key, value);
        return;
    }
    (void)snprintf(what, sizeof what, "unknown option %s", name);
    report_unknown(conf, what, name);
    if (equals == NULL && rest->at + 1 < rest->argc && rest->argv[rest->at + 1][0] != '-')
        rest->at++; /* its value, probably: one mistake, one error */
}

/* -LETTER, and what is no option at all. */
static void parse_short(struct cli *cli, struct conf *conf, struct rest *rest)
{
    const char *said = rest->argv[rest->at];
    char what[96];

    for (size_t w = 0; w < N_WORDS; w++) {
        const char word[] = {'-', words[w].letter, '\0'};

        if (words[w].letter != 0 && strcmp(said, word) == 0) {
            take_word(cli, conf, &words[w], said, NULL, rest);
            return;
        }
    }
    (void)snprintf(what, sizeof what, "unexpected \"%.64s\"", said);
    report_unknown(conf, what, said);
}

int cli_parse(struct cli *cli, struct conf *conf, int argc, char **argv)
{
    struct rest rest = {.argc = argc, .argv = argv, .at = 1};

    *cli = (struct cli){.action = CLI_RUN};
    for (; rest.at < rest.argc; rest.at++) {
        if (strncmp(argv[rest.at], "--", 2) == 0)
            parse_long(cli, conf, &rest);
        else
            parse_short(cli, conf, &rest);
    }
    if (cli->haproxy != 0 && cli->action != CLI_PRINT_HAPROXY_CONFIG)
        conf_error(conf, "command line: --for belongs to --print-haproxy-config");
    return conf_error_count(conf) == 0 ? 0 : -1;
}

void cli_add_file(const struct cli *cli, struct conf *conf)
{
    if (cli->file != NULL)
        conf_add_file(conf, cli->file);
    else
        conf_add_file_if_there(conf, HOST_CONF_FILE);
}

void cli_help(FILE *out)
{
    char help[OPTION_TEXT_MAX];

    (void)fputs("spoe-host: a host for HAProxy SPOE agents\n"
                "\n"
                "  spoe-host [-f FILE] [--KEY VALUE ...] [--set PLUGIN.KEY=VALUE ...]\n"
                "  spoe-host ctl [--help]: status of a host that runs, and changes to it\n"
                "\n",
                out);
    for (size_t w = 0; w < N_WORDS; w++) {
        const char letter[] = {'-', words[w].letter, ',', '\0'};

        option_brief(words[w].help, help);
        (void)fprintf(out, "  %3s --%s%-*s %s\n", words[w].letter != 0 ? letter : "", words[w].name,
                      20 - (int)strlen(words[w].name), words[w].shown, help);
    }
    (void)fputs("\nOptions of the host (environment variable, default):\n", out);
    for (size_t i = 0; host_options[i] != NULL; i++) {
        const struct spoe_option *option = host_options[i];

        option_brief(option->help, help);
        (void)fprintf(out, "      --%-20s %s (%s, %s)\n", option->key, help,
                      option->env != NULL && option->env[0] != NULL ? option->env[0] : "-",
                      option->default_text != NULL ? option->default_text : "-");
    }
}

void cli_words_json(FILE *out)
{
    (void)fputs("[", out);
    for (size_t w = 0; w < N_WORDS; w++) {
        const char letter[] = {words[w].letter, '\0'};

        (void)fputs(w > 0 ? ",\n  {" : "\n  {", out);
        options_json_member(out, "name", words[w].name);
        (void)fputs(", ", out);
        options_json_member(out, "letter", letter);
        (void)fputs(", ", out);
        options_json_member(out, "value", words[w].shown);
        (void)fputs(", ", out);
        options_json_member(out, "help", words[w].help);
        (void)fputs("}", out);
    }
    (void)fputs("\n]", out);
}
