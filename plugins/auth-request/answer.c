/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/answer.c - see answer.h. */
#include "auth-request/answer.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <spoe/util.h>

#define RECORD_HEAD 3u
#define AGE_MAX INT64_C(1000000000) /* seconds; more is as good as this */
#define NS_PER_S INT64_C(1000000000)

static size_t record_length(const uint8_t *record)
{
    return (size_t)record[1] << 8 | record[2];
}

bool answer_next(const struct answer *answer, size_t *at, uint8_t *ret_place,
                 struct spoe_span *ret_value)
{
    const uint8_t *record;

    if (*at >= answer->n)
        return false; /* bytes may be NULL */
    record = answer->bytes + *at;
    *ret_place = record[0];
    *ret_value = (struct spoe_span){(const char *)record + RECORD_HEAD, record_length(record)};
    *at += RECORD_HEAD + ret_value->n;
    assert(*at <= answer->n);
    return true;
}

void answer_begin(struct answer_reader *reader, const struct names *wanted)
{
    *reader = (struct answer_reader){
        .wanted = wanted, .max_age_s = -1, .bytes = reader->bytes, .size = reader->size};
}

void answer_fini(struct answer_reader *reader)
{
    free(reader->bytes);
    *reader = (struct answer_reader){0};
}

/* ---- the chosen headers ------------------------------------------------------------------- */

/* Where the record of a name begins, or n. */
static size_t find_record(const struct answer_reader *reader, uint8_t place)
{
    size_t at = 0;

    while (at < reader->n && reader->bytes[at] != place)
        at += RECORD_HEAD + record_length(reader->bytes + at);
    return at;
}

/* Room for `more` bytes at `at`, which lies at a record's end. @return NULL: see fault */
static uint8_t *open_gap(struct answer_reader *reader, size_t at, size_t more)
{
    if (more > ANSWER_HEADERS_MAX - reader->n) {
        reader->fault = ANSWER_TOO_LARGE;
        return NULL;
    }
    if (more > reader->size - reader->n) {
        size_t size = reader->size < 256 ? 256 : reader->size;
        uint8_t *bytes;

        while (size < reader->n + more)
            size *= 2;
        bytes = realloc(reader->bytes, size);
        if (bytes == NULL) {
            reader->fault = ANSWER_NO_MEMORY;
            return NULL;
        }
        reader->bytes = bytes;
        reader->size = size;
    }
    memmove(reader->bytes + at + more, reader->bytes + at, reader->n - at);
    reader->n += more;
    return reader->bytes + at;
}

static void set_length(uint8_t *record, size_t n)
{
    record[1] = (uint8_t)(n >> 8);
    record[2] = (uint8_t)n;
}

static void add_value(struct answer_reader *reader, uint8_t place, struct spoe_span value)
{
    size_t at = find_record(reader, place);
    uint8_t *gap;

    if (at == reader->n) {
        gap = open_gap(reader, at, RECORD_HEAD + value.n);
        if (gap == NULL)
            return;
        gap[0] = place;
        set_length(gap, value.n);
        gap += RECORD_HEAD;
    } else {
        const size_t before = record_length(reader->bytes + at);

        if (strcasecmp(reader->wanted->item[place].text, "set-cookie") == 0)
            return;
        gap = open_gap(reader, at + RECORD_HEAD + before, 2 + value.n);
        if (gap == NULL)
            return;
        set_length(reader->bytes + at, before + 2 + value.n);
        gap[0] = ',';
        gap[1] = ' ';
        gap += 2;
    }
    if (value.n > 0)
        memcpy(gap, value.p, value.n);
}

/* ---- how long it may be kept -------------------------------------------------------------- */

static bool begins(struct spoe_span text, const char *word)
{
    const size_t n = strlen(word);

    return text.n >= n && strncasecmp(text.p, word, n) == 0;
}

/* What is no number is 0, as RFC 9111 4.2.1 wants what is invalid to be stale. */
static int64_t read_seconds(struct spoe_span text)
{
    int64_t seconds = 0;

    if (text.n > 0 && text.p[0] == '"') {
        text.p++;
        text.n--;
    }
    if (text.n == 0 || !isdigit((unsigned char)text.p[0]))
        return 0;
    for (size_t i = 0; i < text.n && isdigit((unsigned char)text.p[i]) && seconds < AGE_MAX; i++)
        seconds = seconds * 10 + (text.p[i] - '0');
    return seconds < AGE_MAX ? seconds : AGE_MAX;
}

static bool divides(char c)
{
    return c == ',' || c == ' ' || c == '\t';
}

