/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/message_options.c - see message_options.h. */
#include "core/message_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "conf/option.h"
#include "conf/options_json.h"
#include "core/plugin.h"

#define TIMEOUT_KEY "processing-timeout"
#define TIMEOUT_MIN_NS NS_PER_MS
#define TIMEOUT_MAX_NS (3600 * NS_PER_S)

static const struct {
    uint32_t type;
    const char *key, *help;
} kinds[N_MESSAGE_OPTIONS] = {
    [MESSAGE_EVENT] = {SPOE_OPT_ENUM, "event", "HAProxy's event, in place of the plugin's"},
    [MESSAGE_IF] =
        {SPOE_OPT_STRING, "if",
         "HAProxy's condition for it, in place of the plugin's. `unless ...` may stand in it"},
    [MESSAGE_TIMEOUT] =
        {SPOE_OPT_DURATION, TIMEOUT_KEY,
         "how long an answer waits for the plugin, in place of the host's. The nearest counts"},
    [MESSAGE_ARGS] =
        {SPOE_OPT_STRING, "args",
         "arguments in place of the plugin's, or more: `NAME=EXPRESSION ...`. Each is in place of "
         "the plugin's of that name, or one more, which the plugin gets by its name; `NAME=` takes "
         "one away, but none that the plugin requires. Quoted as in HAProxy's file"},
};

/* @param message  NULL: it is for all */
static char *make_key(const char *message, enum message_option which)
{
    char *key;

    if (message == NULL)
        return strdup(kinds[which].key);
    return asprintf(&key, "message.\"%s\".%s", message, kinds[which].key) < 0 ? NULL : key;
}

/* What comes from the log has no event, but has its time. */
static bool has_option(const struct spoe_message_decl *decl, enum message_option which)
{
    return which == MESSAGE_TIMEOUT || (decl->flags & SPOE_MESSAGE_FROM_LOG) == 0;
}

/* A plugin may have an option of this name, which was its own before it was the host's. */
static bool has_own_timeout(const struct spoe_plugin *desc)
{
    for (size_t i = 0; desc->options != NULL && desc->options[i] != NULL; i++) {
        if (desc->options[i]->key != NULL && strcmp(desc->options[i]->key, TIMEOUT_KEY) == 0)
            return true;
    }
    return false;
}

/* Make one, or, with NULL, only count it. @return false: out of memory */
static bool make_option(struct spoe_option *option, const char *message, enum message_option which)
{
    if (option == NULL)
        return true;
    *option = (struct spoe_option){.size = sizeof *option,
                                   .type = kinds[which].type,
                                   .flags = OPTION_OF_HOST,
                                   .key = make_key(message, which),
                                   .help = kinds[which].help,
                                   .choices = descriptor_events};
    if (which == MESSAGE_TIMEOUT) {
        option->min = TIMEOUT_MIN_NS;
        option->max = TIMEOUT_MAX_NS;
    }
    return option->key != NULL;
}

void message_options_json(FILE *out)
{
    struct spoe_option option[N_MESSAGE_OPTIONS + 1] = {{.size = 0}};
    const struct spoe_option *table[N_MESSAGE_OPTIONS + 2] = {NULL};
    bool ok = make_option(&option[0], NULL, MESSAGE_TIMEOUT);

    for (unsigned i = 0; i <= N_MESSAGE_OPTIONS; i++)
        table[i] = &option[i];
    for (unsigned k = 0; k < N_MESSAGE_OPTIONS; k++)
        ok = make_option(&option[k + 1], "NAME", k) && ok;
    if (ok)
        options_json(out, table);
    for (unsigned i = 0; i <= N_MESSAGE_OPTIONS; i++)
        free((void *)(uintptr_t)option[i].key);
}

