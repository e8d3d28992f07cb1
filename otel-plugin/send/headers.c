/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/headers.c - see headers.h. */
#include "send/headers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Those that the transports set themselves, or that would break the request. */
static const char *const reserved[] = {
    "connection", "content-encoding", "content-length",    "content-type", "expect",    "host",
    "te",         "trailer",          "transfer-encoding", "upgrade",      "user-agent"};
#define N_RESERVED (sizeof reserved / sizeof reserved[0])

static const char *name_error(const char *name)
{
    const size_t n = strlen(name);

    /* The set of gRPC's metadata keys (Call-Definition in PROTOCOL-HTTP2.md); HTTP takes more. */
    if (n == 0 || n > PAIRS_KEY_MAX ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-")])
        return "has a name that is not of a-z, 0-9, _, . and -";
    if (strncmp(name, "grpc-", 5) == 0)
        return "has a name that begins with grpc-, which is gRPC's own";
    if (n > 4 && strcmp(name + n - 4, "-bin") == 0)
        return "has a name that ends in -bin, which is for binary values";
    for (size_t i = 0; i < N_RESERVED; i++) {
        if (strcmp(name, reserved[i]) == 0)
            return "has a name that the export sets itself, such as content-type";
    }
    return NULL;
}

static const char *value_error(const char *value)
{
    const size_t n = strlen(value);

    for (size_t i = 0; i < n; i++) {
        if (value[i] < ' ' || value[i] > '~')
            return "has a value that is not printable ASCII";
    }
    if (n > 0 && (value[0] == ' ' || value[n - 1] == ' '))
        return "has a value that begins or ends with a space";
    return NULL;
}

static void to_lower(char *p)
{
    for (; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    }
}

/* Write names in lower case. @return NULL, or what is wrong with one of them */
static const char *check(struct pair_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *error;

        to_lower(list->item[i].key);
        error = name_error(list->item[i].key);
        if (error == NULL)
            error = value_error(list->item[i].value);
        for (size_t j = 0; error == NULL && j < i; j++) {
            if (strcmp(list->item[j].key, list->item[i].key) == 0)
                error = "has a name twice";
        }
        if (error != NULL)
            return error;
    }
    return NULL;
}

static char *trim(char *p)
{
    size_t n;

    p += strspn(p, " \t\r\n");
    n = strlen(p);
    while (n > 0 && strchr(" \t\r\n", p[n - 1]) != NULL)
        n--;
    p[n] = '\0';
    return p;
}

/* @return 0; PAIRS_E_INVAL with *reterr; PAIRS_E_NOMEM */
static int add_line(struct pair_list *list, char *line, const char **reterr)
{
    char *name = trim(line), *value;

    if (*name == '\0' || *name == '#')
        return 0;
    value = strchr(name, ':');
    if (value == NULL) {
        *reterr = "is not \"name: value\"";
        return PAIRS_E_INVAL;
    }
    *value = '\0';
    name = trim(name);
    value = trim(value + 1);
    to_lower(name);
    *reterr = name_error(name);
    if (*reterr == NULL)
        *reterr = value_error(value);
    if (*reterr == NULL && list->n == PAIRS_MAX)
        *reterr = "is one header too many: 128 are enough";
    return *reterr != NULL ? PAIRS_E_INVAL : pair_list_set(list, name, value);
}

static int add_stream(struct pair_list *list, FILE *file, const char *path, char *ret_error,
                      size_t size)
{
    char *line = NULL;
    size_t space = 0, total = 0;
    unsigned number = 0;
    int result = 0;
    ssize_t n;

    while (result == 0 && (n = getline(&line, &space, file)) >= 0) {
        const char *error = NULL;

        number++;
        total += (size_t)n;
        if (total > HEADERS_FILE_MAX || strlen(line) != (size_t)n) {
            error = total > HEADERS_FILE_MAX ? "is past 64 KiB of headers" : "has a NUL";
            result = PAIRS_E_INVAL;
        } else {
            result = add_line(list, line, &error);
        }
        if (result == PAIRS_E_INVAL)
            (void)snprintf(ret_error, size, "%s:%u: %s", path, number, error);
    }
    if (result == 0 && ferror(file)) {
        (void)snprintf(ret_error, size, "%s: cannot be read: %m", path);
        result = PAIRS_E_INVAL;
    }
    if (line != NULL)
        explicit_bzero(line, space);
    free(line);
    return result;
}

/* Open a file. A pipe or a device is refused, and not waited for: what was read from it once is
 * gone, and files are read again. @return NULL, with the error */
/* A regular file, or /dev/null, which is empty. */
static bool can_be_read(const struct stat *st)
{
    struct stat null;

    return S_ISREG(st->st_mode) ||
           (S_ISCHR(st->st_mode) && stat("/dev/null", &null) == 0 && st->st_rdev == null.st_rdev);
}

static FILE *open_file(const char *path, char *ret_error, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    FILE *file = NULL;
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) != 0)
        (void)snprintf(ret_error, size, "%s: cannot be read: %m", path);
    else if (fd >= 0 && !can_be_read(&st))
        (void)snprintf(ret_error, size, "%s: not a regular file", path);
    else if (fd >= 0 && st.st_size > (off_t)HEADERS_FILE_MAX) /* not even one line of it */
        (void)snprintf(ret_error, size, "%s: larger than 64 KiB", path);
    else if (fd < 0 || (file = fdopen(fd, "r")) == NULL)
        (void)snprintf(ret_error, size, "%s: cannot be opened: %m", path);
    if (fd >= 0 && file == NULL)
        (void)close(fd);
    return file;
}

static int add_file(struct pair_list *list, const char *path, char *ret_error, size_t size)
{
    FILE *file = open_file(path, ret_error, size);
    int result;

    if (file == NULL)
        return PAIRS_E_INVAL;
    result = add_stream(list, file, path, ret_error, size);
    (void)fclose(file); /* only read */
    return result;
}

int headers_read(const char *text, const char *path, struct pair_list *ret, char *ret_error,
                 size_t size, bool *ret_of_file)
{
    struct pair_list list = {NULL, 0};
    const char *error = NULL;
    int result = pair_list_read(text, &list, &error);

    if (result == 0)
        error = check(&list);
    if (error != NULL) {
        (void)snprintf(ret_error, size, "%s", error);
        *ret_of_file = false;
        result = PAIRS_E_INVAL;
    } else if (result == 0 && path != NULL) {
        result = add_file(&list, path, ret_error, size);
        *ret_of_file = true;
    }
    if (result != 0)
        pair_list_fini(&list);
    else
        *ret = list;
    return result;
}
