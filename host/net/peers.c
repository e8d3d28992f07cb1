/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/peers.c - which kinds of peers a worker has. */
#include "net/peers.h"

#include <string.h>

static bool is_of(const struct peer_group *group, const struct peer_group *wanted)
{
    return group->frame_size == wanted->frame_size &&
           group->max_frame_size == wanted->max_frame_size &&
           group->pipelining == wanted->pipelining && group->versions_len == wanted->versions_len &&
           memcmp(group->versions, wanted->versions, wanted->versions_len) == 0;
}

static void add(_Atomic uint32_t *count, uint32_t n)
{
    /* Its only writer. */
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

struct peer_group *peers_join(struct peers *peers, const struct spop_hello *hello,
                              uint32_t frame_size)
{
    struct peer_group wanted = {.max_frame_size = hello->max_frame_size,
                                .frame_size = frame_size,
                                .pipelining = hello->pipelining};
    uint32_t n = atomic_load_explicit(&peers->n, memory_order_relaxed), i = 0;

    wanted.versions_len =
        (uint32_t)(hello->versions.n < PEER_VERSIONS_MAX ? hello->versions.n : PEER_VERSIONS_MAX);
    memcpy(wanted.versions, hello->versions.p, wanted.versions_len);
    while (i < n && !is_of(&peers->group[i], &wanted))
        i++;
    if (i == n && n == PEER_GROUPS_MAX) {
        i = PEER_GROUPS_MAX - 1;
    } else if (i == n) {
        if (n < PEER_GROUPS_MAX - 1) {
            struct peer_group *group = &peers->group[i];

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
