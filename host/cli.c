/* SPDX-License-Identifier: Apache-2.0 */
/* host/cli.c - the command line. */
#include "cli.h"

#include <stdbool.h>
#include <string.h>

#include "conf/host_conf.h"

/* The value of an option: behind '=', or the next word. @return NULL: there is none */
static const char *value_of(const char *equals, int argc, char **argv, int *i)
{
    if (equals != NULL)
        return equals + 1;
    if (*i + 1 >= argc)
        return NULL;
    return argv[++*i];
}

static void set_file(struct cli *cli, struct conf *conf, const char *value)
{
    if (value == NULL)
        conf_error(conf, "command line: -f needs a file");
    else if (cli->file != NULL)
        conf_error(conf, "command line: -f: given twice");
    else
        cli->file = value;
}

/* --name[=value] for one of the options that are not in the host's table. */
static bool parse_own(struct cli *cli, struct conf *conf, const char *name, size_t len,
                      const char *equals, int argc, char **argv, int *i)
{
    static const struct {
        const char *name;
        enum cli_action action;
    } flags[] = {
        {"version", CLI_VERSION},
        {"help", CLI_HELP},
        {"check", CLI_CHECK},
        {"print-spoe-config", CLI_PRINT_SPOE_CONFIG},
    };
    const char *value;

    for (size_t f = 0; f < sizeof flags / sizeof flags[0]; f++) {
        if (strlen(flags[f].name) != len || strncmp(flags[f].name, name, len) != 0)
            continue;
        if (equals != NULL)
            conf_error(conf, "command line: --%s takes no value", flags[f].name);
        cli->action = flags[f].action;
        return true;
    }
    if (strncmp(name, "set", len) != 0 && strncmp(name, "plugin-info", len) != 0 &&
        strncmp(name, "file", len) != 0)
        return false;
    if (len != strlen("set") && len != strlen("plugin-info") && len != strlen("file"))
        return false;
    value = value_of(equals, argc, argv, i);
    if (value == NULL) {
        conf_error(conf, "command line: --%.*s needs a value", (int)len, name);
    } else if (name[0] == 's') {
        conf_add_set(conf, value);
    } else if (name[0] == 'f') {
        set_file(cli, conf, value);
    } else {
        cli->action = CLI_PLUGIN_INFO;
        cli->plugin_info = value;
    }
    return true;
}

static void parse_long(struct cli *cli, struct conf *conf, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const char *value;

    if (len > 0 && parse_own(cli, conf, name, len, equals, argc, argv, i))
        return;
    for (size_t o = 0; len > 0 && host_options[o] != NULL; o++) {
        if (strlen(host_options[o]->key) != len || strncmp(host_options[o]->key, name, len) != 0)
            continue;
        value = value_of(equals, argc, argv, i);
        if (value == NULL)
            conf_error(conf, "command line: --%s needs a value", host_options[o]->key);
        else
            conf_add_host_option(conf, host_options[o]->key, value);
        return;
    }
    conf_error(conf, "command line: unknown option --%.*s (see --help)", (int)len, name);
}

int cli_parse(struct cli *cli, struct conf *conf, int argc, char **argv)
{
    *cli = (struct cli){.action = CLI_RUN};
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (strncmp(word, "--", 2) == 0) {
            parse_long(cli, conf, argc, argv, &i);
        } else if (strcmp(word, "-t") == 0) {
            cli->action = CLI_CHECK;
        } else if (strcmp(word, "-h") == 0) {
            cli->action = CLI_HELP;
        } else if (strcmp(word, "-v") == 0) {
            cli->action = CLI_VERSION;
        } else if (strcmp(word, "-f") == 0) {
            set_file(cli, conf, value_of(NULL, argc, argv, &i));
        } else {
            conf_error(conf, "command line: unexpected \"%s\" (see --help)", word);
        }
    }
    return conf_error_count(conf) == 0 ? 0 : -1;
}

void cli_help(FILE *out)
{
    (void)fputs("spoe-host: a host for HAProxy SPOE agents\n"
                "\n"
                "  spoe-host [-f FILE] [--KEY VALUE ...] [--set PLUGIN.KEY=VALUE ...]\n"
                "\n"
                "  -f, --file FILE        read options from an INI file\n"
                "  -t, --check            check configuration and plugins, then exit\n"
                "      --set ID.KEY=VALUE set an option of a plugin (or of host)\n"
                "      --plugin-info FILE describe a plugin and exit\n"
                "      --print-spoe-config\n"
                "                         write HAProxy's SPOE section for the plugins and exit\n"
                "  -v, --version          version, commit and build time\n"
                "  -h, --help             this text\n"
                "\n"
                "Options of the host (environment variable, default):\n",
                out);
    for (size_t i = 0; host_options[i] != NULL; i++) {
        const struct spoe_option *option = host_options[i];

        (void)fprintf(out, "      --%-20s %s (%s, %s)\n", option->key,
                      option->help != NULL ? option->help : "",
                      option->env != NULL && option->env[0] != NULL ? option->env[0] : "-",
                      option->default_text != NULL ? option->default_text : "-");
    }
}
