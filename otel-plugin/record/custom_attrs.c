/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/record/custom_attrs.c - "key=value;key=value". */
#include "record/custom_attrs.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static const char *trim(const char *p, const char *end, size_t *ret_len)
{
    while (p < end && is_space(*p))
        p++;
    while (p < end && is_space(end[-1]))
        end--;
    *ret_len = (size_t)(end - p);
    return p;
}

/* Where c is in p..end, or end. */
static const char *find(const char *p, const char *end, char c)
{
    const char *at = p < end ? memchr(p, c, (size_t)(end - p)) : NULL;

    return at != NULL ? at : end;
}

bool custom_attrs_next(struct custom_attrs *attrs, struct custom_attr *ret)
{
    while (attrs->p < attrs->end && attrs->n < CUSTOM_ATTRS_MAX) {
        const char *const pair = attrs->p;
        const char *const pair_end = find(pair, attrs->end, ';');
        const char *const equals = find(pair, pair_end, '=');

        attrs->p = pair_end < attrs->end ? pair_end + 1 : attrs->end;
        attrs->n++;
        if (equals == pair_end)
            continue;
        ret->key = trim(pair, equals, &ret->key_len);
        ret->value = trim(equals + 1, pair_end, &ret->value_len);
        if (ret->key_len > 0)
            return true;
    }
    return false;
}
