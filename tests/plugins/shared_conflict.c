/* SPDX-License-Identifier: Apache-2.0 */
/* Shares message "shared" with shared_a, but fills its path by another expression. */
#include "shared.h"

SHARED_ARG(arg_path, SPOE_ACCEPT_STR, "path", "url");
#define SHARED_ARGS &arg_path
#define SHARED_ID "shared-conflict"
#include "shared_plugin.h"
