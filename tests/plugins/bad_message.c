/* SPDX-License-Identifier: Apache-2.0 */
/* A message whose name no HAProxy configuration could hold. */
#include <spoe/plugin.h>

static const struct spoe_arg_decl *const args[] = {NULL};
static const struct spoe_message_decl odd = {
    sizeof odd, 0, "two words", "on-frontend-http-request", "badly named", args};
static const struct spoe_message_decl *const messages[] = {&odd, NULL};

#define PLUGIN_MESSAGES messages
#define PLUGIN_ID "bad-message"
#include "base.h"
