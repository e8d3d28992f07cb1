/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/meter/mix.h - a quick hash, eight bytes at a time. What is hashed comes from
 * HAProxy's configuration, and the tables are bounded, so that nobody gains by making them collide.
 */
#ifndef OTEL_METER_MIX_H
#define OTEL_METER_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MIX_FACTOR UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd */

static inline uint64_t mix_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * MIX_FACTOR;
    return hash ^ hash >> 32;
}

static inline uint64_t mix_bytes(const char *p, size_t n)
{
    uint64_t hash = n, word;

    for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
        memcpy(&word, p, sizeof word);
        hash = mix_word(hash, word);
    }
    word = 0;
    for (size_t i = 0; i < n; i++)
        word = word << 8 | (unsigned char)p[i];
    return mix_word(hash, word);
}

#endif
