/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/peers.h - which peers a worker has: connections counted by where they come from and what
 * their HELLO said. Written by the worker alone, read by any thread without a lock. The place of a
 * group without a connection is given to another one once there is no new place: addresses come and
 * go.
 */
#ifndef HOST_NET_PEERS_H
#define HOST_NET_PEERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/published.h"
#include "spop/spop.h"

#define PEER_GROUPS_MAX 32u
#define PEER_ADDRESS_MAX 46u  /* INET6_ADDRSTRLEN */
#define PEER_VERSIONS_MAX 32u /* bytes of the list of versions that are kept */

/* What the connections of a group have in common. */
struct peer_kind {
    char address[PEER_ADDRESS_MAX]; /* without the port; "unix"; empty: not known */
    bool pipelining;
    uint8_t versions_len;
    char versions[PEER_VERSIONS_MAX]; /* as the peer sent them, "2.0" */
    uint32_t max_frame_size;          /* the peer's own */
    uint32_t frame_size;              /* agreed to; 0: the group of all that found no place */
};

struct peer_group {
    struct peer_kind kind; /* the worker's own */
    _Atomic uint32_t turn; /* the same, published */
    _Atomic uint32_t open; /* connections; [any] reads */
    _Atomic uint64_t words[PUBLISHED_WORDS(struct peer_kind)];
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
/** What its connections have in common. Threads: [any] */
void peers_read(const struct peer_group *group, struct peer_kind *ret);
/** The connection is gone. Takes NULL. [worker] */
void peers_leave(struct peer_group *group);

#endif
