/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/line.c - see line.h. */
#include "lines/line.h"

#include <string.h>

#define PRIORITY_DIGITS_MAX 3u /* RFC 5424 6.2.1 */
#define BOM "\xef\xbb\xbf"     /* 6.4 */

static bool begins(const char *p, size_t n, size_t pos, const char *with)
{
    const size_t len = strlen(with);

    return n - pos >= len && memcmp(p + pos, with, len) == 0;
}

/* Pass over <134>, if there is one. */
static void pass_priority(const char *p, size_t n, size_t *pos)
{
    size_t at = 1;

    if (n == 0 || p[0] != '<')
        return;
    while (at < n && at <= PRIORITY_DIGITS_MAX && p[at] >= '0' && p[at] <= '9')
        at++;
    if (at > 1 && at < n && p[at] == '>')
        *pos = at + 1;
}

/* A word and the space behind it. @return false: there is none */
static bool next_word(const char *p, size_t n, size_t *pos, struct spoe_span *ret)
{
    const char *end = memchr(p + *pos, ' ', n - *pos);

    if (end == NULL || end == p + *pos)
        return false;
    *ret = (struct spoe_span){p + *pos, (size_t)(end - (p + *pos))};
    *pos += ret->n + 1;
    return true;
}

static bool is_nil(struct spoe_span word)
{
    return word.n == 1 && word.p[0] == '-';
}

static void add(struct line *line, const char *name, struct spoe_span value)
{
    struct pairs *pairs = &line->pairs;

    const uint8_t place = pairs_place(pairs);

    if (value.n == 0 || is_nil(value) || pairs->n == PAIRS_MAX)
        return;
    pairs->pair[pairs->n++] = (struct text_arg){
        .name = {name, strlen(name)}, .value = value, .only_declared = true, .place = place};
}

/* Behind "1 ". */
static enum line_fault read_head(struct line *line, const char *p, size_t n, size_t *pos)
{
    struct spoe_span word[5]; /* TIMESTAMP HOSTNAME APP-NAME PROCID MSGID */

    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++) {
        if (!next_word(p, n, pos, &word[i]))
            return LINE_SYSLOG;
    }
    add(line, SPOE_LOG_TIMESTAMP, word[0]);
    add(line, SPOE_LOG_HOSTNAME, word[1]);
    add(line, SPOE_LOG_PROCID, word[3]);
    if (!is_nil(word[3]))
        line->pid = word[3];
    return LINE_OK;
}

/* Take "v" and "msg", the first of the pairs from number `first` on, off them. */
static bool take_version(struct line *line, uint32_t first)
{
    struct pairs *pairs = &line->pairs;
    struct text_arg *pair = &pairs->pair[first];
    uint32_t n_taken = 1;

    if (pairs->n == first || pair[0].name.n != 1 || pair[0].name.p[0] != 'v' ||
        pair[0].value.n != 1 || pair[0].value.p[0] != '1')
        return false;
    if (pairs->n > first + 1 && pair[1].name.n == 3 && memcmp(pair[1].name.p, "msg", 3) == 0) {
        line->name = pair[1].value;
        n_taken = 2;
    }
    pairs->n -= n_taken;
    memmove(pair, pair + n_taken, (pairs->n - first) * sizeof *pair);
    return true;
}

/* Pass over [ID ...], whatever it holds (RFC 5424 6.3). @return false: it has no end */
static bool pass_element(const char *p, size_t n, size_t *pos)
{
    bool quoted = false;

    for (size_t i = *pos; i < n; i++) {
        if (quoted && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            quoted = !quoted;
        else if (!quoted && p[i] == ']') {
            *pos = i + 1;
            return true;
        }
    }
    return false;
}

/* Where the pairs begin in the element at pos: behind its name, with v=. @return false: it is
 * somebody else's */
static bool begins_pairs(const char *p, size_t n, size_t *pos)
{
    size_t i = *pos + 1;

    while (i < n && p[i] != ' ' && p[i] != ']')
        i++;
    while (i < n && p[i] == ' ')
        i++;
    if (!begins(p, n, i, "v="))
        return false;
    *pos = i;
    return true;
}

/*
 * The structured data: the pairs as they are, or the first element that holds them. Elements of
 * others are passed over. @return LINE_OTHER: there is none of ours
 */
static enum line_fault read_data(struct line *line, char *p, size_t n, size_t *pos)
{
    const uint32_t first = line->pairs.n;
    enum line_fault fault;
    bool found = false;

    if (begins(p, n, *pos, "v=")) {
        fault = pairs_read(&line->pairs, p, n, pos, PAIRS_WORD);
        if (fault != LINE_OK)
            return fault;
        return take_version(line, first) ? LINE_OK : LINE_OTHER;
    }
    while (*pos < n && p[*pos] == '[') {
        if (found || !begins_pairs(p, n, pos)) {
            if (pass_element(p, n, pos))
                continue;
            line->pairs.cut = true;
            *pos = n;
            break;
        }
        fault = pairs_read(&line->pairs, p, n, pos, PAIRS_BRACKET);
        if (fault != LINE_OK)
            return fault;
        found = take_version(line, first);
        if (!found)
            line->pairs.n = first;
    }
    return found ? LINE_OK : LINE_OTHER;
}

/* The free text: the user's own line. */
static void read_text(struct line *line, const char *p, size_t n, size_t pos)
{
    if (pos < n && p[pos] == ' ')
        pos++;
    if (begins(p, n, pos, BOM))
        pos += strlen(BOM);
    add(line, SPOE_LOG_MESSAGE, (struct spoe_span){p + pos, n - pos});
}

enum line_fault line_parse(struct line *ret, char *p, size_t n)
{
    enum line_fault fault;
    size_t pos = 0;

    ret->pairs.n = ret->pairs.n_places = 0;
    ret->pairs.cut = ret->pairs.numbered = false;
    ret->name = (struct spoe_span){LINE_MESSAGE, sizeof LINE_MESSAGE - 1};
    ret->pid = (struct spoe_span){NULL, 0};
    pass_priority(p, n, &pos);
    ret->fault_at = pos;
    if (begins(p, n, pos, "v=")) {
        fault = pairs_read(&ret->pairs, p, n, &pos, PAIRS_LINE);
        if (fault == LINE_OK && !take_version(ret, 0))
            return LINE_OTHER;
    } else if (begins(p, n, pos, "1 ")) {
        pos += 2;
        fault = read_head(ret, p, n, &pos);
        if (fault == LINE_OK) {
            ret->fault_at = pos;
            fault = read_data(ret, p, n, &pos);
            if (fault == LINE_OTHER)
                return fault;
        }
        if (fault == LINE_OK)
            read_text(ret, p, n, pos);
    } else {
        return LINE_OTHER;
    }
    ret->fault_at = pos;
    return fault;
}
