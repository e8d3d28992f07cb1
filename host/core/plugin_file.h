/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/plugin_file.h - a plugin's file, up to its entry function: who may have written it,
 * what it is, and the loader's part. What was checked is what is loaded: the loader is given the
 * descriptor that was looked at, and nothing of a file runs before its ELF symbols say that it is a
 * plugin of our ABI.
 */
#ifndef HOST_CORE_PLUGIN_FILE_H
#define HOST_CORE_PLUGIN_FILE_H

#include <sys/types.h>

#include <spoe/plugin.h>

#include "base/error.h"
#include "base/thread.h"

enum plugin_trust {
    PLUGIN_TRUST_CHECKED = 0, /* no file, nor its folders, that everybody may write to */
    PLUGIN_TRUST_ANY = 1
};

/**
 * @param path    absolute, without links [borrow]; outlives the process where it is loaded
 * @param callee  whose file it is, for whoever asks what the thread is in
 * @return its entry function; NULL with *reterr set
 */
spoe_plugin_entry_fn *plugin_file_load(const char *path, enum plugin_trust trust,
                                       const struct callee *callee, struct error *reterr);

/**
 * The folder in which a name was found, and those above it.
 * @param owner  of the file, or the link, of that name
 * @return 0; -1 with *reterr set
 */
int plugin_file_check_folder(const char *path, uid_t owner, struct error *reterr);

#endif
