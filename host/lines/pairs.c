/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/pairs.c - see pairs.h. */
#include "lines/pairs.h"

#include <endian.h>
#include <string.h>

#define UP_TO(first, last) [first... last] = true
static const bool in_name[256] = {
    UP_TO('a', 'z'), UP_TO('A', 'Z'), UP_TO('0', '9'), ['_'] = true, ['.'] = true, ['-'] = true};
#undef UP_TO

/* ---- escapes ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of "#XX"; -1: HAProxy would not have written it so, and it stands for itself
 * (src/log.c, hdr_encode_map). */
static int hash_escape(const char *p, size_t n)
{
    int high, low, byte;

    if (n < 3)
        return -1;
    high = hex_digit(p[1]);
    low = hex_digit(p[2]);
    if (high < 0 || low < 0)
        return -1;
    byte = high * 16 + low;
    return byte < 32 || byte >= 127 || strchr("\"#{|}", byte) != NULL ? byte : -1;
}

/*
 * Take the escapes out of a quoted value, in place. @param cut  the line ends within it, so that
 * its last escape may be half of one, which is left out. @return its length then
 */
static size_t unescape(char *p, size_t n, bool cut)
{
    size_t to = 0;

    for (size_t i = 0; i < n; to++) {
        const int byte = p[i] == '#' ? hash_escape(p + i, n - i) : -1;

        if (cut && ((p[i] == '\\' && i + 1 == n) || (p[i] == '#' && n - i < 3)))
            break;
        if (byte >= 0) {
            p[to] = (char)byte;
            i += 3;
        } else if (p[i] == '\\' && i + 1 < n && strchr("\"\\]", p[i + 1]) != NULL) {
            p[to] = p[i + 1];
            i += 2;
        } else {
            p[to] = p[i++];
        }
    }
    return to;
}

/* ---- values ---- */

/* The next eight bytes, of which there are so many, the first one lowest. */
static uint64_t next_word(const char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return le64toh(x);
}

/* Marks the bytes of x that are c in their highest bits. The lowest mark is right; one above it may
 * be wrong. */
static uint64_t marks(uint64_t x, char c)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);

    x ^= ones * (uint8_t)c; /* what is zero now was c */
    return (x - ones) & ~x & (ones << 7);
}

static bool means_something(char c)
{
    return c == '"' || c == '\\' || c == '#';
}

/* The first byte from p on that means something within quotes, or `end`; eight at a time. */
static const char *find_special(const char *p, const char *end)
{
    while ((size_t)(end - p) >= sizeof(uint64_t)) {
        const uint64_t x = next_word(p);
        const uint64_t found = marks(x, '"') | marks(x, '\\') | marks(x, '#');

        if (found != 0)
            return p + __builtin_ctzll(found) / 8;
        p += sizeof x;
    }
    while (p < end && !means_something(*p))
        p++;
    return p;
}

/* The length of the quoted value at p up to its closing quote; n where there is none. */
static size_t find_quote(const char *p, size_t n, bool *ret_escapes)
{
    const char *const end = p + n;
    const char *at = find_special(p, end);

    *ret_escapes = false;
    while (at < end && *at != '"') {
        *ret_escapes = true;
        at += *at == '\\' && end - at > 1 ? 2 : 1;
        at = find_special(at, end);
    }
    return at < end ? (size_t)(at - p) : n;
}

/* Behind the quote. @return false: something stands where the pair has to end */
static bool read_quoted(struct pairs *pairs, struct spoe_span *value, char *p, size_t n,
                        size_t *pos, enum pairs_end end)
{
    bool escapes;
    const size_t len = find_quote(p + *pos, n - *pos, &escapes);
    const bool cut = len == n - *pos;

    *value = (struct spoe_span){p + *pos, len};
    if (escapes)
        value->n = unescape(p + *pos, len, cut);
    pairs->cut |= cut;
    *pos += len + !cut;
    return *pos == n || p[*pos] == ' ' || (end == PAIRS_BRACKET && p[*pos] == ']');
}

/* The first space from p on, or `end`; eight bytes at a time. */
static const char *find_space(const char *p, const char *end)
{
    while ((size_t)(end - p) >= sizeof(uint64_t)) {
        const uint64_t found = marks(next_word(p), ' ');

        if (found != 0)
            return p + __builtin_ctzll(found) / 8;
        p += sizeof found;
    }
    while (p < end && *p != ' ')
        p++;
    return p;
}

