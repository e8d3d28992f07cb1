/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/describe.c - what a plugin declares, as text for people. */
#include "core/describe.h"

#include <string.h>

#include "conf/option.h"
#include "core/engine.h"

static const char *const type_names[] = {"null",   "bool", "int32", "uint32", "int64",
                                         "uint64", "ipv4", "ipv6",  "string", "binary"};

const char *describe_types(uint32_t types, char ret[DESCRIBE_TYPES_MAX])
{
    size_t n = 0;

    if ((types & SPOE_ACCEPT_ANY) == SPOE_ACCEPT_ANY)
        return "any";
    ret[0] = '\0';
    for (uint32_t t = SPOE_T_BOOL; t <= SPOE_T_BIN; t++) {
        const char *name = type_names[t];

        if ((types & SPOE_MASK(t)) == 0)
            continue;
        /* The four integers stand or fall together in practice. */
        if (t == SPOE_T_INT32 && (types & SPOE_ACCEPT_INT) == SPOE_ACCEPT_INT) {
            name = "integer";
            t = SPOE_T_UINT64;
        }
        n += (size_t)snprintf(ret + n, DESCRIBE_TYPES_MAX - n, "%s%s", n > 0 ? "|" : "", name);
    }
    return ret;
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
        char types[DESCRIBE_TYPES_MAX];

        (void)fprintf(out, "    %s=%s  %s", arg->name, arg->expression,
                      describe_types(arg->types, types));
        if (arg->flags & SPOE_ARG_REQUIRED)
            (void)fputs(", required", out);
        if (arg->flags & SPOE_ARG_BY_NAME)
            (void)fputs(", by name", out);
        (void)fprintf(out, "%s%s\n", arg->help != NULL ? "  " : "",
                      arg->help != NULL ? arg->help : "");
    }
}

bool describe_has_variables(const struct spoe_plugin *desc)
{
    return SPOE_HAS(desc, variables) && desc->variables[0] != NULL;
}

void describe_variables(FILE *out, const struct spoe_plugin *desc, const char *before,
                        const char *prefix)
{
    static const char *const scopes[] = {"proc", "sess", "txn", "req", "res"};

    for (size_t i = 0; describe_has_variables(desc) && desc->variables[i] != NULL; i++) {
        const struct spoe_variable_decl *decl = desc->variables[i];

        char types[DESCRIBE_TYPES_MAX];

        (void)fprintf(out, "%s%s.%s.%s  %s", before, scopes[decl->scope], prefix, decl->name,
                      describe_types(decl->types, types));
        (void)fprintf(out, "%s%s\n", decl->help != NULL ? "  " : "",
                      decl->help != NULL ? decl->help : "");
    }
}

/* Without the ` around words, in lines of some 90 columns. */
static void print_wrapped(FILE *out, const char *help)
{
    size_t column = 0;

    if (*help == '\0')
        (void)fputs("\n        ", out);
    while (*help != '\0') {
        const size_t n = strcspn(help, " ");

        if (column + n > 80 && column > 0)
            column = 0;
        (void)fputs(column == 0 ? "\n        " : " ", out);
        for (size_t i = 0; i < n; i++) {
            if (help[i] != '`')
                (void)fputc(help[i], out);
        }
        column += n + 1;
        help += n + strspn(help + n, " ");
    }
    (void)fputc('\n', out);
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
    print_wrapped(out, option->help != NULL ? option->help : "");
}

void describe_plugin(FILE *out, const struct spoe_instance *plugin)
{
    static const struct plugin_set alone = {.n = 1};
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
    if (describe_has_variables(desc))
        (void)fputs("\nvariables\n", out);
    describe_variables(out, desc, "    ", engine_of(&alone, NULL, plugin).prefix);
    if (desc->options != NULL && desc->options[0] != NULL)
        (void)fputs("\noptions\n", out);
    for (size_t i = 0; desc->options != NULL && desc->options[i] != NULL; i++)
        print_option(out, desc->id, desc->options[i]);
}
