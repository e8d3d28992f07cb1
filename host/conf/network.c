/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/network.c - see network.h. */
#include "conf/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "conf/value.h"

#define V4_BITS 96u /* that an IPv4 address is behind */

static const uint8_t v4_prefix[V4_BITS / 8] = {[10] = 0xff, [11] = 0xff};

static void set_v4(uint8_t address[16], const void *in)
{
    memcpy(address, v4_prefix, sizeof v4_prefix);
    memcpy(address + sizeof v4_prefix, in, 4);
}

/* Whether the first `bits` of both are equal. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    const unsigned bytes = bits / 8, rest = bits % 8;

    if (memcmp(a, b, bytes) != 0)
        return false;
    return rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0;
}

int network_parse(const char *text, struct network *ret, struct error *reterr)
{
    const char *slash = strchr(text, '/');
    const size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct network network = {.bits = 128};
    uint8_t behind[16] = {0};
    char address[INET6_ADDRSTRLEN];
    struct in_addr in;
    int64_t bits = 0;
    bool is_v4;

    if (len >= sizeof address)
        return error_set(reterr, "expected a network as 192.0.2.0/24 or 2001:db8::/32");
    memcpy(address, text, len);
    address[len] = '\0';
    is_v4 = inet_pton(AF_INET, address, &in) == 1;
    if (is_v4)
        set_v4(network.address, &in);
    else if (inet_pton(AF_INET6, address, network.address) != 1)
        return error_set(reterr, "expected a network as 192.0.2.0/24 or 2001:db8::/32");
    if (slash != NULL) {
        if (value_parse_int(slash + 1, &bits) != VALUE_OK || bits < 0 || bits > (is_v4 ? 32 : 128))
            return error_set(reterr, "after the / stands a number from 0 to %d", is_v4 ? 32 : 128);
        network.bits = (uint8_t)(is_v4 ? bits + V4_BITS : bits);
    }
    for (unsigned i = network.bits; i < 128; i++)
        behind[i / 8] |= (uint8_t)(network.address[i / 8] & (0x80u >> (i % 8)));
    for (size_t i = 0; i < sizeof behind; i++) {
        if (behind[i] != 0)
            return error_set(reterr, "the address has bits set behind its first %u",
                             (unsigned)bits);
    }
    *ret = network;
    return 0;
}

bool network_has(const struct network *network, const struct sockaddr *sa)
{
    uint8_t address[16];

    if (sa->sa_family == AF_INET)
        set_v4(address, &((const struct sockaddr_in *)(const void *)sa)->sin_addr);
    else if (sa->sa_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
               sizeof address);
    else
        return false;
    return same_bits(address, network->address, network->bits);
}

bool networks_allow(const struct network *networks, size_t n, const struct sockaddr *sa)
{
    if (n == 0 || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
        return true;
    for (size_t i = 0; i < n; i++) {
        if (network_has(&networks[i], sa))
            return true;
    }
    return false;
}
