/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_descriptor.c - a plugin's descriptor and its tables: each limit, exactly and
 * one more; each character of a name; what must be there (9.1, 2.12).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "core/descriptor.h"

/* One of everything, for a test to change; the tables are filled as far as a test says. */
static struct spoe_arg_decl arg[PLUGIN_ARGUMENTS_MAX + 1];
static const struct spoe_arg_decl *args[PLUGIN_ARGUMENTS_MAX + 2];
static struct spoe_message_decl message[PLUGIN_MESSAGES_MAX + 1];
static const struct spoe_message_decl *messages[PLUGIN_MESSAGES_MAX + 2];
static struct spoe_option option[CONF_OPTIONS_MAX + 1];
static const struct spoe_option *options[CONF_OPTIONS_MAX + 2];
static char arg_name[PLUGIN_ARGUMENTS_MAX + 1][24], message_name[PLUGIN_MESSAGES_MAX + 1][24];
static char key[CONF_OPTIONS_MAX + 1][24];
static struct spoe_plugin desc;

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **inst)
{
    (void)host;
    (void)self;
    (void)cfg;
    (void)inst;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *request, const struct spoe_message *msg)
{
    (void)wctx;
    (void)request;
    (void)msg;
    return SPOE_OK;
}

static void fill(size_t n_messages, size_t n_args, size_t n_options)
{
    memset(args, 0, sizeof args);
    memset(messages, 0, sizeof messages);
    memset(options, 0, sizeof options);
    for (size_t i = 0; i < n_args; i++) {
        (void)snprintf(arg_name[i], sizeof arg_name[i], "a%zu", i);
        arg[i] = (struct spoe_arg_decl){.size = sizeof arg[i],
                                        .types = SPOE_ACCEPT_STR,
                                        .name = arg_name[i],
                                        .expression = "path",
                                        .help = ""};
        args[i] = &arg[i];
    }
    for (size_t i = 0; i < n_messages; i++) {
        (void)snprintf(message_name[i], sizeof message_name[i], "m%zu", i);
        message[i] = (struct spoe_message_decl){.size = sizeof message[i],
                                                .name = message_name[i],
                                                .event = "on-http-response",
                                                .help = "",
                                                .args = args};
        messages[i] = &message[i];
    }
    for (size_t i = 0; i < n_options; i++) {
        (void)snprintf(key[i], sizeof key[i], "k%zu", i);
        option[i] = (struct spoe_option){
            .size = sizeof option[i], .type = SPOE_OPT_STRING, .key = key[i], .help = "help"};
        options[i] = &option[i];
    }
    desc = (struct spoe_plugin){.magic = SPOE_PLUGIN_MAGIC,
                                .size = sizeof desc,
                                .abi_major = SPOE_ABI_MAJOR,
                                .abi_minor = SPOE_ABI_MINOR,
                                .needs_minor = SPOE_ABI_MINOR,
                                .id = "test",
                                .version = "1",
                                .help = "",
                                .messages = messages,
                                .options = options,
                                .configure = configure,
                                .handle = handle};
}

static void setup(void)
{
    fill(2, 2, 2);
}

static uint32_t n_messages, n_arguments[PLUGIN_MESSAGES_MAX];

static void taken(const char *what)
{
    struct error error = {""};

    cr_assert_eq(descriptor_check(&desc, &n_messages, n_arguments, &error), 0, "%s: %s", what,
                 error.text);
}

static void refused(const char *why)
{
    struct error error = {""};

    cr_assert_neq(descriptor_check(&desc, &n_messages, n_arguments, &error), 0, "taken, not \"%s\"",
                  why);
    cr_assert_not_null(strstr(error.text, why), "got \"%s\", want \"%s\"", error.text, why);
}

TestSuite(descriptor, .init = setup, .timeout = 60);

Test(descriptor, counts_what_it_holds)
{
    static const struct spoe_arg_decl *const none[] = {NULL};

    message[0].args = none;
    message[1].args = NULL;
    messages[2] = &message[2];
    message[2] = message[1];
    message[2].name = "third";
    message[2].args = args;
    taken("three messages");
    cr_assert_eq(n_messages, 3);
    cr_assert(n_arguments[0] == 0 && n_arguments[1] == 0 && n_arguments[2] == 2);
    desc.options = NULL;
    taken("no options");
    messages[0] = NULL;
    refused("no message");
    desc.messages = NULL;
    refused("no message");
}