/* @param options  NULL: only to be counted. @return how many; SIZE_MAX: out of memory */
static size_t make_all(const struct spoe_plugin *desc, struct spoe_option *options)
{
    size_t n = has_own_timeout(desc) ? 0 : 1;

    if (n != 0 && !make_option(options, NULL, MESSAGE_TIMEOUT))
        return SIZE_MAX;
    for (size_t m = 0; desc->messages != NULL && desc->messages[m] != NULL; m++) {
        for (unsigned k = 0; k < N_MESSAGE_OPTIONS; k++) {
            if (!has_option(desc->messages[m], k))
                continue;
            if (!make_option(options != NULL ? &options[n] : NULL, desc->messages[m]->name, k))
                return SIZE_MAX;
            n++;
        }
    }
    return n;
}

size_t message_options_count(const struct spoe_plugin *desc)
{
    return make_all(desc, NULL);
}

int message_options_make(const struct spoe_plugin *desc, struct spoe_option *options)
{
    return make_all(desc, options) != SIZE_MAX ? 0 : -1;
}

void message_options_free(struct spoe_option *options, size_t n)
{
    for (size_t i = 0; options != NULL && i < n; i++)
        free((void *)(uintptr_t)options[i].key);
    free(options);
}

/* @param message  NULL: it is for all. @return its place in the settings; SIZE_MAX: there is none
 */
static size_t place_of(const struct spoe_instance *plugin, const char *message,
                       enum message_option which)
{
    char *key = plugin->settings != NULL ? make_key(message, which) : NULL;
    const struct spoe_option *option;
    size_t place = SIZE_MAX;

    for (size_t i = plugin->options.n_own;
         key != NULL && (option = conf_section_option(plugin->settings, i)) != NULL; i++) {
        if (strcmp(option->key, key) == 0)
            place = i;
    }
    free(key);
    return place;
}

static bool is_set(const struct spoe_instance *plugin, size_t place)
{
    return place != SIZE_MAX &&
           (conf_setting(plugin->settings, place)->flags & SPOE_SETTING_DEFAULT) == 0;
}

const char *message_option(const struct spoe_instance *plugin, uint32_t message,
                           enum message_option which)
{
    const size_t i = place_of(plugin, plugin->desc->messages[message]->name, which);

    return is_set(plugin, i) ? conf_setting_text(plugin->settings, i) : NULL;
}

/* ---- words of HAProxy's ------------------------------------------------------------------ */

/* The end of the word that begins at p. @return NULL with *reterr */
static const char *end_of_word(const char *p, struct error *reterr)
{
    char quote = '\0';

    for (; *p != '\0' && (quote != '\0' || !text_is_blank(*p)); p++) {
        if ((unsigned char)*p < ' ') {
            (void)error_set(reterr, "a control character");
            return NULL;
        }
        if (*p == '\\' && quote != '\'') {
            if ((unsigned char)p[1] < ' ') { /* or the text's end: then HAProxy's next byte */
                (void)error_set(reterr, "a \\ before nothing that it could stand for");
                return NULL;
            }
            p++;
        } else if (quote != '\0') {
            quote = *p == quote ? '\0' : quote;
        } else if (*p == '"' || *p == '\'') {
            quote = *p;
        } else if (*p == '#') {
            (void)error_set(reterr, "a # begins a comment in HAProxy's file: write \\#");
            return NULL;
        }
    }
    if (quote == '\0')
        return p;
    (void)error_set(reterr, "a %c without its end", quote);
    return NULL;
}

