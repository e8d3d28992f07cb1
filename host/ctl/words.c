/* SPDX-License-Identifier: Apache-2.0 */
/* host/ctl/words.c - see words.h. */
#include "ctl/words.h"

#include <string.h>

#include "conf/option.h"
#include "conf/options_json.h"

const struct ctl_word ctl_options[N_CTL_OPTIONS] = {
    [CTL_JSON] = {"json", 0, "", "the answer as the host gives it. May stand behind the command"},
    [CTL_SOCKET] = {"socket", 0, " PATH", "the unix socket of its admin endpoint"},
    [CTL_URL] = {"url", 0, " http://HOST:PORT", "or its address"},
    [CTL_FILE] = {"file", 'f', " FILE",
                  "or the configuration that says it. By default the host's own, "
                  "`/etc/spoe-host/spoe-host.ini` and `SPOE_ADMIN_ADDR`"},
    [CTL_TOKEN_FILE] = {"token-file", 0, " PATH",
                        "the token. By default what the configuration says, `admin-token-file`"},
};

const struct ctl_word ctl_commands[N_CTL_COMMANDS] = {
    [CTL_STATUS] = {"status", 0, "", "what the host does, a page for people"},
    [CTL_SET] = {"set", 0, " ID.KEY VALUE ...",
                 "change options of one plugin, or of host, until a reload"},
    [CTL_TRACE] = {"trace", 0, "",
                   "trace one request, whatever the sampler says. Prints the header that it has to "
                   "have, waits for it and shows it"},
};

static void put_help(FILE *out, const struct ctl_word *word, const char *dashes)
{
    const char letter[] = {'-', word->letter, ',', '\0'};
    char help[OPTION_TEXT_MAX];

    option_brief(word->help, help);
    (void)fprintf(out, "  %3s %s%s%-*s %s\n", word->letter != 0 ? letter : "", dashes, word->name,
                  26 - (int)(strlen(dashes) + strlen(word->name)), word->value, help);
}

void ctl_help(FILE *out)
{
    (void)fputs("spoe-host ctl [OPTION ...] COMMAND\n\n", out);
    for (size_t i = 0; i < N_CTL_COMMANDS; i++)
        put_help(out, &ctl_commands[i], "");
    (void)fputs("\n", out);
    for (size_t i = 0; i < N_CTL_OPTIONS; i++)
        put_help(out, &ctl_options[i], "--");
    (void)fputs("\nExit status: 0 done; 1 refused, or a command line that cannot be; 2 nobody "
                "answers.\n",
                out);
}

static void put_words(FILE *out, const char *name, const struct ctl_word *words, size_t n)
{
    (void)fprintf(out, "\"%s\": [", name);
    for (size_t i = 0; i < n; i++) {
        const char letter[] = {words[i].letter, '\0'};

        (void)fputs(i > 0 ? ",\n  {" : "\n  {", out);
        options_json_member(out, "name", words[i].name);
        (void)fputs(", ", out);
        options_json_member(out, "letter", letter);
        (void)fputs(", ", out);
        options_json_member(out, "value", words[i].value);
        (void)fputs(", ", out);
        options_json_member(out, "help", words[i].help);
        (void)fputs("}", out);
    }
    (void)fputs("\n]", out);
}

void ctl_words_json(FILE *out)
{
    (void)fputs("{", out);
    put_words(out, "commands", ctl_commands, N_CTL_COMMANDS);
    (void)fputs(",\n", out);
    put_words(out, "options", ctl_options, N_CTL_OPTIONS);
    (void)fputs("}", out);
}
