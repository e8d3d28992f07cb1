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

/* @return NULL: it is not there */
static struct gaps_source *find(struct gaps_source *sources, uint64_t key, uint64_t owner)
{
    for (size_t i = 0; i < GAPS_SOURCES_MAX; i++) {
        if (sources[i].key == key && sources[i].owner == owner)
            return &sources[i];
    }
    return NULL;
}

/* A free one, or that which was silent for longest. */
static struct gaps_source *oldest(struct gaps_source *sources)
{
    struct gaps_source *best = &sources[0];

    for (size_t i = 1; i < GAPS_SOURCES_MAX; i++) {
        if (sources[i].used < best->used)
            best = &sources[i];
    }
    return best;
}

/* ---- from one connection to the next ---- */

void gaps_past_init(struct gaps_past *past)
{
    *past = (struct gaps_past){.clock = 0};
    (void)pthread_mutex_init(&past->lock, NULL);
}

void gaps_past_fini(struct gaps_past *past)
{
    (void)pthread_mutex_destroy(&past->lock);
}

void gaps_leave(struct gaps *gaps, uint64_t owner)
{
    for (size_t i = 0; i < GAPS_SOURCES_MAX; i++) {
        struct gaps_source *source = &gaps->source[i], *left;

        if (source->key == 0 || source->owner != owner)
            continue;
        if (gaps->past != NULL) {
            (void)pthread_mutex_lock(&gaps->past->lock);
            left = find(gaps->past->source, source->key, 0);
            if (left == NULL)
                left = oldest(gaps->past->source);
            *left = *source;
            left->owner = 0;
            left->used = ++gaps->past->clock;
            (void)pthread_mutex_unlock(&gaps->past->lock);
        }
        *source = (struct gaps_source){.key = 0};
    }
}

/* A source that is new here, with what was left of it. */
static struct gaps_source *begin(struct gaps *gaps, uint64_t key, uint64_t owner)
{
    struct gaps_source *source = oldest(gaps->source), *left;

    *source = (struct gaps_source){.key = key};
    if (owner != 0 && gaps->past != NULL) {
        (void)pthread_mutex_lock(&gaps->past->lock);
        left = find(gaps->past->source, key, 0);
        if (left != NULL) {
            *source = *left;
            *left = (struct gaps_source){.key = 0};
        }
        (void)pthread_mutex_unlock(&gaps->past->lock);
    }
    source->owner = owner;
    return source;
}

/* ---- one line ---- */

/* A line that fills no place: its number was seen, or given up. */
static void add_credit(struct gaps_source *source)
{
    if (source->next > source->credit_until)
        source->credit = 0;
    if (source->credit < GAPS_CREDIT_MAX)
        source->credit++;
    source->credit_until = source->next + GAPS_CREDIT_NUMBERS;
}

static uint64_t take_credit(struct gaps_source *source, uint64_t missing)
{
    const uint64_t has = source->next <= source->credit_until ? source->credit : 0;
    const uint64_t taken = missing < has ? missing : has;

    source->credit = has - taken;
    return missing - taken;
}

uint64_t gaps_see(struct gaps *gaps, uint64_t key, uint64_t owner, uint64_t number)
{
    struct gaps_source *source = find(gaps->source, key, owner);
    uint64_t missing = 0, ahead;
    bool is_new;

    if (source == NULL)
        source = begin(gaps, key, owner);
    is_new = source->used == 0;
    source->used = ++gaps->clock;
    if (is_new || (number >= source->next && number - source->next > GAPS_JUMP_MAX) ||
        (number < source->next && source->next - number > GAPS_LATE_MAX)) {
        /* The first one, or the numbers begin anew: nothing before it is missed. */
        source->next = number + 1;
        source->seen = UINT64_MAX;
        source->credit = 0;
        return 0;
    }
    if (number < source->next) { /* late, or seen already; maybe too late */
        const uint64_t back = source->next - 1 - number;

        if (back < GAPS_WINDOW && (source->seen >> back & 1) == 0)
            source->seen |= UINT64_C(1) << back;
        else
            add_credit(source);
        return 0;
    }
    ahead = number - source->next + 1;
    for (uint64_t i = 0; i < ahead && i < GAPS_WINDOW; i++)
        missing += (source->seen >> (GAPS_WINDOW - 1 - i) & 1) == 0;
    if (ahead > GAPS_WINDOW)
        missing += ahead - GAPS_WINDOW;
    source->seen = ahead < GAPS_WINDOW ? source->seen << ahead | 1 : 1;
    missing = missing != 0 ? take_credit(source, missing) : 0;
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
