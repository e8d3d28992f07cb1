/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/admin_token.h - the token of the admin endpoint: the option admin-token-file. */
#ifndef HOST_CONF_ADMIN_TOKEN_H
#define HOST_CONF_ADMIN_TOKEN_H

#include "base/error.h"

#define ADMIN_TOKEN_MIN 16u /* characters: what nobody guesses */
#define ADMIN_TOKEN_MAX 512u

/**
 * Read a token, without a line end at its end: visible ASCII characters. A file that everybody may
 * write to is refused.
 * @param where  /PATH, file:/PATH, or credential:NAME
 * @param ret    [give: free()]
 * @return 0; 1 read, and everybody may read the file, as *reterr says; -1 with *reterr
 */
int admin_token_read(const char *where, char **ret, struct error *reterr);

#endif
