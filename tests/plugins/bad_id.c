/* SPDX-License-Identifier: Apache-2.0 */
/* Its id has characters that ids do not have. */
#define PLUGIN_ID "Bad Id"
#include "base.h"
