/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler takes as many milliseconds as it is told. */
#include <stddef.h>
#include <time.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

static const struct spoe_arg_decl ms = {sizeof ms, SPOE_ACCEPT_INT, 0,         0,
                                        "ms",      "int(0)",        "how long"};
static const struct spoe_arg_decl *const args[] = {&ms, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "slow", "on-frontend-http-request", "takes its time", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct timespec rest;
    int64_t n = 0;

    (void)wctx;
    (void)req;
    (void)spoe_get_int(&msg->slot[0], &n);
    rest = (struct timespec){n / 1000, n % 1000 * 1000000};
    while (n > 0 && nanosleep(&rest, &rest) != 0)
        continue;
    return SPOE_OK;
}

#define PLUGIN_ID "slow"
#define PLUGIN_MESSAGES messages
#define PLUGIN_HANDLE handle
#include "base.h"
