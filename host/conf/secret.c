/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/secret.c - see secret.h. */
#include "conf/secret.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/option_texts.h"
#include "conf/read_file.h"

/* Whether every user may pass the folders that a file is in, as its real name has them. */
static bool is_in_reach(const char *path)
{
    char *real = realpath(path, NULL), *slash;
    struct stat st;
    bool passed = true;

    while (real != NULL && passed && (slash = strrchr(real, '/')) != NULL && slash != real) {
        *slash = '\0';
        passed = stat(real, &st) != 0 || (st.st_mode & S_IXOTH) != 0;
    }
    free(real);
    return passed;
}

int secret_check_mode(const char *path, struct error *reterr)
{
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IROTH) == 0 ||
        !is_in_reach(path))
        return 0;
    (void)error_set(reterr, "%s: its mode is %04o: every user may read the secret in it", path,
                    (unsigned)st.st_mode & 07777);
    return 1;
}

static int read_secret_file(const char *path, char **ret, struct error *reterr)
{
    char *bytes = NULL;
    size_t n = 0;
    int result = read_file(path, 0, &bytes, &n, reterr) != 0 ? -1 : 0;

    if (result != 0)
        return result;
    if (n > 0 && bytes[n - 1] == '\n')
        n--;
    if (n > 0 && bytes[n - 1] == '\r' && bytes[n] == '\n')
        n--;
    if (n == 0)
        result = error_set(reterr, "%s: is empty", path);
    else if (n > SECRET_BYTES_MAX)
        result = error_set(reterr, "%s: more than 64 KiB", path);
    else if (memchr(bytes, '\0', n) != NULL)
        result = error_set(reterr, "%s: has a NUL byte", path);
    else if ((*ret = strndup(bytes, n)) == NULL)
        result = error_set(reterr, "%s: out of memory", path);
    explicit_bzero(bytes, n);
    free(bytes);
    return result == 0 ? secret_check_mode(path, reterr) : result;
}

int secret_read(const char *text, const char *credentials, char **ret, struct error *reterr)
{
    char path[OPTION_PATH_MAX + 1];
    int n;

    if (strncmp(text, OPTION_FILE, strlen(OPTION_FILE)) == 0)
        return read_secret_file(text + strlen(OPTION_FILE), ret, reterr);
    if (strncmp(text, OPTION_CREDENTIAL, strlen(OPTION_CREDENTIAL)) != 0) {
        *ret = NULL;
        return 0;
    }
    if (credentials == NULL)
        return error_set(reterr, "%s: CREDENTIALS_DIRECTORY is not set", text);
    n = snprintf(path, sizeof path, "%s/%s", credentials, text + strlen(OPTION_CREDENTIAL));
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(reterr, "%s: its path is too long", text);
    return read_secret_file(path, ret, reterr);
}