Test(descriptor, tables_end_at_their_limits)
{
    fill(1, PLUGIN_ARGUMENTS_MAX, 0);
    taken("64 arguments");
    cr_assert_eq(n_arguments[0], PLUGIN_ARGUMENTS_MAX);
    fill(1, PLUGIN_ARGUMENTS_MAX + 1, 0);
    refused("more than 64 arguments");
    fill(PLUGIN_MESSAGES_MAX, 1, 0);
    taken("64 messages");
    cr_assert_eq(n_messages, PLUGIN_MESSAGES_MAX);
    fill(PLUGIN_MESSAGES_MAX + 1, 1, 0);
    refused("more than 64 messages");
    fill(1, 1, CONF_OPTIONS_MAX);
    taken("256 options");
    fill(1, 1, CONF_OPTIONS_MAX + 1);
    refused("more than 256 options");
}

Test(descriptor, two_of_one_name_are_refused_wherever_they_stand)
{
    fill(3, 3, 3);
    arg[2].name = "a0";
    refused("argument a0 twice");
    arg[2].name = "a1";
    refused("argument a1 twice");
    fill(3, 3, 3);
    message[2].name = "m0";
    refused("m0 is declared twice");
    message[2].name = "m1";
    refused("m1 is declared twice");
    fill(3, 3, 3);
    option[2].key = "k0";
    refused("another option has its key");
    option[2].key = "k1";
    refused("another option has its key");
}

/* Every byte that there is, at the beginning, between and at the end of a name. */
Test(descriptor, names_are_of_letters_digits_and_three_more)
{
    for (int c = 1; c < 256; c++) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        const bool capital = c >= 'A' && c <= 'Z';
        const bool more = c == '_' || c == '.' || c == '-';

        for (size_t i = 0; i < 3; i++) {
            char name[] = "nam";

            name[i] = (char)c;
            fill(1, 1, 0);
            arg[0].name = name;
            if (letter || capital || more)
                taken(name);
            else
                refused("name");
            fill(1, 1, 0);
            message[0].name = name;
            if (letter || capital || more)
                taken(name);
            else
                refused("name");
            fill(1, 1, 0);
            desc.id = name;
            if (letter || c == '-')
                taken(name);
            else
                refused("bad id");
        }
    }
}

Test(descriptor, names_have_a_length)
{
    static char name[PLUGIN_NAME_MAX + 2];

    memset(name, 'n', PLUGIN_NAME_MAX);
    arg[1].name = name;
    message[1].name = name;
    taken("64 bytes");
    name[PLUGIN_NAME_MAX] = 'n';
    refused("name");
    message[1].name = "m1";
    refused("name");
    arg[1].name = "";
    refused("name");
    arg[1].name = NULL;
    refused("name");
    arg[1].name = "n";
    taken("one byte");
    message[1].name = "";
    refused("name");
    message[1].name = NULL;
    refused("name");

    setup();
    memset(name, 'n', sizeof name);
    name[PLUGIN_ID_MAX] = '\0';
    desc.id = name;
    taken("32 bytes");
    name[PLUGIN_ID_MAX] = 'n';
    name[PLUGIN_ID_MAX + 1] = '\0';
    refused("bad id");
    desc.id = "";
    refused("bad id");
    desc.id = NULL;
    refused("bad id");
    desc.id = "host";
    refused("bad id");
    desc.id = "host2";
    taken("host2");
    desc.id = "a";
    taken("a");
}

