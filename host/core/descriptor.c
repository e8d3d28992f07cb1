/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/descriptor.c - see descriptor.h. */
#include "core/descriptor.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/option.h"

/* Sizes as of 1.0, up to its last members: the structs may grow, what is demanded does not. */
#define PLUGIN_SIZE_1_0 (offsetof(struct spoe_plugin, get_extension) + sizeof(void (*)(void)))
#define MESSAGE_SIZE_1_0 (offsetof(struct spoe_message_decl, args) + sizeof(void *))
#define ARGUMENT_SIZE_1_0 (offsetof(struct spoe_arg_decl, help) + sizeof(char *))

#define OPTION_SIZE_1_0 (offsetof(struct spoe_option, env_lenient) + sizeof(char *))
#define VARIABLE_SIZE_1_1 (offsetof(struct spoe_variable_decl, help) + sizeof(char *))

#define ARG_FLAGS (SPOE_ARG_REQUIRED | SPOE_ARG_BY_NAME)
#define MESSAGE_FLAGS SPOE_MESSAGE_FROM_LOG
#define PLUGIN_FLAGS SPOE_PLUGIN_INSTANCES
#define OPTION_FLAGS                                                                               \
    (SPOE_OPTION_REQUIRED | SPOE_OPTION_SECRET | SPOE_OPTION_RELOADABLE | SPOE_OPTION_LIST |       \
     SPOE_OPTION_SECRET_FILE)
#define ALL_TYPES (SPOE_ACCEPT_ANY | SPOE_MASK(SPOE_T_NULL))

#define STRUCT_SIZE_MAX 4096u
#define WHERE_MAX 200u

/* ---- fields ---------------------------------------------------------------------------------- */

static bool is_name(const char *s, size_t max, const char *extra)
{
    size_t n = 0;

    if (s == NULL)
        return false;
    for (; s[n] != '\0'; n++) {
        char c = s[n];

        if (n == max)
            return false;
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            strchr(extra, c) == NULL)
            return false;
    }
    return n > 0;
}

/* is_name() without capital letters. */
static bool is_id(const char *s)
{
    for (const char *p = s; p != NULL && *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z')
            return false;
    }
    return is_name(s, PLUGIN_ID_MAX, "-");
}

const char *const descriptor_events[] = {
    "on-client-session",        "on-frontend-tcp-request", "on-backend-tcp-request",
    "on-frontend-http-request", "on-backend-http-request", "on-server-session",
    "on-tcp-response",          "on-http-response",        NULL,
};

static bool is_event(const char *s)
{
    for (size_t i = 0; s != NULL && descriptor_events[i] != NULL; i++) {
        if (strcmp(s, descriptor_events[i]) == 0)
            return true;
    }
    return false;
}

/*
 * What ABI 1.0 asked for and its hosts did not look at: a plugin that was built for it, and loaded
 * then, loads still. But for line ends (refused by the callers), which would make two lines of one
 * in a file or in the log.
 */
static int tolerate(const struct spoe_plugin *desc, const struct error *error)
{
    if (desc->abi_minor > 0)
        return -1;
    log_line(SPOE_LOG_WARNING, "host",
             "plugin %s: %s: a plugin of ABI 1.1 or later is refused for that", desc->id,
             error->text);
    return 0;
}

static int check_reserved(const struct spoe_plugin *desc, const char *where, uint32_t reserved,
                          struct error *reterr)
{
    if (reserved == 0)
        return 0;
    (void)error_set(reterr, "%s: reserved is 0x%x and must be 0", where, reserved);
    return tolerate(desc, reterr);
}

/*
 * Flags that this host does not know: a plugin that was built for this ABI or an older one has no
 * business with them; of a newer one's, those in SPOE_FLAGS_OPTIONAL may be ignored.
 */
