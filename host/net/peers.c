/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/peers.c - which peers a worker has. */
#include "net/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool is_of(const struct peer_group *group, const struct peer_group *wanted)
{
    return group->frame_size == wanted->frame_size &&
           group->max_frame_size == wanted->max_frame_size &&
           group->pipelining == wanted->pipelining &&
           strcmp(group->address, wanted->address) == 0 &&
           group->versions_len == wanted->versions_len &&
           memcmp(group->versions, wanted->versions, wanted->versions_len) == 0;
}

static void add(_Atomic uint32_t *count, uint32_t n)
{
    /* Its only writer. */
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* IPv4 in IPv6, as it comes on a socket of both, is IPv4. */
static void read_address(int fd, char ret[PEER_ADDRESS_MAX])
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&address;
    const uint8_t *const bytes = in6->sin6_addr.s6_addr;
    socklen_t len = sizeof address;

    ret[0] = '\0';
    if (getpeername(fd, (struct sockaddr *)(void *)&address, &len) != 0)
        return;
    if (address.ss_family == AF_UNIX)
        (void)snprintf(ret, PEER_ADDRESS_MAX, "unix");
    else if (address.ss_family == AF_INET)
        (void)inet_ntop(AF_INET, &in->sin_addr, ret, PEER_ADDRESS_MAX);
    else if (address.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        (void)inet_ntop(AF_INET, bytes + 12, ret, PEER_ADDRESS_MAX);
    else if (address.ss_family == AF_INET6)
        (void)inet_ntop(AF_INET6, bytes, ret, PEER_ADDRESS_MAX);
}

struct peer_group *peers_join(struct peers *peers, int fd, const struct spop_hello *hello,
                              uint32_t frame_size)
{
    struct peer_group wanted = {.max_frame_size = hello->max_frame_size,
                                .frame_size = frame_size,
                                .pipelining = hello->pipelining};
    uint32_t n = atomic_load_explicit(&peers->n, memory_order_relaxed), i = 0;

    wanted.versions_len =
        (uint32_t)(hello->versions.n < PEER_VERSIONS_MAX ? hello->versions.n : PEER_VERSIONS_MAX);
    memcpy(wanted.versions, hello->versions.p, wanted.versions_len);
    read_address(fd, wanted.address);
    while (i < n && !is_of(&peers->group[i], &wanted))
        i++;
    if (i == n && n == PEER_GROUPS_MAX) {
        i = PEER_GROUPS_MAX - 1;
    } else if (i == n) {
        if (n < PEER_GROUPS_MAX - 1) {
            struct peer_group *group = &peers->group[i];

            memcpy(group->address, wanted.address, sizeof group->address);
            memcpy(group->versions, wanted.versions, wanted.versions_len);
            group->versions_len = wanted.versions_len;
            group->max_frame_size = wanted.max_frame_size;
            group->frame_size = wanted.frame_size;
            group->pipelining = wanted.pipelining;
        }
        atomic_store_explicit(&peers->n, n + 1, memory_order_release);
    }
    add(&peers->group[i].open, 1);
    return &peers->group[i];
}

void peers_leave(struct peer_group *group)
{
    if (group != NULL)
        add(&group->open, UINT32_MAX);
}
