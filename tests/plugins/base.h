/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/plugins/base.h - a whole plugin that does nothing. A test's plugin defines what it does
 * otherwise, then includes this.
 */
#include <spoe/plugin.h>
#include <spoe/util.h>

#ifndef PLUGIN_MAGIC
#define PLUGIN_MAGIC SPOE_PLUGIN_MAGIC
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(struct spoe_plugin)
#endif
#ifndef PLUGIN_MAJOR
#define PLUGIN_MAJOR SPOE_ABI_MAJOR
#endif
#ifndef PLUGIN_MINOR
#define PLUGIN_MINOR SPOE_ABI_MINOR
#endif
#ifndef PLUGIN_NEEDS_MINOR
#define PLUGIN_NEEDS_MINOR 0
#endif
#ifndef PLUGIN_RESERVED
#define PLUGIN_RESERVED 0
#endif
#ifndef PLUGIN_FLAGS
#define PLUGIN_FLAGS 0
#endif
#ifndef PLUGIN_HELP
#define PLUGIN_HELP "a plugin of the tests"
#endif
#ifndef PLUGIN_ID
#define PLUGIN_ID "base"
#endif
#ifndef PLUGIN_OPTIONS
#define PLUGIN_OPTIONS NULL
#endif
#ifndef PLUGIN_CONFIGURE
#define PLUGIN_CONFIGURE base_configure
static spoe_status base_configure(const struct spoe_host *host, struct spoe_instance *self,
                                  struct spoe_config *cfg, void **ret_inst)
{
    (void)host;
    (void)cfg;
    *ret_inst = self;
    return SPOE_OK;
}
#endif
#ifndef PLUGIN_START
#define PLUGIN_START NULL
#endif
#ifndef PLUGIN_WORKER_START
#define PLUGIN_WORKER_START NULL
#endif
#ifndef PLUGIN_STOP
#define PLUGIN_STOP NULL
#endif
#ifndef PLUGIN_DESTROY
#define PLUGIN_DESTROY NULL
#endif
#ifndef PLUGIN_DRAIN
#define PLUGIN_DRAIN NULL
#endif
#ifndef PLUGIN_OPEN_COUNT
#define PLUGIN_OPEN_COUNT NULL
#endif
#ifndef PLUGIN_QUIESCE
#define PLUGIN_QUIESCE NULL
#endif
#ifndef PLUGIN_RECONFIGURE
#define PLUGIN_RECONFIGURE NULL
#endif
#ifndef PLUGIN_HANDLE
#define PLUGIN_HANDLE base_handle
static spoe_status base_handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    (void)req;
    (void)msg;
    return SPOE_OK;
}
#endif
#ifndef PLUGIN_MESSAGES
#define PLUGIN_MESSAGES base_messages
static const struct spoe_arg_decl *const base_args[] = {NULL};
static const struct spoe_message_decl base_message = {
    sizeof base_message, 0,        "base-" PLUGIN_ID, "on-frontend-http-request",
    "does nothing",      base_args};
static const struct spoe_message_decl *const base_messages[] = {&base_message, NULL};
#endif

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = PLUGIN_MAGIC,
        .size = PLUGIN_SIZE,
        .abi_major = PLUGIN_MAJOR,
        .abi_minor = PLUGIN_MINOR,
        .needs_minor = PLUGIN_NEEDS_MINOR,
        .reserved = PLUGIN_RESERVED,
        .id = PLUGIN_ID,
        .version = "1.2.3",
        .help = PLUGIN_HELP,
        .messages = PLUGIN_MESSAGES,
        .options = PLUGIN_OPTIONS,
        .configure = PLUGIN_CONFIGURE,
        .start = PLUGIN_START,
        .worker_start = PLUGIN_WORKER_START,
        .handle = PLUGIN_HANDLE,
        .drain = PLUGIN_DRAIN,
        .stop = PLUGIN_STOP,
        .destroy = PLUGIN_DESTROY,
        .open_count = PLUGIN_OPEN_COUNT,
        .quiesce = PLUGIN_QUIESCE,
        .reconfigure = PLUGIN_RECONFIGURE,
        .flags = PLUGIN_FLAGS,
    };

    return &plugin;
}
