/* SPDX-License-Identifier: Apache-2.0 */
/* Its descriptor is not one. */
#define PLUGIN_MAGIC 0x12345678
#include "base.h"
