/* SPDX-License-Identifier: Apache-2.0 */
/* Built for a newer minor, needs none of it, and its descriptor is longer: is accepted. */
#define PLUGIN_ID "newer-built"
#define PLUGIN_MINOR 9
#define PLUGIN_SIZE (sizeof(struct spoe_plugin) + 64)
#include "base.h"
