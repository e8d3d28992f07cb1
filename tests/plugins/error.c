/* SPDX-License-Identifier: Apache-2.0 */
/* Sets a variable, then fails: the variable must not be in the ACK. */
#include <spoe/plugin.h>
#include <spoe/util.h>

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
    struct spoe_value v = spoe_value_int(1);

    (void)wctx;
    (void)msg;
    if (host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str("error"), &v) != SPOE_OK)
        return SPOE_OK; /* a test that looks for the error then fails */
    return SPOE_E_INTERNAL;
}

static const struct spoe_arg_decl *const args[] = {NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "error", "on-frontend-http-request", "fails", args};
static const struct spoe_message_decl shared = {
    sizeof shared, 0, "shared", "on-frontend-http-request", "fails too", args};
static const struct spoe_message_decl *const messages[] = {&message, &shared, NULL};

#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_MESSAGES messages
#define PLUGIN_ID "error"
#include "base.h"