static int check_flags(const struct spoe_plugin *desc, const char *where, uint32_t flags,
                       uint32_t known, struct error *reterr)
{
    const uint32_t unknown = flags & ~known;

    if (unknown == 0)
        return 0;
    if (desc->abi_minor <= SPOE_ABI_MINOR || (unknown & ~SPOE_FLAGS_OPTIONAL) != 0) {
        (void)error_set(reterr, "%s: flags 0x%x: this host does not know 0x%x", where, flags,
                        unknown);
        return tolerate(desc, reterr);
    }
    log_line(SPOE_LOG_NOTICE, "host",
             "plugin %s: %s: flags 0x%x are of a newer ABI, and optional: ignored", desc->id, where,
             unknown);
    return 0;
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

/* One line of text, or none. */
static int check_line(const struct spoe_plugin *desc, const char *where, const char *field,
                      const char *text, struct error *reterr)
{
    size_t i = 0;

    while (text != NULL && text[i] != '\0' && !is_control(text[i]))
        i++;
    if (text == NULL || text[i] == '\0')
        return 0;
    (void)error_set(reterr, "%s: %s has the control character 0x%02x at %zu (\"%.*s\")", where,
                    field, (unsigned char)text[i], i, (int)(i < 40 ? i : 40), text);
    return strpbrk(text + i, "\r\n") != NULL ? -1 : tolerate(desc, reterr);
}

/*
 * Why HAProxy does not read the text as one word, and all that follows it in the line as what it is
 * (its configuration manual, 2.2). What counts is outside quotes and not behind a backslash.
 * @param ret_at  where
 * @return NULL: it does
 */
static const char *word_fault(const char *text, size_t *ret_at)
{
    char quote = '\0';
    size_t i = 0;

    for (*ret_at = 0; text[i] != '\0'; i++) {
        const char c = text[i];

        *ret_at = i;
        if (c == '\\' && quote != '\'' && text[i + 1] == '\0')
            return "a backslash at its end";
        if (c == '\\' && quote != '\'' && strchr(" \\\"'#", text[i + 1]) != NULL)
            i++;
        else if (is_control(c) || (c == ' ' && quote == '\0'))
            return "white space or a control character";
        else if (c == '#' && quote == '\0')
            return "the beginning of a comment";
        else if (c == quote)
            quote = '\0';
        else if (quote == '\0' && (c == '"' || c == '\''))
            quote = c;
    }
    return quote != '\0' ? "a quote without its end" : NULL;
}

static int check_expression(const struct spoe_plugin *desc, const char *where, const char *text,
                            struct error *reterr)
{
    const char *fault;
    size_t at;

    if (text == NULL || text[0] == '\0')
        return error_set(reterr, "%s: expression is empty", where);
    fault = word_fault(text, &at);
    if (fault == NULL)
        return 0;
    (void)error_set(reterr, "%s: expression \"%.64s\" has %s (0x%02x at %zu)", where, text, fault,
                    (unsigned char)text[at], at);
    return strpbrk(text, "\r\n") != NULL ? -1 : tolerate(desc, reterr);
}

/* A pair of a line of the log: its name is not one that means something else there, and its format
 * stands in quotes. */
static int check_pair(const char *where, const struct spoe_arg_decl *arg, struct error *reterr)
{
    static const char *const words[] = {SPOE_LOG_MESSAGE, SPOE_LOG_HOSTNAME, SPOE_LOG_TIMESTAMP,
                                        SPOE_LOG_PROCID};
    bool taken = strcmp(arg->name, "v") == 0 || strcmp(arg->name, "msg") == 0 ||
                 strncmp(arg->name, "syslog.", strlen("syslog.")) == 0;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        taken = taken && strcmp(arg->name, words[i]) != 0;
    if (taken)
        return error_set(reterr, "%s: no pair of a line of the log can have this name", where);
    if (strchr(arg->expression, '"') != NULL)
        return error_set(reterr,
                         "%s: expression \"%.64s\" has a quote (0x22 at %zu), and a log-format "
                         "stands in such",
                         where, arg->expression, strcspn(arg->expression, "\""));
    return 0;
}

/* No struct grows that far: a size above is none. */
static int check_size(const char *where, uint32_t size, size_t least, const char *of,
                      struct error *reterr)
{
    if (size < least)
        return error_set(reterr, "%s: size is %u, shorter than the %zu of ABI %s", where, size,
                         least, of);
    if (size > STRUCT_SIZE_MAX)
        return error_set(reterr, "%s: size is %u, and no struct of any ABI is above %u", where,
                         size, STRUCT_SIZE_MAX);
    return 0;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static int check_argument(const struct spoe_plugin *desc, const struct spoe_message_decl *decl,
                          uint32_t n, struct error *reterr)
{
    const struct spoe_arg_decl *arg = decl->args[n];
    char where[WHERE_MAX];

    (void)snprintf(where, sizeof where, "message %s, argument %u", decl->name, n);
    if (check_size(where, arg->size, ARGUMENT_SIZE_1_0, "1.0", reterr) != 0)
        return -1;
    if (!is_name(arg->name, PLUGIN_NAME_MAX, "_.-"))
        return error_set(reterr, "%s: name \"%.80s\" is not 1 to %u of [A-Za-z0-9_.-]", where,
                         arg->name != NULL ? arg->name : "", PLUGIN_NAME_MAX);
    (void)snprintf(where, sizeof where, "message %s, argument %s", decl->name, arg->name);
    if (arg->types == 0 || (arg->types & ~ALL_TYPES) != 0) {
        (void)error_set(reterr, "%s: types 0x%x: this host knows 0x%x", where, arg->types,
                        ALL_TYPES);
        if (arg->types == 0 || tolerate(desc, reterr) != 0)
            return -1;
    }
    if ((~arg->flags & ARG_FLAGS) == 0)
        return error_set(reterr,
                         "%s: it is required and by name: such a message is never handed over, "
                         "since the slot stays empty",
                         where);
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(decl->args[i]->name, arg->name) == 0)
            return error_set(reterr, "message %s declares argument %s twice", decl->name,
                             arg->name);
    }
    if (check_flags(desc, where, arg->flags, ARG_FLAGS, reterr) != 0 ||
        check_reserved(desc, where, arg->reserved, reterr) != 0 ||
        check_expression(desc, where, arg->expression, reterr) != 0 ||
        ((decl->flags & SPOE_MESSAGE_FROM_LOG) != 0 && check_pair(where, arg, reterr) != 0))
        return -1;
    return check_line(desc, where, "help", arg->help, reterr);
}

