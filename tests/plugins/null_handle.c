/* SPDX-License-Identifier: Apache-2.0 */
/* It handles nothing. */
#define PLUGIN_HANDLE NULL
#include "base.h"
