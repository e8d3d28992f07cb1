/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/signal/attributes.c - stable names, old names, or both. */
#include "signal/attributes.h"

#include <string.h>

#include <spoe/util.h>

const struct attr_names attr_names[N_ATTRS] = {
#define X(id, stable, old_server, old_client, stays, signals)                                      \
    [ATTR_##id] = {SPAN_KEY_##stable, SPAN_KEY_##old_server, SPAN_KEY_##old_client, stays},
    OTEL_ATTRIBUTES(X)
#undef X
};

/* The names under which an attribute is written; SPAN_KEY_NONE for none. */
struct names {
    enum span_key stable, old;
};

static struct names names_of(enum semconv_mode mode, const struct span *span, enum otel_attr attr)
{
    const struct attr_names *all = &attr_names[attr];
    struct names names = {all->stable, SPAN_KEY_NONE};

    if (mode == SEMCONV_STABLE)
        return names;
    names.old = span->kind == SPAN_SERVER ? all->old_server : all->old_client;
    if (mode == SEMCONV_OLD && names.old != SPAN_KEY_NONE && !all->stays)
        names.stable = SPAN_KEY_NONE;
    return names;
}

/* http.target is path and query; it is there when the query comes, since the path comes before. */
__attribute__((noinline)) static void append_query(struct span *span, enum span_key key,
                                                   struct spoe_span query)
{
    char text[SPAN_VALUE_MAX];
    struct span_attr path;
    const char *mark;
    size_t n = 0;

    if (span_find_known(span, key, &path) && path.type == SPAN_STRING) {
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
    span_set_known_str(span, key, text, n + query.n);
}

void attr_set_texts(enum semconv_mode mode, struct span *span, enum otel_attr attr,
                    struct spoe_span value, struct spoe_span old_value)
{
    const struct names names = names_of(mode, span, attr);

    if (names.stable != SPAN_KEY_NONE)
        span_set_known_str(span, names.stable, value.p, value.n);
    if (names.old == SPAN_KEY_NONE)
        return;
    if (attr == ATTR_URL_QUERY)
        append_query(span, names.old, old_value);
    else
        span_set_known_str(span, names.old, old_value.p, old_value.n);
}

void attr_set_int(enum semconv_mode mode, struct span *span, enum otel_attr attr, int64_t value)
{
    const struct names names = names_of(mode, span, attr);

    if (names.stable != SPAN_KEY_NONE)
        span_set_known_int(span, names.stable, value);
    if (names.old != SPAN_KEY_NONE)
        span_set_known_int(span, names.old, value);
}

void attr_set_bool(enum semconv_mode mode, struct span *span, enum otel_attr attr, bool value)
{
    const struct names names = names_of(mode, span, attr);

    if (names.stable != SPAN_KEY_NONE)
        span_set_known_bool(span, names.stable, value);
    if (names.old != SPAN_KEY_NONE)
        span_set_known_bool(span, names.old, value);
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

void attr_remove(enum semconv_mode mode, struct span *span, enum otel_attr attr)
{
    const struct names names = names_of(mode, span, attr);

    if (names.stable != SPAN_KEY_NONE)
        span_remove_known(span, names.stable);
    if (names.old != SPAN_KEY_NONE)
        span_remove_known(span, names.old);
}

bool attr_find(enum semconv_mode mode, const struct span *span, enum otel_attr attr,
               struct span_attr *ret)
{
    const struct names names = names_of(mode, span, attr);

    return span_find_known(span, names.stable != SPAN_KEY_NONE ? names.stable : names.old, ret);
}

bool attr_was_set(enum semconv_mode mode, const struct span *span, enum otel_attr attr)
{
    const struct names names = names_of(mode, span, attr);

    return span_had_known(span, names.stable != SPAN_KEY_NONE ? names.stable : names.old);
}