static int check_message(const struct spoe_plugin *desc, uint32_t n, uint32_t *ret_arguments,
                         struct error *reterr)
{
    const struct spoe_message_decl *decl = desc->messages[n];
    char where[WHERE_MAX];
    uint32_t i = 0;

    (void)snprintf(where, sizeof where, "message %u", n);
    if (check_size(where, decl->size, MESSAGE_SIZE_1_0, "1.0", reterr) != 0)
        return -1;
    if (!is_name(decl->name, PLUGIN_NAME_MAX, "_.-"))
        return error_set(reterr, "message %u: name \"%.80s\" is not 1 to %u of [A-Za-z0-9_.-]", n,
                         decl->name != NULL ? decl->name : "", PLUGIN_NAME_MAX);
    (void)snprintf(where, sizeof where, "message %s", decl->name);
    if (!is_event(decl->event))
        return error_set(reterr, "%s: HAProxy has no event \"%.80s\"", where,
                         decl->event != NULL ? decl->event : "");
    for (uint32_t other = 0; other < n; other++) {
        if (strcmp(desc->messages[other]->name, decl->name) == 0)
            return error_set(reterr, "%s is declared twice", where);
    }
    if (check_flags(desc, where, decl->flags, MESSAGE_FLAGS, reterr) != 0 ||
        check_line(desc, where, "help", decl->help, reterr) != 0)
        return -1;
    for (; decl->args != NULL && decl->args[i] != NULL; i++) {
        if (i == PLUGIN_ARGUMENTS_MAX)
            return error_set(reterr, "%s declares more than %u arguments", where,
                             PLUGIN_ARGUMENTS_MAX);
        if (check_argument(desc, decl, i, reterr) != 0)
            return -1;
    }
    *ret_arguments = i;
    return 0;
}

static int check_messages(const struct spoe_plugin *desc, uint32_t *ret_messages,
                          uint32_t *ret_arguments, struct error *reterr)
{
    uint32_t n = 0;

    for (; desc->messages != NULL && desc->messages[n] != NULL; n++) {
        if (n == PLUGIN_MESSAGES_MAX)
            return error_set(reterr, "more than %u messages", PLUGIN_MESSAGES_MAX);
        if (check_message(desc, n, &ret_arguments[n], reterr) != 0)
            return -1;
    }
    if (n == 0)
        return error_set(reterr, "it declares no message");
    *ret_messages = n;
    return 0;
}

