/* SPDX-License-Identifier: Apache-2.0 */
/* What spoe.metrics/2 adds, in every way. */
#define METRICS_MESSAGE "metrics-two"
#include "metrics_plugin.h"
