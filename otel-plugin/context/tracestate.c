/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/tracestate.c - the list's members are found and checked first, in place;
 * then they are written out. 32 members make the quadratic search for doubles cheap.
 */
#include "context/tracestate.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OT_KEY "ot=" /* OpenTelemetry's member, which begins a list or follows a comma */
#define TH_KEY "th:" /* its threshold, which begins the member's value or follows a semicolon */
#define TH_LEN (sizeof TH_KEY - 1)

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
    size_t i;

    if (n == 0 || !is_alnum(p[0]))
        return 0;
    for (i = 1; i < n && p[i] != '='; i++)
        if (!is_alnum(p[i]) && memchr("_-*/@", p[i], 5) == NULL)
            return 0;
    return i < n && i <= TRACESTATE_PART_MAX ? i : 0;
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

size_t tracestate_read(const struct text *lines, size_t n_lines, char ret[TRACESTATE_MAX])
{
    struct list list;
    size_t used = 0;

    list.n = 0;
    for (size_t i = 0; i < n_lines; i++)
        if (lines[i].n > TRACESTATE_MAX || !read_line(&list, lines[i]))
            return 0;
    if (written(&list) > TRACESTATE_MAX)
        return 0;
    for (size_t i = 0; i < list.n; i++) {
        if (i > 0)
            ret[used++] = ',';
        memcpy(ret + used, list.members[i].p, list.members[i].n);
        used += list.members[i].n;
    }
    return used;
}

/* ---- ot=th ------------------------------------------------------------------------------- */

struct output {
    char text[TRACESTATE_MAX];
    size_t n;
};

static bool is_threshold(const char *p, size_t n)
{
    return n >= TH_LEN && memcmp(p, TH_KEY, TH_LEN) == 0;
}

static void append(struct output *out, const char *p, size_t n)
{
    assert(n <= sizeof out->text - out->n); /* nothing grows */
    memcpy(out->text + out->n, p, n);
    out->n += n;
}

/*
 * OpenTelemetry's member with another threshold; nothing where nothing of it is left. What comes
 * from a client is never made longer: one threshold is written, in the place of one that has a
 * digit at least, and of further or empty ones there is nothing.
 */
static void append_ot(struct output *out, const char *p, size_t n, bool all)
{
    const size_t begin = out->n, value = begin + sizeof OT_KEY - 1;
    const char *const end = p + n;

    append(out, OT_KEY, sizeof OT_KEY - 1);
    while (p < end) {
        const char *semicolon = memchr(p, ';', (size_t)(end - p));
        const char *stop = semicolon != NULL ? semicolon : end;
        const size_t len = (size_t)(stop - p);
        const bool th = is_threshold(p, len);

        if (len > 0 && (!th || (all && len > TH_LEN))) {
            if (out->n > value)
                append(out, ";", 1);
            if (th)
                append(out, TH_KEY "0", TH_LEN + 1);
            else
                append(out, p, len);
            all &= !th;
        }
        p = semicolon != NULL ? semicolon + 1 : end;
    }
    while (out->n > value && out->text[out->n - 1] == ' ') /* a value does not end in one */
        out->n--;
    if (out->n == value)
        out->n = begin;
}

/* Where a written list has OpenTelemetry's member, or NULL. */
static const char *find_ot(const char *p, size_t n)
{
    const char *const end = p + n;

    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));

        if (end - p >= (ptrdiff_t)sizeof OT_KEY - 1 && memcmp(p, OT_KEY, sizeof OT_KEY - 1) == 0)
            return p;
        if (comma == NULL)
            return NULL;
        p = comma + 1;
    }
    return NULL;
}

static bool has_threshold(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_threshold(p + i, n - i) && (i == 0 || p[i - 1] == ';'))
            return true;
    return false;
}

size_t tracestate_set_threshold(char text[TRACESTATE_MAX], size_t n, bool all)
{
    const char *const ot = find_ot(text, n), *const end = text + n;
    const char *value, *stop;
    struct output out = {.n = 0};

    if (ot == NULL)
        return n;
    value = ot + sizeof OT_KEY - 1;
    stop = memchr(value, ',', (size_t)(end - value));
    if (stop == NULL)
        stop = end;
    if (!has_threshold(value, (size_t)(stop - value)))
        return n;
    append_ot(&out, value, (size_t)(stop - value), all); /* what is changed comes first: 3.5 */
    if (ot > text) {
        if (out.n > 0)
            append(&out, ",", 1);
        append(&out, text, (size_t)(ot - text) - 1);
    }
    if (stop < end) {
        if (out.n > 0)
            append(&out, ",", 1);
        append(&out, stop + 1, (size_t)(end - stop) - 1);
    }
    memcpy(text, out.text, out.n);
    return out.n;
}
