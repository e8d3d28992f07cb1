/* SPDX-License-Identifier: Apache-2.0 */
/* Its descriptor ends before what 1.0 demands. */
#define PLUGIN_SIZE 64
#include "base.h"
