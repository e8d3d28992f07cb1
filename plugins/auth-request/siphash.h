/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/siphash.h - SipHash-1-3. What is hashed is a client's choice, so the tables
 * have a secret key. Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF"; 1-3 is what
 * hash tables use that face strangers (Rust's and Python's).
 */
#ifndef AUTH_REQUEST_SIPHASH_H
#define AUTH_REQUEST_SIPHASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t sip_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = sip_rotl(v[1], 13) ^ v[0];
    v[0] = sip_rotl(v[0], 32);
    v[2] += v[3];
    v[3] = sip_rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = sip_rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = sip_rotl(v[1], 17) ^ v[2];
    v[2] = sip_rotl(v[2], 32);
}

static inline void sip_absorb(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    v[0] ^= m;
}

/* @param n  at most 8 */
static inline uint64_t sip_word(const unsigned char *p, size_t n)
{
    uint64_t m = 0;

    memcpy(&m, p, n);
    return le64toh(m);
}

static inline uint64_t siphash(const uint64_t key[2], const void *data, size_t n)
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
        sip_absorb(v, sip_word(p, 8));
    sip_absorb(v, n > 0 ? length | sip_word(p, n) : length);
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
