/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of peers: what makes one, how many there are, and what becomes of the rest (9.2). */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/peers.h"

static struct peers peers;

static struct spop_hello hello_of(uint32_t max_frame_size, bool pipelining, const char *versions)
{
    return (struct spop_hello){.max_frame_size = max_frame_size,
                               .pipelining = pipelining,
                               .versions = {versions, strlen(versions)}};
}

static struct peer_group *join(uint32_t max_frame_size, bool pipelining, const char *versions,
                               uint32_t frame_size)
{
    const struct spop_hello hello = hello_of(max_frame_size, pipelining, versions);

    return peers_join(&peers, -1, &hello, frame_size);
}

Test(peers, are_of_one_kind_where_all_they_said_is_the_same, .timeout = 10)
{
    struct peer_group *const first = join(16384, true, "1.0,2.0", 8192);

    cr_assert_eq(first->open, 1);
    cr_assert(first->kind.max_frame_size == 16384 && first->kind.frame_size == 8192 &&
              first->kind.pipelining);
    cr_assert_eq(first->kind.versions_len, 7);
    cr_assert_eq(memcmp(first->kind.versions, "1.0,2.0", 7), 0);
    cr_assert_eq(join(16384, true, "1.0,2.0", 8192), first);
    cr_assert_eq(first->open, 2);
    cr_assert_eq(peers.n, 1);
    cr_assert_neq(join(16383, true, "1.0,2.0", 8192), first);
    cr_assert_neq(join(16384, false, "1.0,2.0", 8192), first);
    cr_assert_neq(join(16384, true, "1.0,2.1", 8192), first);
    cr_assert_neq(join(16384, true, "1.0,2.", 8192), first);
    cr_assert_neq(join(16384, true, "1.0,2.0", 8191), first);
    cr_assert_eq(peers.n, 6);
    cr_assert_eq(first->open, 2);
    peers_leave(first);
    cr_assert_eq(first->open, 1);
    peers_leave(NULL);
    peers_leave(first);
    cr_assert_eq(first->open, 0);
    cr_assert_eq(join(16384, true, "1.0,2.0", 8192), first, "its place is kept");
    cr_assert_eq(first->open, 1);
    cr_assert_eq(peers.n, 6);
}

/* 13, 3: connections by HAProxy. */
Test(peers, are_told_apart_by_where_they_come_from, .timeout = 10)
{
    const struct spop_hello hello = hello_of(16384, true, "2.0");
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    socklen_t len = sizeof address;
    struct peer_group *group;
    int pair[2], listener, any = 0;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    group = peers_join(&peers, pair[0], &hello, 8192);
    cr_assert_str_eq(group->kind.address, "unix");
    cr_assert_str_eq(join(16384, true, "2.0", 8192)->kind.address, "", "not known");
    cr_assert_eq(peers_join(&peers, pair[1], &hello, 8192), group);
    (void)close(pair[0]);
    (void)close(pair[1]);

    listener = socket(AF_INET, SOCK_STREAM, 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)(void *)&address, &len), 0);
    cr_assert_eq(connect(pair[0], (const struct sockaddr *)(const void *)&address, len), 0);
    cr_assert_str_eq(peers_join(&peers, pair[0], &hello, 8192)->kind.address, "127.0.0.1");
    (void)close(pair[0]);
    (void)close(listener);

    listener = socket(AF_INET6, SOCK_STREAM, 0); /* IPv4 on a socket of both is IPv4 */
    if (listener >= 0 && setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &any, sizeof any) == 0 &&
        listen(listener, 1) == 0) {
        len = sizeof address;
        cr_assert_eq(getsockname(listener, (struct sockaddr *)(void *)&address, &len), 0);
        pair[0] = socket(AF_INET6, SOCK_STREAM, 0);
        cr_assert_eq(inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr), 1);
        cr_assert_eq(connect(pair[0], (const struct sockaddr *)(const void *)&address, len), 0);
        cr_assert_str_eq(peers_join(&peers, pair[0], &hello, 8192)->kind.address, "127.0.0.1");
        (void)close(pair[0]);
    }
    (void)close(listener);
}

