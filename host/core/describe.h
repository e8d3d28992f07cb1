/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/describe.h - what a plugin declares, as text for people.
 */
#ifndef HOST_CORE_DESCRIBE_H
#define HOST_CORE_DESCRIBE_H

#include <stdbool.h>
#include <stdio.h>

#include "core/plugin.h"

#define DESCRIBE_TYPES_MAX 80u /* bytes of the longest list of types */

/** "integer|string". @return ret, or a constant */
const char *describe_types(uint32_t types, char ret[DESCRIBE_TYPES_MAX]);

/** `--plugin-info`: id, version, ABI, messages with arguments, variables, options. */
void describe_plugin(FILE *out, const struct spoe_instance *plugin);

/* Whether it declares variables. */
bool describe_has_variables(const struct spoe_plugin *desc);

/**
 * A line for each variable that it declares, by the name that it has at HAProxy.
 * @param before  of each line
 * @param prefix  of the variables
 */
void describe_variables(FILE *out, const struct spoe_plugin *desc, const char *before,
                        const char *prefix);

#endif
