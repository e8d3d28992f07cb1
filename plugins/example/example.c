/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin to copy: tells HAProxy, in a variable, whether a request's path is too long. */
#include <spoe/util.h> /* and with it <spoe/plugin.h> */
#include <stdlib.h>

struct example { /* one instance; nothing global, so that one process may hold two */
    const struct spoe_host *host;
    struct spoe_instance *self;
    uint64_t longest;
};
enum { PATH, SRC }; /* slots: the order of args[] */
static const struct spoe_arg_decl path = {
    sizeof path, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, 0, "path", "path,bytes(0,2049)", ""};
static const struct spoe_arg_decl src = {sizeof src, SPOE_ACCEPT_IP,        0, 0, "src",
                                         "src",      "the client's address"};
static const struct spoe_arg_decl *const args[] = {&path, &src, NULL};
static const struct spoe_message_decl check_path = {
    sizeof check_path, 0, "check-path", "on-frontend-http-request", "one request", args};
static const struct spoe_message_decl *const messages[] = {&check_path, NULL};
static const char *const env[] = {"EXAMPLE_LONGEST", NULL};
static const struct spoe_option longest = {sizeof longest, SPOE_OPT_SIZE, 0,    0, "longest", "2k",
                                           "longest path", env,           NULL, 1, 2048,      NULL};
static const struct spoe_option *const options[] = {&longest, NULL};

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct example *ex = malloc(sizeof *ex);
    if (ex == NULL)
        return SPOE_E_NOMEM;
    *ex = (struct example){host, self, host->config_get(cfg, 0)->value.u.u64}; /* options[0] */
    *ret_inst = ex;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct example *ex = wctx; /* without worker_start() this is the instance */
    struct spoe_value too_long = spoe_value_bool(msg->slot[PATH].u.s.n > ex->longest);
    spoe_logf(ex->host, ex->self, SPOE_LOG_DEBUG, "address of type %u", msg->slot[SRC].type);
    return ex->host->set_var(req, SPOE_SCOPE_TXN, spoe_str("path_too_long"), &too_long);
}

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {.magic = SPOE_PLUGIN_MAGIC,
                                              .size = sizeof plugin,
                                              .abi_major = SPOE_ABI_MAJOR,
                                              .abi_minor = SPOE_ABI_MINOR,
                                              .id = "example",
                                              .version = "1.0",
                                              .help = "checks the length of every path",
                                              .messages = messages,
                                              .options = options,
                                              .configure = configure,
                                              .handle = handle,
                                              .destroy = free};
    return &plugin;
}
