/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/peers.c - which peers a worker has. */
#include "net/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(sizeof(struct peer_kind) % sizeof(uint64_t) == 0, "it is whole words");

static bool same(const struct peer_kind *a, const struct peer_kind *b)
{
    return a->frame_size == b->frame_size && a->max_frame_size == b->max_frame_size &&
           a->pipelining == b->pipelining && strcmp(a->address, b->address) == 0 &&
           a->versions_len == b->versions_len &&
           memcmp(a->versions, b->versions, b->versions_len) == 0;
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

static void read_kind(int fd, const struct spop_hello *hello, uint32_t frame_size,
                      struct peer_kind *ret)
{
    *ret = (struct peer_kind){.max_frame_size = hello->max_frame_size,
                              .frame_size = frame_size,
                              .pipelining = hello->pipelining};
    ret->versions_len =
        (uint8_t)(hello->versions.n < PEER_VERSIONS_MAX ? hello->versions.n : PEER_VERSIONS_MAX);
    memcpy(ret->versions, hello->versions.p, ret->versions_len);
    read_address(fd, ret->address);
}

/* A place for a kind that there is none of: a new one, else one whose connections are all gone. The
 * last is that of all others. */
static uint32_t find_place(const struct peers *peers, uint32_t n)
{
    if (n < PEER_GROUPS_MAX - 1)
        return n;
    for (uint32_t i = 0; i < PEER_GROUPS_MAX - 1; i++) {
        if (atomic_load_explicit(&peers->group[i].open, memory_order_relaxed) == 0)
            return i;
    }
    return PEER_GROUPS_MAX - 1;
}

struct peer_group *peers_join(struct peers *peers, int fd, const struct spop_hello *hello,
                              uint32_t frame_size)
{
    const uint32_t n = atomic_load_explicit(&peers->n, memory_order_relaxed);
    struct peer_kind wanted;
    struct peer_group *group;
    uint32_t i = 0;

    read_kind(fd, hello, frame_size, &wanted);
    while (i < n && !same(&peers->group[i].kind, &wanted))
        i++;
    if (i == n)
        i = find_place(peers, n);
    group = &peers->group[i];
    if (i < PEER_GROUPS_MAX - 1 && (i == n || !same(&group->kind, &wanted))) {
        group->kind = wanted;
        published_put(&group->turn, group->words, &group->kind, PUBLISHED_WORDS(group->kind));
    }
    add(&group->open, 1);
    if (i >= n)
        atomic_store_explicit(&peers->n, i + 1, memory_order_release);
    return group;
}

void peers_read(const struct peer_group *group, struct peer_kind *ret)
{
    published_get(&group->turn, group->words, ret, PUBLISHED_WORDS(*ret));
}

void peers_leave(struct peer_group *group)
{
    if (group != NULL)
        add(&group->open, UINT32_MAX);
}
