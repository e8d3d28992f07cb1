/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/address.h - addresses and prefixes as numbers. */
#ifndef IP_REPUTATION_ADDRESS_H
#define IP_REPUTATION_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An IPv6 address; an IPv4 address is a plain uint32_t. Both in the machine's order. */
struct ip6 {
    uint64_t hi, lo;
};

/* A prefix of a list. Of IPv4 the address is in ip.lo, and len at most 32. */
struct prefix {
    bool v4;
    uint8_t len;
    struct ip6 ip;
};

static inline uint32_t ip4_load(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline struct ip6 ip6_load(const uint8_t bytes[16])
{
    return (struct ip6){(uint64_t)ip4_load(bytes) << 32 | ip4_load(bytes + 4),
                        (uint64_t)ip4_load(bytes + 8) << 32 | ip4_load(bytes + 12)};
}

/* ::ffff:a.b.c.d, RFC 4291 2.5.5.2: an IPv4 address in IPv6's clothes. */
static inline bool ip6_is_mapped(struct ip6 ip)
{
    return ip.hi == 0 && ip.lo >> 32 == UINT64_C(0xffff);
}

/* The bits that do not belong to a prefix of this length. */
static inline uint32_t ip4_host_mask(unsigned len)
{
    return len == 0 ? UINT32_MAX : (uint32_t)((UINT64_C(1) << (32 - len)) - 1);
}

static inline uint64_t half_mask(unsigned len)
{
    return len == 0 ? UINT64_MAX : len >= 64 ? 0 : (UINT64_C(1) << (64 - len)) - 1;
}

static inline struct ip6 ip6_host_mask(unsigned len)
{
    return (struct ip6){half_mask(len), len <= 64 ? UINT64_MAX : half_mask(len - 64)};
}

#endif
