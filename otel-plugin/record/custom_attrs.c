/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/record/custom_attrs.c - "key=value;key=value". */
#include "record/custom_attrs.h"

#include <string.h>

#include "base/text.h"

bool custom_attrs_next(struct custom_attrs *attrs, struct custom_attr *ret)
{
    struct text rest = {attrs->p, attrs->p != NULL ? (size_t)(attrs->end - attrs->p) : 0}, pair;
    bool found = false;

    while (!found && attrs->n < CUSTOM_ATTRS_MAX && rest.n > 0 &&
           text_next_item(&rest, ';', &pair)) {
        struct text key = text_before(pair, '='), value;

        attrs->n++;
        if (key.n == pair.n)
            continue;
        value = text_trim((struct text){key.p + key.n + 1, pair.n - key.n - 1});
        key = text_trim(key);
        *ret = (struct custom_attr){key.p, value.p, key.n, value.n};
        found = key.n > 0;
    }
    attrs->p = rest.p != NULL ? rest.p : attrs->end;
    return found;
}