/* Whoever comes when there is one place left is of no kind, with all that follow. */
Test(peers, are_others_beyond_so_many_kinds, .timeout = 10)
{
    struct peer_group *groups[PEER_GROUPS_MAX + 5];

    for (uint32_t i = 0; i < PEER_GROUPS_MAX + 5; i++)
        groups[i] = join(1000 + i, true, "2.0", 500);
    for (uint32_t i = 0; i < PEER_GROUPS_MAX - 1; i++) {
        cr_assert_eq(groups[i], &peers.group[i]);
        cr_assert_eq(groups[i]->kind.max_frame_size, 1000 + i);
        cr_assert_eq(groups[i]->open, 1);
        cr_assert_eq(join(1000 + i, true, "2.0", 500), groups[i], "they are found again");
    }
    cr_assert_eq(peers.n, PEER_GROUPS_MAX);
    for (uint32_t i = PEER_GROUPS_MAX - 1; i < PEER_GROUPS_MAX + 5; i++)
        cr_assert_eq(groups[i], &peers.group[PEER_GROUPS_MAX - 1]);
    cr_assert_eq(peers.group[PEER_GROUPS_MAX - 1].open, 6);
    cr_assert_eq(peers.group[PEER_GROUPS_MAX - 1].kind.frame_size, 0, "nothing is said of them");
    for (uint32_t i = 0; i < 6; i++)
        peers_leave(&peers.group[PEER_GROUPS_MAX - 1]);
    cr_assert_eq(peers.group[PEER_GROUPS_MAX - 1].open, 0);
}

/* 13, 3: a HAProxy that is started again and again, each time with another address. */
Test(peers, may_come_and_go_for_ever, .timeout = 10)
{
    struct peer_group *const stays = join(7, true, "2.0", 500);
    struct peer_kind kind;

    for (uint32_t i = 0; i < 3 * PEER_GROUPS_MAX; i++) {
        struct peer_group *group = join(1000 + i, true, "2.0", 500);

        peers_read(group, &kind);
        cr_assert_eq(kind.max_frame_size, 1000 + i, "it is told apart");
        peers_leave(group);
    }
    peers_read(stays, &kind);
    cr_assert(kind.max_frame_size == 7 && stays->open == 1);
    cr_assert_eq(join(7, true, "2.0", 500), stays);
    cr_assert_lt(peers.n, PEER_GROUPS_MAX, "none is of the others");
}

static _Atomic bool done;

static void *come_and_go(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        peers_leave(join(1000, true, "1", 1));
        peers_leave(join(2000, false, "2.0", 2));
    }
    return NULL;
}

/* Whoever reads while a place is given away sees the one or the other. */
Test(peers, are_read_whole, .timeout = 60)
{
    struct peer_kind kind;
    pthread_t thread;

    for (uint32_t i = 0; i < PEER_GROUPS_MAX - 2; i++)
        (void)join(1 + i, true, "2.0", 500);
    peers_leave(join(1000, true, "1", 1)); /* the place that is left */
    cr_assert_eq(pthread_create(&thread, NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 100000; i++) {
        peers_read(&peers.group[PEER_GROUPS_MAX - 2], &kind);
        if (kind.max_frame_size == 1000)
            cr_assert(kind.pipelining && kind.versions_len == 1 && kind.frame_size == 1);
        else
            cr_assert(kind.max_frame_size == 2000 && !kind.pipelining && kind.versions_len == 3 &&
                      kind.frame_size == 2);
    }
    atomic_store(&done, true);
    (void)pthread_join(thread, NULL);
}

/* What is kept of their versions has a greatest length. */
Test(peers, may_have_many_versions, .timeout = 10)
{
    char versions[PEER_VERSIONS_MAX + 3];
    struct peer_group *longest, *longer;

    memset(versions, '2', sizeof versions);
    versions[PEER_VERSIONS_MAX] = '\0';
    longest = join(1, true, versions, 1);
    cr_assert_eq(longest->kind.versions_len, PEER_VERSIONS_MAX);
    versions[PEER_VERSIONS_MAX] = '2';
    versions[PEER_VERSIONS_MAX + 1] = '\0';
    longer = join(1, true, versions, 1);
    cr_assert_eq(longer, longest, "what is beyond is not looked at");
    versions[PEER_VERSIONS_MAX - 1] = '\0';
    cr_assert_neq(join(1, true, versions, 1), longest);
}
