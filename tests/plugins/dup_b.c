/* SPDX-License-Identifier: Apache-2.0 */
/* Its id is also the one of dup_a. */
#define PLUGIN_ID "dup"
#include "base.h"
