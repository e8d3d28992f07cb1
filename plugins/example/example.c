/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin to copy: tells HAProxy, in a variable, whether a request's path is too long. */
#include <spoe/util.h> /* and with it <spoe/plugin.h> */
#include <stdlib.h>

struct example { /* one instance; nothing global, so that one process may hold two */
    const struct spoe_host *host;
    struct spoe_instance *self;
    uint64_t longest;
};
enum { PATH, SRC }; /* slots */
enum { LONGEST };   /* options */

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct example *ex = malloc(sizeof *ex);
    if (ex == NULL)
        return SPOE_E_NOMEM;
    *ex = (struct example){host, self, spoe_config_size(host, cfg, LONGEST)};
    *ret_inst = ex;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct example *ex = wctx; /* without worker_start() this is the instance */
    spoe_req_logf(ex->host, ex->self, req, SPOE_LOG_DEBUG, "address of type %u",
                  spoe_slot(msg, SRC).type);
    return spoe_set_bool(ex->host, req, SPOE_SCOPE_TXN, "path_too_long",
                         spoe_slot_str(msg, PATH).n > ex->longest);
}

SPOE_PLUGIN(
    "example", .version = "1.0", .help = "checks the length of every path",
    .messages = SPOE_MESSAGES(SPOE_MESSAGE(
        "check-path", .event = "on-frontend-http-request", .help = "one request",
        .args = SPOE_ARGS([PATH] = SPOE_ARG("path", .types = SPOE_ACCEPT_STR,
                                            .flags = SPOE_ARG_REQUIRED,
                                            .expression = "path,bytes(0,2049)"),
                          [SRC] = SPOE_ARG("src", .types = SPOE_ACCEPT_IP, .expression = "src",
                                           .help = "the client's address")))),
    .options = SPOE_OPTIONS([LONGEST] = SPOE_OPTION("longest", .type = SPOE_OPT_SIZE,
                                                    .default_text = "2k", .help = "longest path",
                                                    .env = SPOE_TEXTS("EXAMPLE_LONGEST"), .min = 1,
                                                    .max = 2048)),
    .variables = SPOE_VARIABLES(SPOE_VARIABLE(SPOE_SCOPE_TXN, "path_too_long",
                                              .types = SPOE_ACCEPT_BOOL, .help = "so it is")),
    .configure = configure, .handle = handle, .destroy = free);
