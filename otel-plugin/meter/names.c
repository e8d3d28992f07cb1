/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/meter/names.c - an open hash table of texts that only grows, and a list by number. */
#include "meter/names.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "meter/mix.h"

#define N_SLOTS ((size_t)2 * NAMES_MAX) /* a power of two, half of it empty at least */

struct name {
    uint64_t hash;
    uint16_t number, n;
    char text[];
};

struct names {
    _Atomic(struct name *) slots[N_SLOTS];
    _Atomic(struct name *) by_number[NAMES_MAX];
    pthread_mutex_t lock;  /* of those who add */
    _Atomic uint16_t next; /* lock, to change it */
};

struct names *names_create(void)
{
    struct names *names = calloc(1, sizeof *names);

    if (names == NULL)
        return NULL;
    (void)pthread_mutex_init(&names->lock, NULL); /* cannot fail without attributes */
    atomic_init(&names->next, NAME_FIRST);
    return names;
}

void names_destroy(struct names *names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; i < NAMES_MAX; i++)
        free(atomic_load(&names->by_number[i]));
    (void)pthread_mutex_destroy(&names->lock);
    free(names);
}

/* The place of a text, or the empty one where it belongs. */
static _Atomic(struct name *) *find(struct names *names, uint64_t hash, const char *p, size_t n)
{
    for (size_t at = hash % N_SLOTS;; at = (at + 1) % N_SLOTS) {
        const struct name *name = atomic_load_explicit(&names->slots[at], memory_order_acquire);

        if (name == NULL || (name->hash == hash && name->n == n && memcmp(name->text, p, n) == 0))
            return &names->slots[at];
    }
}

static struct name *make_name(uint64_t hash, const char *p, size_t n)
{
    struct name *name = malloc(sizeof *name + n);

    if (name == NULL)
        return NULL;
    *name = (struct name){.hash = hash, .n = (uint16_t)n};
    memcpy(name->text, p, n);
    return name;
}

static bool is_full(struct names *names)
{
    return atomic_load_explicit(&names->next, memory_order_relaxed) == NAMES_MAX;
}

/* @return NULL: there is no room */
static struct name *add(struct names *names, uint64_t hash, const char *p, size_t n)
{
    _Atomic(struct name *) *slot = find(names, hash, p, n);
    struct name *name = atomic_load_explicit(slot, memory_order_acquire);

    if (name != NULL || is_full(names)) /* then new names do not wait for each other */
        return name;
    (void)pthread_mutex_lock(&names->lock);
    slot = find(names, hash, p, n); /* somebody else may have added it */
    name = atomic_load_explicit(slot, memory_order_relaxed);
    if (name == NULL && !is_full(names) && (name = make_name(hash, p, n)) != NULL) {
        name->number = atomic_fetch_add_explicit(&names->next, 1, memory_order_relaxed);
        atomic_store_explicit(&names->by_number[name->number], name, memory_order_release);
        atomic_store_explicit(slot, name, memory_order_release);
    }
    (void)pthread_mutex_unlock(&names->lock);
    return name;
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

/* Whether a text is shown as it came. */
static bool is_plain(const char *p, size_t n)
{
    if (n > NAMES_TEXT_MAX || !utf8_is_clean(p, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_control(p[i]))
            return false;
    }
    return true;
}

static uint16_t number_of(const struct name *name)
{
    return name != NULL ? name->number : NAME_OVERFLOW;
}

/* A text that is met for the first time, or is not shown as it came. Apart, for its buffer. */
__attribute__((noinline)) static uint16_t learn(struct names *names, uint64_t hash, const char *p,
                                                size_t n)
{
    char text[NAMES_TEXT_MAX];

    if (is_plain(p, n))
        return number_of(add(names, hash, p, n));
    n = utf8_repair(p, n, text, sizeof text);
    for (size_t i = 0; i < n; i++)
        text[i] = is_control(text[i]) ? '_' : text[i];
    return number_of(add(names, mix_bytes(text, n), text, n));
}

uint16_t names_number(struct names *names, const char *p, size_t n)
{
    const struct name *name = NULL;
    uint64_t hash;

    if (n == 0)
        return NAME_NONE;
    hash = mix_bytes(p, n);
    if (n <= NAMES_TEXT_MAX)
        name = atomic_load_explicit(find(names, hash, p, n), memory_order_acquire);
    return name != NULL ? name->number /* so it is plain */ : learn(names, hash, p, n);
}

struct spoe_span names_text(const struct names *names, uint16_t number)
{
    const struct name *name = atomic_load_explicit(&names->by_number[number], memory_order_acquire);

    assert(name != NULL);
    return (struct spoe_span){name->text, name->n};
}
