/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ctl/words.h - what the command line of `spoe-host ctl` is made of. One table for what is
 * parsed and for --help, docs/control.md, the man page and the completion of bash (tools/options).
 */
#ifndef HOST_CTL_WORDS_H
#define HOST_CTL_WORDS_H

#include <stdio.h>

struct ctl_word {
    const char *name;
    char letter;       /* of an option: -f; 0: it has none */
    const char *value; /* what comes behind it, as --help shows it; empty: nothing */
    const char *help;  /* its first sentence is what --help says */
};

enum ctl_option {
    CTL_JSON,
    CTL_SOCKET,
    CTL_URL,
    CTL_FILE,
    CTL_TOKEN_FILE,
    N_CTL_OPTIONS,
};

enum ctl_command { CTL_STATUS, CTL_SET, CTL_TRACE, N_CTL_COMMANDS };

extern const struct ctl_word ctl_options[N_CTL_OPTIONS];
extern const struct ctl_word ctl_commands[N_CTL_COMMANDS];

void ctl_help(FILE *out);
/** {"commands": [...], "options": [...]}, for tools/options. */
void ctl_words_json(FILE *out);

#endif