Test(descriptor, events_are_haproxys)
{
    static const char *const events[] = {"on-client-session",       "on-frontend-tcp-request",
                                         "on-backend-tcp-request",  "on-frontend-http-request",
                                         "on-backend-http-request", "on-server-session",
                                         "on-tcp-response",         "on-http-response"};
    static const char *const others[] = {NULL, "", "on-http", "on-http-responses",
                                         "On-http-response"};

    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        message[1].event = events[i];
        taken(events[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        message[1].event = others[i];
        refused("no event");
    }
}

Test(descriptor, what_is_mandatory_must_be_there)
{
    desc.version = NULL;
    refused("mandatory");
    setup();
    desc.configure = NULL;
    refused("mandatory");
    setup();
    desc.handle = NULL;
    refused("mandatory");
    setup();
    desc.magic++;
    refused("magic");
    setup();
    desc.abi_major++;
    refused("plugin has ABI");
    setup();
    desc.needs_minor++;
    refused("plugin needs ABI");
    setup();
    arg[1].expression = NULL;
    refused("expression");
    arg[1].expression = "";
    refused("expression");
}

/* The sizes of ABI 1.0, worked out from the frozen layout: what comes behind may be missing. */
Test(descriptor, sizes_of_1_0_are_enough_and_less_is_not)
{
    const uint32_t plugin = offsetof(struct spoe_plugin, get_extension) + 8;

    desc.size = plugin;
    taken("a descriptor of 1.0");
    desc.size = plugin - 1;
    refused("shorter");
    setup();
    message[1].size = offsetof(struct spoe_message_decl, args) + 8;
    taken("a message of 1.0");
    message[1].size--;
    refused("shorter");
    setup();
    arg[1].size = offsetof(struct spoe_arg_decl, help) + 8;
    taken("an argument of 1.0");
    arg[1].size--;
    refused("shorter");
}

Test(descriptor, types_flags_and_reserved_are_looked_at_whole)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        arg[1].types = UINT32_C(1) << bit;
        if (bit <= SPOE_T_BIN)
            taken("a type");
        else
            refused("types");
    }
    arg[1].types = 0;
    refused("types");
    setup();
    for (unsigned bit = 0; bit < 32; bit++) {
        arg[1].flags = UINT32_C(1) << bit;
        if (arg[1].flags == SPOE_ARG_REQUIRED || arg[1].flags == SPOE_ARG_BY_NAME)
            taken("required");
        else
            refused("flags");
        setup();
        message[1].flags = UINT32_C(1) << bit;
        if (message[1].flags == SPOE_MESSAGE_FROM_LOG)
            taken("from the log");
        else
            refused("flags");
        setup();
        arg[1].reserved = UINT32_C(1) << bit;
        refused("reserved");
        setup();
        option[1].reserved = UINT32_C(1) << bit;
        refused("reserved");
        setup();
        desc.reserved = (uint16_t)(UINT32_C(1) << bit % 16);
        refused("reserved");
        setup();
    }
}

Test(descriptor, a_newer_plugins_optional_flags_are_ignored_and_no_others)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        const uint32_t flag = UINT32_C(1) << bit;

        setup();
        desc.abi_minor = SPOE_ABI_MINOR + 1;
        arg[1].flags = flag;
        if (flag == SPOE_ARG_REQUIRED || flag == SPOE_ARG_BY_NAME ||
            (flag & SPOE_FLAGS_OPTIONAL) != 0)
            taken("an optional flag");
        else
            refused("flags");
        arg[1].flags = 0;
        message[1].flags = flag;
        if ((flag & SPOE_FLAGS_OPTIONAL) != 0)
            taken("an optional flag");
        else
            refused("flags");
    }
}

/* What is printed into a line, and what HAProxy reads as one word. */
Test(descriptor, texts_are_one_line_and_expressions_one_word)
{
    for (int c = 1; c < 256; c++) {
        const bool control = c < ' ' || c == 0x7f;
        char text[] = "ab";

        for (size_t i = 0; i < 2; i++) {
            text[0] = text[1] = 'x';
            text[i] = (char)c;
            setup();
            arg[1].help = text;
            if (control)
                refused("help");
            else
                taken("help");
            setup();
            message[1].help = text;
            if (control)
                refused("help");
            else
                taken("help");
            setup();
            desc.help = text;
            if (control)
                refused("help");
            else
                taken("help");
            setup();
            desc.version = text;
            if (control)
                refused("version");
            else
                taken("version");
            setup();
            arg[1].expression = text;
            if (control || c == ' ' || c == '#' || c == '"' || c == '\'' || (c == '\\' && i == 1))
                refused("expression");
            else
                taken("expression");
        }
    }
    setup();
    arg[1].help = message[1].help = desc.help = NULL;
    taken("no help");
}

/* 9.2: an entry function that returns nothing. */
Test(descriptor, none_at_all_is_refused)
{
    struct error error = {""};

    cr_assert_neq(descriptor_check(NULL, &n_messages, n_arguments, &error), 0);
    cr_assert_not_null(strstr(error.text, "() returned NULL"), "%s", error.text);
}

