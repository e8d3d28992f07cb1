/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/lists.c - see lists.h. */
#include "lists.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <spoe/options.h>

#include "list_line.h"

#define READ_BYTES 65536u
#define ASK_LINES 4096u /* between two looks whether it is cancelled */
#define SHOWN 40        /* bytes of a broken line */

/* ---- the option ---------------------------------------------------------------------------- */

static int fail(char ret_why[WHY_MAX], const char *what, const char *text, size_t n)
{
    (void)snprintf(ret_why, WHY_MAX, "%s: \"%.*s\"", what, (int)(n < 200 ? n : 200), text);
    return -1;
}

static bool is_name(const char *text, size_t n)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\0' || strchr(allowed, text[i]) == NULL)
            return false;
    }
    return n != 0 && n <= LIST_NAME_MAX;
}

/* @return -1: it is none */
static int64_t score_of(const char *text, size_t n)
{
    int64_t score = 0;

    if (n == 0 || n > 3)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        score = 10 * score + (text[i] - '0');
    }
    return score <= SCORE_MAX ? score : -1;
}

/* NAME[:SCORE]=PATH, without blanks around it. */
static int parse_one(const char *text, size_t n, struct lists *lists, char ret_why[WHY_MAX])
{
    const char *equals = memchr(text, '=', n);
    const size_t n_head = equals != NULL ? (size_t)(equals - text) : n;
    const char *colon = memchr(text, ':', n_head);
    const size_t n_name = colon != NULL ? (size_t)(colon - text) : n_head;
    struct list *list = &lists->list[lists->n];
    int64_t score = SCORE_MAX;

    if (equals == NULL || n - n_head < 2)
        return fail(ret_why, "not NAME=PATH or NAME:SCORE=PATH", text, n);
    if (lists->n == LISTS_MAX)
        return fail(ret_why, "more than 64 lists", text, n);
    if (!is_name(text, n_name))
        return fail(ret_why, "a name is 1 to 64 letters, digits, _, . and -", text, n);
    if (colon != NULL)
        score = score_of(colon + 1, n_head - n_name - 1);
    if (score < 0)
        return fail(ret_why, "a score is 0 to 100", text, n);
    for (size_t i = 0; i < lists->n; i++) {
        if (strlen(lists->list[i].name) == n_name && memcmp(lists->list[i].name, text, n_name) == 0)
            return fail(ret_why, "the name is taken", text, n);
    }
    *list = (struct list){
        .name = strndup(text, n_name), .path = strndup(equals + 1, n - n_head - 1), .score = score};
    lists->n++;
    return list->name != NULL && list->path != NULL ? 0 : fail(ret_why, "out of memory", "", 0);
}

int lists_parse(const char *text, size_t n, struct lists *ret, char ret_why[WHY_MAX])
{
    struct spoe_span rest = {text, n}, item;

    *ret = (struct lists){.n = 0};
    while (spoe_list_next(&rest, &item)) {
        if (parse_one(item.p, item.n, ret, ret_why) != 0)
            return -1;
    }
    return 0;
}

void lists_fini(struct lists *lists)
{
    for (size_t i = 0; i < lists->n; i++) {
        free(lists->list[i].name);
        free(lists->list[i].path);
    }
    lists->n = 0;
}

/* ---- the files ----------------------------------------------------------------------------- */

struct reading {
    struct list *list;
    uint16_t number;
    struct prefix_set *set;
    size_t line; /* the one that is read, from 1 */
    int (*cancelled)(void *arg);
    void *arg;
    char *why;
};

static int refuse(const struct reading *r, const char *why, const char *line, size_t n)
{
    char shown[SHOWN + 1];
    size_t i;

    for (i = 0; i < n && i < SHOWN; i++)
        shown[i] = line[i] >= ' ' && line[i] <= '~' ? line[i] : '?';
    shown[i] = '\0';
    (void)snprintf(r->why, WHY_MAX, "%.300s:%zu: %s: \"%s\"", r->list->path, r->line, why, shown);
    return -1;
}

static int take_line(struct reading *r, const char *line, size_t n)
{
    struct prefix prefix;
    const char *why = "";
    int result;

    r->line++;
    if (r->line % ASK_LINES == 0 && r->cancelled != NULL && r->cancelled(r->arg) != 0)
        return -1;
    if (r->line == 1 && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
        line += 3;
        n -= 3;
    }
    result = list_line_parse(line, n, &prefix, &why);
    if (result < 0)
        return refuse(r, why, line, n);
    if (result == 0)
        return 0;
    r->list->n++;
    result = prefix_set_add(r->set, &prefix, r->number);
    if (result == -1)
        return refuse(r, "more entries than max-entries", line, n);
    return result == 0 ? 0 : refuse(r, "out of memory", line, n);
}

/* Lines of a buffer of which `n` bytes are there. @return what is left, a line without its end; -1
 */
static ssize_t take_lines(struct reading *r, char *buffer, size_t n)
{
    size_t begin = 0;
    const char *end;

    while ((end = memchr(buffer + begin, '\n', n - begin)) != NULL) {
        const size_t len = (size_t)(end - buffer) - begin;

        if (take_line(r, buffer + begin, len) != 0)
            return -1;
        begin += len + 1;
    }
    if (n - begin > LIST_LINE_MAX) {
        r->line++;
        return refuse(r, "line too long", buffer + begin, n - begin);
    }
    memmove(buffer, buffer + begin, n - begin);
    return (ssize_t)(n - begin);
}

static int read_fd(struct reading *r, int fd)
{
    char buffer[READ_BYTES];
    ssize_t left = 0, n;

    while ((n = read(fd, buffer + left, sizeof buffer - (size_t)left)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            (void)snprintf(r->why, WHY_MAX, "%.300s: %s", r->list->path, strerror(errno));
            return -1;
        }
        left = take_lines(r, buffer, (size_t)(left + n));
        if (left < 0)
            return -1;
    }
    return left == 0 ? 0 : take_line(r, buffer, (size_t)left);
}

static int read_file(struct reading *r)
{
    const int fd = open(r->list->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    int result = -1;

    r->list->n = 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        (void)snprintf(r->why, WHY_MAX, "%.300s: %s", r->list->path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        (void)snprintf(r->why, WHY_MAX, "%.300s: not a regular file", r->list->path);
    else
        result = read_fd(r, fd);
    if (fd >= 0)
        (void)close(fd);
    return result;
}

struct table *lists_read(struct lists *lists, size_t max, int (*cancelled)(void *arg), void *arg,
                         char ret_why[WHY_MAX])
{
    struct prefix_set set = {.max = max};
    struct table *table = NULL;
    size_t i;

    ret_why[0] = '\0';
    for (i = 0; i < lists->n; i++) {
        struct reading r = {.list = &lists->list[i],
                            .number = (uint16_t)i,
                            .set = &set,
                            .cancelled = cancelled,
                            .arg = arg,
                            .why = ret_why};

        if (read_file(&r) != 0)
            break;
    }
    if (i == lists->n) {
        table = table_create(&set);
        if (table == NULL)
            (void)snprintf(ret_why, WHY_MAX, "out of memory");
    }
    prefix_set_fini(&set);
    return table;
}
