/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_haproxy_config.c - what is written of HAProxy's side for plugins that say
 * something of it and for those that do not (issue 11, 1.8). HAProxy reads it in the end-to-end
 * tests.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/ext/haproxy.h>

#include "core/haproxy_config.h"

#define ARG(name, expression)                                                                      \
    &(const struct spoe_arg_decl)                                                                  \
    {                                                                                              \
        sizeof(struct spoe_arg_decl), SPOE_ACCEPT_STR, 0, 0, name, expression, NULL                \
    }
static const struct spoe_arg_decl *const some[] = {ARG("q", "%{+Q,+E}[var(txn.q)]"), ARG("b", "%b"),
                                                   ARG("syslog.message", "-"), NULL};
static const struct spoe_arg_decl *const others[] = {ARG("b", "%b"), ARG("c", "%c"), NULL};
static const struct spoe_arg_decl *const spoe_args[] = {ARG("x", "ex"), ARG("y", "ey"), NULL};
#define MESSAGE(flags, name, args)                                                                 \
    {                                                                                              \
        sizeof(struct spoe_message_decl), flags, name, "on-http-response", NULL, args              \
    }
static const struct spoe_message_decl line = MESSAGE(SPOE_MESSAGE_FROM_LOG, "on-http-log", some);
static const struct spoe_message_decl same_line =
    MESSAGE(SPOE_MESSAGE_FROM_LOG, "on-http-log", others);
static const struct spoe_message_decl another = MESSAGE(SPOE_MESSAGE_FROM_LOG, "another", others);
static const struct spoe_arg_decl *const body_args[] = {ARG("b", "req.body,bytes(0,100)"), NULL};
static const struct spoe_message_decl body = MESSAGE(0, "body", body_args);
static const struct spoe_message_decl response = MESSAGE(0, "response", spoe_args);

static const struct spoe_message_decl *messages_a[3], *messages_b[3];
static struct spoe_plugin desc_a, desc_b;
static struct spoe_instance a, b;
static struct plugin_set set;
static struct host_conf conf;
static char port[] = "12345", log_port[] = "12514", ip6[] = "fe80::1";
static char *text;
static size_t size;
static struct error error;

/* Of plugin a: writes what it was asked. */
static void lines(void *inst, const struct spoe_haproxy_ask *ask, spoe_haproxy_put *put, void *arg)
{
    char said[64];

    cr_assert_eq(inst, &desc_a);
    cr_assert_eq(ask->size, sizeof *ask);
    (void)snprintf(said, sizeof said, "place%u ways%u for%x m%u %s", ask->place, ask->ways,
                   ask->version, ask->message, ask->prefix);
    if (ask->place == SPOE_HAPROXY_LOG_LEVEL)
        put(arg, "warning");
    else if (ask->place == SPOE_HAPROXY_BACKEND)
        put(arg, "two\nlines");
    else
        put(arg, said);
    if (ask->place == SPOE_HAPROXY_MESSAGE && ask->message == 0)
        put(arg, "z=%{+Q,+E}[z]");
}

static int32_t wants(void *inst, const struct spoe_haproxy_ask *ask, uint32_t slot)
{
    cr_assert_eq(inst, &desc_a);
    cr_assert_eq(ask->place, SPOE_HAPROXY_MESSAGE);
    return ask->message != 1 || slot != 0; /* "x" is not */
}

static const struct spoe_haproxy facet = {.size = sizeof facet, .lines = lines, .wants = wants};

static const void *extension(void *inst, const char *id)
{
    cr_assert_eq(inst, &desc_a);
    return strcmp(id, SPOE_HAPROXY_1) == 0 ? &facet : NULL;
}

static void setup(void)
{
    messages_a[0] = &line;
    messages_a[1] = &response;
    messages_b[0] = &same_line;
    desc_a = (struct spoe_plugin){.size = sizeof desc_a,
                                  .id = "a",
                                  .version = "1",
                                  .messages = messages_a,
                                  .get_extension = extension};
    desc_b = (struct spoe_plugin){
        .size = sizeof desc_b, .id = "b", .version = "1", .messages = messages_b};
    a = (struct spoe_instance){.desc = &desc_a, .n_messages = 2, .inst = &desc_a};
    b = (struct spoe_instance){.desc = &desc_b, .n_messages = 1, .index = 1};
    set = (struct plugin_set){.plugin = {&a, &b}, .n = 2};
    conf = (struct host_conf){.processing_timeout_ns = 10000000, .n_listen = 1};
    conf.listen[0].port = port;
}

