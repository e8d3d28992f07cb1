/* SPDX-License-Identifier: Apache-2.0 */
/* host/ctl/json.c - see json.h. */
#include "ctl/json.h"

#include <stdlib.h>
#include <string.h>

/* What is left. */
struct reader {
    const char *p, *end;
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

static bool take_string(struct reader *r, struct spoe_span *ret)
{
    skip_space(r);
    ret->p = r->p;
    if (!take(r, '"'))
        return false;
    for (; r->p < r->end && *r->p != '"'; r->p++) {
        if (*r->p == '\\' && ++r->p == r->end)
            return false;
    }
    if (!take(r, '"'))
        return false;
    ret->n = (size_t)(r->p - ret->p);
    return true;
}

/* A whole value, whatever it is. Objects and arrays are passed over by their brackets. */
static bool take_value(struct reader *r, struct spoe_span *ret)
{
    unsigned depth = 0;
    struct spoe_span string;

    skip_space(r);
    *ret = (struct spoe_span){r->p, 0};
    do {
        skip_space(r);
        if (r->p == r->end)
            return false;
        if (*r->p == '"') {
            if (!take_string(r, &string))
                return false;
        } else if (*r->p == '{' || *r->p == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return false;
            r->p++;
        } else if (*r->p == '}' || *r->p == ']') {
            if (depth-- == 0)
                return false;
            r->p++;
        } else if (depth > 0) {
            r->p++;
        } else { /* a number or a word */
            while (r->p < r->end && memchr(",]} \t\r\n", *r->p, 7) == NULL)
                r->p++;
        }
    } while (depth > 0);
    ret->n = (size_t)(r->p - ret->p);
    return ret->n > 0;
}

struct spoe_span json_member(struct spoe_span object, const char *name)
{
    struct reader r = {object.p, object.p != NULL ? object.p + object.n : NULL};
    struct spoe_span key, value;

    if (r.p == NULL || !take(&r, '{'))
        return (struct spoe_span){NULL, 0};
    while (take_string(&r, &key) && take(&r, ':') && take_value(&r, &value)) {
        if (key.n == strlen(name) + 2 && memcmp(key.p + 1, name, key.n - 2) == 0)
            return value;
        if (!take(&r, ','))
            break;
    }
    return (struct spoe_span){NULL, 0};
}

struct spoe_span json_element(struct spoe_span array, size_t i)
{
    struct reader r = {array.p, array.p != NULL ? array.p + array.n : NULL};
    struct spoe_span value;

    if (r.p == NULL || !take(&r, '['))
        return (struct spoe_span){NULL, 0};
    for (size_t at = 0; take_value(&r, &value); at++) {
        if (at == i)
            return value;
        if (!take(&r, ','))
            break;
    }
    return (struct spoe_span){NULL, 0};
}

const char *json_text(struct spoe_span value, char *ret, size_t size)
{
    const bool quoted = value.n >= 2 && value.p[0] == '"';
    const char *p = value.p, *end = value.p + value.n;
    size_t n = 0;

    if (quoted) {
        p++;
        end--;
    }
    for (; p != NULL && p < end && n + 1 < size; p++) {
        char c = *p;

        if (quoted && c == '\\' && p + 1 < end) {
            c = *++p;
            if (c == 'u' && end - p >= 5) { /* the pages escape so what is no text */
                p += 4;
                c = ' ';
            } else if (memchr("bfnrt", c, 5) != NULL) {
                c = ' ';
            }
        }
        ret[n++] = (unsigned char)c < ' ' || c == 0x7f ? ' ' : c;
    }
    ret[n] = '\0';
    return ret;
}

int64_t json_whole(struct spoe_span text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        const int64_t digit = text.p[i] - '0';

        if (n > (INT64_MAX - digit) / 10)
            return INT64_MAX;
        n = n * 10 + digit;
    }
    return n;
}
