/* SPDX-License-Identifier: Apache-2.0 */
/* It was built for another major version. */
#define PLUGIN_MAJOR 2
#define PLUGIN_MINOR 3
#include "base.h"
