/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/describe.c - what plugins declare, as text: for people, and for HAProxy. */
#include "core/describe.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "conf/option.h"
#include "base/build_info.h"

#define ARGS_PER_LINE 8u /* HAProxy reads at most 64 words a line; lines add up */
/* HAProxy waits this much longer than the host takes at most. */
#define PROCESSING_MARGIN_NS INT64_C(5000000)

static const char *const type_names[] = {"null",   "bool", "int32", "uint32", "int64",
                                         "uint64", "ipv4", "ipv6",  "string", "binary"};

static void print_types(FILE *out, uint32_t types)
{
    const char *separator = "";

    if ((types & SPOE_ACCEPT_ANY) == SPOE_ACCEPT_ANY) {
        (void)fputs("any", out);
        return;
    }
    for (uint32_t t = SPOE_T_BOOL; t <= SPOE_T_BIN; t++) {
        if ((types & SPOE_MASK(t)) == 0)
            continue;
        /* The four integers stand or fall together in practice. */
        if (t == SPOE_T_INT32 && (types & SPOE_ACCEPT_INT) == SPOE_ACCEPT_INT) {
            (void)fprintf(out, "%sinteger", separator);
            t = SPOE_T_UINT64;
        } else {
            (void)fprintf(out, "%s%s", separator, type_names[t]);
        }
        separator = "|";
    }
}

static void print_message(FILE *out, const struct spoe_message_decl *decl)
{
    if ((decl->flags & SPOE_MESSAGE_FROM_LOG) != 0)
        (void)fprintf(out, "\nmessage %s from HAProxy's log\n", decl->name);
    else
        (void)fprintf(out, "\nmessage %s on %s\n", decl->name, decl->event);
    if (decl->help != NULL)
        (void)fprintf(out, "    %s\n", decl->help);
    for (size_t i = 0; decl->args != NULL && decl->args[i] != NULL; i++) {
        const struct spoe_arg_decl *arg = decl->args[i];

        (void)fprintf(out, "    %s=%s  ", arg->name, arg->expression);
        print_types(out, arg->types);
        if (arg->flags & SPOE_ARG_REQUIRED)
            (void)fputs(", required", out);
        if (arg->flags & SPOE_ARG_BY_NAME)
            (void)fputs(", by name", out);
        (void)fprintf(out, "%s%s\n", arg->help != NULL ? "  " : "",
                      arg->help != NULL ? arg->help : "");
    }
}

static void print_option(FILE *out, const char *id, const struct spoe_option *option)
{
    char accepted[OPTION_TEXT_MAX];

    option_describe(option, accepted);
    (void)fprintf(out, "    %s.%s  %s", id, option->key, accepted);
    if (option->flags & SPOE_OPTION_REQUIRED)
        (void)fputs("; required", out);
    if (option->flags & SPOE_OPTION_RELOADABLE)
        (void)fputs("; can change at run time", out);
    if (option->default_text != NULL)
        (void)fprintf(out, "; default %s", option->default_text);
    for (size_t i = 0; option->env != NULL && option->env[i] != NULL; i++)
        (void)fprintf(out, "%s%s", i == 0 ? "; environment " : " ", option->env[i]);
    for (size_t i = 0; option->env_lenient != NULL && option->env_lenient[i] != NULL; i++)
        (void)fprintf(out, "%s%s", i == 0 ? "; if it will do, environment " : " ",
                      option->env_lenient[i]);
    (void)fprintf(out, "\n        %s\n", option->help != NULL ? option->help : "");
}

void describe_plugin(FILE *out, const struct spoe_instance *plugin)
{
    const struct spoe_plugin *desc = plugin->desc;

    (void)fprintf(out, "file     %s\nid       %s\nversion  %s\n", plugin->path, desc->id,
                  desc->version);
    (void)fprintf(out, "abi      %u.%u, needs %u.%u; this host has %d.%d\n", desc->abi_major,
                  desc->abi_minor, desc->abi_major, desc->needs_minor, SPOE_ABI_MAJOR,
                  SPOE_ABI_MINOR);
    if (desc->help != NULL)
        (void)fprintf(out, "         %s\n", desc->help);
    for (uint32_t i = 0; i < plugin->n_messages; i++)
        print_message(out, desc->messages[i]);
    if (desc->options != NULL && desc->options[0] != NULL)
        (void)fputs("\noptions\n", out);
    for (size_t i = 0; desc->options != NULL && desc->options[i] != NULL; i++)
        print_option(out, desc->id, desc->options[i]);
}

