/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/cli.h - the command line.
 */
#ifndef HOST_CLI_H
#define HOST_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/conf.h"

enum cli_action {
    CLI_RUN,
    CLI_CHECK,                /* -t */
    CLI_VERSION,              /* --version */
    CLI_HELP,                 /* --help */
    CLI_PLUGIN_INFO,          /* --plugin-info FILE */
    CLI_PRINT_OPTIONS,        /* --print-options NAME */
    CLI_PRINT_CONFIG,         /* -T */
    CLI_PRINT_SPOE_CONFIG,    /* --print-spoe-config */
    CLI_PRINT_HAPROXY_CONFIG, /* --print-haproxy-config WAY */
    CLI_SEND_TEST_SPAN,       /* --send-test-span */
    CLI_NEW_PLUGIN,           /* --new-plugin NAME */
    CLI_TRY,                  /* --try MESSAGE, --try-file FILE */
};

#define CLI_TRIES_MAX 64u

/* One of several. */
struct cli_try {
    const char *text;
    bool is_file;
};

struct cli {
    enum cli_action action;
    const char *file;                    /* -f */
    const char *plugin_info;             /* --plugin-info, --print-options */
    const char *new_plugin;              /* --new-plugin */
    uint32_t ways;                       /* --print-haproxy-config: SPOE_HAPROXY_BY_* */
    struct cli_try tries[CLI_TRIES_MAX]; /* in their order */
    size_t n_tries;
    uint32_t haproxy; /* --for: 0x0206 is 2.6; 0: not said */
};

/**
 * Read the command line; options go to conf as they come.
 * @return 0; -1: errors are in conf
 */
int cli_parse(struct cli *cli, struct conf *conf, int argc, char **argv);
/** Read the file that the command line names, or HOST_CONF_FILE if it is there. */
void cli_add_file(const struct cli *cli, struct conf *conf);
void cli_help(FILE *out);
/** The words that are not options of the host, as a JSON array, for --print-options. */
void cli_words_json(FILE *out);

#endif
