/* SPDX-License-Identifier: Apache-2.0 */
/* Its id is the one of the section of the host itself. */
#define PLUGIN_ID "host"
#include "base.h"
