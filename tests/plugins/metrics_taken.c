/* SPDX-License-Identifier: Apache-2.0 */
/* The same once more: their metrics without a prefix collide. */
#define METRICS_MESSAGE "metrics-taken"
#include "metrics_plugin.h"
