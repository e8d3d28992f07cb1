/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/secret.h - the secret that an option of SPOE_OPT_SECRET names. */
#ifndef HOST_CONF_SECRET_H
#define HOST_CONF_SECRET_H

#include "base/error.h"

#define SECRET_BYTES_MAX ((size_t)64 * 1024)

/**
 * Read the file that "file:PATH" or "credential:NAME" names, without a line end at its end.
 *
 * @param text         as option_parse() has taken it
 * @param credentials  the directory of credentials; NULL: there is none
 * @param ret          [give: free()] NULL where the text is the secret itself
 * @return 0; 1 read, and everybody may read the file: *reterr says so; -1 with *reterr
 */
int secret_read(const char *text, const char *credentials, char **ret, struct error *reterr);

/**
 * Whether a file is for some users alone, by its mode or by those of its folders. One that cannot
 * be looked at is told of by who reads it.
 * @return 0; 1 everybody may read it, as *reterr says, with its mode
 */
int secret_check_mode(const char *path, struct error *reterr);

#endif
