/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/handlers/attributes.c - stable names, old names, or both. */
#include "handlers/attributes.h"

#include <string.h>

#include <spoe/util.h>

const struct attr_names attr_names[N_ATTRS] = {
#define X(id, stable, old_server, old_client, stays)                                               \
    [ATTR_##id] = {stable, old_server, old_client, stays},
    OTEL_ATTRIBUTES(X)
#undef X
};

static const char *old_name(const struct span *span, enum otel_attr attr)
{
    return span->kind == SPAN_SERVER ? attr_names[attr].old_server : attr_names[attr].old_client;
}

/* The names under which an attribute is written; NULL for none. */
struct names {
    const char *stable, *old;
};

static struct names names_of(enum semconv_mode mode, const struct span *span, enum otel_attr attr)
{
    const struct attr_names *all = &attr_names[attr];
    struct names names = {all->stable, NULL};

    if (mode == SEMCONV_STABLE)
        return names;
    names.old = old_name(span, attr);
    if (mode == SEMCONV_OLD && names.old != NULL && !all->stays)
        names.stable = NULL;
    return names;
}

/* http.target is path and query; it is there when the query comes, since the path comes before. */
static void append_query(struct span *span, const char *key, struct spoe_span query)
{
    const size_t key_len = strlen(key);
    char text[SPAN_VALUE_MAX];
    struct span_attr path;
    const char *mark;
    size_t n = 0;

    if (span_find(span, key, key_len, &path) && path.type == SPAN_STRING) {
        /* A query that comes twice takes the first one's place. */
        mark = path.str_len > 0 ? memchr(path.str, '?', path.str_len) : NULL;
        n = mark != NULL ? (size_t)(mark - path.str) : path.str_len;
        memcpy(text, path.str, n); /* at most SPAN_VALUE_MAX */
    }
    if (n < sizeof text)
        text[n++] = '?';
    if (query.n > sizeof text - n)
        query.n = sizeof text - n;
    if (query.n > 0)
        memcpy(text + n, query.p, query.n);
    span_set_str(span, key, key_len, text, n + query.n);
}

void attr_set_texts(enum semconv_mode mode, struct span *span, enum otel_attr attr,
                    struct spoe_span value, struct spoe_span old_value)
{
    const struct names names = names_of(mode, span, attr);

    if (names.stable != NULL)
        span_set_str(span, names.stable, strlen(names.stable), value.p, value.n);
    if (names.old == NULL)
        return;
    if (attr == ATTR_URL_QUERY)
        append_query(span, names.old, old_value);
    else
        span_set_str(span, names.old, strlen(names.old), old_value.p, old_value.n);
}

void attr_set_text(enum semconv_mode mode, struct span *span, enum otel_attr attr,
                   struct spoe_span value)
{
    attr_set_texts(mode, span, attr, value, value);
}

void attr_set_int(enum semconv_mode mode, struct span *span, enum otel_attr attr, int64_t value)
{
    const struct names names = names_of(mode, span, attr);

    if (names.stable != NULL)
        span_set_int(span, names.stable, strlen(names.stable), value);
    if (names.old != NULL)
        span_set_int(span, names.old, strlen(names.old), value);
}

void attr_set_bool(enum semconv_mode mode, struct span *span, enum otel_attr attr, bool value)
{
    const struct names names = names_of(mode, span, attr);

    if (names.stable != NULL)
        span_set_bool(span, names.stable, strlen(names.stable), value);
    if (names.old != NULL)
        span_set_bool(span, names.old, strlen(names.old), value);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void attr_add_header(enum semconv_mode mode, struct span *span, const char *prefix,
                     struct spoe_span key, struct spoe_span value)
{
    const size_t prefix_len = strlen(prefix);
    char name[SPAN_KEY_MAX];
    bool dash = false;

    if (key.n == 0 || key.n > sizeof name - prefix_len) {
        span->dropped_attributes++;
        return;
    }
    memcpy(name, prefix, prefix_len);
    for (size_t i = 0; i < key.n; i++) {
        name[prefix_len + i] = lower(key.p[i]);
        dash |= key.p[i] == '-';
    }
    if (mode != SEMCONV_OLD || !dash)
        span_add_str(span, name, prefix_len + key.n, value.p, value.n);
    if (mode == SEMCONV_STABLE || !dash)
        return;
    for (size_t i = prefix_len; i < prefix_len + key.n; i++)
        if (name[i] == '-')
            name[i] = '_';
    span_add_str(span, name, prefix_len + key.n, value.p, value.n);
}

bool attr_find(enum semconv_mode mode, const struct span *span, enum otel_attr attr,
               struct span_attr *ret)
{
    const struct names names = names_of(mode, span, attr);
    const char *name = names.stable != NULL ? names.stable : names.old;

    return name != NULL && span_find(span, name, strlen(name), ret);
}
