/* SPDX-License-Identifier: Apache-2.0 */
/* It cannot be configured. */
#define PLUGIN_CONFIGURE NULL
#include "base.h"
