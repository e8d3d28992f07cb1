/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/exclude.c - paths by list. */
#include "input/exclude.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct pattern {
    const char *p;
    size_t n;
    bool prefix;
};

struct exclude {
    char *text; /* what the patterns point into */
    struct pattern patterns[EXCLUDE_PATTERNS_MAX];
    size_t n;
};

const char *exclude_error(const char *list)
{
    struct text rest = {list, list != NULL ? strlen(list) : 0}, path;
    size_t count = 0;

    while (text_next_item(&rest, ',', &path)) {
        const char *star;

        if (path.n == 0)
            continue;
        if (++count > EXCLUDE_PATTERNS_MAX)
            return "names more than 64 paths";
        if (*path.p != '/')
            return "has a path that does not begin with /";
        star = memchr(path.p, '*', path.n);
        if (star != NULL && star != path.p + path.n - 1)
            return "has a * that is not at the end of a path";
    }
    return NULL;
}

struct exclude *exclude_create(const char *list)
{
    struct exclude *exclude = calloc(1, sizeof *exclude);
    struct text rest, path;

    if (exclude == NULL)
        return NULL;
    exclude->text = strdup(list);
    if (exclude->text == NULL) {
        exclude_destroy(exclude);
        return NULL;
    }
    rest = text_of(exclude->text);
    while (text_next_item(&rest, ',', &path) && exclude->n < EXCLUDE_PATTERNS_MAX) {
        const bool prefix = path.n > 0 && path.p[path.n - 1] == '*';

        if (path.n > 0)
            exclude->patterns[exclude->n++] = (struct pattern){path.p, path.n - prefix, prefix};
    }
    return exclude;
}

void exclude_destroy(struct exclude *exclude)
{
    if (exclude == NULL)
        return;
    free(exclude->text);
    free(exclude);
}

bool exclude_path(const struct exclude *exclude, struct spoe_span path)
{
    for (size_t i = 0; i < exclude->n; i++) {
        const struct pattern *pattern = &exclude->patterns[i];

        if ((pattern->prefix ? path.n >= pattern->n : path.n == pattern->n) &&
            memcmp(path.p, pattern->p, pattern->n) == 0)
            return true;
    }
    return false;
}
