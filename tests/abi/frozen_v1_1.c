/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin as it was built when 1.1 was new: with the headers in v1.1/. It uses what 1.1 brought
 * where the host has it, and runs in a host of 1.0 as well.
 */
#include <stdlib.h>

#include <spoe/ext/health.h>
#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>
#include <spoe/util.h>

#if SPOE_ABI_MAJOR != 1 || SPOE_ABI_MINOR != 1
#error "not the frozen headers"
#endif

struct frozen {
    const struct spoe_host *host;
    struct spoe_instance *self;
    int64_t number;
    int64_t reconfigured;
    struct spoe_meter handled;
};

enum { PATH, LATER };
enum { NUMBER };

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    const struct spoe_health *health = host->get_extension(self, SPOE_HEALTH_1);
    struct frozen *fr = calloc(1, sizeof *fr);

    if (fr == NULL)
        return SPOE_E_NOMEM;
    fr->host = host;
    fr->self = self;
    fr->number = spoe_config_int(host, cfg, NUMBER);
    fr->handled = spoe_meter_counter(host, self, "handled_total", "Messages.", NULL);
    if (health != NULL)
        health->set(self, SPOE_HEALTH_DEGRADED, spoe_str("is old"));
    *ret_inst = fr;
    return SPOE_OK;
}

static spoe_status reconfigure(void *inst, struct spoe_config *cfg)
{
    struct frozen *fr = inst;

    fr->number = spoe_config_int(fr->host, cfg, NUMBER);
    fr->reconfigured++;
    return SPOE_OK;
}

/* The frozen way to be late: committed, kept, completed by cancel(). */
static spoe_status wait_for_cancel(struct frozen *fr, struct spoe_request *req)
{
    if (!SPOE_HAS(fr->host, request_commit) || !SPOE_HAS(fr->host, request_set_data))
        return spoe_set_str(fr->host, req, SPOE_SCOPE_TXN, "frozen_late", spoe_str("unsupported"));
    (void)spoe_set_str(fr->host, req, SPOE_SCOPE_TXN, "frozen_late", spoe_str("committed"));
    if (fr->host->request_commit(req) != SPOE_OK || fr->host->request_set_data(req, fr) != SPOE_OK)
        return SPOE_E_INTERNAL;
    return SPOE_PENDING;
}

static void cancel(void *wctx, struct spoe_request *req, int32_t why)
{
    struct frozen *fr = wctx;

    (void)why;
    fr->host->complete(req, fr->host->request_data(req) == fr ? SPOE_OK : SPOE_E_INTERNAL);
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct frozen *fr = wctx;

    spoe_meter_count(&fr->handled, 1);
    spoe_req_logf(fr->host, fr->self, req, SPOE_LOG_INFO, "frozen sees %u slots", msg->n_slots);
    if (msg->index == LATER)
        return wait_for_cancel(fr, req);
    (void)spoe_set_str(fr->host, req, SPOE_SCOPE_TXN, "frozen_path", spoe_slot_str(msg, PATH));
    (void)spoe_set_int(fr->host, req, SPOE_SCOPE_TXN, "frozen_reconfigured", fr->reconfigured);
    return spoe_set_int(fr->host, req, SPOE_SCOPE_TXN, "frozen_number", fr->number);
}

static uint64_t open_count(void *inst)
{
    (void)inst;
    return 0;
}

static void quiesce(void *inst)
{
    const struct frozen *fr = inst;

    spoe_logf(fr->host, fr->self, SPOE_LOG_NOTICE, "frozen is quiet");
}

SPOE_PLUGIN("frozen-v1-1", .version = "1.1", .help = "built with the headers of 1.1",
            .messages = SPOE_MESSAGES(
                SPOE_MESSAGE("frozen-1", .event = "on-frontend-http-request", .help = "a message",
                             .args = SPOE_ARGS([PATH] = SPOE_ARG("path", .types = SPOE_ACCEPT_STR,
                                                                 .flags = SPOE_ARG_REQUIRED,
                                                                 .expression = "path"))),
                [LATER] = SPOE_MESSAGE(
                    "frozen-1-later", .event = "on-frontend-http-request", .help = "a late one",
                    .args = SPOE_ARGS(SPOE_ARG("src", .types = SPOE_ACCEPT_IP,
                                               .flags = SPOE_ARG_BY_NAME, .expression = "src")))),
            .variables = SPOE_VARIABLES(
                SPOE_VARIABLE(SPOE_SCOPE_TXN, "frozen_path", .types = SPOE_ACCEPT_STR),
                SPOE_VARIABLE(SPOE_SCOPE_TXN, "frozen_late", .types = SPOE_ACCEPT_STR),
                SPOE_VARIABLE(SPOE_SCOPE_TXN, "frozen_number", .types = SPOE_ACCEPT_INT),
                SPOE_VARIABLE(SPOE_SCOPE_TXN, "frozen_reconfigured", .types = SPOE_ACCEPT_INT)),
            .options = SPOE_OPTIONS([NUMBER] = SPOE_OPTION("number", .type = SPOE_OPT_INT,
                                                           .flags = SPOE_OPTION_RELOADABLE,
                                                           .default_text = "7",
                                                           .help = "a number")),
            .configure = configure, .handle = handle, .cancel = cancel, .reconfigure = reconfigure,
            .open_count = open_count, .quiesce = quiesce, .destroy = free);
