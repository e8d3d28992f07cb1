/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/framing.c - see framing.h. */
#include "lines/framing.h"

#include <string.h>

#define DIGITS_MAX 10u /* of a length, or of HAProxy's unsigned number of events */

/* HAProxy src/sink.c, sink_announce_dropped() */
static const char *const notices[] = {" events dropped", " event dropped"};

size_t framing_trim(const char *p, size_t n)
{
    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r' || p[n - 1] == '\0'))
        n--;
    return n;
}

/* The number at p. @return its digits; 0: there is none, or of too many */
static size_t read_number(const char *p, size_t n, uint64_t *ret)
{
    size_t i = 0;

    *ret = 0;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
        if (i == DIGITS_MAX)
            return 0;
        *ret = *ret * 10 + (uint64_t)(p[i] - '0');
    }
    return i;
}

enum notice { NOTICE_NO, NOTICE_MAYBE, NOTICE_YES };

/* Whether a notice stands at p, or what is there may become one. */
static enum notice find_notice(const char *p, size_t n, size_t *ret_len, uint64_t *ret_dropped)
{
    const size_t digits = read_number(p, n, ret_dropped);
    enum notice found = NOTICE_NO;

    if (digits == 0)
        return NOTICE_NO;
    for (size_t i = 0; i < sizeof notices / sizeof notices[0]; i++) {
        const size_t len = strlen(notices[i]), left = n - digits;

        if (memcmp(p + digits, notices[i], left < len ? left : len) != 0)
            continue;
        *ret_len = digits + len;
        if (left >= len)
            return NOTICE_YES;
        found = NOTICE_MAYBE;
    }
    return found;
}

bool framing_is_dropped(const char *p, size_t n, uint64_t *ret_dropped)
{
    size_t len;

    return find_notice(p, n, &len, ret_dropped) == NOTICE_YES && len == n;
}

static enum framing_found give_line(const char *p, size_t from, size_t n,
                                    struct framing_result *ret)
{
    ret->line = from;
    ret->len = framing_trim(p + from, n);
    if (framing_is_dropped(p + from, ret->len, &ret->dropped))
        return FRAMING_DROPPED;
    return FRAMING_LINE;
}

/* Lines that end with a newline. */
static enum framing_found next_line(struct framing *framing, const char *p, size_t n,
                                    struct framing_result *ret)
{
    const char *end;
    size_t len;

    /* A notice that ends in a NUL, with or without a newline behind it. */
    if (!framing->passing && find_notice(p, n, &len, &ret->dropped) == NOTICE_YES && len < n &&
        p[len] == '\0') {
        ret->used = len + 1;
        framing->scanned = 0;
        return FRAMING_DROPPED;
    }
    end = memchr(p + framing->scanned, '\n', n - framing->scanned);
    if (end == NULL && n > framing->max) {
        framing->passing = true;
        framing->scanned = 0;
        ret->used = n;
        return FRAMING_MORE;
    }
    if (end == NULL) {
        framing->scanned = n;
        if (framing->passing) {
            framing->scanned = 0;
            ret->used = n;
        }
        return FRAMING_MORE;
    }
    framing->scanned = 0;
    len = (size_t)(end - p);
    ret->used = len + 1;
    if (framing->passing || len > framing->max) {
        framing->passing = false;
        return FRAMING_TOO_LONG;
    }
    return give_line(p, 0, len, ret);
}

/* Lines that begin with their length. */
static enum framing_found next_octets(const struct framing *framing, const char *p, size_t n,
                                      struct framing_result *ret)
{
    uint64_t len;
    size_t digits, notice_len;

    switch (find_notice(p, n, &notice_len, &ret->dropped)) {
    case NOTICE_YES:
        ret->used = notice_len;
        return FRAMING_DROPPED;
    case NOTICE_MAYBE: /* a line that begins with "event" is no line of ours */
        return FRAMING_MORE;
    default:
        break;
    }
    digits = read_number(p, n, &len);
    if (digits == 0 || p[0] == '0' || len > framing->max || (digits < n && p[digits] != ' '))
        return FRAMING_LOST;
    if (digits == n || n - digits - 1 < len)
        return FRAMING_MORE;
    ret->used = digits + 1 + (size_t)len;
    return give_line(p, digits + 1, (size_t)len, ret);
}

enum framing_found framing_next(struct framing *framing, const char *p, size_t n,
                                struct framing_result *ret)
{
    enum framing_found found;
    size_t skip = 0;

    /* What may stand behind a notice, and empty lines. */
    while (!framing->passing && framing->scanned == 0 && skip < n &&
           (p[skip] == '\n' || p[skip] == '\0' || p[skip] == '\r'))
        skip++;
    *ret = (struct framing_result){.used = 0};
    if (skip == n) {
        ret->used = n;
        return FRAMING_MORE;
    }
    found = framing->octets ? next_octets(framing, p + skip, n - skip, ret)
                            : next_line(framing, p + skip, n - skip, ret);
    ret->used += skip;
    ret->line += skip;
    return found;
}
