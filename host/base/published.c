/* SPDX-License-Identifier: Apache-2.0 */
/* host/base/published.c - see published.h. */
#include "base/published.h"

#include <string.h>

void published_put(_Atomic uint32_t *turn, _Atomic uint64_t *words, const void *record,
                   size_t n_words)
{
    const uint32_t before = atomic_load_explicit(turn, memory_order_relaxed);
    const char *from = record;
    uint64_t word;

    /* Read-modify-write and release: what is below stays below, for whoever sees any of it. */
    (void)atomic_exchange_explicit(turn, before + 1, memory_order_acq_rel);
    for (size_t i = 0; i < n_words; i++) {
        memcpy(&word, from + i * sizeof word, sizeof word);
        atomic_store_explicit(&words[i], word, memory_order_release);
    }
    atomic_store_explicit(turn, before + 2, memory_order_release);
}

bool published_try_get(const _Atomic uint32_t *turn, const _Atomic uint64_t *words, void *ret,
                       size_t n_words)
{
    const uint32_t before = atomic_load_explicit(turn, memory_order_acquire);
    char *to = ret;
    uint64_t word;

    for (size_t i = 0; i < n_words; i++) {
        word = atomic_load_explicit(&words[i], memory_order_acquire);
        memcpy(to + i * sizeof word, &word, sizeof word);
    }
    return before % 2 == 0 && atomic_load_explicit(turn, memory_order_relaxed) == before;
}

void published_get(const _Atomic uint32_t *turn, const _Atomic uint64_t *words, void *ret,
                   size_t n_words)
{
    while (!published_try_get(turn, words, ret, n_words)) {
    }
}
