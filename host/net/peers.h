/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/peers.h - which peers a worker has: connections counted by where they come from and what
 * their HELLO said. Written by the worker alone, read by any thread without a lock: a group that is
 * there never changes but for its count, and none goes away.
 */
#ifndef HOST_NET_PEERS_H
#define HOST_NET_PEERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "spop/spop.h"

#define PEER_GROUPS_MAX 32u
#define PEER_ADDRESS_MAX 46u  /* INET6_ADDRSTRLEN */
#define PEER_VERSIONS_MAX 32u /* bytes of the list of versions that are kept */

struct peer_group {
    char address[PEER_ADDRESS_MAX]; /* without the port; "unix"; empty: not known */
    uint32_t versions_len;
    char versions[PEER_VERSIONS_MAX]; /* as the peer sent them, "2.0" */
    uint32_t max_frame_size;          /* the peer's own */
    uint32_t frame_size;              /* agreed to; 0: the group of all that found no place */
    bool pipelining;
    _Atomic uint32_t open; /* connections; [any] reads */
};

struct peers {
    struct peer_group group[PEER_GROUPS_MAX];
    _Atomic uint32_t n; /* groups that are there; [any] reads */
};

/**
 * Count a connection. Never fails: the last group takes what finds no place. [worker]
 * @param fd  its socket
 */
struct peer_group *peers_join(struct peers *peers, int fd, const struct spop_hello *hello,
                              uint32_t frame_size);
/** The connection is gone. Takes NULL. [worker] */
void peers_leave(struct peer_group *group);

#endif
