/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echoes what it was handed: slotN for every slot, argN_name and argN_value for every argument
 * that it did not declare, and the rest of the message's view.
 */
#include <assert.h>

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

static void set(struct spoe_request *req, const char *name, const struct spoe_value *value)
{
    (void)host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str(name), value);
}

static void set_nth(struct spoe_request *req, const char *prefix, uint32_t i, const char *suffix,
                    const struct spoe_value *value)
{
    char name[32];
    int n = snprintf(name, sizeof name, "%s%u%s", prefix, i, suffix);

    assert(n > 0 && (size_t)n < sizeof name);
    set(req, name, value);
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct spoe_value v;

    (void)wctx;
    for (uint32_t i = 0; i < msg->n_slots; i++)
        set_nth(req, "slot", i, "", &msg->slot[i]);
    for (uint32_t i = 0; i < msg->n_args; i++) {
        v = spoe_value_str(msg->args[i].name);
        set_nth(req, "arg", i, "_name", &v);
        set_nth(req, "arg", i, "_value", &msg->args[i].value);
    }
    v = spoe_value_str(msg->name);
    set_nth(req, "name", msg->index, "", &v);
    v = spoe_value_str(msg->engine_id);
    set(req, "engine_id", &v);
    v = spoe_value_int((int64_t)msg->stream_id);
    set(req, "stream_id", &v);
    v = spoe_value_int((int64_t)msg->frame_id);
    set(req, "frame_id", &v);
    v = spoe_value_bool(msg->recv_unix_ns > INT64_C(1500000000) * 1000000000 &&
                        msg->recv_mono_ns <= host_table->now_mono_ns() &&
                        msg->deadline_mono_ns > msg->recv_mono_ns);
    set(req, "times_ok", &v);
    (void)host_table->unset_var(req, SPOE_SCOPE_SESS, spoe_str("gone"));
    v = spoe_value_bool(
        host_table->set_var(req, 5, spoe_str("x"), &v) == SPOE_E_INVAL &&
        host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str(""), &v) == SPOE_E_INVAL &&
        host_table->set_var(req, SPOE_SCOPE_TXN, spoe_str("no-dash"), &v) == SPOE_E_INVAL &&
        host_table->unset_var(req, SPOE_SCOPE_TXN, spoe_str("a b")) == SPOE_E_INVAL);
    set(req, "inval_ok", &v);
    return SPOE_OK;
}

#define ARG(ident, types, flags, text)                                                             \
    static const struct spoe_arg_decl ident = {                                                    \
        sizeof(struct spoe_arg_decl), types, flags, 0, text, "str(" text ")", "an argument"}
ARG(arg_text, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, "text");
ARG(arg_number, SPOE_ACCEPT_INT, 0, "number");
ARG(arg_flag, SPOE_ACCEPT_BOOL, 0, "flag");
ARG(arg_addr, SPOE_ACCEPT_IP, 0, "addr");
ARG(arg_blob, SPOE_ACCEPT_BIN, 0, "blob");
ARG(arg_any, SPOE_ACCEPT_ANY, 0, "any");
static const struct spoe_arg_decl *const args[] = {&arg_text, &arg_number, &arg_flag, &arg_addr,
                                                   &arg_blob, &arg_any,    NULL};
static const struct spoe_message_decl other = {
    sizeof other, 0, "slots-other", "on-http-response", "the same by another name", args};
static const struct spoe_message_decl message = {
    sizeof message, 0, "slots", "on-frontend-http-request", "echoes its slots", args};
static const struct spoe_message_decl *const messages[] = {&other, &message, NULL};

#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_MESSAGES messages
#define PLUGIN_ID "slots"
#include "base.h"
