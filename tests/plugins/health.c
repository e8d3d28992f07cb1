/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says of itself what it is told: each message has a state, a reason and a line of status. It is
 * degraded from configure() on.
 */
#include <spoe/ext/health.h>
#include <spoe/plugin.h>
#include <spoe/util.h>

static const struct spoe_health *health;

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)cfg;
    health = (const struct spoe_health *)host->get_extension(self, SPOE_HEALTH_1);
    if (health == NULL || !SPOE_HAS(health, set) || !SPOE_HAS(health, status))
        return SPOE_E_UNSUPPORTED;
    health->set(self, SPOE_HEALTH_DEGRADED, spoe_str("nobody has told"));
    *ret_inst = self;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct spoe_instance *self = wctx;
    int64_t said;

    (void)req;
    if (!spoe_get_int(&msg->slot[0], &said))
        return SPOE_E_INVAL;
    health->set(self, (int32_t)said, msg->slot[1].u.s);
    health->status(self, msg->slot[2].u.s);
    return SPOE_OK;
}

static const struct spoe_arg_decl state = {sizeof state, SPOE_ACCEPT_INT, SPOE_ARG_REQUIRED, 0,
                                           "state",      "int(0)",        "SPOE_HEALTH_*"};
static const struct spoe_arg_decl reason = {
    sizeof reason, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, 0, "reason", "str(a)", "why"};
static const struct spoe_arg_decl status = {sizeof status, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, 0,
                                            "status",      "str(b)",        "a line"};
static const struct spoe_arg_decl *const args[] = {&state, &reason, &status, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "health", "on-frontend-http-request", "says how it is", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_MESSAGES messages
#define PLUGIN_ID "health"
#include "base.h"