/* Walk every message of every plugin in configuration order. */
static const struct spoe_message_decl *nth_message(const struct plugin_set *set, size_t n)
{
    for (size_t i = 0; i < set->n; i++) {
        if (n < set->plugin[i]->n_messages)
            return set->plugin[i]->desc->messages[n];
        n -= set->plugin[i]->n_messages;
    }
    return NULL;
}

static bool has_argument(const struct spoe_message_decl *decl, const char *name)
{
    for (size_t i = 0; decl->args != NULL && decl->args[i] != NULL; i++) {
        if (strcmp(decl->args[i]->name, name) == 0)
            return true;
    }
    return false;
}

/* Whether message number n comes over SPOP and is the first one of its name. */
static bool is_first(const struct plugin_set *set, size_t n)
{
    const char *name = nth_message(set, n)->name;

    if ((nth_message(set, n)->flags & SPOE_MESSAGE_FROM_LOG) != 0)
        return false;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(nth_message(set, i)->name, name) == 0)
            return false;
    }
    return true;
}

/* Whether an argument of message number n stands in an earlier declaration of that message. */
static bool is_printed(const struct plugin_set *set, size_t n, const char *argument)
{
    const char *name = nth_message(set, n)->name;

    for (size_t i = 0; i < n; i++) {
        const struct spoe_message_decl *decl = nth_message(set, i);

        if (strcmp(decl->name, name) == 0 && has_argument(decl, argument))
            return true;
    }
    return false;
}

static void print_spoe_message(FILE *out, const struct plugin_set *set, size_t first)
{
    const struct spoe_message_decl *message = nth_message(set, first), *decl;
    unsigned n_args = 0;

    (void)fprintf(out, "\nspoe-message %s\n", message->name);
    for (size_t i = first; (decl = nth_message(set, i)) != NULL; i++) {
        if (strcmp(decl->name, message->name) != 0)
            continue;
        for (size_t a = 0; decl->args != NULL && decl->args[a] != NULL; a++) {
            if (is_printed(set, i, decl->args[a]->name))
                continue;
            (void)fprintf(out, "%s%s=%s", n_args % ARGS_PER_LINE == 0 ? "    args " : " ",
                          decl->args[a]->name, decl->args[a]->expression);
            if (++n_args % ARGS_PER_LINE == 0)
                (void)fputc('\n', out);
        }
    }
    if (n_args % ARGS_PER_LINE != 0)
        (void)fputc('\n', out);
    (void)fprintf(out, "    event %s\n", message->event);
}

void describe_spoe_config(FILE *out, const struct plugin_set *set, const struct host_conf *conf)
{
    const char *engine = conf->engine;

    if (engine == NULL)
        engine = set->n == 1 ? set->plugin[0]->desc->id : "spoe";
    (void)fprintf(out, "# Written by spoe-host %s --print-spoe-config for:\n", build_version);
    for (size_t i = 0; i < set->n; i++)
        (void)fprintf(out, "#   %s %s\n", set->plugin[i]->desc->id, set->plugin[i]->desc->version);
    (void)fprintf(out,
                  "# In haproxy.cfg: filter spoe engine %s config THIS-FILE in each frontend,\n"
                  "# and a backend named spoe-host, mode tcp, with this host as its server.\n"
                  "# Variables come back as txn.%s.NAME.\n"
                  "[%s]\n"
                  "spoe-agent %s-agent\n",
                  engine, engine, engine, engine);
    (void)fputs("    messages", out);
    for (size_t i = 0; nth_message(set, i) != NULL; i++) {
        if (is_first(set, i))
            (void)fprintf(out, " %s", nth_message(set, i)->name);
    }
    (void)fprintf(out,
                  "\n"
                  "    option var-prefix %s\n"
                  "    option set-on-error status\n"
                  "    option continue-on-error\n"
                  "    timeout hello 2s\n"
                  "    timeout idle 2m\n"
                  "    timeout processing %" PRId64 "ms\n"
                  "    use-backend spoe-host\n",
                  engine, (conf->processing_timeout_ns + PROCESSING_MARGIN_NS + 999999) / 1000000);
    for (size_t i = 0; nth_message(set, i) != NULL; i++) {
        if (is_first(set, i))
            print_spoe_message(out, set, i);
    }
}
