/* SPDX-License-Identifier: Apache-2.0 */
/* Shares message "shared" with shared_b: here path, method. */
#include "shared.h"

SHARED_ARG(arg_path, SPOE_ACCEPT_STR, "path", "path");
SHARED_ARG(arg_method, SPOE_ACCEPT_STR, "method", "method");
#define SHARED_ARGS &arg_path, &arg_method
#define SHARED_ID "shared-a"
#include "shared_plugin.h"
