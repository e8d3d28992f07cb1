/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_describe.c - what plugins declare, as text, to the letter (9.1). HAProxy
 * reads the second kind in the end-to-end tests.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "core/describe.h"
#include "core/haproxy_config.h"

#define ARG_INIT(name, expression, types, flags, help)                                             \
    {                                                                                              \
        sizeof(struct spoe_arg_decl), types, flags, 0, name, expression, help                      \
    }
#define ARG(...) &(const struct spoe_arg_decl)ARG_INIT(__VA_ARGS__)
static const struct spoe_arg_decl first =
    ARG_INIT("a1", "e1", SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, "the first");
static const struct spoe_arg_decl *const many[] = {
    &first,
    ARG("a2", "e2", SPOE_ACCEPT_INT, 0, NULL),
    ARG("a3", "e3", SPOE_ACCEPT_IP, 0, ""),
    ARG("a4", "e4", SPOE_ACCEPT_ANY, SPOE_ARG_REQUIRED, NULL),
    ARG("a5", "e5", SPOE_MASK(SPOE_T_INT32) | SPOE_MASK(SPOE_T_UINT64), 0, NULL),
    ARG("a6", "e6", SPOE_ACCEPT_BOOL | SPOE_ACCEPT_INT | SPOE_ACCEPT_BIN, 0, NULL),
    ARG("a7", "e7", SPOE_ACCEPT_STR, 0, NULL),
    ARG("a8", "e8", SPOE_ACCEPT_STR, 0, NULL),
    ARG("a9", "e9", SPOE_ACCEPT_STR, 0, NULL),
    NULL};
static const struct spoe_arg_decl *const eight[] = {
    &first, ARG("b2", "f2", SPOE_ACCEPT_STR, 0, NULL), ARG("b3", "f3", SPOE_ACCEPT_STR, 0, NULL),
    NULL};
static const struct spoe_arg_decl *const none[] = {NULL};
#define MESSAGE(name, event, help, args)                                                           \
    {                                                                                              \
        sizeof(struct spoe_message_decl), 0, name, event, help, args                               \
    }
static const struct spoe_message_decl messages[] = {
    MESSAGE("first", "on-http-response", "what it is", many),
    MESSAGE("second", "on-client-session", NULL, NULL),
    MESSAGE("third", "on-server-session", "", none),
    MESSAGE("first", "on-http-response", NULL, eight),
    MESSAGE("fourth", "on-tcp-response", NULL, eight)};
static const struct spoe_message_decl *messages_a[3], *messages_b[4];
static const char *const env[] = {"ONE", "TWO", NULL}, *const lenient[] = {"THREE", "FOUR", NULL};
static const struct spoe_option plain = {
    .size = sizeof plain, .type = SPOE_OPT_STRING, .key = "plain"};
static const struct spoe_option whole = {.size = sizeof whole,
                                         .type = SPOE_OPT_INT,
                                         .flags = SPOE_OPTION_REQUIRED | SPOE_OPTION_RELOADABLE,
                                         .key = "whole",
                                         .default_text = "7",
                                         .help = "says how many",
                                         .env = env,
                                         .env_lenient = lenient};
static const struct spoe_variable_decl one = {sizeof one, SPOE_SCOPE_TXN, SPOE_ACCEPT_STR,
                                              0,          "one",          "says one"};
static const struct spoe_variable_decl some = {sizeof some, SPOE_SCOPE_SESS, SPOE_ACCEPT_IP,
                                               0,           "some.*",        NULL};
static const struct spoe_variable_decl *const variables[] = {&one, &some, NULL};
static const struct spoe_option *options[] = {&plain, &whole, NULL};
static struct spoe_plugin desc_a, desc_b;
static struct spoe_instance a, b;
static struct plugin_set set;
static char path[] = "/lib/a.so";
static char *text;
static size_t size;

static void setup(void)
{
    messages_a[0] = &messages[0];
    messages_a[1] = &messages[1];
    messages_b[0] = &messages[2];
    messages_b[1] = &messages[3];
    messages_b[2] = &messages[4];
    desc_a = (struct spoe_plugin){.size = sizeof desc_a,
                                  .abi_major = 1,
                                  .abi_minor = 4,
                                  .needs_minor = 1,
                                  .id = "a",
                                  .version = "2.3",
                                  .help = "a plugin",
                                  .messages = messages_a,
                                  .options = options,
                                  .variables = variables};
    desc_b = (struct spoe_plugin){
        .size = sizeof desc_b, .abi_major = 1, .id = "b", .version = "9", .messages = messages_b};
    a = (struct spoe_instance){.path = path, .desc = &desc_a, .index = 0, .n_messages = 2};
    b = (struct spoe_instance){.path = path, .desc = &desc_b, .index = 1, .n_messages = 3};
    set = (struct plugin_set){.plugin = {&a, &b}, .n = 2};
}

