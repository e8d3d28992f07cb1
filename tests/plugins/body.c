/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wants the request's body, as two others do (BODY_ID): says how much of it came, how much HAProxy
 * has, and whether it is whole. Of each other argument the number, or the length, by its name.
 */
#include <spoe/plugin.h>
#include <spoe/util.h>

#ifndef BODY_ID
#define BODY_ID "body-a"
#endif

enum { BODY, LENGTH, END };
static const struct spoe_arg_decl body = {sizeof body, SPOE_ACCEPT_BIN, SPOE_ARG_REQUIRED, 0,
                                          "body",      "req.body",      "all of it"};
static const struct spoe_arg_decl length = {sizeof length,  SPOE_ACCEPT_INT,       0, 0, "length",
                                            "req.body_len", "how much HAProxy has"};
static const struct spoe_arg_decl end = {
    sizeof end, SPOE_ACCEPT_BOOL, 0, 0, "end", "internal.htx.has_eom", "that is all"};
static const struct spoe_arg_decl *const args[] = {&body, &length, &end, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "want-" BODY_ID, "on-frontend-http-request", "one request", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

static const struct spoe_host *host_table;

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)cfg;
    host_table = host;
    *ret_inst = self;
    return SPOE_OK;
}

static int64_t number_of(const struct spoe_value *value)
{
    int64_t n = -1;

    if (value->type == SPOE_T_STR || value->type == SPOE_T_BIN)
        return (int64_t)value->u.s.n;
    if (value->type == SPOE_T_BOOL)
        return value->u.b;
    (void)spoe_get_int(value, &n);
    return n;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct spoe_value came = spoe_value_int(number_of(&msg->slot[BODY]));
    const struct spoe_value has = spoe_value_int(number_of(&msg->slot[LENGTH]));
    const struct spoe_value whole =
        spoe_value_bool(spoe_body_is_whole(&msg->slot[BODY], &msg->slot[LENGTH], &msg->slot[END]));

    (void)wctx;
    for (uint32_t i = 0; i < msg->n_args; i++) {
        const struct spoe_value n = spoe_value_int(number_of(&msg->args[i].value));

        (void)host_table->set_var(req, SPOE_SCOPE_TXN, msg->args[i].name, &n);
    }
    (void)host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str("length"), &has);
    (void)host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str("whole"), &whole);
    return host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str("came"), &came);
}

#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_MESSAGES messages
#define PLUGIN_ID BODY_ID
#include "base.h"
