/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/published.h - a small record that one thread at a time replaces and any thread reads
 * whole. Whoever writes never waits; whoever reads tries again where it was written meanwhile. The
 * record lies in words, which all are atomic: no fence is needed, nor a race left.
 */
#ifndef HOST_BASE_PUBLISHED_H
#define HOST_BASE_PUBLISHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a record that has no padding at its end. */
#define PUBLISHED_WORDS(record) (sizeof(record) / sizeof(uint64_t))

/** @param turn  odd while the words are being written. @param record  n_words of them */
void published_put(_Atomic uint32_t *turn, _Atomic uint64_t *words, const void *record,
                   size_t n_words);
/** @return false: it was being written meanwhile */
bool published_try_get(const _Atomic uint32_t *turn, const _Atomic uint64_t *words, void *ret,
                       size_t n_words);
/** The record as it was at one moment. */
void published_get(const _Atomic uint32_t *turn, const _Atomic uint64_t *words, void *ret,
                   size_t n_words);

#endif