int message_arg_next(const char **at, struct message_arg *ret, struct error *reterr)
{
    static const char in_name[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const char *word = *at, *end;
    size_t n;

    while (text_is_blank(*word))
        word++;
    if (*word == '\0')
        return 0;
    end = end_of_word(word, reterr);
    if (end == NULL)
        return -1;
    *at = end;
    n = strspn(word, in_name);
    if (word[n] == '=' && word + n < end)
        *ret = (struct message_arg){{word, n}, {word + n + 1, (size_t)(end - word) - n - 1}};
    else
        *ret = (struct message_arg){{word, 0}, {word, (size_t)(end - word)}};
    return 1;
}

static bool is_name(struct spoe_span a, struct spoe_span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

bool message_arg_find(const char *args, struct spoe_span name, struct message_arg *ret)
{
    struct error error;

    while (args != NULL && message_arg_next(&args, ret, &error) > 0) {
        if (is_name(ret->name, name))
            return true;
    }
    return false;
}

/* ---- checks ------------------------------------------------------------------------------ */

static const struct spoe_arg_decl *declared(const struct spoe_message_decl *decl,
                                            struct spoe_span name)
{
    for (size_t i = 0; decl->args != NULL && decl->args[i] != NULL; i++) {
        if (is_name((struct spoe_span){decl->args[i]->name, strlen(decl->args[i]->name)}, name))
            return decl->args[i];
    }
    return NULL;
}

/* @param before  the text up to this argument's end. @return 0; -1 with *reterr */
static int check_arg(const struct spoe_message_decl *decl, const struct message_arg *arg,
                     const char *text, struct error *reterr)
{
    const int n = (int)(arg->name.n < PLUGIN_NAME_MAX ? arg->name.n : PLUGIN_NAME_MAX);
    const struct spoe_arg_decl *own = declared(decl, arg->name);
    struct message_arg first;

    if (arg->name.n == 0 || arg->name.n > PLUGIN_NAME_MAX)
        return error_set(reterr, "expected NAME=EXPRESSION at \"%.40s\"", arg->name.p);
    if (message_arg_find(text, arg->name, &first) && first.name.p != arg->name.p)
        return error_set(reterr, "argument %.*s is given twice", n, arg->name.p);
    if (arg->expression.n != 0)
        return 0;
    if (own == NULL)
        return error_set(reterr, "the plugin declares no argument %.*s that could be taken away", n,
                         arg->name.p);
    if ((own->flags & SPOE_ARG_REQUIRED) != 0)
        return error_set(reterr, "argument %.*s is required: it cannot be taken away", n,
                         arg->name.p);
    return 0;
}

static int check_args(const struct spoe_message_decl *decl, const char *text, struct error *reterr)
{
    const char *at = text;
    struct message_arg arg;
    int result;

    while ((result = message_arg_next(&at, &arg, reterr)) > 0) {
        if (check_arg(decl, &arg, text, reterr) != 0)
            return -1;
    }
    return result;
}

static int check_condition(const char *text, struct error *reterr)
{
    struct message_arg word;
    unsigned n = 0;
    int result;

    while ((result = message_arg_next(&text, &word, reterr)) > 0)
        n++;
    return result == 0 && n == 0 ? error_set(reterr, "expected a condition") : result;
}

/* @return 0: there is none but the host's */
static int64_t timeout_of(const struct spoe_instance *plugin, const char *message)
{
    size_t i = place_of(plugin, message, MESSAGE_TIMEOUT);

    if (!is_set(plugin, i))
        i = place_of(plugin, NULL, MESSAGE_TIMEOUT);
    return is_set(plugin, i) ? conf_setting(plugin->settings, i)->value.u.i64 : 0;
}

void message_options_take(struct spoe_instance *plugin, struct conf *conf)
{
    for (uint32_t m = 0; m < plugin->n_messages; m++) {
        const struct spoe_message_decl *decl = plugin->desc->messages[m];
        const char *args = message_option(plugin, m, MESSAGE_ARGS);
        const char *condition = message_option(plugin, m, MESSAGE_IF);
        struct error error;

        if (args != NULL && check_args(decl, args, &error) != 0)
            conf_setting_error(conf, plugin->settings, place_of(plugin, decl->name, MESSAGE_ARGS),
                               "%s", error.text);
        if (condition != NULL && check_condition(condition, &error) != 0)
            conf_setting_error(conf, plugin->settings, place_of(plugin, decl->name, MESSAGE_IF),
                               "%s", error.text);
        plugin->timeout_ns[m] = timeout_of(plugin, decl->name);
    }
}
