/* SPDX-License-Identifier: Apache-2.0 */
/* It cannot live with a host of this minor version. */
#define PLUGIN_MINOR 9
#define PLUGIN_NEEDS_MINOR 9
#include "base.h"
