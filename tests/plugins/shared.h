/* SPDX-License-Identifier: Apache-2.0 */
/* tests/plugins/shared.h - what the plugins that share message "shared" have in common, first half.
 */
#include <assert.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

#define SHARED_ARG(ident, types, text, fetch)                                                      \
    static const struct spoe_arg_decl ident = {                                                    \
        sizeof(struct spoe_arg_decl), types, 0, 0, text, fetch, "an argument"}