static void read_word(struct spoe_span *value, char *p, size_t n, size_t *pos, enum pairs_end end)
{
    const char *const from = p + *pos;
    const char *at = find_space(from, p + n);
    size_t len = (size_t)(at - from);

    if (end == PAIRS_BRACKET && (at = memchr(from, ']', len)) != NULL)
        len = (size_t)(at - from);
    *value = (struct spoe_span){from, len};
    *pos += len;
}

static bool is_absent(struct spoe_span value)
{
    return value.n == 0 || (value.n == 1 && value.p[0] == '-');
}

/* ---- pairs ---- */

/* The length of the name at p, which has a = behind it. 0: it is none; *ret_end: since it ends */
static size_t name_len(const char *p, size_t n, bool *ret_end)
{
    size_t len = 0;

    while (len < n && len <= PAIR_NAME_MAX && in_name[(uint8_t)p[len]])
        len++;
    *ret_end = len == n;
    return len < n && len <= PAIR_NAME_MAX && p[len] == '=' ? len : 0;
}

/* The words of the RFC 5424 head alone have such names. */
static bool is_reserved(struct spoe_span name)
{
    static const char prefix[] = "syslog.";

    return name.n >= sizeof prefix - 1 && memcmp(name.p, prefix, sizeof prefix - 1) == 0;
}

/* ---- names that are known ---- */

/* The length of the name at p if it is the one that was at this place before; 0: it is not */
static size_t known_len(const struct pairs *pairs, const char *p, size_t n)
{
    const struct pairs_known *known;

    if (n < sizeof known->word || pairs->n_places >= PAIRS_KNOWN)
        return 0;
    known = &pairs->known[pairs->n_places];
    return (next_word(p) & known->mask) == known->word ? known->len : 0;
}

static void remember(struct pairs *pairs, const char *p, size_t n, size_t len)
{
    struct pairs_known *known;

    if (n < sizeof known->word || pairs->n_places >= PAIRS_KNOWN)
        return;
    known = &pairs->known[pairs->n_places];
    known->len = 0;
    if (len >= sizeof known->word)
        return;
    known->mask = ~UINT64_C(0) >> (8 * (sizeof known->word - 1 - len));
    known->word = next_word(p) & known->mask;
    known->len = (uint8_t)len;
}

/* ---- one pair ---- */

/* What follows a pair, where there is one. */
enum next { NEXT_PAIR, NEXT_END, NEXT_FAULT };

/* The name of the next pair, passed over with its =. @param fault  of NEXT_FAULT */
static enum next read_name(struct pairs *pairs, struct text_arg *pair, const char *p, size_t n,
                           size_t *pos, enum pairs_end end, enum line_fault *fault)
{
    size_t len = known_len(pairs, p + *pos, n - *pos);
    bool at_end;

    if (len == 0) {
        len = name_len(p + *pos, n - *pos, &at_end);
        if (len == 0 && end == PAIRS_WORD)
            return NEXT_END;
        if (len == 0 && at_end) { /* what is left of a name */
            pairs->cut = true;
            *pos = n;
            return NEXT_END;
        }
        if (len == 0 || is_reserved((struct spoe_span){p + *pos, len})) {
            *fault = LINE_NAME;
            return NEXT_FAULT;
        }
        remember(pairs, p + *pos, n - *pos, len);
    }
    pair->name = (struct spoe_span){p + *pos, len};
    pair->only_declared = false;
    pair->place = pairs_place(pairs);
    pairs->numbered |= len == 2 && pair->name.p[0] == 'l' && pair->name.p[1] == 'c';
    *pos += len + 1;
    return NEXT_PAIR;
}

enum line_fault pairs_read(struct pairs *pairs, char *p, size_t n, size_t *pos, enum pairs_end end)
{
    for (;;) {
        struct text_arg *pair = &pairs->pair[pairs->n];
        enum line_fault fault = LINE_OK;
        enum next next;

        while (*pos < n && p[*pos] == ' ')
            (*pos)++;
        if (*pos == n) {
            pairs->cut |= end == PAIRS_BRACKET;
            return LINE_OK;
        }
        if (end == PAIRS_BRACKET && p[*pos] == ']') {
            (*pos)++;
            return LINE_OK;
        }
        next = read_name(pairs, pair, p, n, pos, end, &fault);
        if (next != NEXT_PAIR)
            return fault;
        if (*pos < n && p[*pos] == '"') {
            (*pos)++;
            if (!read_quoted(pairs, &pair->value, p, n, pos, end))
                return LINE_VALUE;
        } else {
            read_word(&pair->value, p, n, pos, end);
            if (is_absent(pair->value))
                continue;
        }
        if (pairs->n == PAIRS_MAX)
            return LINE_TOO_MANY;
        pairs->n++;
    }
}
