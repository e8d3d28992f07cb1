/* SPDX-License-Identifier: Apache-2.0 */
/* spoe/declare.h: an index is the slot, and tables end. Issue 12, 2. */
#include <spoe/util.h>

#include <criterion/criterion.h>

enum { PATH, SRC, METHOD };
enum { LONGEST, COLOUR };

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)host;
    (void)self;
    (void)cfg;
    (void)ret_inst;
    return SPOE_E_CONFIG;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    (void)req;
    (void)msg;
    return SPOE_OK;
}

/* In no order. */
SPOE_PLUGIN(
    "mine", .version = "3", .help = "it", .needs_minor = 1,
    .messages =
        SPOE_MESSAGES([1] = SPOE_MESSAGE("second", .event = "on-http-response"),
                      [0] = SPOE_MESSAGE(
                          "first", .event = "on-frontend-http-request", .help = "one",
                          .args = SPOE_ARGS([METHOD] = SPOE_ARG("m", .types = SPOE_ACCEPT_STR,
                                                                .expression = "method"),
                                            [PATH] = SPOE_ARG(
                                                "p", .types = SPOE_ACCEPT_STR | SPOE_ACCEPT_BIN,
                                                .flags = SPOE_ARG_REQUIRED, .expression = "path"),
                                            [SRC] = SPOE_ARG("s", .types = SPOE_ACCEPT_IP,
                                                             .expression = "src")))),
    .options = SPOE_OPTIONS([COLOUR] = SPOE_OPTION("colour", .type = SPOE_OPT_ENUM,
                                                   .default_text = "red",
                                                   .choices = SPOE_TEXTS("red", "green")),
                            [LONGEST] = SPOE_OPTION("longest", .type = SPOE_OPT_SIZE,
                                                    .env = SPOE_TEXTS("L"))),
    .variables = SPOE_VARIABLES(SPOE_VARIABLE(SPOE_SCOPE_TXN, "verdict", .types = SPOE_ACCEPT_BOOL,
                                              .help = "yes or no"),
                                SPOE_VARIABLE(SPOE_SCOPE_SESS, "why", .types = SPOE_ACCEPT_STR)),
    .configure = configure, .handle = handle);

Test(declare, makes_the_descriptor, .timeout = 10)
{
    const struct spoe_plugin *p = spoe_plugin_entry_v1();

    cr_assert_eq(p->magic, SPOE_PLUGIN_MAGIC);
    cr_assert_eq(p->size, sizeof *p);
    cr_assert(p->abi_major == SPOE_ABI_MAJOR && p->abi_minor == SPOE_ABI_MINOR);
    cr_assert(p->needs_minor == 1 && p->reserved == 0);
    cr_assert_str_eq(p->id, "mine");
    cr_assert(p->configure == configure && p->handle == handle && p->destroy == NULL);
}

Test(declare, places_elements_by_their_index, .timeout = 10)
{
    const struct spoe_message_decl *const *messages = spoe_plugin_entry_v1()->messages;
    const struct spoe_arg_decl *const *args = messages[0]->args;

    cr_assert_str_eq(messages[0]->name, "first");
    cr_assert_eq(messages[0]->size, sizeof(struct spoe_message_decl));
    cr_assert_str_eq(messages[1]->name, "second");
    cr_assert_null(messages[1]->args);
    cr_assert_null(messages[2]);
    cr_assert_str_eq(args[PATH]->name, "p");
    cr_assert_eq(args[PATH]->size, sizeof(struct spoe_arg_decl));
    cr_assert_eq(args[PATH]->flags, SPOE_ARG_REQUIRED);
    cr_assert_str_eq(args[SRC]->name, "s");
    cr_assert_str_eq(args[METHOD]->name, "m");
    cr_assert_null(args[METHOD + 1]);
}

Test(declare, options_and_texts_end, .timeout = 10)
{
    const struct spoe_option *const *options = spoe_plugin_entry_v1()->options;

    cr_assert_str_eq(options[LONGEST]->key, "longest");
    cr_assert_str_eq(options[LONGEST]->env[0], "L");
    cr_assert_null(options[LONGEST]->env[1]);
    cr_assert_str_eq(options[COLOUR]->choices[1], "green");
    cr_assert_null(options[COLOUR]->choices[2]);
    cr_assert_null(options[COLOUR + 1]);
}

Test(declare, variables_have_a_scope, .timeout = 10)
{
    const struct spoe_variable_decl *const *variables = spoe_plugin_entry_v1()->variables;

    cr_assert_eq(variables[0]->size, sizeof(struct spoe_variable_decl));
    cr_assert_eq(variables[0]->scope, SPOE_SCOPE_TXN);
    cr_assert_str_eq(variables[0]->name, "verdict");
    cr_assert_eq(variables[1]->scope, SPOE_SCOPE_SESS);
    cr_assert_eq(variables[1]->types, SPOE_ACCEPT_STR);
    cr_assert_null(variables[2]);
}

#define FOUR 1, 2, 3, 4
#define SIXTEEN FOUR, FOUR, FOUR, FOUR
Test(declare, counts, .timeout = 10)
{
    cr_assert_eq(SPOE_COUNT(1), 1);
    cr_assert_eq(SPOE_COUNT((1, 2), 3), 2);
    cr_assert_eq(SPOE_COUNT(SIXTEEN, SIXTEEN, SIXTEEN, SIXTEEN), 64);
}