/* 9.2: what is wrong with an option is named with its key. */
Test(descriptor, options_are_looked_at_whole)
{
    static const char *const names[] = {"GOOD", "", NULL}, *const equals[] = {"A=B", NULL},
                             *const spaced[] = {"A B", NULL}, *const broken[] = {"A\n", NULL},
                             *const good[] = {"GOOD", "BETTER", NULL},
                             *const choices[] = {"a", "b", NULL};
    static const struct {
        const char *const *words;
        const char *error;
    } cases[] = {{names, "[1] is \"\""},
                 {equals, "[0] is \"A=B\""},
                 {spaced, "[0] is \"A B\""},
                 {broken, "control character 0x0a at 1"},
                 {good, NULL},
                 {NULL, NULL}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int lenient = 0; lenient < 2; lenient++) {
            setup();
            if (lenient)
                option[1].env_lenient = cases[i].words;
            else
                option[1].env = cases[i].words;
            if (cases[i].error == NULL) {
                taken("variables");
            } else {
                refused(cases[i].error);
                refused("option k1: env");
            }
        }
    }
    setup();
    option[1].type = SPOE_OPT_ENUM;
    option[1].choices = choices;
    taken("choices");
    option[1].default_text = "b";
    taken("one of them as default");
    option[1].default_text = "c";
    refused("option k1: bad default");
    option[1].default_text = NULL;
    option[1].choices = names;
    refused("[1] is \"\"");
    setup();
    option[1].type = SPOE_OPT_INT;
    option[1].default_text = "seven";
    refused("option k1: bad default");
    option[1].default_text = "7";
    taken("a good default");
    option[1].help = "two\nlines";
    refused("option k1: help has the control character");
    option[1].help = "one";
    for (unsigned bit = 0; bit < 32; bit++) {
        option[1].flags = UINT32_C(1) << bit;
        if ((option[1].flags &
             (SPOE_OPTION_REQUIRED | SPOE_OPTION_SECRET | SPOE_OPTION_RELOADABLE)) != 0)
            taken("a flag");
        else if (option[1].flags == SPOE_OPTION_SECRET_FILE)
            refused("its type names no file");
        else
            refused(option[1].flags == SPOE_OPTION_LIST ? "no lists" : "flags");
    }
}

/* What a host of 1.0 does not know is refused there with the plugin, so it has to say so (12.2). */
Test(descriptor, options_of_1_1_want_a_host_of_1_1)
{
    for (uint32_t type = SPOE_OPT_PATH; type <= SPOE_OPT_SECRET; type++) {
        setup();
        option[1].default_text = NULL;
        option[1].type = type;
        desc.needs_minor = 0;
        refused("are of ABI 1.1: needs_minor is 0");
        desc.needs_minor = 1;
        taken("a type of 1.1");
    }
    setup();
    option[1].type = SPOE_OPT_STRING;
    option[1].default_text = NULL;
    option[1].flags = SPOE_OPTION_SECRET_FILE;
    taken("a file, which other hosts ignore");
    option[1].flags = SPOE_OPTION_SECRET_FILE | SPOE_OPTION_LIST;
    refused("its type names no file");
    option[1].default_text = "a, b";
    option[1].flags = SPOE_OPTION_LIST;
    desc.needs_minor = 0;
    refused("option k1: type 5 and flags 0x8 are of ABI 1.1");
    desc.needs_minor = 1;
    taken("a list");
    option[1].default_text = "a,,b";
    refused("option k1: bad default: \"\" in the list");
    option[1].type = SPOE_OPT_PREFIX;
    option[1].default_text = "10.0.0.0/8, 10.0.0.1/8";
    refused("option k1: bad default: \"10.0.0.1/8\" in the list is not valid");
}

/* HAProxy's quoting, which makes one word of several (2.12). */
Test(descriptor, an_expression_may_quote_its_white_space)
{
    static const char *const words[] = {"str(a\\ b)", "\"str(a b)\"",     "str('a b')",
                                        "'a\\'",      "str(\"a\\\" b\")", "str(a\\#b)",
                                        "str('a#b')", "str(\"a#b\")",     "str(a\\'b)"};
    static const char *const more[] = {"str(a\\\\ b)", "\"a\" b", "'a\\' b",
                                       "str(a b)",     "a\\\tb",  "'a\tb'"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        arg[1].expression = words[i];
        taken(words[i]);
    }
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        arg[1].expression = more[i];
        refused("expression");
    }
}

