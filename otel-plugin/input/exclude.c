/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/exclude.c - paths by list, ids by hash in buckets of WAYS. */
#include "input/exclude.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"
#include "input/siphash.h"

#define WAYS 4u
#define BUCKETS (EXCLUDE_IDS / WAYS)

struct pattern {
    const char *p;
    size_t n;
    bool prefix;
};

struct exclude {
    char *text; /* what the patterns point into */
    struct pattern patterns[EXCLUDE_PATTERNS_MAX];
    size_t n;
    uint64_t key[2];
    _Atomic uint64_t ids[BUCKETS][WAYS]; /* 0: free */
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
    if (exclude->text == NULL ||
        getrandom(exclude->key, sizeof exclude->key, 0) != sizeof exclude->key) {
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

/* The hash by which an id is remembered, never 0, and its bucket. */
static uint64_t hash_of(struct exclude *exclude, struct spoe_span id, _Atomic uint64_t **ret)
{
    const uint64_t hash = siphash(exclude->key, id.p, id.n) | 1;

    *ret = exclude->ids[(hash >> 1) % BUCKETS];
    return hash;
}

void exclude_remember(struct exclude *exclude, struct spoe_span id)
{
    _Atomic uint64_t *bucket;
    const uint64_t hash = hash_of(exclude, id, &bucket);

    for (size_t i = 0; i < WAYS; i++) {
        uint64_t free_slot = 0;

        if (atomic_compare_exchange_strong_explicit(&bucket[i], &free_slot, hash,
                                                    memory_order_relaxed, memory_order_relaxed))
            return;
    }
    /* One that never had a response, most likely. */
    atomic_store_explicit(&bucket[(hash >> 32) % WAYS], hash, memory_order_relaxed);
}

bool exclude_remembers(struct exclude *exclude, struct spoe_span id, bool last)
{
    _Atomic uint64_t *bucket;
    const uint64_t hash = hash_of(exclude, id, &bucket);

    for (size_t i = 0; i < WAYS; i++) {
        uint64_t found = hash;

        if (atomic_load_explicit(&bucket[i], memory_order_relaxed) != hash)
            continue;
        if (last)
            (void)atomic_compare_exchange_strong_explicit(
                &bucket[i], &found, 0, memory_order_relaxed, memory_order_relaxed);
        return true;
    }
    return false;
}
