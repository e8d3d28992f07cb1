/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/gaps.c - see gaps.h. */
#include "lines/gaps.h"

#include <string.h>

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325) /* FNV-1a, 64 bits */
#define FNV_PRIME UINT64_C(0x100000001b3)

_Static_assert(GAPS_WINDOW == 64, "a number in the window has a bit");

static uint64_t mix(uint64_t hash, struct spoe_span text)
{
    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (uint8_t)text.p[i]) * FNV_PRIME;
    return (hash ^ 0xff) * FNV_PRIME; /* an end: "a" "bc" is not "ab" "c" */
}

uint64_t gaps_key(uint64_t peer, struct spoe_span pid, struct spoe_span frontend)
{
    const uint64_t key = mix(mix(FNV_OFFSET ^ peer, pid), frontend);

    return key != 0 ? key : 1;
}

static struct gaps_source *find(struct gaps *gaps, uint64_t key)
{
    struct gaps_source *oldest = &gaps->source[0];

    for (size_t i = 0; i < GAPS_SOURCES_MAX; i++) {
        struct gaps_source *source = &gaps->source[i];

        if (source->key == key)
            return source;
        if (source->used < oldest->used)
            oldest = source;
    }
    *oldest = (struct gaps_source){.key = key};
    return oldest;
}

uint64_t gaps_see(struct gaps *gaps, uint64_t key, uint64_t number)
{
    struct gaps_source *source = find(gaps, key);
    const bool is_new = source->used == 0;
    uint64_t missing = 0, ahead;

    source->used = ++gaps->clock;
    if (is_new || (number >= source->next && number - source->next > GAPS_JUMP_MAX) ||
        (number < source->next && source->next - number > GAPS_LATE_MAX)) {
        /* The first one, or the numbers begin anew: nothing before it is missed. */
        source->next = number + 1;
        source->seen = UINT64_MAX;
        return 0;
    }
    if (number < source->next) { /* late, or seen already; maybe too late */
        if (source->next - number <= GAPS_WINDOW)
            source->seen |= UINT64_C(1) << (source->next - 1 - number);
        return 0;
    }
    ahead = number - source->next + 1;
    for (uint64_t i = 0; i < ahead && i < GAPS_WINDOW; i++)
        missing += (source->seen >> (GAPS_WINDOW - 1 - i) & 1) == 0;
    if (ahead > GAPS_WINDOW)
        missing += ahead - GAPS_WINDOW;
    source->seen = ahead < GAPS_WINDOW ? source->seen << ahead | 1 : 1;
    source->next = number + 1;
    return missing;
}

static bool is_label(struct spoe_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] > '~')
            return false;
    }
    return name.n > 0 && name.n <= GAPS_FRONTEND_BYTES_MAX;
}

void gaps_count(struct gaps *gaps, struct spoe_span frontend, uint64_t missing)
{
    static const struct spoe_span other = {"other", 5};
    const struct spoe_span wanted = is_label(frontend) ? frontend : other;
    const uint32_t n = atomic_load_explicit(&gaps->n_frontends, memory_order_relaxed);
    struct gaps_frontend *found = NULL;

    for (uint32_t i = 0; i < n && found == NULL; i++) {
        if (gaps->frontend[i].len == wanted.n &&
            memcmp(gaps->frontend[i].name, wanted.p, wanted.n) == 0)
            found = &gaps->frontend[i];
    }
    if (found == NULL && n == GAPS_FRONTENDS_MAX) {
        found = &gaps->frontend[n - 1];
    } else if (found == NULL) {
        const struct spoe_span name = n == GAPS_FRONTENDS_MAX - 1 ? other : wanted;

        found = &gaps->frontend[n];
        memcpy(found->name, name.p, name.n);
        found->len = name.n;
        atomic_store_explicit(&gaps->n_frontends, n + 1, memory_order_release);
    }
    atomic_store_explicit(&found->missing,
                          atomic_load_explicit(&found->missing, memory_order_relaxed) + missing,
                          memory_order_relaxed);
}