/* Names of variables, or the words of a choice: not empty, and one line. */
static int check_words(const struct spoe_plugin *desc, const char *where, const char *field,
                       const char *const *words, const char *banned, struct error *reterr)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        if (words[i][0] == '\0' || strpbrk(words[i], banned) != NULL) {
            (void)error_set(reterr, "%s: %s[%zu] is \"%.64s\"", where, field, i, words[i]);
            if (tolerate(desc, reterr) != 0)
                return -1;
        }
        if (check_line(desc, where, field, words[i], reterr) != 0)
            return -1;
    }
    return 0;
}

static int check_option(const struct spoe_plugin *desc, size_t i, struct error *reterr)
{
    const struct spoe_option *option = desc->options[i];
    struct error wrong;
    char where[WHERE_MAX];
    struct spoe_value value;
    int result = option_check(option, &wrong);

    for (size_t j = 0; j < i && result == 0; j++) {
        if (strcmp(desc->options[j]->key, option->key) == 0)
            result = error_set(&wrong, "another option has its key");
    }
    (void)snprintf(where, sizeof where, "option %zu", i);
    if (check_size(where, option->size, OPTION_SIZE_1_0, "1.0", reterr) != 0)
        return -1;
    if (result != 0)
        return error_set(
            reterr, "option %zu (\"%.80s\"): %.600s (type %u, min %" PRId64 ", max %" PRId64 ")", i,
            option->key != NULL ? option->key : "", wrong.text, option->type, option->min,
            option->max);
    (void)snprintf(where, sizeof where, "option %s", option->key);
    if (check_flags(desc, where, option->flags, OPTION_FLAGS, reterr) != 0 ||
        check_reserved(desc, where, option->reserved, reterr) != 0 ||
        check_line(desc, where, "help", option->help, reterr) != 0 ||
        check_words(desc, where, "env", option->env, "= ", reterr) != 0 ||
        check_words(desc, where, "env_lenient", option->env_lenient, "= ", reterr) != 0 ||
        ((option->type == SPOE_OPT_ENUM || option->type == SPOE_OPT_URL) &&
         check_words(desc, where, "choices", option->choices, "", reterr) != 0))
        return -1;
    if (option_is_of_1_1(option) && desc->needs_minor < 1)
        return error_set(reterr,
                         "%s: type %u and flags 0x%x are of ABI 1.1: needs_minor is %u and must be "
                         "1 at least, so that older hosts refuse the plugin",
                         where, option->type, option->flags, desc->needs_minor);
    if (option->default_text != NULL &&
        option_parse(option, option->default_text, &value, &wrong) != 0)
        return error_set(reterr, "%s: bad default: %.600s", where, wrong.text);
    return 0;
}

/* Without the star that stands for the rest of the name. */
static bool is_variable(const char *name)
{
    const size_t n = name != NULL ? strnlen(name, PLUGIN_NAME_MAX + 1) : 0;
    char stem[PLUGIN_NAME_MAX + 1];

    if (n == 0 || n > PLUGIN_NAME_MAX)
        return false;
    (void)snprintf(stem, sizeof stem, "%.*s", (int)(name[n - 1] == '*' ? n - 1 : n), name);
    return is_name(stem, PLUGIN_NAME_MAX, "_.");
}

static int check_variable(const struct spoe_plugin *desc, uint32_t n, struct error *reterr)
{
    const struct spoe_variable_decl *decl = desc->variables[n];
    char where[WHERE_MAX];

    (void)snprintf(where, sizeof where, "variable %u", n);
    if (check_size(where, decl->size, VARIABLE_SIZE_1_1, "1.1", reterr) != 0)
        return -1;
    if (!is_variable(decl->name))
        return error_set(reterr,
                         "variable %u: name \"%.80s\" is not 1 to %u of [A-Za-z0-9_.], or such "
                         "with * at its end",
                         n, decl->name != NULL ? decl->name : "", PLUGIN_NAME_MAX);
    (void)snprintf(where, sizeof where, "variable %s", decl->name);
    if (strncmp(decl->name, SPOE_VARIABLE_RESERVED, strlen(SPOE_VARIABLE_RESERVED)) == 0)
        return error_set(reterr,
                         "%s: names that begin with " SPOE_VARIABLE_RESERVED " are HAProxy's own",
                         where);
    if (decl->scope > SPOE_SCOPE_RES)
        return error_set(reterr, "%s: scope is %u, and the last is %u", where, decl->scope,
                         (unsigned)SPOE_SCOPE_RES);
    if (decl->types == 0 || (decl->types & ~ALL_TYPES) != 0)
        return error_set(reterr, "%s: types 0x%x: this host knows 0x%x", where, decl->types,
                         ALL_TYPES);
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(desc->variables[i]->name, decl->name) == 0 &&
            desc->variables[i]->scope == decl->scope)
            return error_set(reterr, "%s is declared twice", where);
    }
    if (check_flags(desc, where, decl->flags, 0, reterr) != 0)
        return -1;
    return check_line(desc, where, "help", decl->help, reterr);
}

