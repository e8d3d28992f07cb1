/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/plugins/shared_plugin.h - the second half: echoes every slot as ID_N (with '_' for '-'),
 * and the number of arguments that others declared as ID_others.
 */
static const struct spoe_host *host_table;

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)cfg;
    host_table = host;
    *ret_inst = self;
    return SPOE_OK;
}

static void set(struct spoe_request *req, const char *suffix, const struct spoe_value *value)
{
    char name[64];
    int n = snprintf(name, sizeof name, "%s_%s", SHARED_ID, suffix);

    assert(n > 0 && (size_t)n < sizeof name);
    for (int i = 0; i < n; i++)
        if (name[i] == '-')
            name[i] = '_';
    (void)host_table->set_var(req, SPOE_SCOPE_TXN, (struct spoe_span){name, (size_t)n}, value);
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct spoe_value others = spoe_value_int(msg->n_args);
    static const char *const digits[] = {"0", "1"};

    (void)wctx;
    for (uint32_t i = 0; i < msg->n_slots && i < 2; i++)
        set(req, digits[i], &msg->slot[i]);
    set(req, "others", &others);
    return SPOE_OK;
}

static const struct spoe_arg_decl *const args[] = {SHARED_ARGS, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "shared", "on-frontend-http-request", "a shared message", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_MESSAGES messages
#define PLUGIN_ID SHARED_ID
#include "base.h"
