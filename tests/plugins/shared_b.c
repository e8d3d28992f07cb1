/* SPDX-License-Identifier: Apache-2.0 */
/* Shares message "shared" with shared_a: here src, path. */
#include "shared.h"

SHARED_ARG(arg_src, SPOE_ACCEPT_IP, "src", "src");
SHARED_ARG(arg_path, SPOE_ACCEPT_STR, "path", "path");
#define SHARED_ARGS &arg_src, &arg_path
#define SHARED_ID "shared-b"
#include "shared_plugin.h"
