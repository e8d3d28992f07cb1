/* SPDX-License-Identifier: Apache-2.0 */
/* The same plugin once more, by another name: their metrics without a prefix collide. */
#define METRICS_MESSAGE "metrics-taken"
#include "metrics_two.c"
