/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/json_pairs.c - a flat JSON object (RFC 8259). */
#include "admin/json_pairs.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

struct reader {
    const char *p, *end;
    struct json_pairs *ret;
    size_t used; /* of the texts */
    struct error *error;
};

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static bool take(struct reader *r, char c)
{
    skip_space(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

/* A text has at most three times the bytes that it is written with: there is always room. */
static void put(struct reader *r, const char *bytes, size_t n)
{
    assert(r->used + n < JSON_TEXTS_MAX);
    memcpy(r->ret->texts + r->used, bytes, n);
    r->used += n;
}

/* @return the code unit of \uXXXX behind "\u"; -1 */
static int32_t read_hex(struct reader *r)
{
    int32_t unit = 0;

    if (r->end - r->p < 4)
        return -1;
    for (unsigned i = 0; i < 4; i++, r->p++) {
        const char c = *r->p;

        if (c >= '0' && c <= '9')
            unit = unit * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            unit = unit * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return unit;
}

static int read_unicode(struct reader *r)
{
    int32_t c = read_hex(r), low;
    char utf8[4];
    size_t n = 0;

    if (c >= 0xd800 && c < 0xdc00) { /* the first of a pair */
        if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
            return error_set(r->error, "half a pair of \\u");
        r->p += 2;
        low = read_hex(r);
        if (low < 0xdc00 || low > 0xdfff)
            return error_set(r->error, "half a pair of \\u");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
        return error_set(r->error, "a \\u that is no character");
    if (c < 0x80) {
        utf8[n++] = (char)c;
    } else {
        if (c < 0x800) {
            utf8[n++] = (char)(0xc0 | c >> 6);
        } else {
            if (c < 0x10000) {
                utf8[n++] = (char)(0xe0 | c >> 12);
            } else {
                utf8[n++] = (char)(0xf0 | c >> 18);
                utf8[n++] = (char)(0x80 | (c >> 12 & 0x3f));
            }
            utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        }
        utf8[n++] = (char)(0x80 | (c & 0x3f));
    }
    put(r, utf8, n);
    return 0;
}

static int read_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at;

    if (r->p == r->end)
        return error_set(r->error, "a string without an end");
    if (*r->p == 'u') {
        r->p++;
        return read_unicode(r);
    }
    at = memchr(from, *r->p++, sizeof from - 1);
    if (at == NULL)
        return error_set(r->error, "an escape that JSON does not have");
    put(r, &to[at - from], 1);
    return 0;
}

/* @param ret  set on success */
static int read_string(struct reader *r, const char **ret)
{
    const size_t begin = r->used;

    if (!take(r, '"'))
        return error_set(r->error, "no string where one has to be");
    while (r->p < r->end && *r->p != '"') {
        const size_t n = text_utf8_len((const unsigned char *)r->p, (size_t)(r->end - r->p));

        if (n == 0 || (unsigned char)*r->p < ' ')
            return error_set(r->error, "a string with what is no character of JSON");
        if (*r->p == '\\') {
            r->p++;
            if (read_escape(r) != 0)
                return -1;
            continue;
        }
        put(r, r->p, n);
        r->p += n;
    }
    if (!take(r, '"'))
        return error_set(r->error, "a string without an end");
    put(r, "", 1);
    *ret = r->ret->texts + begin;
    return 0;
}

/* A number, true or false, as it stands there. */
static int read_word(struct reader *r, const char **ret)
{
    static const char of_words[] = "0123456789.+-eEtrufals";
    const size_t begin = r->used;
    const char *word = r->p;

    while (r->p < r->end && memchr(of_words, *r->p, sizeof of_words - 1) != NULL)
        r->p++;
    put(r, word, (size_t)(r->p - word));
    put(r, "", 1);
    *ret = r->ret->texts + begin;
    if (strcmp(*ret, "true") == 0 || strcmp(*ret, "false") == 0)
        return 0;
    if ((**ret >= '0' && **ret <= '9') || (**ret == '-' && (*ret)[1] >= '0' && (*ret)[1] <= '9'))
        return 0; /* what reads it says whether it is one */
    return error_set(r->error, "a value that is no string, number, true or false");
}

static int read_pair(struct reader *r)
{
    struct json_pairs *ret = r->ret;
    struct json_pair pair = {"", ""};

    if (ret->n == JSON_PAIRS_MAX)
        return error_set(r->error, "more than %u members", JSON_PAIRS_MAX);
    if (read_string(r, &pair.name) != 0)
        return -1;
    if (!take(r, ':'))
        return error_set(r->error, "no : behind \"%.64s\"", pair.name);
    skip_space(r);
    if ((r->p < r->end && *r->p == '"' ? read_string(r, &pair.value) : read_word(r, &pair.value)) !=
        0)
        return -1;
    for (size_t i = 0; i < ret->n; i++) {
        if (strcmp(ret->pair[i].name, pair.name) == 0)
            return error_set(r->error, "\"%.64s\" comes twice", pair.name);
    }
    ret->pair[ret->n++] = pair;
    return 0;
}

int json_pairs_parse(struct spoe_span text, struct json_pairs *ret, struct error *reterr)
{
    struct reader r = {.p = text.p, .end = text.p + text.n, .ret = ret, .error = reterr};

    ret->n = 0;
    if (text.n >= JSON_TEXTS_MAX / 2)
        return error_set(reterr, "it is too long");
    if (text.n == 0 || !take(&r, '{'))
        return error_set(reterr, "it is no object of JSON");
    if (!take(&r, '}')) {
        do {
            if (read_pair(&r) != 0)
                return -1;
        } while (take(&r, ','));
        if (!take(&r, '}'))
            return error_set(reterr, "an object without an end");
    }
    skip_space(&r);
    return r.p == r.end ? 0 : error_set(reterr, "something follows the object");
}