/* Issue 12, 1: what takes the rest of HAProxy's line with it. */
Test(descriptor, an_expression_ends_where_it_ends)
{
    static const struct {
        const char *expression, *why;
    } cases[] = {
        {"src#", "has the beginning of a comment (0x23 at 3)"},
        {"'a' #", "white space"},
        {"str(\"a)", "has a quote without its end"},
        {"str('a\\')'", "has a quote without its end"},
        {"str(a)\\", "has a backslash at its end (0x5c at 6)"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup();
        arg[1].expression = cases[i].expression;
        refused("message m0, argument a1: expression \"");
        refused(cases[i].why);
        desc.abi_minor = desc.needs_minor = 0;
        taken("of 1.0");
    }
}

/* Issue 12, 1: pairs whose names mean something else, or whose format would end the log-format. */
Test(descriptor, arguments_of_the_log_are_pairs)
{
    static const char *const bad[] = {"v", "msg", "syslog.", "syslog.app"};
    static const char *const good[] = {"vv",
                                       "message",
                                       "syslog.message",
                                       "syslog.hostname",
                                       "syslog.timestamp",
                                       "syslog.procid",
                                       "syslog"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setup();
        arg[1].name = bad[i];
        taken("over SPOP");
        message[1].flags = SPOE_MESSAGE_FROM_LOG;
        refused("no pair of a line of the log can have this name");
        refused(bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        setup();
        arg[1].name = good[i];
        message[1].flags = SPOE_MESSAGE_FROM_LOG;
        taken(good[i]);
    }
    arg[1].expression = "%[str(\"a\")]";
    refused("has a quote (0x22 at 6)");
    message[1].flags = 0;
    taken("over SPOP");
}

/* Issue 12, 1: a size that is none would have the host read what is not there. */
Test(descriptor, sizes_are_those_of_structs)
{
    uint32_t *const sizes[] = {&desc.size, &arg[1].size, &message[1].size, &option[1].size};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        setup();
        *sizes[i] = 4096;
        taken("as long as a struct may be");
        *sizes[i] = 4097;
        refused("size is 4097");
        *sizes[i] = UINT32_MAX;
        refused("size is 4294967295");
        *sizes[i] = 23;
        refused("size is 23, shorter than the ");
    }
}

/* Issue 12, 1: an error has the field and its value. */
Test(descriptor, errors_name_field_and_value)
{
    option[1].type = 77;
    refused("option 1 (\"k1\"): its type is not known to this host (type 77, ");
    setup();
    option[1].type = SPOE_OPT_INT;
    option[1].min = 5;
    option[1].max = 4;
    refused("min 5, max 4");
    setup();
    option[1].key = "Bad Key";
    refused("option 1 (\"Bad Key\")");
    setup();
    desc.handle = NULL;
    refused("handle is NULL");
    setup();
    desc.version = NULL;
    refused("version is NULL");
    setup();
    desc.needs_minor = 1;
    desc.abi_minor = 0;
    taken("of 1.0");
}

/* 3.10: its slot stays empty, so that no message would ever be handed over. */
Test(descriptor, no_argument_is_required_and_by_name)
{
    arg[1].flags = SPOE_ARG_REQUIRED | SPOE_ARG_BY_NAME;
    refused("message m0, argument a1: it is required and by name");
}

/* 2.12: what hosts of ABI 1.0 did not look at, but for what would break a line in two. */
Test(descriptor, a_plugin_of_abi_1_0_loads_as_it_did)
{
    static const char *const words[] = {"SPACED OUT", "", NULL};
    static const char *const choices[] = {"a", "", "b\tc", NULL};

    setup();
    desc.abi_minor = desc.needs_minor = 0;
    desc.reserved = 1;
    desc.help = desc.version = message[0].help = arg[0].help = option[0].help = "a\tb\x1b";
    arg[0].expression = "str(a b)";
    arg[0].types |= UINT32_C(1) << 31;
    arg[0].flags = message[0].flags = option[0].flags = UINT32_C(1) << 30;
    arg[0].reserved = option[0].reserved = 1;
    option[0].env = option[0].env_lenient = words;
    option[0].type = SPOE_OPT_ENUM;
    option[0].choices = choices;
    taken("of 1.0");
    desc.abi_minor = 1;
    refused("reserved");

#define BREAKS(field)                                                                              \
    do {                                                                                           \
        setup();                                                                                   \
        desc.abi_minor = desc.needs_minor = 0;                                                     \
        field = "a\tb\nc";                                                                         \
        refused("control character");                                                              \
    } while (0)
    BREAKS(desc.help);
    BREAKS(desc.version);
    BREAKS(message[0].help);
    BREAKS(arg[0].help);
    BREAKS(arg[0].expression);
    BREAKS(option[0].help);
#undef BREAKS
    setup();
    desc.abi_minor = 0;
    arg[0].types = 0;
    refused("types");
}

/* Issue 12, 1: each field of a variable. */
Test(descriptor, variables_are_checked_whole)
{
    static struct spoe_variable_decl decl[PLUGIN_VARIABLES_MAX + 1];
    static const struct spoe_variable_decl *variables[PLUGIN_VARIABLES_MAX + 2];
    static char name[PLUGIN_VARIABLES_MAX + 1][16];
    static const char longest[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const struct {
        struct spoe_variable_decl decl;
        const char *why;
    } bad[] = {
        {{31, 2, SPOE_ACCEPT_STR, 0, "v", ""}, "variable 1: size is 31"},
        {{32, 5, SPOE_ACCEPT_STR, 0, "v", ""}, "variable v: scope is 5"},
        {{32, 2, 0, 0, "v", ""}, "variable v: types 0x0"},
        {{32, 2, 0x400, 0, "v", ""}, "variable v: types 0x400"},
        {{32, 2, SPOE_ACCEPT_STR, 4, "v", ""}, "variable v: flags 0x4"},
        {{32, 2, SPOE_ACCEPT_STR, 0, NULL, ""}, "variable 1: name \"\""},
        {{32, 2, SPOE_ACCEPT_STR, 0, "", ""}, "variable 1: name \"\""},
        {{32, 2, SPOE_ACCEPT_STR, 0, "*", ""}, "variable 1: name \"*\""},
        {{32, 2, SPOE_ACCEPT_STR, 0, "a*b", ""}, "variable 1: name \"a*b\""},
        {{32, 2, SPOE_ACCEPT_STR, 0, "a-b", ""}, "variable 1: name \"a-b\""},
        {{32, 2, SPOE_ACCEPT_STR, 0, "a b", ""}, "variable 1: name \"a b\""},
        {{32, 2, SPOE_ACCEPT_STR, 0, "spoe.status", ""}, "variable spoe.status: names that begin"},
        {{32, 2, SPOE_ACCEPT_STR, 0, "spoe.*", ""}, "variable spoe.*: names that begin"},
        {{32, 2, SPOE_ACCEPT_STR, 0, "v", "two\nlines"}, "variable v: help"},
        {{32, 2, SPOE_ACCEPT_STR, 0, "v0", ""}, "variable v0 is declared twice"},
    };

    desc.variables = variables;
    taken("none");
    for (size_t i = 0; i <= PLUGIN_VARIABLES_MAX; i++) {
        (void)snprintf(name[i], sizeof name[i], "v%zu", i);
        decl[i] = (struct spoe_variable_decl){
            sizeof decl[i], SPOE_SCOPE_TXN, SPOE_ACCEPT_STR, 0, name[i], NULL};
        if (i == PLUGIN_VARIABLES_MAX)
            taken("64 variables");
        variables[i] = &decl[i];
    }
    refused("more than 64 variables");
    memset(variables, 0, sizeof variables);
    variables[0] = &decl[0];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        variables[1] = &bad[i].decl;
        refused(bad[i].why);
    }
    variables[1] = &decl[1];
    decl[1] = (struct spoe_variable_decl){sizeof decl[1], SPOE_SCOPE_RES, SPOE_ACCEPT_ANY, 0,
                                          longest,        "help"};
    taken("64 bytes");
    decl[1].name = "a.B_*";
    taken("a star");
    decl[1].name = "v0";
    taken("another scope");
    /* One that is too short to have them. */
    desc.size = offsetof(struct spoe_plugin, variables);
    variables[1] = &bad[0].decl;
    taken("not there");
}
