/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/record/query.c - redaction. */
#include "record/query.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

struct out {
    char *p;
    size_t n, max;
};

static void put(struct out *out, const char *p, size_t n)
{
    if (n > out->max - out->n)
        n = out->max - out->n;
    if (n > 0)
        memcpy(out->p + out->n, p, n);
    out->n += n;
}

static void put_text(struct out *out, const char *text)
{
    put(out, text, strlen(text));
}

/* Where c is in p..end, or end. */
static const char *find(const char *p, const char *end, char c)
{
    const char *at = p < end ? memchr(p, c, (size_t)(end - p)) : NULL;

    return at != NULL ? at : end;
}

static bool is_sensitive(const char *keys, const char *key, size_t key_len)
{
    struct text rest, item;

    if (keys == NULL)
        return false;
    if (strcmp(keys, "*") == 0)
        return true;
    rest = text_of(keys);
    while (text_next_item(&rest, ',', &item)) {
        if (item.n == key_len && item.n > 0 && memcmp(item.p, key, key_len) == 0)
            return true;
    }
    return false;
}

static void put_query(struct out *out, const char *keys, const char *p, const char *end)
{
    for (;;) {
        const char *const part_end = find(p, end, '&');
        const char *const equals = find(p, part_end, '=');

        if (equals + 1 < part_end && is_sensitive(keys, p, (size_t)(equals - p))) {
            put(out, p, (size_t)(equals + 1 - p));
            put_text(out, QUERY_REDACTED);
        } else {
            put(out, p, (size_t)(part_end - p));
        }
        if (part_end == end)
            return;
        put(out, "&", 1);
        p = part_end + 1;
    }
}

size_t query_redact(const char *keys, struct spoe_span query, char *ret, size_t max)
{
    struct out out = {ret, 0, max};

    if (query.n > 0)
        put_query(&out, keys, query.p, query.p + query.n);
    return out.n;
}

/* The end of scheme://user:password@, or p where there is no such thing. */
static const char *after_credentials(const char *p, const char *end, const char **ret_scheme_end)
{
    const char *at = NULL, *colon = find(p, end, ':');

    if (end - colon < 3 || memcmp(colon, "://", 3) != 0)
        return p;
    *ret_scheme_end = colon + 3;
    for (const char *c = colon + 3; c < end && strchr("/?#", *c) == NULL; c++)
        if (*c == '@')
            at = c; /* the last one counts */
    return at != NULL ? at : p;
}

size_t query_redact_url(const char *keys, struct spoe_span url, char *ret, size_t max)
{
    struct out out = {ret, 0, max};
    const char *p = url.p, *scheme_end, *host, *query, *fragment;
    const char *const end = url.n > 0 ? url.p + url.n : url.p;

    if (url.n == 0)
        return 0;
    host = after_credentials(p, end, &scheme_end);
    if (host != p) {
        put(&out, p, (size_t)(scheme_end - p));
        put_text(&out, QUERY_REDACTED ":" QUERY_REDACTED);
        p = host;
    }
    fragment = find(p, end, '#');
    query = find(p, fragment, '?');
    put(&out, p, (size_t)(query - p));
    if (query < fragment) {
        put(&out, "?", 1);
        put_query(&out, keys, query + 1, fragment);
    }
    put(&out, fragment, (size_t)(end - fragment));
    return out.n;
}
