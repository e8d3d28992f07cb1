/* SPDX-License-Identifier: Apache-2.0 */
/* A stranger's plugin, in C11. */
#include <spoe/plugin.h>
#include <spoe/util.h>

int consumer_helper(int n);

static const struct spoe_host *host_table;

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)cfg;
    host_table = host;
    *ret_inst = self;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct spoe_value v = spoe_value_int(consumer_helper((int)msg->n_args));

    (void)wctx;
    return host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str("consumer"), &v);
}

static const struct spoe_arg_decl *const args[] = {NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "consumer", "on-frontend-http-request", "counts arguments", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};
static const struct spoe_plugin plugin = {
    .magic = SPOE_PLUGIN_MAGIC,
    .size = sizeof plugin,
    .abi_major = SPOE_ABI_MAJOR,
    .abi_minor = SPOE_ABI_MINOR,
    .id = "consumer",
    .version = "7.0",
    .help = "a stranger's plugin",
    .messages = messages,
    .configure = configure,
    .handle = handle,
};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    return &plugin;
}