static void teardown(void)
{
    free(text);
}

TestSuite(haproxy_config, .init = setup, .fini = teardown, .timeout = 30);

static int print(uint32_t ways, uint32_t version)
{
    FILE *out;
    int result;

    free(text);
    text = NULL;
    out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    error.text[0] = '\0';
    result = haproxy_config_whole(out, &set, &conf, ways, version, &error);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(result, error.text[0] == '\0' ? 0 : -1);
    return result;
}

#define HAS(part) cr_assert_not_null(strstr(text, part), "no \"%s\" in:\n%s", part, text)
#define HAS_NOT(part) cr_assert_null(strstr(text, part), "\"%s\" in:\n%s", part, text)

Test(haproxy_config, lines_of_the_log_are_one_message_of_all_plugins)
{
    cr_assert_eq(print(SPOE_HAPROXY_BY_LOG, HAPROXY_2_6), 0);
    HAS("    log \"${AGENT_LOG_ADDR-127.0.0.1:12514}\" len 8192 format raw local0 warning\n");
    HAS("    log-format \"v=1 place3 ways2 for206 m0 a b=%b c=%c z=%{+Q,+E}[z] "
        "q=%{+Q,+E}[var(txn.q)]\"\n"); /* texts of clients last, since lines may be cut */
    HAS("    option dontlognull\n    place1 ways2 for206 m0 a\n    log ");
    HAS("    two?lines\n"); /* whatever a plugin says */
    HAS("log-listen = udp:127.0.0.1:12514");
    HAS_NOT("filter spoe");
    HAS_NOT("option httplog");
    HAS_NOT("spoe-agent");
    HAS_NOT("ring ");
}

Test(haproxy_config, from_3_1_on_each_message_has_a_profile)
{
    messages_b[0] = &another;
    cr_assert_eq(print(SPOE_HAPROXY_BY_LOG, HAPROXY_2_6), -1);
    cr_assert_not_null(strstr(error.text, "2 messages"));
    cr_assert_eq(print(SPOE_HAPROXY_BY_LOG, HAPROXY_3_1), 0);
    HAS("\nlog-profile on-http-log\n    on any format \"v=1 place3 ");
    HAS("\nlog-profile another\n    on any format \"v=1 msg=another b=%b c=%c\"\n");
    HAS(" format raw profile on-http-log local0 warning\n");
    HAS(" format raw profile another local0 warning\n");
    HAS_NOT("log-format");
    HAS("    option httplog\n"); /* or HAProxy would write its line before there is a request */
}

Test(haproxy_config, streams_have_a_ring)
{
    conf.log_listen[0] =
        (struct host_log_listen){.at = {.host = ip6, .port = log_port}, .octets = true};
    conf.n_log_listen = 1;
    conf.log_line_max = 4096;
    cr_assert_eq(print(SPOE_HAPROXY_BY_LOG, HAPROXY_2_6), 0);
    HAS("\nring spoe-lines\n    format raw\n    maxlen 4096\n    size 16777216\n");
    HAS("    server agent1 \"${AGENT_LOG_ADDR-[fe80::1]:12514}\" log-proto octet-count\n");
    HAS("    log ring@spoe-lines len 4096 format raw local0 ");
    HAS_NOT("log-listen =");
}

