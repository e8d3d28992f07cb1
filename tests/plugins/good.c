/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is wrong with it. */
#define PLUGIN_ID "good"
#include "base.h"