static void teardown(void)
{
    free(text);
}

TestSuite(describe, .init = setup, .fini = teardown, .timeout = 30);

/* The first place where they differ is shown. */
static void same(FILE *out, const char *want)
{
    size_t i = 0;

    cr_assert_eq(fclose(out), 0);
    while (text[i] != '\0' && text[i] == want[i])
        i++;
    cr_assert(text[i] == want[i], "from byte %zu on: got\n%s\nwant\n%s", i, text + i, want + i);
}

static FILE *open_text(void)
{
    FILE *out;

    free(text);
    out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    return out;
}

Test(describe, a_plugin_with_everything)
{
    FILE *out = open_text();

    describe_plugin(out, &a);
    same(out, "file     /lib/a.so\n"
              "id       a\n"
              "version  2.3\n"
              "abi      1.4, needs 1.1; this host has 1.1\n"
              "         a plugin\n"
              "\n"
              "message first on on-http-response\n"
              "    what it is\n"
              "    a1=e1  string, required  the first\n"
              "    a2=e2  integer\n"
              "    a3=e3  ipv4|ipv6  \n"
              "    a4=e4  any, required\n"
              "    a5=e5  int32|uint64\n"
              "    a6=e6  bool|integer|binary\n"
              "    a7=e7  string\n"
              "    a8=e8  string\n"
              "    a9=e9  string\n"
              "\n"
              "message second on on-client-session\n"
              "\n"
              "variables\n"
              "    txn.a.one  string  says one\n"
              "    sess.a.some.*  ipv4|ipv6\n"
              "\n"
              "options\n"
              "    a.plain  a text\n"
              "        \n"
              "    a.whole  a whole number; required; can change at run time; default 7; "
              "environment ONE TWO; if it will do, environment THREE FOUR\n"
              "        says how many\n");
}

Test(describe, a_plugin_without_options)
{
    static const struct spoe_option *const no_options[] = {NULL};
    FILE *out = open_text();

    messages_b[1] = NULL;
    b.n_messages = 1;
    describe_plugin(out, &b);
    same(out, "file     /lib/a.so\nid       b\nversion  9\n"
              "abi      1.0, needs 1.0; this host has 1.1\n"
              "\nmessage third on on-server-session\n    \n");
    desc_b.options = no_options;
    out = open_text();
    describe_plugin(out, &b);
    (void)fflush(out);
    cr_assert_null(strstr(text, "options"));
    (void)fclose(out);
}

/* A section for each; a message that both take is each one's own in its section, with its own
 * arguments, eight in a line. Issue 12, 1. */
Test(describe, a_configuration_for_two)
{
    static const struct host_conf conf = {.processing_timeout_ns = 20000000};
    char want[2048];
    FILE *out = open_text();

    haproxy_config_spoe(out, &set, &conf);
    (void)snprintf(want, sizeof want,
                   "# Written by spoe-host %s --print-spoe-config for:\n"
                   "#   a 2.3\n"
                   "#   b 9\n"
                   "# In haproxy.cfg, in each frontend:\n"
                   "#     filter spoe engine a config THIS-FILE\n"
                   "#     filter spoe engine b config THIS-FILE\n"
                   "# and a backend named spoe-host, mode tcp, with this host as its server.\n"
                   "[a]\n"
                   "# Variables that come back:\n"
                   "#     txn.a.one  string  says one\n"
                   "#     sess.a.some.*  ipv4|ipv6\n"
                   "spoe-agent a-agent\n"
                   "    messages a.first second\n"
                   "    option var-prefix a\n"
                   "    option set-on-error spoe.status\n"
                   "    # option set-process-time spoe.ms\n"
                   "    # option set-total-time spoe.total_ms\n"
                   "    option continue-on-error\n"
                   "    timeout hello 2s\n"
                   "    timeout idle 2m\n"
                   "    timeout processing 25ms\n"
                   "    use-backend spoe-host\n"
                   "\n"
                   "spoe-message a.first\n"
                   "    args a1=e1 a2=e2 a3=e3 a4=e4 a5=e5 a6=e6 a7=e7 a8=e8\n"
                   "    args a9=e9\n"
                   "    event on-http-response\n"
                   "\n"
                   "spoe-message second\n"
                   "    event on-client-session\n"
                   "\n"
                   "[b]\n"
                   "# Variables come back as txn.b.NAME.\n"
                   "spoe-agent b-agent\n"
                   "    messages third b.first fourth\n"
                   "    option var-prefix b\n"
                   "    option set-on-error spoe.status\n"
                   "    # option set-process-time spoe.ms\n"
                   "    # option set-total-time spoe.total_ms\n"
                   "    option continue-on-error\n"
                   "    timeout hello 2s\n"
                   "    timeout idle 2m\n"
                   "    timeout processing 25ms\n"
                   "    use-backend spoe-host\n"
                   "\n"
                   "spoe-message third\n"
                   "    event on-server-session\n"
                   "\n"
                   "spoe-message b.first\n"
                   "    args a1=e1 b2=f2 b3=f3\n"
                   "    event on-http-response\n"
                   "\n"
                   "spoe-message fourth\n"
                   "    args a1=e1 b2=f2 b3=f3\n"
                   "    event on-tcp-response\n",
                   build_version);
    same(out, want);
}

