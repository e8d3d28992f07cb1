/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/descriptor.h - whether a plugin's descriptor, with its tables, is one that the host can
 * rely on from then on. It is checked whole, once, when the file is loaded; what is wrong is told
 * with the field and its value.
 */
#ifndef HOST_CORE_DESCRIPTOR_H
#define HOST_CORE_DESCRIPTOR_H

#include <stdint.h>

#include <spoe/plugin.h>

#include "base/error.h"

#define PLUGIN_MESSAGES_MAX 64u  /* of one plugin */
#define PLUGIN_ARGUMENTS_MAX 64u /* of one message */
#define PLUGIN_VARIABLES_MAX 64u /* of one plugin */
#define PLUGIN_NAME_MAX 64u      /* bytes of a message's or an argument's name */
#define PLUGIN_ID_MAX 32u

/* The HAProxy events that an HTTP or TCP stream has (SPOE.txt 3.3); ends with NULL. */
extern const char *const descriptor_events[];

/**
 * Check all of it. Unknown flags that a newer plugin may have are told as a notice.
 * @param desc           as the entry function returned it; may be NULL
 * @param ret_arguments  how many each message has
 * @return 0; -1 with *reterr set
 */
int descriptor_check(const struct spoe_plugin *desc, uint32_t *ret_messages,
                     uint32_t ret_arguments[PLUGIN_MESSAGES_MAX], struct error *reterr);

#endif
