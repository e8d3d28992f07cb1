/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/new_plugin.h - `--new-plugin NAME`: a folder with a whole plugin of that name, to begin
 * with.
 */
#ifndef HOST_NEW_PLUGIN_H
#define HOST_NEW_PLUGIN_H

#include "base/error.h"

/**
 * Write the folder NAME below the current one, which must not have it.
 * @param templates  the folder of sdk/template/, as installed
 * @return 0; -1 with *reterr: what had been written by then stays
 */
int new_plugin_write(const char *templates, const char *name, struct error *reterr);

#endif
