/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/conf/number.h - fractions, the one kind of number that the host does not parse. */
#ifndef OTEL_CONF_NUMBER_H
#define OTEL_CONF_NUMBER_H

#include <stdbool.h>

/**
 * Read a number from 0 to 1: "0.25", ".5", "1", "1e-3"; in no locale.
 * @param ret  set on success only
 */
bool number_read_ratio(const char *text, double *ret);

#endif
