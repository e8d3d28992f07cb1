/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/admin_token.c - see admin_token.h. */
#include "conf/admin_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/conf.h"
#include "conf/option_texts.h"
#include "conf/secret.h"

/* Nothing of a token is ever shown. */
static int check(const char *token, struct error *reterr)
{
    const size_t n = strlen(token);

    if (n < ADMIN_TOKEN_MIN || n > ADMIN_TOKEN_MAX)
        return error_set(reterr, "a token has %u to %u characters", ADMIN_TOKEN_MIN,
                         ADMIN_TOKEN_MAX);
    for (size_t i = 0; i < n; i++) {
        if (token[i] <= ' ' || token[i] > '~')
            return error_set(reterr, "a token is one line of visible ASCII characters, without "
                                     "white space");
    }
    return 0;
}

/* Whoever may write to it has what the token opens. */
static int check_file(const char *path, struct error *reterr)
{
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & S_IWOTH) != 0)
        return error_set(reterr, "%s: everybody may write to it", path);
    return 0; /* one that is not there is told of by who reads it */
}

int admin_token_read(const char *where, char **ret, struct error *reterr)
{
    char text[sizeof OPTION_FILE + OPTION_PATH_MAX + 1];
    char *token = NULL;
    int n, result;

    if (strncmp(where, OPTION_CREDENTIAL, strlen(OPTION_CREDENTIAL)) == 0) {
        n = snprintf(text, sizeof text, "%s", where);
        if (strchr(where, '/') != NULL || where[strlen(OPTION_CREDENTIAL)] == '\0')
            return error_set(reterr, "credential:NAME has the name of a file, without a /");
    } else {
        if (strncmp(where, OPTION_FILE, strlen(OPTION_FILE)) == 0)
            where += strlen(OPTION_FILE);
        if (where[0] != '/')
            return error_set(reterr, "it is /PATH, file:/PATH or credential:NAME");
        n = snprintf(text, sizeof text, "%s%s", OPTION_FILE, where);
        if (check_file(where, reterr) != 0)
            return -1;
    }
    if (n < 0 || (size_t)n >= sizeof text)
        return error_set(reterr, "its path is too long");
    result = secret_read(text, conf_env("CREDENTIALS_DIRECTORY"), &token, reterr);
    if (result < 0)
        return -1;
    if (check(token, reterr) != 0) {
        explicit_bzero(token, strlen(token));
        free(token);
        return -1;
    }
    *ret = token;
    return result;
}
