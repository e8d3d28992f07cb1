/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/network.h - a network, as in the option log-from: 192.0.2.0/24, 2001:db8::/32, or one
 * address. Threads: [any].
 */
#ifndef HOST_CONF_NETWORK_H
#define HOST_CONF_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sockaddr;

/* IPv4 as ::ffff:0:0/96, so that there is one kind. */
struct network {
    uint8_t address[16];
    uint8_t bits;
};

/** @return 0; -1 with the reason */
int network_parse(const char *text, struct network *ret, struct error *reterr);
/** Whether an address of IPv4 or IPv6 is in it; others are in none. */
bool network_has(const struct network *network, const struct sockaddr *sa);
/** Whether one of them has it. No networks have all addresses, and one that is not of IP is not
 * asked about. */
bool networks_allow(const struct network *networks, size_t n, const struct sockaddr *sa);

#endif
