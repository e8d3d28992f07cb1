/* SPDX-License-Identifier: Apache-2.0 */
/* Its id is also the one of dup_b. */
#define PLUGIN_ID "dup"
#include "base.h"