Test(haproxy_config, messages_over_spop)
{
    set.n = 1;
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE, HAPROXY_3_1), 0);
    HAS("\n[a]\n# Variables come back as txn.a.NAME.\nspoe-agent a\n    messages response\n");
    HAS("\nspoe-message response\n    args y=ey\n    place3 ways1 for301 m1 a\n"
        "    event on-http-response place4 ways1 for301 m1 a\n");
    HAS("    filter spoe engine a config \"${SPOE_CFG-/etc/haproxy/spoe-a.cfg}\"\n");
    HAS("    server agent1 \"${AGENT1_ADDR-127.0.0.1:12345}\"\n");
    HAS_NOT("log ");
    HAS_NOT("on-http-log");
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE | SPOE_HAPROXY_BY_LOG, HAPROXY_3_1), 0);
    HAS("place1 ways3 ");
    HAS("log-profile on-http-log");
    HAS("spoe-message response");
}

/* Issue 12, 1: an engine for each, of one file; the prefix is the plugin's own. */
Test(haproxy_config, each_plugin_has_an_engine)
{
    static char engine[] = "my-own";

    messages_b[1] = &response;
    b.n_messages = 2;
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE, HAPROXY_2_6), 0);
    HAS("    filter spoe engine a config \"${SPOE_CFG-/etc/haproxy/spoe-host.cfg}\"\n"
        "    filter spoe engine b config \"${SPOE_CFG-/etc/haproxy/spoe-host.cfg}\"\n");
    HAS("# From the line [a] on it is");
    HAS("\nspoe-message a.response\n    args y=ey\n    place3 ways1 for206 m1 a\n");
    HAS("\n\n[b]\n");
    HAS("\nspoe-message b.response\n    args x=ex y=ey\n    event on-http-response\n");
    conf.engine = engine;
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE, HAPROXY_2_6), 0);
    HAS("filter spoe engine my-own.a ");
    HAS("\n[my-own.b]\n");
    HAS("    option var-prefix my_own.b\n");
    HAS("place3 ways1 for206 m1 my_own.a\n");
}

/* One of whose messages none comes over SPOP has none. */
Test(haproxy_config, no_engine_without_messages)
{
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE, HAPROXY_2_6), 0);
    HAS("    filter spoe engine a config \"${SPOE_CFG-/etc/haproxy/spoe-a.cfg}\"\n");
    HAS_NOT("engine b");
    HAS_NOT("[b]");
}

static int print_section(void)
{
    FILE *out;

    free(text);
    text = NULL;
    out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    haproxy_config_spoe(out, &set, &conf);
    return fclose(out);
}

/* Issue 12, 1: whoever takes a body needs a frontend that waits for it. */
Test(haproxy_config, a_body_is_waited_for)
{
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE, HAPROXY_2_6), 0);
    HAS_NOT("http-buffer-request");
    cr_assert_eq(print_section(), 0);
    HAS_NOT("http-buffer-request");
    messages_b[0] = &body;
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE, HAPROXY_2_6), 0);
    HAS("    timeout http-keep-alive 10s\n    option http-buffer-request\n    place1 ways1");
    cr_assert_eq(print_section(), 0);
    HAS("# In haproxy.cfg, in each frontend:\n#     option http-buffer-request\n#     filter ");
    cr_assert_eq(print(SPOE_HAPROXY_BY_LOG, HAPROXY_2_6), 0);
    HAS_NOT("http-buffer-request");
}

Test(haproxy_config, a_plugin_that_says_nothing_of_it)
{
    desc_a.get_extension = NULL;
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE | SPOE_HAPROXY_BY_LOG, HAPROXY_2_6), 0);
    HAS("\"v=1 b=%b c=%c q=%{+Q,+E}[var(txn.q)]\"\n");
    HAS(" local0 info\n");
    HAS("    args x=ex y=ey\n    event on-http-response\n");
}

Test(haproxy_config, nobody_takes_such_messages)
{
    messages_a[0] = &response;
    messages_a[1] = &response;
    set.n = 1;
    cr_assert_eq(print(SPOE_HAPROXY_BY_LOG, HAPROXY_2_6), -1);
    cr_assert_str_eq(error.text, "no plugin takes messages of the log");
    messages_a[0] = messages_a[1] = &line;
    cr_assert_eq(print(SPOE_HAPROXY_BY_SPOE | SPOE_HAPROXY_BY_LOG, HAPROXY_2_6), -1);
    cr_assert_str_eq(error.text, "no plugin takes messages over SPOP");
    cr_assert_eq(text[0], '\0');
}
