/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/tracestate.c - the list's members are found and checked first, in place;
 * then those that fit are written out. 32 members make the quadratic search for doubles cheap.
 */
#include "context/tracestate.h"

#include <stdint.h>
#include <string.h>

#define LONG_MEMBER 128u /* members above go first: trace-context-2, 3.3.1.5 */
#define TENANT_MAX 241u  /* of a key with an '@': trace-context-1, 3.3.1.3.1 */
#define VENDOR_MAX 14u

struct member {
    const char *p;
    uint16_t n, key_len;
};

struct list {
    struct member members[TRACESTATE_MEMBERS_MAX];
    size_t n;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* @return the key's length, or 0 */
static size_t key_length(const char *p, size_t n)
{
    size_t tenant = 0; /* bytes before the '@'; 0: there is none */
    size_t i;

    if (n == 0 || !is_alnum(p[0]))
        return 0;
    for (i = 1; i < n && p[i] != '='; i++) {
        if (p[i] == '@') {
            if (tenant != 0)
                return 0;
            tenant = i;
        } else if (!is_alnum(p[i]) && p[i] != '_' && p[i] != '-' && p[i] != '*' && p[i] != '/') {
            return 0;
        }
    }
    if (i == n || i > TRACESTATE_PART_MAX || p[i - 1] == '@')
        return 0;
    if (tenant > TENANT_MAX || (tenant != 0 && i - tenant - 1 > VENDOR_MAX))
        return 0;
    return i;
}

/* White space around the member is gone already, so a value never ends in a space. */
static bool is_value(const char *p, size_t n)
{
    if (n == 0 || n > TRACESTATE_PART_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] > 0x7e || p[i] == ',' || p[i] == '=')
            return false;
    return true;
}

static bool add_member(struct list *list, const char *p, size_t n)
{
    const size_t key_len = key_length(p, n);

    if (list->n == TRACESTATE_MEMBERS_MAX || key_len == 0 ||
        !is_value(p + key_len + 1, n - key_len - 1))
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (list->members[i].key_len == key_len && memcmp(list->members[i].p, p, key_len) == 0)
            return false;
    list->members[list->n++] =
        (struct member){.p = p, .n = (uint16_t)n, .key_len = (uint16_t)key_len};
    return true;
}

static bool read_line(struct list *list, struct text line)
{
    const char *p = line.p, *const end = line.n > 0 ? line.p + line.n : line.p;

    while (p != end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *next = comma != NULL ? comma + 1 : end;
        const char *stop = comma != NULL ? comma : end;

        while (p != stop && is_space(*p))
            p++;
        while (p != stop && is_space(stop[-1]))
            stop--;
        if (p != stop && !add_member(list, p, (size_t)(stop - p)))
            return false;
        p = next;
    }
    return true;
}

/* The length of the list when it is written. */
static size_t written(const struct list *list)
{
    size_t n = list->n > 0 ? list->n - 1 : 0;

    for (size_t i = 0; i < list->n; i++)
        n += list->members[i].n;
    return n;
}

/* Leave members out until the rest fits. */
static void shorten(struct list *list)
{
    for (size_t i = list->n; i > 0 && written(list) > TRACESTATE_MAX; i--) {
        if (list->members[i - 1].n <= LONG_MEMBER)
            continue;
        memmove(&list->members[i - 1], &list->members[i], (list->n - i) * sizeof list->members[0]);
        list->n--;
    }
    while (written(list) > TRACESTATE_MAX)
        list->n--;
}

size_t tracestate_read(const struct text *lines, size_t n_lines, char ret[TRACESTATE_MAX])
{
    struct list list;
    size_t used = 0;

    list.n = 0;
    for (size_t i = 0; i < n_lines; i++)
        if (!read_line(&list, lines[i]))
            return 0;
    shorten(&list);
    for (size_t i = 0; i < list.n; i++) {
        if (i > 0)
            ret[used++] = ',';
        memcpy(ret + used, list.members[i].p, list.members[i].n);
        used += list.members[i].n;
    }
    return used;
}