/* Take the next directive off, of whatever stands between. @return n is 0: there is none */
static struct spoe_span next_word(struct spoe_span *rest)
{
    struct spoe_span word;

    while (rest->n > 0 && divides(rest->p[0])) {
        rest->p++;
        rest->n--;
    }
    word = (struct spoe_span){rest->p, 0};
    while (word.n < rest->n && !divides(word.p[word.n]))
        word.n++;
    rest->p += word.n;
    rest->n -= word.n;
    return word;
}

static void read_cache_control(struct answer_reader *reader, struct spoe_span list)
{
    struct spoe_span word;

    while ((word = next_word(&list)).n > 0) {
        int64_t seconds;

        if (begins(word, "no-store") || begins(word, "no-cache") || begins(word, "private"))
            reader->keep_none = true;
        if (begins(word, "max-age="))
            seconds = read_seconds((struct spoe_span){word.p + 8, word.n - 8});
        else if (begins(word, "s-maxage="))
            seconds = read_seconds((struct spoe_span){word.p + 9, word.n - 9});
        else
            continue;
        if (reader->max_age_s < 0 || seconds < reader->max_age_s)
            reader->max_age_s = seconds;
    }
}

int64_t answer_ttl(const struct answer_reader *reader, int64_t ttl_ns)
{
    if (reader->keep_none)
        return 0;
    if (reader->max_age_s >= 0 && reader->max_age_s * NS_PER_S < ttl_ns)
        return reader->max_age_s * NS_PER_S;
    return ttl_ns;
}

/* ---- lines -------------------------------------------------------------------------------- */

/* "HTTP/1.1 200 OK". By its place alone: a header may look like it. */
static void begin_head(struct answer_reader *reader, struct spoe_span line)
{
    const char *space = memchr(line.p, ' ', line.n);
    const size_t at = space != NULL ? (size_t)(space - line.p) + 1 : line.n;
    unsigned status = 0;

    answer_begin(reader, reader->wanted);
    reader->in_head = true;
    if (line.n < 5 || memcmp(line.p, "HTTP/", 5) != 0 || line.n - at < 3 ||
        (line.n - at > 3 && line.p[at + 3] != ' '))
        return;
    for (size_t i = at; i < at + 3; i++) {
        if (!isdigit((unsigned char)line.p[i]))
            return;
        status = status * 10 + (unsigned)(line.p[i] - '0');
    }
    reader->status = (uint16_t)status;
}

static struct spoe_span trim(const char *p, size_t n)
{
    while (n > 0 && (*p == ' ' || *p == '\t')) {
        p++;
        n--;
    }
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
        n--;
    return (struct spoe_span){p, n};
}

static bool is_clean(struct spoe_span value)
{
    for (size_t i = 0; i < value.n; i++) {
        const unsigned char c = (unsigned char)value.p[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static void take_field(struct answer_reader *reader, const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    const size_t name_n = colon != NULL ? (size_t)(colon - line) : 0;
    struct spoe_span value;
    int place;

    reader->counts = false;
    if (name_n == 0)
        return;
    value = trim(colon + 1, n - name_n - 1);
    if (name_n == 10 && strncasecmp(line, "set-cookie", 10) == 0) {
        reader->keep_none = true;
    } else if (name_n == 4 && strncasecmp(line, "vary", 4) == 0) {
        reader->keep_none |= spoe_span_is(value, "*") != 0;
        reader->counts = true;
    } else if (name_n == 13 && strncasecmp(line, "cache-control", 13) == 0) {
        read_cache_control(reader, value);
        reader->counts = true;
    }
    place = names_find(reader->wanted, line, name_n);
    reader->counts |= place >= 0;
    if (place < 0 || reader->fault != ANSWER_GOOD)
        return;
    if (is_clean(value))
        add_value(reader, (uint8_t)place, value);
    else
        reader->fault = ANSWER_BAD_VALUE;
}

void answer_take_line(struct answer_reader *reader, const char *line, size_t n)
{
    if (reader->ended)
        return;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    if (!reader->in_head) {
        begin_head(reader, (struct spoe_span){line, n}); /* whatever it looks like */
    } else if (n == 0) {
        reader->in_head = false;
        reader->ended = reader->status >= 200;
    } else if (line[0] == ' ' || line[0] == '\t') {
        /* It goes on with the line before (RFC 9112 5.2), whose value was not whole then. */
        if (reader->counts && reader->fault == ANSWER_GOOD)
            reader->fault = ANSWER_BAD_VALUE;
    } else {
        take_field(reader, line, n);
    }
}