/* The engine is the one that was asked for, or the only plugin's; times are rounded up. HAProxy
 * takes no - in a prefix. */
Test(describe, a_configuration_for_one)
{
    struct host_conf conf = {.processing_timeout_ns = 20000001};
    static char engine[] = "my-own";
    FILE *out = open_text();

    set.n = 1;
    haproxy_config_spoe(out, &set, &conf);
    (void)fflush(out);
    cr_assert_not_null(strstr(text, "\nspoe-agent a-agent\n    messages first second\n"));
    cr_assert_not_null(strstr(text, "timeout processing 26ms\n"));
    (void)fclose(out);
    conf.engine = engine;
    out = open_text();
    haproxy_config_spoe(out, &set, &conf);
    (void)fflush(out);
    cr_assert_not_null(strstr(text, "\n[my-own]\n"));
    cr_assert_not_null(strstr(text, "\nspoe-agent my-own-agent\n"));
    cr_assert_not_null(strstr(text, "option var-prefix my_own\n"));
    cr_assert_not_null(strstr(text, "#     txn.my_own.one  string"));
    (void)fclose(out);
}

/* ---- the facet by which plugins declare metrics ------------------------------------------ */

Test(metrics_facet, a_plugin_declares_its_own_and_so_many, .timeout = 30)
{
    char name[16];
    struct spoe_metric_decl decl = {
        .size = sizeof decl, .type = SPOE_METRIC_GAUGE, .name = name, .help = "h"};
    struct spoe_metric_family *family;
    struct metrics *metrics = metrics_create();
    static struct spoe_plugin desc;
    static struct spoe_instance self;
    FILE *out;

    cr_assert_not_null(metrics);
    desc = (struct spoe_plugin){.size = sizeof desc, .id = "my-own-id"};
    self = (struct spoe_instance){.desc = &desc, .metrics = metrics};
    for (unsigned i = 0; i < SPOE_METRIC_FAMILIES_MAX; i++) {
        (void)snprintf(name, sizeof name, "g%u", i);
        cr_assert_eq(metrics_facet.declare(&self, &decl, &family), SPOE_OK, "%s", name);
        cr_assert_not_null(family);
        cr_assert_eq(metrics_facet.declare(&self, &decl, &family),
                     i + 1 == SPOE_METRIC_FAMILIES_MAX ? SPOE_E_LIMIT : SPOE_E_INVAL, "%s", name);
        cr_assert_null(family);
    }
    cr_assert_eq(metrics_facet.collect(&self, NULL, NULL), SPOE_E_INVAL);
    self.n_families = 0;
    cr_assert_eq(metrics_facet.declare(&self, NULL, &family), SPOE_E_INVAL);
    cr_assert_eq(metrics_facet.provide(&self, NULL, NULL, NULL), SPOE_E_INVAL);
    self.n_families = SPOE_METRIC_FAMILIES_MAX;
    out = open_text();
    metrics_write(metrics, METRICS_PROMETHEUS, NULL, out);
    cr_assert_eq(fclose(out), 0);
    cr_assert_not_null(strstr(text, "\nspoe_my_own_id_g0 0\n"), "%s", text);
    free(text);
    text = NULL;

    /* Only while it is being configured. */
    self.n_families = 0;
    (void)snprintf(name, sizeof name, "late");
    self.state = PLUGIN_STARTED;
    cr_assert_eq(metrics_facet.declare(&self, &decl, &family), SPOE_E_UNSUPPORTED);
    cr_assert_eq(metrics_facet.collect(&self, free, NULL), SPOE_E_UNSUPPORTED);
    metrics_destroy(metrics);
}
