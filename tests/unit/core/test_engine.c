/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_engine.c - a plugin's engine: its names at HAProxy, messages of its own
 * (issue 12, 1).
 */
#include <criterion/criterion.h>
#include <string.h>

#include "core/engine.h"
#include "core/route.h"

#define MESSAGE(var, text)                                                                         \
    static const struct spoe_message_decl var = {                                                  \
        .size = sizeof var, .name = text, .event = "on-http-response"}
MESSAGE(both, "both");
MESSAGE(dotted, "b.only");
MESSAGE(only, "only");
MESSAGE(like_own, "b.both");
static const struct spoe_variable_decl score = {
    sizeof score, SPOE_SCOPE_TXN, SPOE_ACCEPT_INT, 0, "score", NULL};
static const struct spoe_variable_decl list = {sizeof list, SPOE_SCOPE_SESS, SPOE_ACCEPT_STR,
                                               0,           "list",          NULL};
static const struct spoe_variable_decl txn_list = {sizeof list, SPOE_SCOPE_TXN, SPOE_ACCEPT_STR,
                                                   0,           "list",         NULL};

static const struct spoe_message_decl *messages_a[4], *messages_b[4];
static const struct spoe_variable_decl *variables_a[3], *variables_b[3];
static struct spoe_plugin desc_a, desc_b;
static struct spoe_instance a, b;
static struct plugin_set set;
static struct route_table routes;
static struct error error;

static void setup(void)
{
    messages_a[0] = &both;
    messages_b[0] = &only;
    messages_b[1] = &both;
    desc_a = (struct spoe_plugin){.size = sizeof desc_a, .id = "a-x", .messages = messages_a};
    desc_b = (struct spoe_plugin){.size = sizeof desc_b, .id = "b", .messages = messages_b};
    a = (struct spoe_instance){.desc = &desc_a, .n_messages = 1};
    b = (struct spoe_instance){.desc = &desc_b, .n_messages = 2, .index = 1};
    set = (struct plugin_set){.plugin = {&a, &b}, .n = 2};
    error.text[0] = '\0';
}

TestSuite(engine, .init = setup, .timeout = 30);

static const struct route *find(const char *name)
{
    return route_find(&routes, (struct spoe_span){name, strlen(name)});
}

Test(engine, an_own_name_reaches_one_plugin_and_the_bare_one_all)
{
    const struct route *route;

    cr_assert_eq(route_table_build(&routes, &set, &error), 0);
    cr_assert_eq(routes.n_messages, 2);
    cr_assert_eq(routes.n, 5);
    cr_assert_eq(routes.n_targets, 3);
    cr_assert_eq((route = find("both"))->n_targets, 2);
    cr_assert_eq(find("a-x.both")->n_targets, 1);
    cr_assert_eq(find("b.both")->n_targets, 1);
    /* One target by both names: its counters are the message's. */
    cr_assert_eq(find("a-x.both")->targets, &route->targets[0]);
    cr_assert_eq(find("b.both")->targets, &route->targets[1]);
    cr_assert_eq(find("b.only")->targets, find("only")->targets);
    cr_assert_eq(find("b.both")->message.p, route->name);
    cr_assert_eq(find("b.both")->message.n, route->name_len);
    for (size_t i = 0; i < routes.n; i++)
        cr_assert_eq(routes.routes[i].index, i);
    cr_assert_null(find("a-x.only"));
    cr_assert_null(find("b"));
    route_table_free(&routes);
}

/* One that is declared is that, unless the other is what would be printed. */
Test(engine, a_message_that_is_called_as_anothers_own)
{
    messages_a[1] = &dotted; /* "b.only", and b alone has "only" */
    a.n_messages = 2;
    cr_assert_eq(route_table_build(&routes, &set, &error), 0);
    cr_assert_eq(find("b.only")->targets[0].plugin, &a);
    route_table_free(&routes);
    messages_a[1] = &like_own; /* "b.both", and both have "both" */
    cr_assert_eq(route_table_build(&routes, &set, &error), -1);
    cr_assert_str_eq(error.text, "plugin a-x declares message b.both, which is what message both "
                                 "of plugin b is called where several plugins take it");
}

Test(engine, names_in_the_section)
{
    char name[ENGINE_MESSAGE_SIZE];

    engine_message(&set, &b, &only, name);
    cr_assert_str_eq(name, "only");
    engine_message(&set, &a, &both, name);
    cr_assert_str_eq(name, "a-x.both");
    set.n = 1;
    engine_message(&set, &a, &both, name);
    cr_assert_str_eq(name, "both");
}

/* HAProxy takes letters, digits, _ and . in a prefix, and more between [ and ]. */
Test(engine, the_prefix_is_the_sections)
{
    struct engine engine = engine_of(&set, NULL, &a);

    cr_assert_str_eq(engine.section, "a-x");
    cr_assert_str_eq(engine.prefix, "a_x");
    engine = engine_of(&set, "my-own", &a);
    cr_assert_str_eq(engine.section, "my-own.a-x");
    cr_assert_str_eq(engine.prefix, "my_own.a_x");
    set.n = 1;
    engine = engine_of(&set, "my-own", &a);
    cr_assert_str_eq(engine.section, "my-own");
    cr_assert_str_eq(engine.prefix, "my_own");
}

Test(engine, the_same_variable_of_two)
{
    cr_assert_eq(engine_check(&set, &error), 0);
    desc_b.id = "a_x"; /* no id, but an instance may come to the same */
    cr_assert_eq(engine_check(&set, &error), -1);
    cr_assert_str_eq(error.text, "plugins a-x and a_x would set the same variables at HAProxy, "
                                 "such as a_x.spoe.status");
    desc_a.variables = variables_a;
    desc_b.variables = variables_b;
    variables_a[0] = &list;
    variables_a[1] = &score;
    variables_b[0] = &txn_list;
    cr_assert_eq(engine_check(&set, &error), -1);
    cr_assert_not_null(strstr(error.text, "such as a_x.spoe.status"));
    variables_b[1] = &score;
    cr_assert_eq(engine_check(&set, &error), -1);
    cr_assert_not_null(strstr(error.text, "such as a_x.score"));
}