static int check_variables(const struct spoe_plugin *desc, struct error *reterr)
{
    if (!SPOE_HAS(desc, variables))
        return 0;
    for (uint32_t n = 0; desc->variables[n] != NULL; n++) {
        if (n == PLUGIN_VARIABLES_MAX)
            return error_set(reterr, "more than %u variables", PLUGIN_VARIABLES_MAX);
        if (check_variable(desc, n, reterr) != 0)
            return -1;
    }
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int check_head(const struct spoe_plugin *desc, struct error *reterr)
{
    if (desc == NULL)
        return error_set(reterr, "%s() returned NULL", SPOE_PLUGIN_ENTRY);
    if (desc->magic != SPOE_PLUGIN_MAGIC)
        return error_set(reterr, "wrong magic 0x%08x, expected 0x%08x", desc->magic,
                         SPOE_PLUGIN_MAGIC);
    if (desc->abi_major != SPOE_ABI_MAJOR)
        return error_set(reterr, "plugin has ABI %u.%u, this host has %u.%u", desc->abi_major,
                         desc->abi_minor, SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
    if (desc->needs_minor > SPOE_ABI_MINOR)
        return error_set(reterr, "plugin needs ABI %u.%u, this host has %u.%u", desc->abi_major,
                         desc->needs_minor, SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
    if (check_size("descriptor", desc->size, PLUGIN_SIZE_1_0, "1.0", reterr) != 0)
        return -1;
    if (!is_id(desc->id) || strcmp(desc->id, "host") == 0)
        return error_set(reterr, "bad id \"%.32s\": 1 to %u of [a-z0-9-], not \"host\"",
                         desc->id != NULL ? desc->id : "", PLUGIN_ID_MAX);
    if (desc->version == NULL || desc->configure == NULL || desc->handle == NULL)
        return error_set(reterr, "%s is NULL: version, configure and handle are mandatory",
                         desc->version == NULL     ? "version"
                         : desc->configure == NULL ? "configure"
                                                   : "handle");
    if (desc->needs_minor > desc->abi_minor) {
        (void)error_set(reterr, "needs_minor is %u, above the minor it was built with, %u",
                        desc->needs_minor, desc->abi_minor);
        if (tolerate(desc, reterr) != 0)
            return -1;
    }
    if (check_reserved(desc, "descriptor", desc->reserved, reterr) != 0 ||
        (desc->size >= offsetof(struct spoe_plugin, reserved_1_1) + sizeof desc->reserved_1_1 &&
         (check_flags(desc, "descriptor", desc->flags, PLUGIN_FLAGS, reterr) != 0 ||
          check_reserved(desc, "descriptor", desc->reserved_1_1, reterr) != 0)) ||
        check_line(desc, "descriptor", "version", desc->version, reterr) != 0)
        return -1;
    return check_line(desc, "descriptor", "help", desc->help, reterr);
}

int descriptor_check(const struct spoe_plugin *desc, uint32_t *ret_messages,
                     uint32_t ret_arguments[PLUGIN_MESSAGES_MAX], struct error *reterr)
{
    if (check_head(desc, reterr) != 0 ||
        check_messages(desc, ret_messages, ret_arguments, reterr) != 0)
        return -1;
    for (size_t i = 0; desc->options != NULL && desc->options[i] != NULL; i++) {
        if (i == CONF_OPTIONS_MAX)
            return error_set(reterr, "more than %u options", CONF_OPTIONS_MAX);
        if (check_option(desc, i, reterr) != 0)
            return -1;
    }
    return check_variables(desc, reterr);
}
