/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/describe.h - what a plugin declares, as text for people.
 */
#ifndef HOST_CORE_DESCRIBE_H
#define HOST_CORE_DESCRIBE_H

#include <stdio.h>

#include "core/plugin.h"

/** `--plugin-info`: id, version, ABI, messages with arguments, options. */
void describe_plugin(FILE *out, const struct spoe_instance *plugin);

#endif
