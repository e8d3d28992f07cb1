/* SPDX-License-Identifier: Apache-2.0 */
/* Sets variables until the ACK is full, then a small one; says how many went in. */
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
    static const char bytes[1000];
    struct spoe_value big = spoe_value_str((struct spoe_span){bytes, sizeof bytes});
    struct spoe_value v;
    spoe_status status = SPOE_OK;
    int64_t count = 0;

    (void)wctx;
    (void)msg;
    for (; count < 100000; count++) {
        status = host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str("big"), &big);
        if (status != SPOE_OK)
            break;
    }
    if (status != SPOE_E_TOOBIG)
        return SPOE_E_INTERNAL;
    /* Nothing was added by the one that failed; whether this one fits only the host knows. */
    v = spoe_value_int(count);
    (void)host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str("n"), &v);
    return SPOE_OK;
}

static const struct spoe_arg_decl *const args[] = {NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "toobig", "on-frontend-http-request", "fills the ACK", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_MESSAGES messages
#define PLUGIN_ID "toobig"
#include "base.h"
