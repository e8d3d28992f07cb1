/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/nothing.c - a plugin that takes the tracing configuration's three messages and
 * answers each with the same constant bytes as spop-floor, and that takes its log line: what the
 * host itself costs.
 */
#include <spoe/util.h>

static const struct spoe_host *host;

#define ARG(mask, text)                                                                            \
    &(const struct spoe_arg_decl)                                                                  \
    {                                                                                              \
        .size = sizeof(struct spoe_arg_decl), .types = (mask), .name = (text),                     \
        .expression = (text), .help = "not looked at"                                              \
    }
#define MESSAGE(text, on, ...)                                                                     \
    &(const struct spoe_message_decl)                                                              \
    {                                                                                              \
        .size = sizeof(struct spoe_message_decl), .name = (text), .event = (on),                   \
        .help = "does nothing", .args = (const struct spoe_arg_decl *const[])                      \
        {                                                                                          \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }
#define STR(text) ARG(SPOE_ACCEPT_STR, text)
#define NUM(text) ARG(SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, text)
#define IP(text) ARG(SPOE_ACCEPT_IP | SPOE_ACCEPT_STR, text)

/* The keys of haproxy/otel-log.cfg, as otel takes them. */
static const struct spoe_message_decl log_line = {
    .size = sizeof log_line,
    .flags = SPOE_MESSAGE_FROM_LOG,
    .name = "on-http-log",
    .event = "on-http-response",
    .help = "does nothing",
    .args = (const struct spoe_arg_decl *const[]){
        STR("tp"), NUM("t0"),         NUM("t1"), NUM("t2"), NUM("te"),  NUM("st"), STR("ts"),
        STR("rc"), NUM("th"),         NUM("tR"), NUM("tw"), NUM("tc"),  NUM("tr"), NUM("ta"),
        NUM("bi"), NUM("bo"),         STR("m"),  STR("hv"), STR("tls"), IP("ci"),  NUM("cp"),
        IP("fi"),  NUM("fp"),         IP("si"),  NUM("sp"), STR("fe"),  STR("be"), STR("srv"),
        STR("in"), STR("tracestate"), STR("a"),  STR("h"),  STR("ua"),  STR("u"),  NULL}};

static const struct spoe_message_decl *const messages[] = {
    MESSAGE("on-http-request", "on-frontend-http-request", STR("unique-id"),
            ARG(SPOE_ACCEPT_IP, "src"), STR("method"), STR("path"), STR("host"), STR("fe_name"),
            ARG(SPOE_ACCEPT_INT, "fe_port"), STR("traceparent"), ARG(SPOE_ACCEPT_BOOL, "ssl_fc")),
    MESSAGE("on-backend-http-request", "on-backend-http-request", STR("unique-id"), STR("method"),
            STR("path")),
    MESSAGE("on-http-response", "on-http-response", STR("unique-id"),
            ARG(SPOE_ACCEPT_INT, "status"), STR("be_name"), STR("srv_name"), STR("custom_attrs")),
    &log_line,
    NULL,
};

static spoe_status configure(const struct spoe_host *the_host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)cfg;
    host = the_host;
    *ret_inst = self;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct spoe_value value =
        spoe_value_str(spoe_str("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));

    (void)wctx;
    if (messages[msg->index] == &log_line)
        return SPOE_OK; /* there is no answer */
    return host->set_var(req, SPOE_SCOPE_TXN, spoe_str("traceparent"), &value);
}

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {.magic = SPOE_PLUGIN_MAGIC,
                                              .size = sizeof plugin,
                                              .abi_major = SPOE_ABI_MAJOR,
                                              .abi_minor = SPOE_ABI_MINOR,
                                              .id = "nothing",
                                              .version = "1.0",
                                              .help = "does nothing, for the bench",
                                              .messages = messages,
                                              .configure = configure,
                                              .handle = handle};

    return &plugin;
}
