/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/siphash.c - SipHash-1-3 over little-endian words. */
#include "input/siphash.h"

#include <endian.h>
#include <string.h>

static inline uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static inline void absorb(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    mix(v);
    v[0] ^= m;
}

/* @param n  at most 8 */
static inline uint64_t word(const unsigned char *p, size_t n)
{
    uint64_t m = 0;

    memcpy(&m, p, n);
    return le64toh(m);
}

uint64_t siphash(const uint64_t key[2], const void *data, size_t n)
{
    const unsigned char *p = data;
    const uint64_t length = (uint64_t)n << 56;
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };

    for (; n >= 8; p += 8, n -= 8)
        absorb(v, word(p, 8));
    absorb(v, n > 0 ? length | word(p, n) : length);
    v[2] ^= 0xff;
    mix(v);
    mix(v);
    mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
